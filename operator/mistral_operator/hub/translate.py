"""What ``huggingface_hub`` raises, in this package's words: one table, from the special to the general.

Its classes overlap (a gated repository is also "not found", a missing file also an HTTP error), so the order
is the meaning. ``LocalEntryNotFoundError`` is not in the table: only ``hf_hub_download`` raises it, which is
not used here.
"""

import re
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from huggingface_hub.errors import (
    DisabledRepoError,
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import parse_ratelimit_headers  # type: ignore[attr-defined]  # exported lazily

from mistral_operator.api.plain_text import plain_text
from mistral_operator.api.shortening import shortened
from mistral_operator.hub.bounded_http import HttpFailed, HttpUnexpected
from mistral_operator.hub.errors import (
    ACCESS_ADVICE,
    BadTokenError,
    DisabledError,
    ForbiddenError,
    GatedError,
    HubError,
    HubUnreachableError,
    NotFoundOrNoAccessError,
    OfflineError,
    RateLimitedError,
    RevisionMissingError,
    TornWeightsError,
    UnexpectedAnswerError,
)

_WAIT: Final = re.compile("[0-9]{1,8}")  # seconds; a longer wait is none
_LONGEST_WAIT_SECONDS: Final = 99_999_999
_LONGEST: Final = 200  # of a server's own explanation, in characters: a proxy's may be a whole page


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked of whom when an error came."""

    model: str
    revision: str
    endpoint: str
    file: str | None = None
    access_advice: str = ACCESS_ADVICE


@contextmanager
def translated(asked: Asked) -> Generator[None]:
    """Raise what the block's request to a hub raises as a ``HubError``."""
    try:
        yield
    except HfHubHTTPError as error:
        # without the cause: its text quotes the URL, in which an endpoint may carry a password
        raise _from_answer(error, asked) from None
    except OfflineModeIsEnabled as error:
        raise OfflineError(asked.model, asked.revision) from error
    except HttpFailed as error:
        raise HubUnreachableError(asked.model, asked.endpoint, str(error)) from error
    except HttpUnexpected as error:
        raise UnexpectedAnswerError(asked.model, asked.endpoint, str(error)) from error
    except (OSError, ValueError) as error:
        # the client cannot even be set up: a proxy's URL that is none, a file of certificates that is missing
        why = f"no request can be made ({type(error).__name__}: {error})"
        raise HubUnreachableError(asked.model, asked.endpoint, why) from error


def _from_answer(error: HfHubHTTPError, asked: Asked) -> HubError:
    for kind, make in _BY_TYPE:
        if isinstance(error, kind):
            return make(error, asked)
    return _from_status(error, asked)


def _from_status(error: HfHubHTTPError, asked: Asked) -> HubError:
    status = error.response.status_code
    if status == 401:
        # a refused token is told in words only; without a token, 401 is the answer for whatever is not public
        if _token_sent(error):
            return BadTokenError(asked.model, f"{asked.endpoint} refuses the token")
        return _not_found(error, asked)
    if status == 403:
        return ForbiddenError(asked.model, asked.endpoint, _status_and_words(error))
    if status == 429:
        return RateLimitedError(
            asked.model,
            asked.endpoint,
            token_sent=_token_sent(error),
            retry_after_seconds=_retry_after_seconds(error),
            access_advice=asked.access_advice,
        )
    if status == 408 or status >= 500:
        return HubUnreachableError(asked.model, asked.endpoint, f"it answers with {_status_and_words(error)}")
    return UnexpectedAnswerError(asked.model, asked.endpoint, _status_and_words(error))


def _gated(error: HfHubHTTPError, asked: Asked) -> HubError:
    sent, advice = _token_sent(error), asked.access_advice
    return GatedError(asked.model, asked.endpoint, token_sent=sent, access_advice=advice)


def _not_found(error: HfHubHTTPError, asked: Asked) -> HubError:
    sent, advice = _token_sent(error), asked.access_advice
    return NotFoundOrNoAccessError(asked.model, asked.endpoint, token_sent=sent, access_advice=advice)


def _revision_missing(_: HfHubHTTPError, asked: Asked) -> HubError:
    return RevisionMissingError(asked.model, asked.endpoint, asked.revision)


def _disabled(_: HfHubHTTPError, asked: Asked) -> HubError:
    return DisabledError(asked.model, asked.endpoint)


def _file_missing(_: HfHubHTTPError, asked: Asked) -> HubError:
    return TornWeightsError(asked.model, asked.file or "a file", "is listed by the hub, which does not have it")


_BY_TYPE: Final[tuple[tuple[type[HfHubHTTPError], Callable[[HfHubHTTPError, Asked], HubError]], ...]] = (
    (GatedRepoError, _gated),
    (RepositoryNotFoundError, _not_found),
    (RevisionNotFoundError, _revision_missing),
    (DisabledRepoError, _disabled),
    (RemoteEntryNotFoundError, _file_missing),
)


def _token_sent(error: HfHubHTTPError) -> bool:
    return "authorization" in error.response.request.headers


def _status_and_words(error: HfHubHTTPError) -> str:
    status = f"HTTP status {error.response.status_code}"
    words = shortened(plain_text(error.server_message or "").rstrip("."), _LONGEST)
    return f"{status}: {words}" if words else status


def _retry_after_seconds(error: HfHubHTTPError) -> float | None:
    headers = error.response.headers
    try:
        limit = parse_ratelimit_headers(headers)
    except ValueError:  # numbers of more digits than Python converts
        limit = None
    # the hub sends this header with every answer: it explains a 429 only where nothing remains
    if limit is not None and limit.remaining == 0 and limit.reset_in_seconds <= _LONGEST_WAIT_SECONDS:
        return float(limit.reset_in_seconds)
    retry_after = headers.get("retry-after", "").strip()
    return float(retry_after) if _WAIT.fullmatch(retry_after) else None
