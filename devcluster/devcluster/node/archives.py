"""Archives of images: which images are in one, and how to write a small one without any tool."""

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from devcluster.processes import StartError

_MEDIA: Final = "application/vnd.oci.image"
_ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64"}
_ANNOTATION: Final = "io.containerd.image.name"


def names_in(archive: Path) -> list[str]:
    """Return the full names of the images in an archive, as ``docker save`` and OCI image layouts have them.

    Raises
    ------
    StartError
        When it is no archive of images, or they have no names.
    """
    try:
        with tarfile.open(archive) as tar:
            found = {member.name: tar.extractfile(member) for member in tar if _tells_names(member)}
            files = {name: json.load(file) for name, file in found.items() if file is not None}
    except (OSError, tarfile.TarError, ValueError) as error:
        raise StartError(f"{archive} is no archive of images: {error}") from error
    names = _names(files)
    if not names:
        raise StartError(f"{archive} names no image: write it with docker save NAME:TAG, not with an image's id.")
    return sorted({full_name(name) for name in names})


def full_name(name: str) -> str:
    """Return a name with its registry and its tag, as the kubelet completes what a pod says."""
    registry, slash, rest = name.partition("/")
    if not slash:
        registry, rest = "docker.io", f"library/{name}"
    elif "." not in registry and ":" not in registry and registry != "localhost":
        registry, rest = "docker.io", name
    return f"{registry}/{rest}" if ":" in rest else f"{registry}/{rest}:latest"


def write_image(
    archive: Path, name: str, files: Mapping[str, Path], entrypoint: Sequence[str], *, user: str = ""
) -> None:
    """Write an OCI image layout with one image of one layer: these files, executable, and nothing else.

    Parameters
    ----------
    name
        With registry and tag.
    files
        By their path in the image.
    """
    layer = _layer(files)
    config = {
        "architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "config": {"Entrypoint": list(entrypoint), "User": user, "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
    }
    content = json.dumps(config).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{_MEDIA}.manifest.v1+json",
        "config": _descriptor("config.v1+json", content),
        "layers": [_descriptor("layer.v1.tar", layer)],
    }
    top = json.dumps(manifest).encode()
    image = _descriptor("manifest.v1+json", top) | {"annotations": {_ANNOTATION: name}}
    index = {"schemaVersion": 2, "mediaType": f"{_MEDIA}.index.v1+json", "manifests": [image]}
    with tarfile.open(archive, "w") as tar:
        _add(tar, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        _add(tar, "index.json", json.dumps(index).encode())
        for blob in (layer, content, top):
            _add(tar, f"blobs/sha256/{_digest(blob).removeprefix('sha256:')}", blob)


def _tells_names(member: tarfile.TarInfo) -> bool:
    return member.isfile() and member.name.removeprefix("./") in ("manifest.json", "index.json")


def _names(files: Mapping[str, Any]) -> set[str]:
    """Return the names in Docker's list and in the OCI's; an archive may have both."""
    names: set[str] = set()
    for content in files.values():
        if isinstance(content, list):
            names.update(tag for image in content for tag in image.get("RepoTags") or ())
        else:
            annotations = [image.get("annotations") or {} for image in content.get("manifests", ())]
            names.update(found[_ANNOTATION] for found in annotations if _ANNOTATION in found)
    return names


def _layer(files: Mapping[str, Path]) -> bytes:
    """Return a tar that depends on nothing but the files' contents."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for folder in sorted({str(parent) for path in files for parent in Path(path).parents}):
            if folder != "/":
                entry = tarfile.TarInfo(folder.removeprefix("/"))
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(entry)
        for path, source in sorted(files.items()):
            _add(tar, path.removeprefix("/"), source.read_bytes(), mode=0o755)
    return made.getvalue()


def _descriptor(kind: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": f"{_MEDIA}.{kind}", "digest": _digest(content), "size": len(content)}


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _add(tar: tarfile.TarFile, name: str, content: bytes, *, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    tar.addfile(entry, io.BytesIO(content))
