"""Repositories as a folder describes them: revisions, and the files of each.

One folder per revision, named ``<org>__<name>`` for ``main`` and ``<org>__<name>--<branch>`` for a branch
(the hub allows no ``--`` in names, so the two cannot be confused). Every file in it is served as it is,
except ``repo.json``, which says what the repository has besides::

    {"weights": ["hf", "consolidated"], "tokenizer": ["tekken.json"]}

``weights`` are laid out from the config (see `devcluster.hub.weights`); ``tokenizer`` files get a few
placeholder bytes, because readers of configs look for their names and never into them. Without ``repo.json``
there is neither.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from devcluster.hub.contents import BytesContent, Content, DiskContent, RepoFile
from devcluster.hub.weights import hf_checkpoint, mistral_checkpoint

MAIN = "main"
MANIFEST = "repo.json"

_PLACEHOLDER = BytesContent(b'{"placeholder": "this development hub serves no tokenizers"}\n')


@dataclass(frozen=True)
class Revision:
    """The files of a repository at one commit.

    Parameters
    ----------
    repo_id
        ``org/name``.
    files
        By path, sorted.
    """

    repo_id: str
    files: Mapping[str, RepoFile]

    @cached_property
    def commit(self) -> str:
        """40 hex digits that depend on the repository's id and on the name, size and content of each file."""
        digest = hashlib.sha1(self.repo_id.encode(), usedforsecurity=False)
        for file in self.files.values():
            digest.update(f"\n{file.name} {file.blob_id}".encode())
        return digest.hexdigest()


@dataclass(frozen=True)
class Repository:
    """A repository and its branches.

    Parameters
    ----------
    repo_id
        ``org/name``.
    branches
        Revisions by branch name, `MAIN` among them.
    """

    repo_id: str
    branches: Mapping[str, Revision]

    def revision(self, name: str) -> Revision:
        """Return the revision of a branch, or of a commit given in full.

        Raises
        ------
        KeyError
            When there is no such branch or commit.
        """
        if name in self.branches:
            return self.branches[name]
        return {revision.commit: revision for revision in self.branches.values()}[name]


def read_repositories(models: Path) -> dict[str, Repository]:
    """Read all repositories of a folder.

    Parameters
    ----------
    models
        Holds one folder per revision; files beside them are ignored.

    Returns
    -------
    dict
        By repository id, sorted.

    Raises
    ------
    ValueError
        When a folder's name or manifest cannot be understood, a repository has no ``main``, or weights are
        asked for that its config does not describe. The message names the folder.
    """
    branches: dict[str, dict[str, Revision]] = {}
    for folder in sorted(path for path in models.iterdir() if path.is_dir()):
        name, _, branch = folder.name.partition("--")
        org, separator, repo = name.partition("__")
        if not (org and separator and repo):
            raise ValueError(f"{folder}: name it <org>__<name>, or <org>__<name>--<branch>")
        repo_id = f"{org}/{repo}"
        try:
            files = dict(_files(folder))
        except KeyError as missing:
            raise ValueError(f"{folder}: cannot lay out the weights without the key {missing}") from missing
        except (ValueError, OSError) as error:
            raise ValueError(f"{folder}: {error}") from error
        ordered = MappingProxyType({name: RepoFile(name, files[name]) for name in sorted(files)})
        branches.setdefault(repo_id, {})[branch or MAIN] = Revision(repo_id, ordered)
    for repo_id, revisions in branches.items():
        if MAIN not in revisions:
            raise ValueError(f"{models}: {repo_id} has only the branches {', '.join(revisions)}: add its main")
    return {
        repo_id: Repository(repo_id, MappingProxyType(revisions)) for repo_id, revisions in sorted(branches.items())
    }


def _files(folder: Path) -> Iterator[tuple[str, Content]]:
    """Yield what a revision consists of; real files come last, and so replace laid-out ones."""
    manifest = _json(folder / MANIFEST) if (folder / MANIFEST).exists() else {}
    if unknown := manifest.keys() - {"weights", "tokenizer"}:
        raise ValueError(f"{MANIFEST} has unknown keys: {', '.join(sorted(unknown))}")
    for layout in manifest.get("weights", ()):
        yield from _checkpoint(layout, folder).items()
    for name in manifest.get("tokenizer", ()):
        yield name, _PLACEHOLDER
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name != MANIFEST:
            yield name, DiskContent(path)


def _checkpoint(layout: str, folder: Path) -> dict[str, Content]:
    config, params = folder / "config.json", folder / "params.json"
    layouts: dict[str, Callable[[], dict[str, Content]]] = {
        "hf": lambda: hf_checkpoint(_json(config)),
        # A copy of a repository may lack the params.json that its consolidated weights were published with.
        "consolidated": lambda: mistral_checkpoint(_json(params) if params.exists() else _params(_json(config))),
    }
    if layout not in layouts:
        raise ValueError(f"unknown weights {layout!r} in {MANIFEST}: use one of {', '.join(layouts)}")
    return layouts[layout]()


def _params(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the dimensions of a dense text model's config.json under the names of params.json."""
    if unsupported := config.keys() & {"text_config", "num_local_experts", "quantization_config"}:
        raise ValueError(f"consolidated weights need a params.json when config.json has {sorted(unsupported)}")
    heads = config["num_attention_heads"]
    return {
        "dim": config["hidden_size"],
        "n_layers": config["num_hidden_layers"],
        "head_dim": config.get("head_dim") or config["hidden_size"] // heads,
        "hidden_dim": config["intermediate_size"],
        "n_heads": heads,
        "n_kv_heads": config["num_key_value_heads"],
        "vocab_size": config["vocab_size"],
        "tied_embeddings": config.get("tie_word_embeddings", False),
    }


def _json(path: Path) -> dict[str, Any]:
    document = json.loads(path.read_bytes())
    if not isinstance(document, dict):
        raise ValueError(f"{path.name} is no JSON object")  # noqa: TRY004  the file is wrong, not a caller's type
    return document
