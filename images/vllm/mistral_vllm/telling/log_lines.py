"""vLLM's output as lines: which process said it, and whether through a logger. Pure."""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

LONGEST_LINE: Final = 4096  # characters, of which a message shows some hundred
_COLOURS: Final = re.compile(r"\x1b\[[0-9;]{0,32}[A-Za-z]")
# (EngineCore pid=123), and [rank0]: where PyTorch prints a worker's traceback
_PROCESS: Final = re.compile(r"\((?P<name>[\w.-]{1,64}) pid=\d{1,10}\) ?|\[rank\d{1,6}\]: ")
_RECORD: Final = re.compile(
    r"(?P<prefix>(?P<level>DEBUG|INFO|WARNING|ERROR|CRITICAL) \d\d-\d\d \d\d:\d\d:\d\d \[[^\]]{1,128}\]) ?"
)
_FAILURES: Final = frozenset({"ERROR", "CRITICAL"})


class Line(NamedTuple):
    """One line without what stands before it."""

    process: str  # vLLM's name of it, with its process id; empty for what the first process printed on its own
    record: str  # the logger's prefix, alike on all lines of a record; empty for what was printed
    level: str
    text: str

    @property
    def alarming(self) -> bool:
        """Whether it may tell of a failure: printed, or logged as an error."""
        return not self.record or self.level in _FAILURES


def read_lines(log: str) -> Iterator[Line]:
    """Take a log apart; of a progress bar, which overwrites itself, the last state counts.

    Of a line that is longer than ``LONGEST_LINE`` the beginning is kept.
    """
    for raw in log.replace("\r\n", "\n").split("\n"):
        text = _COLOURS.sub("", raw).rstrip("\r").rpartition("\r")[2][:LONGEST_LINE]
        process, place = "", 0
        while match := _PROCESS.match(text, place):
            process = match[0].strip() if match["name"] else process
            place = match.end()
        record = _RECORD.match(text, place)
        if record is None:
            yield Line(process, "", "", text[place:])
        else:
            yield Line(process, record["prefix"], record["level"], text[record.end() :])
