"""vLLM's output as lines: which process said it, and whether through a logger. Pure."""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

_COLOURS: Final = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
# (EngineCore pid=123), and [rank0]: where PyTorch prints a worker's traceback
_PROCESS: Final = re.compile(r"\((?P<name>[\w.-]+) pid=\d+\) ?|\[rank\d+\]: ")
_RECORD: Final = re.compile(
    r"(?P<prefix>(?P<level>DEBUG|INFO|WARNING|ERROR|CRITICAL) \d\d-\d\d \d\d:\d\d:\d\d \[[^\]]+\]) ?"
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
    """Take a log apart; of a progress bar, which overwrites itself, the last state counts."""
    for raw in log.replace("\r\n", "\n").split("\n"):
        text = _COLOURS.sub("", raw).rstrip("\r").rpartition("\r")[2]
        process = ""
        while match := _PROCESS.match(text):
            process = match[0].strip() if match["name"] else process
            text = text[match.end() :]
        record = _RECORD.match(text)
        if record is None:
            yield Line(process, "", "", text)
        else:
            yield Line(process, record["prefix"], record["level"], text[record.end() :])
