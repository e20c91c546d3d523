"""Why vLLM ended: the root cause in the text of its output, in what a termination log holds. Pure.

What vLLM prints last never says it. A failure in a worker is printed by the worker, then told on in the words of the
engine core ("see stack trace for root cause"), then in those of the API server ("see root cause above"). So this goes
the way back: from what was raised last to the process that it blames, and within one traceback from what was raised to
what caused it.
"""

import re
import signal
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from mistral_vllm.plain_text import encodable, without_secrets
from mistral_vllm.telling.log_lines import Line, read_lines
from mistral_vllm.telling.tracebacks import Chain, Raised, find_chains

LIMIT_BYTES: Final = 2048  # as much as the kubelet itself takes from a log; the containers of a pod share 12 KiB

# exceptions that only pass on that another process failed, or that a process was told to end
_BLAMES_ANOTHER: Final = re.compile(
    r"[Ss]ee root cause above|for (the )?root cause|died unexpectedly|died with exit code|^Executor failed|^cancelled$"
)
_BLAMES_BY_TYPE: Final = frozenset({"EngineDeadError", "KeyboardInterrupt", "SystemExit", "CancelledError"})
# by whom a failure is told on: the API server, which is everything else, blames the core, the core its workers
_DEPTHS: Final = (
    re.compile(r"\A(?!\((EngineCore|\w{0,64}Worker))"),
    re.compile(r"\A\(EngineCore"),
    re.compile(r"\A\(\w{0,64}Worker"),
)

_USAGE: Final = 2  # argparse's exit code
_USAGE_ERROR: Final = ": error: "
_ENGINE_DIED: Final = re.compile(r"vllm\.v1\.engine\.exceptions\.EngineDeadError")
_SILENT: Final = {
    "WorkerProc initialization failed": "a worker",
    "Engine core initialization failed": "the engine core",
    "EngineDeadError": "the engine core",
}
_DEATHS: Final = (
    re.compile(r"Worker proc (?P<name>\S{1,64}) died unexpectedly \(exit code: (-(?P<signal>\d{1,3})|None)\)"),
    re.compile(r"Process (?P<name>\S{1,64}) \(PID: \d{1,10}\) died with exit code -(?P<signal>\d{1,3})"),
    re.compile(
        r"Failed core proc\(s\): \{(?:'[^']{1,32}': (?:\d{1,3}|None), ){0,64}"
        r"'(?P<name>[^']{1,32})': -(?P<signal>\d{1,3})"
    ),
)
_NATIVE: Final = re.compile(r"\A(?:terminate called|\s{0,16}what\(\): |Fatal Python error: |Fatal glibc error: )")
_SHOWN_LINES: Final = 10

_FIELD_DETAILS: Final = re.compile(r" \[type=[^\n]*|\n\s{0,16}For further information visit \S+")
_VOLATILE: Final = re.compile(r" ?\(Request ID: [^)]{0,128}\)")


def root_cause(log: str, exit_code: int) -> str:
    """Return the root cause of a failure, at most ``LIMIT_BYTES`` of UTF-8; the sentence that matters comes first.

    Parameters
    ----------
    log
        The end of vLLM's output, of all its processes.
    exit_code
        vLLM's exit code; minus the signal's number where one killed it.
    """
    lines = list(read_lines(encodable(log)))
    said = (
        (_killed("vLLM", -exit_code, lines) if exit_code < 0 else None)
        or (_usage_error(lines) if exit_code == _USAGE else None)
        or _exception(find_chains(lines), lines)
        or _last_words(lines, exit_code)
    )
    return _fit(without_secrets(_VOLATILE.sub("", said)))


def engine_died(log: str) -> bool:
    """Tell whether vLLM's engine failed under its API server, which then ends as if all were well: exit code 0."""
    return any(_ENGINE_DIED.match(line.text) for line in read_lines(log) if line.alarming)


def _usage_error(lines: Sequence[Line]) -> str | None:
    for place in reversed(range(len(lines))):
        program, _, words = lines[place].text.partition(_USAGE_ERROR)
        if words and program and not program[0].isspace():
            return "\n".join(line.text for line in lines[place:]).strip()
    return None


