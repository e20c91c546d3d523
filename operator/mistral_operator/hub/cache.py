"""What was read of a commit before, kept on disk: a commit never changes, so nothing goes stale.

``huggingface_hub`` caches files but neither a repository's list of files nor the headers of its weights, so
its cache alone cannot spare the requests. Its folder for what libraries derive (``HF_ASSETS_CACHE``) is where
this cache lies.

Whoever may read the cache folder reads the configs of private models in it: give tenants folders of their
own.
"""

import contextlib
import os
import tempfile
from pathlib import Path
from typing import Final
from urllib.parse import quote

from mistral_operator.hub.cache_space import CacheSpace
from mistral_operator.hub.packing import pack, unpack
from mistral_operator.planning.facts import ModelFacts

_COMMITS: Final = 64  # of one model: a branch that moves every day would fill the disk in the end
_MAX_FILE_BYTES: Final = 1 << 20  # far more than is ever stored


class NoCache:
    """Remembers nothing of a model, and writes nothing."""

    def load(self, commit: str, revision: str) -> ModelFacts | None:  # noqa: ARG002
        """Return the facts of a commit under the name it is asked for by, if they were stored."""
        return None

    def store(self, facts: ModelFacts) -> None:
        """Keep the facts of a commit, and that their revision led to it."""

    def remember(self, revision: str, commit: str) -> None:
        """Keep which commit a revision was last seen at, for when the hub may not be asked."""

    def commit_of(self, revision: str) -> str | None:  # noqa: ARG002
        """Return the commit a revision was last seen at."""
        return None


class FactsCache(NoCache):
    """The facts of one model on one hub, by commit, and which commit a branch was last seen at.

    The cache is only ever a saving: what cannot be stored is not, and what cannot be read back is not there.

    Parameters
    ----------
    folder
        Where all models lie.
    space
        How much may lie there, if that is bounded.
    """

    def __init__(self, folder: Path, endpoint: str, model: str, space: CacheSpace | None = None) -> None:
        # the endpoint is part of the key: two hubs may use one name for different models
        self._folder = folder / quote(endpoint, safe="") / quote(model, safe="")
        self._model = model
        self._space = space

    def load(self, commit: str, revision: str) -> ModelFacts | None:
        """Read back what was stored of a commit."""
        try:
            with self._facts_file(commit).open("rb") as file:
                content = file.read(_MAX_FILE_BYTES)
            return unpack(content, model=self._model, revision=revision, commit=commit)
        except (OSError, ValueError, LookupError, TypeError, RecursionError):
            return None

    def store(self, facts: ModelFacts) -> None:
        """Write the facts of a commit, and let those go that were stored first."""
        if facts.commit is None:
            return
        with contextlib.suppress(OSError, RecursionError):
            self._write(self._facts_file(facts.commit), pack(facts))
            self._prune()
        self.remember(facts.revision, facts.commit)

    def remember(self, revision: str, commit: str) -> None:
        """Write where a revision leads, if that is news."""
        with contextlib.suppress(OSError):
            file = self._revision_file(revision)
            if self.commit_of(revision) != commit:
                self._write(file, commit.encode())

    def commit_of(self, revision: str) -> str | None:
        """Read back where a revision led."""
        try:
            return self._revision_file(revision).read_text(encoding="utf-8")
        except (OSError, ValueError):
            return None

    def _prune(self) -> None:
        """Let the commits go that were stored first."""
        files = sorted((self._folder / "commits").glob("*.json"), key=lambda file: file.stat().st_mtime_ns)
        for file in files[:-_COMMITS]:
            file.unlink(missing_ok=True)

    def _facts_file(self, commit: str) -> Path:
        return self._folder / "commits" / f"{commit}.json"

    def _revision_file(self, revision: str) -> Path:
        # the suffix keeps ".." from being a path of its own
        return self._folder / "revisions" / f"{quote(revision, safe='')}.txt"

    def _write(self, path: Path, content: bytes) -> None:
        """Write a file that other processes see whole or not at all."""
        if self._space is not None:
            self._space.make_room(len(content))
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent)
        temporary = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            temporary.replace(path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
