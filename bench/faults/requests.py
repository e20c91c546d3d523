"""What a request of the operator is: read from its method and its address."""

from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

_COLLECTION_LENGTHS = {"api": 2, "apis": 3}  # api/v1, apis/GROUP/VERSION


@dataclass(frozen=True, slots=True)
class Request:
    """One request to the API server."""

    method: str
    group: str  # empty for the core group
    resource: str  # plural; empty where the request is about no resource, such as discovery
    namespace: str | None
    name: str | None
    subresource: str | None
    watch: bool
    selector: str | None
    since: str | None  # its resourceVersion

    @classmethod
    def parse(cls, method: str, target: str) -> "Request":
        """Read the target of an HTTP request: its path and its query."""
        url = urlsplit(target)
        query = parse_qs(url.query)
        parts = [part for part in url.path.split("/") if part]
        begin = _COLLECTION_LENGTHS.get(parts[0] if parts else "", len(parts))
        group = parts[1] if begin == 3 and len(parts) > 1 else ""
        rest = parts[begin:]
        namespace = None
        if len(rest) > 2 and rest[0] == "namespaces":
            namespace, rest = rest[1], rest[2:]
        resource, name, subresource = (*rest[:3], None, None, None)[:3]
        return cls(
            method=method,
            group=group,
            resource=resource or "",
            namespace=namespace,
            name=name,
            subresource=subresource,
            watch=query.get("watch", [""])[0] in ("1", "true"),
            selector=query.get("labelSelector", [None])[0],
            since=query.get("resourceVersion", [None])[0],
        )

    @property
    def lists(self) -> bool:
        """Whether it asks for a whole collection, once."""
        return self.method == "GET" and bool(self.resource) and self.name is None and not self.watch

    @property
    def is_lease(self) -> bool:
        """Whether it is about leader election."""
        return self.resource == "leases"

    def __str__(self) -> str:
        """Name it as in a report."""
        verb = "WATCH" if self.watch else "LIST" if self.lists else self.method
        what = "/".join(part for part in (self.resource, self.name, self.subresource) if part)
        return f"{verb} {what or 'discovery'}"
