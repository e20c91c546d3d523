"""Every way reading a model can fail: a stable reason, one sentence of cause, one of what to do next.

The sentences live here, so that a command line and a resource's status say the same thing; a command adds only what a
resource cannot be given.
No error ever holds a token: only whether one was sent.
"""

from enum import StrEnum
from typing import ClassVar, Final

from mistral_operator.api.plain_text import plain_text

ACCESS_ADVICE: Final = "set HF_TOKEN"
"""How whoever asks hands over a token, unless the asker says otherwise: the middle of a sentence."""


class HubReason(StrEnum):
    """Stable words for what went wrong: safe to match on, where sentences may be reworded."""

    INVALID_MODEL_ID = "InvalidModelId"
    """`model.id` can be no id of a model; nothing was asked. Next: Write `OWNER/NAME`."""
    INVALID_ENDPOINT = "InvalidEndpoint"
    """The hub's address is no HTTP address. Next: Correct `hub.endpoint` of the chart, or `HF_ENDPOINT`."""
    NOT_FOUND_OR_NO_ACCESS = "NotFoundOrNoAccess"
    """There is no such model, or it is private: the hub answers alike. Next: Check the spelling, or use a token that
    may read it."""
    GATED = "Gated"
    """The owner of the model grants access to accounts one by one. Next: Accept the licence on its page, and name a
    token of that account in `hfTokenSecretRef`."""
    FORBIDDEN = "Forbidden"
    """The hub knows the account and refuses: the token is too narrow, or a network policy. Next: Give the token the
    permission to read this repository."""
    BAD_TOKEN = "BadToken"  # noqa: S105 - a reason, not a secret
    """The hub refuses the token as such, or it cannot be sent. Next: Put a valid token into the Secret."""
    DISABLED = "Disabled"
    """The hub has switched the repository off. Next: Choose another model, or a copy of this one."""
    REVISION_MISSING = "RevisionMissing"
    """The model exists, the branch, tag or commit does not. Next: Correct `model.revision`."""
    NO_CONFIG = "NoConfig"
    """There is neither a config.json nor a params.json. Next: Choose a model in the format of transformers or of
    Mistral."""
    TORN_CONFIG = "TornConfig"
    """A JSON file of the model cannot be read as one object. Next: Upload it again, or pin another revision."""
    CONFIG_TOO_LARGE = "ConfigTooLarge"
    """A JSON file is larger than any description of a model. Next: Check what it holds, or pin another revision."""
    TORN_WEIGHTS = "TornWeights"
    """A weight file is missing, cut short or no safetensors file. Next: Upload it again, or pin another revision."""
    RATE_LIMITED = "RateLimited"
    """The hub answers no more requests for now. Next: It is asked again as soon as it allows; a token raises the
    limit."""
    HUB_UNREACHABLE = "HubUnreachable"
    """The hub does not answer, or answers that it cannot. Next: Check network, proxy and `hub.endpoint`; it is asked
    again after 5 s, and then less and less often."""
    UNEXPECTED_ANSWER = "UnexpectedAnswer"
    """Something answers that does not speak the hub's language. Next: Check `hub.endpoint`, and whether a proxy
    answers in the hub's place."""
    OFFLINE = "Offline"
    """Asking the hub is switched off. Next: Unset `HF_HUB_OFFLINE`."""
    NOT_A_FOLDER = "NotAFolder"
    """The path names no folder; only `mistral-operator plan` reads folders. Next: Give the folder that holds
    config.json."""
    UNREADABLE = "Unreadable"
    """The operating system refuses to read a folder or a file of it. Next: Give this process permission to read it."""

    INTERNAL_ERROR = "InternalError"
    """Reading the model failed in a way that nobody foresaw: a fault in the operator, whose log has its traceback.
    Next: Report it; the model is read again after 5 s, and then less and less often."""


class HubError(Exception):
    """A model could not be read; ``str()`` gives the cause and the next step.

    Attributes
    ----------
    reason : HubReason
    transient : bool
        Whether the same request may succeed later although nobody changes anything.
    message : str
        One sentence that names the model and the cause.
    next_step : str
        One sentence that says what to do.
    """

    reason: ClassVar[HubReason]
    transient: ClassVar[bool] = False

    def __init__(self, message: str, next_step: str) -> None:
        super().__init__(f"{message} {next_step}")
        self.message = message
        self.next_step = next_step


