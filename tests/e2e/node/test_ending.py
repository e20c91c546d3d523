"""However a node ends, the machine is as it was, and the next node has the images."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psutil
import pytest

from devcluster.binaries.progress import Progress
from devcluster.node import Node
from devcluster.node.network import LINK, PODS, SERVICES
from devcluster.processes import StartError
from devcluster.waiting import wait_until
from e2e.node.conftest import pod

BOUND_SECONDS: Final = 60.0
SETTINGS: Final = ("vm/overcommit_memory", "kernel/panic", "kernel/panic_on_oops", "net/ipv4/ip_forward")
PLACES: Final = ("/etc/cni", "/opt/containerd", "/run/netns", "/run/xtables.lock", "/usr/libexec/kubernetes",
                 "/var/lib/cni", "/var/lib/kubelet", "/var/log/containers", "/var/log/pods")  # fmt: skip
# starts a node with a pod on it, says where, and stays
HOLDER: Final = """
import json, sys
from pathlib import Path
from devcluster.binaries.progress import Progress
from devcluster.node import Node
archive, pod = sys.argv[1:]
with Node(Progress()) as node:
    node.load_image(Path(archive))
    node.apply(json.loads(pod))
    node.kubectl("wait", "--for=condition=Ready", "pod/sleeper", "--timeout=60s")
    print(node.folder, flush=True)
    sys.stdin.read()
"""


def surroundings() -> dict[str, object]:
    """Return what of the machine a node's programs would change if they could."""
    return {
        "mounts": sorted(line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()),
        "settings": {name: Path("/proc/sys", name).read_text() for name in SETTINGS},
        "places": {place: Path(place).exists() for place in PLACES},
    }


def left(folder: Path) -> list[str]:
    """Return what is left of a node."""
    tops = (*Path("/sys/fs/cgroup").glob(folder.name), *Path("/sys/fs/cgroup").glob(f"*/{folder.name}"))
    routes = subprocess.run(("ip", "route"), capture_output=True, text=True, check=True).stdout  # noqa: S607
    found = [str(path) for path in (folder, Path("/sys/class/net", LINK), *tops) if path.exists()]
    found += [network for network in (PODS, SERVICES) if network in routes]
    for process in psutil.process_iter():
        try:
            if str(folder) in " ".join(process.cmdline()) or folder.name in process.cwd():
                found.append(process.name())
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
    return found


@contextmanager
def held_node(archive: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Start a node in a process of its own, and return both it and the node's folder."""
    with subprocess.Popen(  # noqa: S603
        (sys.executable, "-c", HOLDER, str(archive), json.dumps(pod("sleeper", "sleep", "3600"))),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        try:
            assert holder.stdout is not None
            said = holder.stdout.readline().strip()
            assert said, "it did not start"
            yield holder, Path(said)
        finally:
            holder.kill()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_nothing_is_left(archive: Path, number: signal.Signals) -> None:
    """Neither process, file, mount, link, route, setting nor control group, with a pod running when it ends."""
    before = surroundings()
    with held_node(archive) as (holder, folder):
        assert folder.is_dir()
        assert {"kubelet", "containerd", "namespaces"} <= {path.stem for path in folder.glob("*.log")}
        assert len(left(folder)) > 10
        holder.send_signal(number)
        holder.wait(BOUND_SECONDS)
    wait_until("nothing to be left", lambda: not left(folder), seconds=BOUND_SECONDS)
    assert surroundings() == before


def test_a_second_node_is_refused_and_the_next_has_the_images(archive: Path) -> None:
    """By a sentence; an image is read once, also after a node that was killed, and again when its archive changes."""
    with held_node(archive) as (holder, folder):
        with pytest.raises(StartError, match="another node runs on this machine"), Node(Progress()):
            pass
        assert folder.is_dir()
        holder.kill()
    wait_until("nothing to be left", lambda: not left(folder), seconds=BOUND_SECONDS)
    with Node(Progress()) as node:
        assert not node.load_image(archive)
        archive.touch()
        assert node.load_image(archive)
        with pytest.raises(StartError, match="no archive of images"):
            node.load_image(Path(__file__))
