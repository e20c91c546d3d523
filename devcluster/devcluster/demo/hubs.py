"""Which hub the models are read from: one of this machine with their configs, or the real one."""

import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Final

from devcluster.cluster import Cluster
from devcluster.controlplane.ports import free_ports
from devcluster.demo.errors import DemoError
from devcluster.waiting import wait_until

_DEFAULT_ENDPOINT: Final = "https://huggingface.co"
_START_SECONDS: Final = 20.0
_REACH_SECONDS: Final = 10.0


def start_local_hub(cluster: Cluster) -> str:
    """Start a hub that ends with the cluster, and return its address.

    Raises
    ------
    StartError
        When it ends at once, with the end of its log.
    TimeoutError
        When it does not answer.
    """
    (port,) = free_ports(1)
    hub = cluster.run("hub", (sys.executable, "-m", "devcluster.hub", f"--port={port}"))
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        hub.check()
        return why_unreachable(url) is None

    wait_until("the local hub to answer", answers, seconds=_START_SECONDS)
    return url


def real_hub(environment: Mapping[str, str]) -> str:
    """Return the real hub's address.

    Raises
    ------
    DemoError
        When it cannot be reached from here.
    """
    url = environment.get("HF_ENDPOINT") or _DEFAULT_ENDPOINT
    why = why_unreachable(url)
    if why is not None:
        raise DemoError(
            f"HF=1 reads the models from {url}, and it cannot be reached from here ({why}). Check the network and its "
            "proxy, name a mirror by HF_ENDPOINT, or leave out HF=1: the demo then brings a hub of its own."
        )
    return url


def why_unreachable(url: str) -> str | None:
    """Say why nothing answers at an address; None when something does, whatever it says."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=_REACH_SECONDS):  # noqa: S310
            return None
    except urllib.error.HTTPError as answer:
        answer.close()
        return None
    except urllib.error.URLError as error:
        return str(error.reason)
    except (OSError, ValueError) as error:
        return str(error)
