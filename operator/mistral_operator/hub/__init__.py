"""Reading a model: from a name or a folder to :class:`~mistral_operator.planning.facts.ModelFacts`.

Everything this operator decides follows from a model's own files. This package fetches them, and only that:
it settles which commit a branch means, reads config.json and params.json, sizes the weights from their
headers, and says in one typed error why it could not. What the files mean is read later, by
:mod:`mistral_vllm.layout`; what to do about it is :mod:`mistral_operator.planning`'s, which does no input or
output of its own and gets these facts handed in.
"""

from pathlib import Path
from typing import Final

from mistral_operator.hub.errors import HubError, HubReason, NotAFolderError
from mistral_operator.hub.local import read_folder
from mistral_operator.planning.facts import ModelFacts

__all__ = ["HubError", "HubReason", "read_folder", "read_model"]

_PATH_PREFIXES: Final = ("/", "./", "../", "~")


def read_model(
    model: str,
    *,
    revision: str = "main",
    endpoint: str | None = None,
    token: str | bool | None = None,
    cache_dir: Path | None = None,
    timeout_seconds: float = 10,
    offline: bool = False,
) -> ModelFacts:
    """Read a model from a local folder or from a hub.

    Parameters
    ----------
    model : str
        A folder, if it exists or begins like a path (``/``, ``./``, ``../``, ``~``); otherwise the id
        of a model on the hub.
    revision : str
        A branch, tag or commit; a folder has none, so that it is ignored there.
    endpoint, token, cache_dir, timeout_seconds, offline
        As in :class:`mistral_operator.hub.remote.HubReader`; ignored for a folder.

    Raises
    ------
    HubError
        When the model cannot be read; its class and ``reason`` say why, its text what to do.
    """
    folder = _folder(model)
    if folder is not None:
        return read_folder(folder, written=model)
    # Here and not above: a hub's client takes longer to import than a folder takes to read.
    from mistral_operator.hub.remote import HubReader  # noqa: PLC0415

    reader = HubReader(endpoint, token, cache_dir, timeout_seconds, offline)
    return reader.read(model, revision)


def _folder(model: str) -> Path | None:
    path = Path(model)
    if model.startswith(_PATH_PREFIXES):
        try:
            return path.expanduser()
        except RuntimeError:
            raise NotAFolderError(model) from None  # ~USER of a user who does not exist
    try:
        return path if path.is_dir() else None
    except OSError:  # too long for a path, or below a folder that may not be read
        return None
