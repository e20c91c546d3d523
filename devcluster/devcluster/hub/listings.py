"""The JSON documents in which the hub describes a repository, as huggingface_hub 2.4.0 parses them."""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from devcluster.hub.contents import RepoFile
from devcluster.hub.weights import HF_INDEX, HF_SINGLE, read_header


def model_info(repo_id: str, commit: str, files: Mapping[str, RepoFile], *, gated: bool, blobs: bool) -> dict[str, Any]:
    """Describe a revision.

    Parameters
    ----------
    repo_id
        ``org/name``.
    commit
        40 hex digits.
    files
        What the revision shows, by path.
    gated
        Whether files need a grant.
    blobs
        Whether to give sizes and ids of files, besides their names.
    """
    info: dict[str, Any] = {
        "id": repo_id,
        "modelId": repo_id,
        "author": repo_id.partition("/")[0],
        "sha": commit,
        "private": False,
        "disabled": False,
        "gated": "manual" if gated else False,
        "tags": ["safetensors"] if HF_SINGLE in files or HF_INDEX in files else [],
        "siblings": [_sibling(file, blobs=blobs) for file in files.values()],
    }
    if "config.json" in files:
        config = _object(files["config.json"])
        info["config"] = {key: config[key] for key in ("architectures", "model_type") if key in config}
    if parameters := _parameters(files):
        info["safetensors"] = {"parameters": parameters, "total": sum(parameters.values())}
    return info


def tree(files: Mapping[str, RepoFile], folder: str, *, recursive: bool) -> list[dict[str, Any]]:
    """List the entries below a folder (empty for the root), those of its subfolders only if ``recursive``."""
    prefix = f"{folder}/" if folder else ""
    below = [file for name, file in files.items() if name.startswith(prefix)]
    chosen = [file for file in below if recursive or "/" not in file.name.removeprefix(prefix)]
    folders = _folders(file.name.removeprefix(prefix) for file in below)
    shown = sorted(name for name in folders if recursive or "/" not in name)
    return [_directory(prefix + name) for name in shown] + [_entry(file) for file in chosen]


def paths_info(files: Mapping[str, RepoFile], paths: Iterable[str]) -> list[dict[str, Any]]:
    """List the entries of the given paths; those that do not exist are left out."""
    folders = _folders(files)
    return [
        _entry(files[path]) if path in files else _directory(path) for path in paths if path in files or path in folders
    ]


def safetensors_metadata(files: Mapping[str, RepoFile], index: str) -> dict[str, Any]:
    """Return an index without its weight map, and the header of each of its shards.

    Shards that the repository lacks are left out.

    Raises
    ------
    KeyError
        When the index does not exist.
    """
    document = _object(files[index])
    shards = sorted(files.keys() & set(document.get("weight_map", {}).values()))
    return {
        "index": {"metadata": document.get("metadata", {})},
        "headers": {name: read_header(files[name].content) for name in shards},
    }


def _parameters(files: Mapping[str, RepoFile]) -> dict[str, int]:
    """Count the elements per dtype of the layout that transformers reads; the hub counts no other."""
    if HF_SINGLE in files:
        headers = [read_header(files[HF_SINGLE].content)]
    elif HF_INDEX in files:
        headers = list(safetensors_metadata(files, HF_INDEX)["headers"].values())
    else:
        return {}
    counts: Counter[str] = Counter()
    for header in headers:
        for name, tensor in header.items():
            if name != "__metadata__":
                counts[tensor["dtype"]] += math.prod(tensor["shape"])
    return dict(counts)


def _sibling(file: RepoFile, *, blobs: bool) -> dict[str, Any]:
    if not blobs:
        return {"rfilename": file.name}
    sibling: dict[str, Any] = {"rfilename": file.name, "size": file.size, "blobId": file.blob_id}
    if file.lfs:
        sibling["lfs"] = {"sha256": file.sha256, "size": file.size, "pointerSize": len(file.pointer)}
    return sibling


def _entry(file: RepoFile) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": "file", "path": file.name, "size": file.size, "oid": file.blob_id}
    if file.lfs:
        entry["lfs"] = {"oid": file.sha256, "size": file.size, "pointerSize": len(file.pointer)}
    return entry


def _directory(path: str) -> dict[str, Any]:
    oid = hashlib.sha1(path.encode(), usedforsecurity=False).hexdigest()
    return {"type": "directory", "path": path, "size": 0, "oid": oid}


def _folders(names: Iterable[str]) -> set[str]:
    return {folder for name in names for folder in _ancestors(name)}


def _ancestors(name: str) -> Iterator[str]:
    parts = name.split("/")
    for depth in range(1, len(parts)):
        yield "/".join(parts[:depth])


def _object(file: RepoFile) -> dict[str, Any]:
    """Parse a JSON object; a file that is none counts as empty, because the hub lists damaged files too."""
    try:
        document = json.loads(b"".join(file.content.read(0, file.size)))
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
