"""What was read of a commit before, kept on disk: a commit never changes, so nothing goes stale.

``huggingface_hub`` caches files but neither a repository's list of files nor the headers of its weights, so
its cache alone cannot spare the requests. Its folder for what libraries derive (``HF_ASSETS_CACHE``) is where
this cache lies.

Whoever may read the cache folder reads the configs of private models in it: give tenants folders of their
own.
"""

import contextlib
import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from mistral_operator.planning.facts import ModelFacts, WeightFormat, Weights

_FORMAT_VERSION: Final = 2  # raised with every change of what is stored: older files then count as absent
_COMMITS: Final = 64  # of one model: a branch that moves every day would fill the disk in the end


class FactsCache:
    """The facts of one model on one hub, by commit, and which commit a branch was last seen at.

    The cache is only ever a saving: what cannot be stored is not, and what cannot be read back is not there.
    """

    def __init__(self, folder: Path, endpoint: str, model: str) -> None:
        # the endpoint is part of the key: two hubs may use one name for different models
        self._folder = folder / quote(endpoint, safe="") / quote(model, safe="")
        self._model = model

    def load(self, commit: str, revision: str) -> ModelFacts | None:
        """Return the facts of a commit under the name it is asked for by, if they were stored."""
        try:
            stored = json.loads(self._facts_file(commit).read_text(encoding="utf-8"))
            return self._decode(stored, commit, revision)
        except (OSError, ValueError, LookupError, TypeError, RecursionError):
            return None

    def store(self, facts: ModelFacts) -> None:
        """Keep the facts of a commit, and that their revision led to it."""
        if facts.commit is None:
            return
        stored = {
            "format_version": _FORMAT_VERSION,
            "config": facts.config,
            "params": facts.params,
            "weights": [asdict(weights) for weights in facts.weights],
            "tokenizer_files": sorted(facts.tokenizer_files),
            "quantization": facts.quantization,
            "other_weights": sorted(facts.other_weights),
        }
        with contextlib.suppress(OSError, RecursionError):
            _write(self._facts_file(facts.commit), json.dumps(stored))
            self._prune()
        self.remember(facts.revision, facts.commit)

    def remember(self, revision: str, commit: str) -> None:
        """Keep which commit a revision was last seen at, for when the hub may not be asked."""
        with contextlib.suppress(OSError):
            _write(self._revision_file(revision), commit)

    def commit_of(self, revision: str) -> str | None:
        """Return the commit a revision was last seen at."""
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

    def _decode(self, stored: dict[str, Any], commit: str, revision: str) -> ModelFacts | None:
        if stored["format_version"] != _FORMAT_VERSION:
            return None
        return ModelFacts(
            id=self._model,
            revision=revision,
            commit=commit,
            config=stored["config"],
            params=stored["params"],
            weights=tuple(
                Weights(
                    WeightFormat(weights["format"]),
                    weights["size_bytes"],
                    tuple(weights["files"]),
                    weights["parameters"],
                    weights["dtypes"],
                )
                for weights in stored["weights"]
            ),
            tokenizer_files=frozenset(stored["tokenizer_files"]),
            quantization=stored["quantization"],
            other_weights=frozenset(stored["other_weights"]),
        )


def _write(path: Path, text: str) -> None:
    """Write a file that other processes see whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