class InvalidModelIdError(HubError):
    """The text can be no id of a model on a hub; nothing was asked."""

    reason = HubReason.INVALID_MODEL_ID

    def __init__(self, model: str) -> None:
        super().__init__(
            f"{model!r} is not a model id.",
            "Write OWNER/NAME, such as mistralai/Mistral-7B-v0.1.",
        )


class InvalidEndpointError(HubError):
    """The hub's address is no HTTP address; nothing was asked."""

    reason = HubReason.INVALID_ENDPOINT

    def __init__(self, model: str, endpoint: str) -> None:
        super().__init__(
            f"{model} cannot be read: the hub's address {endpoint!r} is not an http:// or https:// URL.",
            "Set HF_ENDPOINT (or the endpoint given here) to a URL such as https://huggingface.co.",
        )


class NotFoundOrNoAccessError(HubError):
    """The hub answers alike for a model that does not exist and for one it does not show to the asker."""

    reason = HubReason.NOT_FOUND_OR_NO_ACCESS

    def __init__(self, model: str, endpoint: str, *, token_sent: bool, access_advice: str = ACCESS_ADVICE) -> None:
        asker = "the account of this token may not see it" if token_sent else "it is private and no token was sent"
        remedy = "use a token that may read it" if token_sent else access_advice
        super().__init__(
            f"{model} does not exist on {endpoint}, or {asker}.",
            f"Check the spelling of the id, or {remedy}.",
        )


class GatedError(HubError):
    """The model exists, and its owner grants access to accounts one by one."""

    reason = HubReason.GATED

    def __init__(self, model: str, endpoint: str, *, token_sent: bool, access_advice: str = ACCESS_ADVICE) -> None:
        page = f"{endpoint}/{model}"
        if token_sent:
            cause = f"{model} is gated, and this token's account has not been granted access to it."
            step = f"Ask for access at {page} with that account, or use the token of an account that has it."
        else:
            cause = f"{model} is gated, and no token was sent."
            step = f"Accept the licence at {page}, then {access_advice}."
        super().__init__(cause, step)


class ForbiddenError(HubError):
    """The hub knows the account and refuses: a token of too narrow a scope, or a network policy."""

    reason = HubReason.FORBIDDEN

    def __init__(self, model: str, endpoint: str, why: str) -> None:
        super().__init__(
            f"{endpoint} refuses access to {model} ({why}).",
            "Give the token the permission to read this repository; a fine-grained token may lack it.",
        )


class BadTokenError(HubError):
    """The token is refused as such, or cannot be sent at all."""

    reason = HubReason.BAD_TOKEN

    def __init__(self, model: str, why: str) -> None:
        super().__init__(
            f"{model} cannot be read: {why}.",
            "Put a valid token into the Secret that spec.hfTokenSecretRef names.",
        )


class DisabledError(HubError):
    """The hub has switched the repository off."""

    reason = HubReason.DISABLED

    def __init__(self, model: str, endpoint: str) -> None:
        super().__init__(f"{model} has been disabled by {endpoint}.", "Choose another model or a copy of this one.")


class RevisionMissingError(HubError):
    """The model exists, the branch, tag or commit does not."""

    reason = HubReason.REVISION_MISSING

    def __init__(self, model: str, endpoint: str, revision: str) -> None:
        super().__init__(
            f"{model} has no revision {revision!r}.",
            f"Choose a branch, tag or commit listed at {endpoint}/{model}/commits/main.",
        )


class NoConfigError(HubError):
    """There is nothing that describes the model."""

    reason = HubReason.NO_CONFIG

    def __init__(self, model: str) -> None:
        super().__init__(
            f"{model} has neither config.json nor params.json.",
            "Choose a model in the format of transformers or of Mistral; vLLM serves no other.",
        )


