"""How a text is cut that somebody else wrote, and that a status, an Event or a line of the command line repeats."""

from typing import Final

_CUT: Final = "…"


def shortened(text: str, longest: int) -> str:
    """Return a text in at most ``longest`` characters, one at least; what was cut off shows at its end."""
    return text if len(text) <= longest else text[: max(0, longest - len(_CUT))].rstrip() + _CUT


def shortened_bytes(text: str, longest_bytes: int) -> str:
    """Return a text in at most so many bytes of UTF-8, three at least, cut between characters in the same way."""
    written = text.encode()
    if len(written) <= longest_bytes:
        return text
    return written[: longest_bytes - len(_CUT.encode())].decode(errors="ignore").rstrip() + _CUT
