"""Models of a test's own, on a hub of its own: what is done to them touches no other test."""

import shutil
from pathlib import Path
from urllib.parse import quote

from cluster.live import MISTRAL_7B
from devcluster.hub import HubServer
from devcluster.hub.server import MODELS


def put_models(folder: Path, *repo_ids: str, like: str = MISTRAL_7B) -> Path:
    """Put copies of a model into a folder that a hub can serve."""
    for repo_id in repo_ids:
        shutil.copytree(MODELS / like.replace("/", "__"), folder / repo_id.replace("/", "__"))
    return folder


def times_asked(hub: HubServer, repo_id: str, *, revision: str = "main", token: str | None = None) -> int:
    """Return how often a hub was asked for a model; every reading begins with its listing.

    Parameters
    ----------
    token
        Count what was asked with this token only; all when None.
    """
    listing = f"/api/models/{repo_id}/revision/{quote(revision, safe='')}?"
    asked = [exchange for exchange in hub.requests if exchange.path.startswith(listing)]
    return sum(token in (None, exchange.token) for exchange in asked)


def port_of(hub: HubServer) -> int:
    """Return the port to start a hub on that takes another's place."""
    return int(hub.url.rpartition(":")[2])
