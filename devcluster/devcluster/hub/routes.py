"""The routes of the hub that huggingface_hub 2.4.0, transformers and vLLM ask when they read a model."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from urllib.parse import parse_qs, unquote, urlsplit

from devcluster.hub import answers, listings
from devcluster.hub.answers import Answer
from devcluster.hub.contents import BytesContent, RepoFile
from devcluster.hub.faults import (
    CONFIG_FILES,
    EVERY_REPOSITORY,
    Action,
    Fault,
    Kind,
    Occasion,
    Switchboard,
)
from devcluster.hub.repository import MAIN, Repository

_REPO = r"(?P<repo>[^/]+/[^/]+)"
_ROUTES = (
    (Action.RESOLVE, re.compile(rf"/{_REPO}/resolve/(?P<revision>[^/]+)/(?P<path>.+)")),
    (Action.TREE, re.compile(rf"/api/models/{_REPO}/tree/(?P<revision>[^/]+)(?:/(?P<path>.+))?")),
    (Action.PATHS_INFO, re.compile(rf"/api/models/{_REPO}/paths-info/(?P<revision>[^/]+)")),
    (Action.AUTH_CHECK, re.compile(rf"/api/models/{_REPO}/auth-check")),
    (Action.SAFETENSORS_METADATA, re.compile(rf"/api/models/{_REPO}/safetensors-metadata/(?P<path>.+)")),
    (Action.INFO, re.compile(rf"/api/models/{_REPO}(?:/revision/(?P<revision>[^/]+))?")),
)
_FAULTS = "/_faults"


@dataclass(frozen=True)
class Request:
    """What of an HTTP request decides the answer.

    Parameters
    ----------
    method
        HTTP method.
    target
        Path and query, still percent-encoded: an encoded slash is part of a revision, not a separator.
    token
        Bearer token, or None.
    byte_range
        The ``Range`` header, or None.
    body
        The body.
    """

    method: str
    target: str
    token: str | None = None
    byte_range: str | None = None
    body: bytes = b""

    @property
    def path(self) -> str:
        """The target without its query."""
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, list[str]]:
        """The decoded query."""
        return parse_qs(urlsplit(self.target).query)

    def flag(self, name: str) -> bool:
        """Return whether a query parameter is set to true, as Python and JavaScript clients spell it."""
        return self.query.get(name, [""])[-1].lower() in {"true", "1"}

    @property
    def administrative(self) -> bool:
        """Whether the request is for the switchboard, and not for the hub."""
        return self.path == _FAULTS or self.path.startswith(f"{_FAULTS}/")


class Routes:
    """Answers requests from repositories and a switchboard.

    Parameters
    ----------
    repositories
        By repository id.
    faults
        Consulted, and counted down, at each request.
    """

    def __init__(self, repositories: Mapping[str, Repository], faults: Switchboard) -> None:
        self._repositories = repositories
        self._faults = faults
        self._moved: dict[tuple[str, str | None], str] = {}

    def move(self, repo_id: str, branch: str, token: str | None) -> None:
        """Let `MAIN` of a repository be what another branch is, for whoever asks with a token, or without any."""
        self._moved[repo_id, token] = branch

    def answer(self, request: Request) -> Answer:
        """Answer a request, with the faults of its repository applied."""
        if request.administrative:
            return self._administer(request)
        found = _find(request)
        if found is None:
            return answers.no_such_route()
        repo_id, occasion = found
        if request.method not in (("POST",) if occasion.action is Action.PATHS_INFO else ("GET", "HEAD")):
            return answers.json_answer({"error": "method not allowed"}, HTTPStatus.METHOD_NOT_ALLOWED)
        struck = self._faults.strike(repo_id, occasion)
        delay = max((fault.seconds for fault in struck if fault.kind is Kind.SLOW), default=0.0)
        return replace(self._serve(repo_id, occasion, request, struck), delay=delay)

    def _serve(self, repo_id: str, occasion: Occasion, request: Request, struck: list[Fault]) -> Answer:
        for fault in struck:
            if refusal := answers.fault_answer(fault, occasion):
                return refusal
        repository = self._repositories.get(repo_id)
        if repository is None:
            return answers.repository_not_found(occasion.token)
        name = occasion.revision or MAIN
        if name == MAIN:
            name = self._moved.get((repo_id, occasion.token), MAIN)
        try:
            revision = repository.revision(name)
        except KeyError:
            return answers.revision_not_found(name)
        files = _shown(revision.files, struck)
        match occasion.action:
            case Action.RESOLVE:
                if occasion.path not in files:
                    return answers.entry_not_found(revision.commit)
                file = files[occasion.path]
                torn = any(fault.kind is Kind.TORN for fault in struck)
                if any(fault.kind is Kind.GARBLED for fault in struck):
                    file = RepoFile(file.name, BytesContent(b"?" * file.size))
                return answers.file_answer(file, revision.commit, request.byte_range, torn=torn)
            case Action.TREE:
                recursive = request.flag("recursive")
                return answers.json_answer(listings.tree(files, occasion.path, recursive=recursive))
            case Action.PATHS_INFO:
                return _paths_info(files, request.body)
            case Action.SAFETENSORS_METADATA:
                if occasion.path not in files:
                    return answers.entry_not_found(revision.commit)
                return answers.json_answer(listings.safetensors_metadata(files, occasion.path))
            case Action.AUTH_CHECK:
                return answers.json_answer({})
            case Action.INFO:
                gated = any(fault.kind is Kind.GATED for fault in self._faults.of(repo_id))
                blobs = request.flag("blobs")
                info = listings.model_info(repo_id, revision.commit, files, gated=gated, blobs=blobs)
                wanted = {"id", *request.query["expand"]} if "expand" in request.query else info.keys()
                return answers.json_answer({key: value for key, value in info.items() if key in wanted})

    def _administer(self, request: Request) -> Answer:
        key = unquote(request.path.removeprefix(_FAULTS).removeprefix("/"))
        if key and key != EVERY_REPOSITORY and key not in self._repositories:
            return answers.repository_not_found(request.token)
        match request.method:
            case "GET" if not key:
                faults = self._faults.snapshot()
                return answers.json_answer({name: fault.as_json() for name, fault in faults.items()})
            case "PUT" if key:
                try:
                    fault = Fault.from_json(json.loads(request.body))
                except ValueError as error:
                    return answers.bad_request(str(error))
                self._faults[key] = fault
                return answers.json_answer(fault.as_json())
            case "DELETE" if key:
                self._faults.pop(key, None)
                return answers.json_answer({})
        return answers.no_such_route()


def _find(request: Request) -> tuple[str, Occasion] | None:
    """Return the repository that a request is about, and what it wants of it."""
    for action, pattern in _ROUTES:
        if match := pattern.fullmatch(request.path):
            named = {name: unquote(value) for name, value in match.groupdict().items() if value is not None}
            revision, path = named.get("revision"), named.get("path", "")
            return named["repo"], Occasion(action, request.method, revision, path, request.token)
    return None


def _shown(files: Mapping[str, RepoFile], struck: list[Fault]) -> Mapping[str, RepoFile]:
    """Return the files that a reader gets to see."""
    if all(fault.kind is not Kind.NO_CONFIG for fault in struck):
        return files
    return {name: file for name, file in files.items() if name not in CONFIG_FILES}


def _paths_info(files: Mapping[str, RepoFile], body: bytes) -> Answer:
    """Read paths from a form, as huggingface_hub sends them, or from JSON, as its JavaScript sibling does."""
    try:
        text = body.decode()
        paths = json.loads(text).get("paths") if text.startswith("{") else parse_qs(text).get("paths", [])
    except ValueError as error:
        return answers.bad_request(str(error))
    if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
        return answers.bad_request("paths is a list of strings")
    return answers.json_answer(listings.paths_info(files, paths))
