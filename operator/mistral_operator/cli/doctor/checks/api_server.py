"""Whether the API server's release is one that the operator is tested with."""

import re
from collections.abc import Iterator
from typing import Final

from mistral_operator.cli.doctor.facts import Server, Unread
from mistral_operator.cli.doctor.finding import Check, Finding, ok, warning
from mistral_operator.cli.doctor.reasons import DoctorReason

TESTED: Final = (1, 37)
_RELEASE: Final = re.compile(
    r"v?(\d{1,9})\.(\d{1,9})"
)  # what follows is the distribution's: v1.33.4-eks-abc, v1.34.1+k3s1
_TESTED: Final = f"{TESTED[0]}.{TESTED[1]}"


def check_api_server(server: Server) -> Iterator[Finding]:
    """Yield one finding: a cluster that does not answer ends the command before."""
    about = f"API server {server.url}"
    found = None if isinstance(server.version, Unread) else _RELEASE.match(server.version)
    if found is None:
        why = server.version.why if isinstance(server.version, Unread) else f"it calls itself {server.version!r}"
        message = f"does not tell its release: {why}"
        step = f"Compare it with {_TESTED}, which is tested"
        yield warning(Check.API_SERVER, about, DoctorReason.VERSION_UNKNOWN, message, step)
        return
    release = (int(found[1]), int(found[2]))
    if release == TESTED:
        message = f"Kubernetes {server.version}; the operator is tested with {_TESTED}"
        yield ok(Check.API_SERVER, about, DoctorReason.VERSION_TESTED, message)
        return
    age = "older" if release < TESTED else "newer"
    step = "Try it where nothing depends on it first"
    message = f"Kubernetes {server.version} is {age} than what the operator is tested with, {_TESTED}"
    yield warning(Check.API_SERVER, about, DoctorReason.VERSION_NOT_TESTED, message, step)
