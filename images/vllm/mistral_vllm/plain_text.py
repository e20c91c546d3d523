"""Words of others as they may stand in a message: one line, nothing a terminal acts on, no secrets. Pure.

A pod, a kubelet, a hub or a proxy writes them, and a status, an Event, a log or a terminal shows them. Every pattern
takes time linear in the text: what something must follow is bounded.
"""

import re
from typing import Final, NamedTuple

# ECMA-48: OSC, DCS, SOS, PM and APC strings with what they hold, where they end; then CSI and all other sequences
_STRINGS: Final = re.compile(
    r"(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x90\x98\x9c-\x9f]{0,120}(?:\x07|\x1b\\|\x9c)"
)
_SEQUENCES: Final = re.compile(r"(?:\x1b\[|\x9b)[0-?]{0,32}[ -/]{0,4}[@-~]?|\x1b[ -/]{0,4}[0-~]?")
_SEPARATES: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")  # C0, DEL, C1, and Unicode's own line breaks
# bidirectional controls, tags, and what shows as nothing; U+200C and U+200D stay, for scripts and emoji need them
_INVISIBLE: Final = re.compile(
    "[\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_NO_CHARACTER: Final = re.compile(  # surrogates, and the last two code points of each plane
    "[\ud800-\udfff\ufdd0-\ufdef"
    + "".join(f"{chr(end)}{chr(end + 1)}" for end in range(0xFFFE, 0x110000, 0x10000))
    + "]"
)
_LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_REPLACEMENT: Final = "\ufffd"

_NAME_MARKS: Final = ("key", "secret", "passw", "pwd", "token", "credential", "signature")
_NAMES: Final = (
    r"api[-_]?key|access[-_]?key|private[-_]?key|secret|passwd|password|pwd|token(?!s|iz)|credentials?|signature"
)


class _Secret(NamedTuple):
    """One kind of secret: what a text must hold for it to be there, how it is written, what stands in its place."""

    marks: tuple[str, ...]  # one of these, in lower case
    pattern: re.Pattern[str]
    instead: str
    names: tuple[str, ...] = ("",)  # and one of these


_SECRETS: Final = (
    # user and password of a URL
    _Secret(("@",), re.compile(r"://[^\s/]{0,400}@"), "://…@"),
    # signed URLs of S3, Google, Azure and CloudFront, and keys in queries
    _Secret(
        ("=",),
        re.compile(
            r"(?i)([?&;](?:x-(?:amz|goog)-(?:signature|credential|security-token)|signature|policy|key-pair-id|sig|"
            r"[a-z_-]{0,20}token|(?:api|access)[-_]?key|key|password|secret)=)[^\s&\"'<>…]+"
        ),
        r"\1…",
    ),
    # headers
    _Secret(
        ("authorization", "-api-key", "cookie"),
        re.compile(
            r"(?i)\b((?:proxy-)?authorization|x-api-key|(?:set-)?cookie)"
            r"([\"']?\s{0,4}[:=]\s{0,4}[\"']?)[^\s\"'…][^\r\n\"']*"
        ),
        r"\1\2…",
    ),
    _Secret(
        ("bearer",),
        re.compile(r"(?i)\b(bearer\s{1,4})(?!auth|cred|token|realm|error|scope)[\w.~+/=-]{8,}"),
        r"\1…",
    ),
    # arguments, variables and JSON: NAME=VALUE, --name VALUE, 'name': 'VALUE', 'name': ['VALUE']
    _Secret(
        ("'", '"'),
        re.compile(rf"(?i)((?:{_NAMES})[\w-]{{0,20}}[\"']?\s{{0,2}}[:=]\s{{0,2}}[\[(]?[\"'])(?!…)[^\"']+"),
        r"\1…",
        _NAME_MARKS,
    ),
    _Secret(
        ("=",),
        re.compile(
            rf"(?i)((?:{_NAMES})[\w-]{{0,20}}=)(?!(?:[\d.]{{1,32}}|true|false|none|null)\b)[^\s\"'&,;()\[\]{{}}<>…]{{6,}}"
        ),
        r"\1…",
        _NAME_MARKS,
    ),
    _Secret(("--api-key", "--hf-token"), re.compile(r"(--(?:api-key|hf-token)\s{1,4})(?!-)[^\s\"'…]{6,}"), r"\1…"),
    # tokens that are known by how they begin: Hugging Face, OpenAI and its likes, GitHub, GitLab, NVIDIA, AWS, Slack
    _Secret(("hf_", "api_org_"), re.compile(r"\b(hf_|api_org_)[A-Za-z0-9]{8,}"), r"\1…"),
    _Secret(("sk-", "sk_"), re.compile(r"(?<![A-Za-z0-9_-])(sk[-_])[A-Za-z0-9_-]{8,}"), r"\1…"),
    _Secret(
        ("gh", "glpat-", "nvapi-", "akia", "asia", "xox"),
        re.compile(
            r"(?<![A-Za-z0-9_-])(gh[oprsu]_|github_pat_|glpat-|nvapi-|AKIA|ASIA|xox[abeoprs]-)[A-Za-z0-9_-]{12,}"
        ),
        r"\1…",
    ),
    # JSON Web Tokens, such as those of ServiceAccounts
    _Secret(("eyj",), re.compile(r"(?<![\w-])eyJ[\w-]{8,300}\.[\w.-]{8,}"), "eyJ…"),
)
_MARKS: Final = tuple(dict.fromkeys(mark for secret in _SECRETS for mark in secret.marks))


def plain_text(text: str) -> str:
    """Return somebody's words in one line of visible characters, without what reads like a secret.

    What it returns it returns again: a message that is read and written once more does not move.
    """
    if not text.isprintable():  # Python's word for what none of these patterns finds
        text = _SEPARATES.sub(" ", _SEQUENCES.sub("", _STRINGS.sub("", text)))
        text = _NO_CHARACTER.sub(_REPLACEMENT, _INVISIBLE.sub("", text))
    if "  " in text or text[:1].isspace() or text[-1:].isspace() or not text.isprintable():
        text = " ".join(text.split())
    return without_secrets(text)


def without_secrets(text: str) -> str:
    """Return a text with "…" for what reads like a token, a key, a password or a signature of a URL."""
    folded = text.lower()
    for mark in _MARKS:  # most messages hold none of them, and every status is made of a dozen messages
        if mark in folded:
            break
    else:
        return text
    for secret in _SECRETS:
        if any(mark in folded for mark in secret.marks) and any(name in folded for name in secret.names):
            text = secret.pattern.sub(secret.instead, text)
    return text


def encodable(text: str) -> str:
    """Return a text that UTF-8 can hold: U+FFFD in place of surrogates, which stand alone wherever Python has one."""
    return text if text.isascii() else _LONE_SURROGATE.sub(_REPLACEMENT, text)
