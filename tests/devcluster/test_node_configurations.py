"""What a node's programs are told."""

import datetime
import json
import subprocess
import sys
import tomllib
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID

from devcluster.node import containerd, kubelet, network, pause, services
from devcluster.node.certificates import write_client
from devcluster.node.cgroups import Hierarchy, folders, hierarchies, make
from devcluster.node.errors import SKIPPED
from devcluster.node.packages import PROGRAMS, missing_packages, why_unavailable
from devcluster.processes import StartError

FOLDER = Path("/tmp/node")  # noqa: S108 - nothing is written there
WITHOUT_ROOT = """
import os
from devcluster.node.__main__ import main
if os.geteuid() == 0:
    os.setuid(65534)
raise SystemExit(main([]))
"""
NOW = datetime.datetime(2026, 11, 25, 12, tzinfo=datetime.UTC)
VERSION_1 = """\
tmpfs /sys/fs/cgroup tmpfs rw,relatime,mode=755 0 0
cgroup /sys/fs/cgroup/memory cgroup rw,relatime,memory 0 0
cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,relatime,cpu,cpuacct 0 0
cgroup2 /sys/fs/cgroup/unified cgroup2 rw,relatime 0 0
"""
VERSION_2 = """\
/dev/vda / ext4 rw,relatime 0 0
cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid,nodev,noexec,relatime 0 0
"""


def test_everything_that_is_written_goes_with_the_node_or_into_the_store() -> None:
    """The kubelet's and containerd's own defaults are places of the machine."""
    told = kubelet.configuration(FOLDER, "group", FOLDER / "ca.crt", containerd.SOCKET)
    flags = kubelet.flags(FOLDER, FOLDER / "kubelet.yaml", FOLDER / "node.kubeconfig", "node-0")
    for place in (told["podLogsDir"], told["volumePluginDir"], told["resolvConf"]):
        assert Path(place).is_relative_to(FOLDER)
    assert {f"--root-dir={FOLDER}/kubelet", f"--cert-dir={FOLDER}/kubelet-certificates"} <= {*flags}
    settings = tomllib.loads(containerd.configuration(FOLDER, Path("/cache/containerd")))
    assert settings["root"] == "/cache/containerd"
    assert settings["state"].startswith("/run/")
    assert settings["plugins"]["io.containerd.internal.v1.opt"]["path"] == f"{FOLDER}/opt"
    assert settings["plugins"]["io.containerd.cri.v1.runtime"]["cni"]["conf_dir"] == f"{FOLDER}/cni"


def test_pods_are_in_the_nodes_own_control_group() -> None:
    """So that all of them can be found, and removed."""
    told = kubelet.configuration(FOLDER, "group", FOLDER / "ca.crt", containerd.SOCKET)
    assert told["cgroupRoot"] == "/group"
    assert told["cgroupDriver"] == "cgroupfs"
    settings = tomllib.loads(containerd.configuration(FOLDER, Path("/cache/containerd")))
    runtime = settings["plugins"]["io.containerd.cri.v1.runtime"]["containerd"]["runtimes"]["runc"]
    assert runtime["options"]["SystemdCgroup"] is False


def test_containerd_and_kubelet_agree() -> None:
    """On where they meet, and on the image that nobody downloads."""
    told = kubelet.configuration(FOLDER, "group", FOLDER / "ca.crt", containerd.SOCKET)
    settings = tomllib.loads(containerd.configuration(FOLDER, Path("/cache/containerd")))
    assert told["containerRuntimeEndpoint"] == f"unix://{settings['grpc']['address']}"
    assert settings["plugins"]["io.containerd.cri.v1.images"]["pinned_images"] == {"sandbox": pause.IMAGE}


def test_only_the_api_server_may_ask_the_kubelet(tmp_path: Path) -> None:
    """It has a certificate of the authority that the kubelet trusts, for a client and as an administrator."""
    client = write_client(tmp_path, "kube-apiserver", "system:masters", NOW)
    told = kubelet.configuration(FOLDER, "group", client.authority, containerd.SOCKET)
    assert told["authentication"]["anonymous"] == {"enabled": False}
    assert told["authentication"]["x509"] == {"clientCAFile": str(client.authority)}
    authority, certificate = (x509.load_pem_x509_certificate(path.read_bytes()) for path in client[:2])
    certificate.verify_directly_issued_by(authority)
    assert certificate.subject.rfc4514_string() == "CN=kube-apiserver,O=system:masters"
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    assert [*usage.value] == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert certificate.not_valid_before_utc < NOW < certificate.not_valid_after_utc
    assert load_pem_private_key(client.key.read_bytes(), None).public_key() == certificate.public_key()
    assert client.key.stat().st_mode & 0o077 == 0


def test_names_are_asked_where_they_are_answered() -> None:
    """Pods ask the node's address, which CoreDNS listens at with rights to read."""
    told = kubelet.configuration(FOLDER, "group", FOLDER / "ca.crt", containerd.SOCKET)
    written = services.corefile(FOLDER / "dns.kubeconfig")
    assert told["clusterDNS"] == [network.NODE_ADDRESS]
    assert f"bind {network.NODE_ADDRESS}\n" in written
    assert f"kubernetes {told['clusterDomain']} " in written
    assert f"kubeconfig {FOLDER}/dns.kubeconfig local\n" in written
    assert services.dns_rights()["roleRef"]["name"] == "view"


