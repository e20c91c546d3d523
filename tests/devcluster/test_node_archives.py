"""Archives of images: their names, and one written without any tool."""

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from devcluster.node.archives import full_name, names_in, write_image
from devcluster.node.containerd import nameless, read_list, still_true
from devcluster.processes import StartError

LISTED = """\
REF                         TYPE                                                 DIGEST     SIZE     PLATFORMS   LABELS
localhost/busybox:1         application/vnd.oci.image.manifest.v1+json           sha256:aa  7.6 MiB  linux/amd64 -
docker.io/library/server:2  application/vnd.docker.distribution.manifest.v2+json sha256:bb  1.0 GiB  linux/amd64 a=b
"""


def write_tar(path: Path, **files: Any) -> Path:
    """Write JSON files, named without their suffix, as a tar archive."""
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            text = json.dumps(content).encode()
            entry = tarfile.TarInfo(f"{name}.json")
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text))
    return path


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("server", "docker.io/library/server:latest"),
        ("server:2", "docker.io/library/server:2"),
        ("team/server:2", "docker.io/team/server:2"),
        ("localhost/server", "localhost/server:latest"),
        ("registry:5000/server", "registry:5000/server:latest"),
        ("registry.example/team/server:2", "registry.example/team/server:2"),
    ],
)
def test_names_are_completed_as_the_kubelet_does(name: str, full: str) -> None:
    """A pod and an archive may say less."""
    assert full_name(name) == full


def test_names_of_what_docker_saves(tmp_path: Path) -> None:
    """An old one has its own list alone, a new one the OCI's index beside it."""
    manifest = [{"RepoTags": ["server:2", "localhost/server:2"]}, {"RepoTags": None}]
    annotated = {"annotations": {"io.containerd.image.name": "docker.io/library/server:2"}}
    names = ["docker.io/library/server:2", "localhost/server:2"]
    assert names_in(write_tar(tmp_path / "old.tar", manifest=manifest)) == names
    assert names_in(write_tar(tmp_path / "new.tar", manifest=manifest, index={"manifests": [annotated, {}]})) == names


def test_what_is_no_archive_or_names_nothing_is_told(tmp_path: Path) -> None:
    """With what to do about it."""
    (tmp_path / "text").write_text("text")
    with pytest.raises(StartError, match="is no archive of images"):
        names_in(tmp_path / "text")
    with pytest.raises(StartError, match=r"is no archive of images.*No such file"):
        names_in(tmp_path / "missing")
    with pytest.raises(StartError, match="docker save NAME:TAG"):
        names_in(write_tar(tmp_path / "nameless.tar", manifest=[{"RepoTags": None}]))


def test_an_image_is_written_whole(tmp_path: Path) -> None:
    """Every digest is that of a blob, and the layer has the files, executable, in folders."""
    program = tmp_path / "program"
    program.write_bytes(b"program")
    archive = tmp_path / "image.tar"
    write_image(archive, "localhost/program:1", {"/bin/program": program}, ("/bin/program",), user="65535")
    assert names_in(archive) == ["localhost/program:1"]
    with tarfile.open(archive) as tar:
        files = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
    for name, content in files.items():
        if name.startswith("blobs/"):
            assert name == f"blobs/sha256/{hashlib.sha256(content).hexdigest()}"
    manifest = json.loads(blob(files, json.loads(files["index.json"])["manifests"][0]))
    config = json.loads(blob(files, manifest["config"]))
    layer = blob(files, manifest["layers"][0])
    assert config["config"]["Entrypoint"] == ["/bin/program"]
    assert config["config"]["User"] == "65535"
    assert config["rootfs"]["diff_ids"] == [manifest["layers"][0]["digest"]]
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        assert [(member.name, member.mode, member.isdir()) for member in tar] == [
            ("bin", 0o755, True),
            ("bin/program", 0o755, False),
        ]


def blob(files: dict[str, bytes], descriptor: dict[str, Any]) -> bytes:
    """Return what a descriptor describes, of the size that it says."""
    content = files[f"blobs/{descriptor['digest'].replace(':', '/')}"]
    assert len(content) == descriptor["size"]
    return content


def test_an_archive_is_noted_as_long_as_all_its_images_are_there() -> None:
    """Another archive may have brought another image of the same name."""
    digests = read_list(LISTED)
    assert digests == {"localhost/busybox:1": "sha256:aa", "docker.io/library/server:2": "sha256:bb"}
    true, old = {"localhost/busybox:1": "sha256:aa"}, {"docker.io/library/server:2": "sha256:00"}
    assert still_true({"one": true, "two": old, "both": true | old}, digests) == {"one": true}


def test_images_that_no_name_means_any_more() -> None:
    """What was built anew leaves its id behind; an id beside a name is the same image, and stays."""
    named = {"localhost/busybox:1": "sha256:aa", "docker.io/library/server:2": "sha256:bb"}
    ids = {"sha256:01": "sha256:aa", "sha256:02": "sha256:00", "sha256:03": "sha256:bb"}
    assert nameless(named | ids) == ["sha256:02"]
    assert nameless(named) == []