class TornConfigError(HubError):
    """A JSON file is there and cannot be read as one JSON object."""

    reason = HubReason.TORN_CONFIG

    def __init__(self, model: str, file: str, why: str) -> None:
        super().__init__(
            f"{file} of {model} is not a JSON object: {plain_text(why)}.",
            f"Upload or download {file} again, or pin another revision.",
        )


class ConfigTooLargeError(HubError):
    """A JSON file is larger than any description of a model; ``limit`` is what it may be, with its unit."""

    reason = HubReason.CONFIG_TOO_LARGE

    def __init__(self, model: str, file: str, limit: str) -> None:
        super().__init__(
            f"{file} of {model} is larger than {limit}, which describes no model.",
            f"Check what {file} holds, or pin another revision.",
        )


class TornWeightsError(HubError):
    """A weight file is missing, cut short or no safetensors file, so the model's size is unknown."""

    reason = HubReason.TORN_WEIGHTS

    def __init__(self, model: str, file: str, why: str) -> None:
        file = plain_text(file)  # anybody may have chosen it, and the names of tensors
        super().__init__(
            f"{file} of {model} {plain_text(why)}.",
            f"Upload or download {file} again (git lfs pull in a clone), or pin another revision.",
        )


class RateLimitedError(HubError):
    """The hub asks for fewer requests.

    Attributes
    ----------
    retry_after_seconds : float or None
        When the hub will answer again, as it says; None when it does not say.
    """

    reason = HubReason.RATE_LIMITED
    transient = True

    def __init__(
        self,
        model: str,
        endpoint: str,
        *,
        token_sent: bool,
        retry_after_seconds: float | None,
        access_advice: str = ACCESS_ADVICE,
    ) -> None:
        wait = "later" if retry_after_seconds is None else f"in {retry_after_seconds:.0f} s"
        more = "" if token_sent else f", or {access_advice}, which raises the limit"
        super().__init__(
            f"{endpoint} answers no more requests for now (429), so {model} was not read.",
            f"Retry {wait}{more}.",
        )
        self.retry_after_seconds = retry_after_seconds


class HubUnreachableError(HubError):
    """The hub does not answer, or answers that it cannot."""

    reason = HubReason.HUB_UNREACHABLE
    transient = True

    def __init__(self, model: str, endpoint: str, why: str) -> None:
        super().__init__(
            f"{model} could not be read from {endpoint}: {why}.",
            "Check the network, the proxy settings and HF_ENDPOINT, then retry; a local folder needs no hub.",
        )


class UnexpectedAnswerError(HubError):
    """Something answers at the endpoint that does not speak the hub's language."""

    reason = HubReason.UNEXPECTED_ANSWER

    def __init__(self, model: str, endpoint: str, why: str) -> None:
        super().__init__(
            f"{model} could not be read: {endpoint} does not answer like a Hugging Face hub ({why}).",
            "Check HF_ENDPOINT, and whether a proxy answers in the hub's place.",
        )


class OfflineError(HubError):
    """Asking the hub is forbidden, and the model was not read before."""

    reason = HubReason.OFFLINE

    def __init__(self, model: str, revision: str) -> None:
        super().__init__(
            f"{model} at {revision!r} was not read before, and asking the hub is switched off.",
            "Unset HF_HUB_OFFLINE (or the offline option), or give the path of a local folder.",
        )


class NotAFolderError(HubError):
    """The path names no folder."""

    reason = HubReason.NOT_A_FOLDER

    def __init__(self, path: str) -> None:
        super().__init__(
            f"{path} is not a folder.",
            "Give the folder that holds config.json, or the id of a model on the hub.",
        )


class UnreadableError(HubError):
    """The operating system refuses to read a folder or one of its files."""

    reason = HubReason.UNREADABLE

    def __init__(self, path: str, why: str) -> None:
        super().__init__(
            f"{path} cannot be read: {why}.", "Give this process permission to read the folder and its files."
        )


class InternalError(HubError):
    """Reading failed in a way that nobody foresaw; the cause is the exception that did."""

    reason = HubReason.INTERNAL_ERROR
    transient = True

    def __init__(self, model: str, cause: BaseException) -> None:
        super().__init__(
            f"{model} could not be read: {type(cause).__name__}, which is a fault in the operator.",
            "Report it with the traceback in the operator's log.",
        )