def _exception(chains: Sequence[Chain], lines: Sequence[Line]) -> str | None:
    """Follow the blame down to who raised first."""
    servers, cores, workers = ([chain for chain in chains if depth.match(chain.process)] for depth in _DEPTHS)
    # a process ends with what ended it; of several, the others fail because one is gone
    suspects = [*servers[-1:], *_last_of_each(cores), *_last_of_each(workers)]
    # where several servers share a port, the one that started them speaks last
    suspected = {chain.place for chain in suspects}
    others = [chain for chain in _last_of_each(servers) if chain.place not in suspected]
    cause = _first_cause(suspects)
    if cause is not None:
        return _tell(cause)
    death = _death(lines)
    if death is not None:
        return death
    cause = _first_cause(others)
    if cause is not None:
        return _tell(cause)
    return _silence(suspects[-1]) if suspects else None


def _first_cause(chains: Iterable[Chain]) -> Chain | None:
    return next((chain for chain in chains if not _blames(chain.raised[-1])), None)


def _silence(blame: Chain) -> str:
    """Say that whoever is blamed said nothing: of a process that was killed, not even that is always told."""
    told = _tell(blame)
    who = next((name for words, name in _SILENT.items() if words in told), None)
    return told if who is None else f"{_wordless(who)}\n{told}"


def _wordless(name: str) -> str:
    return f"{name} ended without a word: killed, out of memory?"


def _last_of_each(chains: Sequence[Chain]) -> list[Chain]:
    last = {chain.process: chain for chain in chains}
    return sorted(last.values(), key=lambda chain: chain.place)


def _blames(raised: Raised) -> bool:
    return _short(raised.type) in _BLAMES_BY_TYPE or _BLAMES_ANOTHER.search(raised.message) is not None


def _tell(chain: Chain) -> str:
    """Say what was raised, and what it came from, each in one line: the one that explains may be any of them."""
    telling = [raised for raised in chain.raised if not _blames(raised)] or list(chain.raised)
    last, *causes = reversed(telling)
    return "\n".join([_words(last), *(f"Caused by {cause}" for cause in _causes(causes))])


def _causes(raised: Sequence[Raised]) -> Iterator[str]:
    seen = set()
    for one in raised:
        line = _words(one).split("\n", 1)[0]
        if line not in seen:
            seen.add(line)
            yield line


def _words(raised: Raised) -> str:
    message = _FIELD_DETAILS.sub("", raised.message).strip()
    return f"{_short(raised.type)}: {message}" if message else _short(raised.type)


def _short(name: str) -> str:
    return name.rpartition(".")[2]


def _death(lines: Sequence[Line]) -> str | None:
    """Name the process that a signal killed, from what the others say of it."""
    for death in _DEATHS:
        for line in lines:
            match = death.search(line.text)
            if match is not None and match["signal"] is not None:
                return _killed(match["name"], int(match["signal"]), lines)
            if match is not None:  # noticed before the operating system told how it ended
                return _wordless(match["name"])
    return None


def _killed(name: str, number: int, lines: Sequence[Line]) -> str:
    try:
        signal_name = signal.Signals(number).name
    except ValueError:
        signal_name = f"signal {number}"
    if number == signal.SIGKILL:
        return f"{name} was killed by {signal_name}: out of memory?"
    native = [line.text.strip() for line in lines if _NATIVE.match(line.text)]
    return "\n".join([f"{name} was killed by {signal_name}", *native])


def _last_words(lines: Sequence[Line], exit_code: int) -> str:
    failures = [line.text for line in lines if line.record and line.alarming and line.text.strip()]
    words = failures or [line.text for line in lines if line.text.strip()]
    ended = f"vLLM ended with exit code {exit_code}"
    if not words:
        return f"{ended} and said nothing"
    return "\n".join([f"{ended}; the last it said:", *words[-_SHOWN_LINES:]])


def _fit(text: str) -> str:
    encoded = text.encode()
    if len(encoded) <= LIMIT_BYTES:
        return text
    return encoded[: LIMIT_BYTES - len("…".encode())].decode(errors="ignore") + "…"