def test_networks_do_not_overlap() -> None:
    """The link's, the pods' and the Services'; kube-proxy knows which is whose."""
    pods, services_network = ip_network(network.PODS), ip_network(network.SERVICES)
    assert not pods.overlaps(services_network)
    for address in (network.HOST_ADDRESS, network.NODE_ADDRESS):
        assert ip_address(address) not in pods
        assert ip_address(address) not in services_network
    written = json.loads(network.cni_configuration(FOLDER / "addresses"))
    assert written["plugins"][0]["ipam"]["ranges"] == [[{"subnet": network.PODS}]]
    told = yaml.safe_load(yaml.safe_dump(services.proxy_configuration(FOLDER / "proxy.kubeconfig")))
    assert told["clusterCIDR"] == network.PODS
    assert set(told["conntrack"].values()) == {0, "0s"}  # the machine's settings are left alone


def test_the_link_goes_with_the_namespace() -> None:
    """One end of it is made in there, and nothing gives the namespace a name that would keep it."""
    first, *_ = network.link_commands(4711)
    assert first[-2:] == ("netns", "4711")
    commands = [*network.link_commands(4711), *network.node_commands(), *network.route_commands()]
    assert not any(command[:2] == ("ip", "netns") for command in commands)
    assert all(network.LINK in command for command in network.route_commands())


@pytest.mark.parametrize(
    ("mounts", "found"),
    [
        (VERSION_1, [("memory", 1), ("cpu,cpuacct", 1), ("unified", 2)]),
        (VERSION_2, [("", 2)]),
        ("", []),
    ],
)
def test_control_groups_are_found_where_they_are_mounted(mounts: str, found: list[tuple[str, int]]) -> None:
    """Of both versions, and of both at once."""
    top = Path("/sys/fs/cgroup")
    assert hierarchies(mounts) == [Hierarchy(top / name, version) for name, version in found]
    assert folders("group", hierarchies(mounts)) == [top / name / "group" for name, _ in found]


def test_a_group_of_version_1_inherits_what_nothing_runs_without(tmp_path: Path) -> None:
    """Processors and memory nodes."""
    (tmp_path / "cpuset.cpus").write_text("0-1\n")
    (tmp_path / "cpuset.mems").write_text("0\n")
    make("group", [Hierarchy(tmp_path, 1)])
    assert (tmp_path / "group" / "cpuset.cpus").read_text() == "0-1\n"
    assert (tmp_path / "group" / "cpuset.mems").read_text() == "0\n"


@pytest.mark.parametrize(("here", "wanted"), [("cpuset cpu io memory pids", "+cpu +cpuset +memory +pids"), ("", None)])
def test_a_group_of_version_2_may_limit_what_the_kubelet_limits(tmp_path: Path, here: str, wanted: str | None) -> None:
    """And nothing else, since the machine keeps the setting."""
    (tmp_path / "cgroup.controllers").write_text(f"{here}\n")
    make("group", [Hierarchy(tmp_path, 2)])
    for folder in (tmp_path, tmp_path / "group"):
        setting = folder / "cgroup.subtree_control"
        assert (setting.read_text() if setting.exists() else None) == wanted


def test_a_group_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """With the place, the reason and what to do."""
    with pytest.raises(StartError, match=r"missing/group: No such file or directory\. In a container"):
        make("group", [Hierarchy(tmp_path / "missing", 1)])


@pytest.mark.parametrize(
    ("system", "user", "isolates", "why"),
    [
        ("Linux", 0, True, None),
        ("Linux", 1000, True, "needs root"),
        ("Linux", 0, False, "the kernel refuses them"),
        ("Darwin", 0, True, "needs Linux, and this is Darwin"),
    ],
)
def test_where_no_node_runs_is_told(system: str, user: int, isolates: bool, why: str | None) -> None:
    """In one sentence."""
    said = why_unavailable(system, user, lambda: isolates)
    assert said is None if why is None else why in str(said)


def test_the_command_ends_with_a_code_of_its_own_where_no_node_runs() -> None:
    """So that whoever calls it can say that it was skipped."""
    done = subprocess.run((sys.executable, "-c", WITHOUT_ROOT), capture_output=True, text=True, check=False)  # noqa: S603
    assert (done.returncode, done.stdout) == (SKIPPED, "")
    assert done.stderr.startswith("Skipped: A node needs")
    assert done.stderr.count("\n") == 1


def test_packages_are_named_once() -> None:
    """By what is missing of them, and only those."""
    assert missing_packages(PROGRAMS, lambda _: True) == []
    assert missing_packages({"a": "x", "b": "x", "c": "y", "d": "z"}, lambda program: program == "d") == ["x", "y"]
    assert missing_packages(PROGRAMS, lambda program: program != "/usr/lib/cni/bridge") == [
        "containernetworking-plugins"
    ]
