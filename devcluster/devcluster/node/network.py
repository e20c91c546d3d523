"""The node's network: a link to this machine, a bridge for pods, and the routes between."""

import json
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from devcluster.processes import StartError
from devcluster.waiting import wait_until

LINK: Final = "mistral-node"
HOST_ADDRESS: Final = "10.77.0.1"
NODE_ADDRESS: Final = "10.77.0.2"
PODS: Final = "10.244.0.0/24"
SERVICES: Final = "10.96.0.0/16"
_PREFIX: Final = 24
_GONE_SECONDS: Final = 10.0  # the link of a node that has just ended


def link_commands(pid: int) -> list[tuple[str, ...]]:
    """Return what makes the link on this machine's side, to the network namespace of a process."""
    return [
        ("ip", "link", "add", LINK, "type", "veth", "peer", "name", "eth0", "netns", str(pid)),
        ("ip", "address", "add", f"{HOST_ADDRESS}/{_PREFIX}", "dev", LINK),
        ("ip", "link", "set", LINK, "up"),
    ]


def node_commands() -> list[tuple[str, ...]]:
    """Return what makes it on the node's side."""
    return [
        ("ip", "link", "set", "lo", "up"),
        ("ip", "address", "add", f"{NODE_ADDRESS}/{_PREFIX}", "dev", "eth0"),
        ("ip", "link", "set", "eth0", "up"),
        ("ip", "route", "add", "default", "via", HOST_ADDRESS),
    ]


def route_commands() -> list[tuple[str, ...]]:
    """Return what lets this machine, and so the API server's webhooks, reach pods and Services."""
    return [("ip", "route", "add", network, "via", NODE_ADDRESS, "dev", LINK) for network in (PODS, SERVICES)]


def connect(pid: int, inside: Callable[..., Sequence[str]]) -> None:
    """Connect a node's network namespace with this machine.

    The kernel removes the link and its routes with the namespace.

    Parameters
    ----------
    pid
        Of a process in the namespace.
    inside
        Makes of a command one that runs in there.

    Raises
    ------
    StartError
        When another node runs, or these networks are taken.
    """
    try:
        wait_until("the link to be free", lambda: not Path("/sys/class/net", LINK).exists(), seconds=_GONE_SECONDS)
    except TimeoutError as error:
        raise StartError(
            f"another node runs on this machine: there is its network link {LINK}. Wait for its end, or end it."
        ) from error
    for command in (*link_commands(pid), *(inside(*each) for each in node_commands()), *route_commands()):
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode != 0:
            raise StartError(
                f"{' '.join(command)} failed: {done.stderr.strip()}\n"
                f"A node needs {HOST_ADDRESS}/{_PREFIX}, {PODS} and {SERVICES} for itself."
            )


def cni_configuration(addresses: Path) -> str:
    """Return what containerd does for each pod's network, as JSON.

    Parameters
    ----------
    addresses
        Folder in which it is noted who has which.
    """
    ranges = [[{"subnet": PODS}]]
    addressing = {
        "type": "host-local",
        "dataDir": str(addresses),
        "ranges": ranges,
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    bridge = {"type": "bridge", "bridge": "pods", "isGateway": True, "ipMasq": True, "hairpinMode": True}
    plugins = [bridge | {"ipam": addressing}, {"type": "portmap", "capabilities": {"portMappings": True}}]
    return json.dumps({"cniVersion": "1.0.0", "name": "pods", "plugins": plugins}, indent=1)
