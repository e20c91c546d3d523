"""Reading a folder: a clone, a snapshot, or what a fine-tuning run has just written; no hub is involved."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from mistral_operator.hub.checkpoint import facts_of
from mistral_operator.hub.errors import NotAFolderError, UnreadableError
from mistral_operator.planning.facts import ModelFacts

_READ_BYTES: Final = 1 << 20


def read_folder(path: Path, *, written: str | None = None) -> ModelFacts:
    """Read the model in a folder; its revision is "local", and it has no commit.

    Parameters
    ----------
    path : Path
    written : str, optional
        The path as the user wrote it, which becomes the model's id: ``Path`` drops a leading ``./``.

    Raises
    ------
    NotAFolderError, UnreadableError
        When the path is no folder, or the operating system refuses.
    NoConfigError, TornConfigError, ConfigTooLargeError, TornWeightsError
        When the folder's files are not those of a whole model.
    """
    return facts_of(_Folder(path, written or str(path)), revision="local", commit=None)


class _Folder:
    """The files of one folder, listed once."""

    remote = False

    def __init__(self, path: Path, model: str) -> None:
        self.model = model
        self.declared_elements: Mapping[str, int] = {}
        self._path = path
        try:
            # is_file follows links, of which huggingface_hub makes its snapshots; a dangling one is no file
            with os.scandir(path) as entries:
                self.sizes: Mapping[str, int] = {
                    entry.name: entry.stat().st_size for entry in entries if entry.is_file()
                }
        except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a null byte in the path
            raise NotAFolderError(model) from None
        except OSError as error:
            raise UnreadableError(model, _cause(error)) from error

    def read(self, name: str, limit: int) -> bytes:
        return self.read_range(name, 0, limit)

    def stream(self, name: str, limit: int) -> Iterator[bytes]:
        return (self.read_range(name, at, min(_READ_BYTES, limit - at)) for at in range(0, limit, _READ_BYTES))

    def read_range(self, name: str, start: int, length: int) -> bytes:
        path = self._path / name
        try:
            with path.open("rb") as file:
                file.seek(start)
                return file.read(length)
        except OSError as error:
            raise UnreadableError(f"{name} of {self.model}", _cause(error)) from error


def _cause(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()
