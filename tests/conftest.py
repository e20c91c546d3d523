"""Options of the whole suite, and what every test may rely on."""

import signal

import pytest
from hypothesis import settings

settings.register_profile("any machine", deadline=None)  # how long an example takes says nothing on a busy one
settings.load_profile("any machine")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a person rewrite the golden files, and read the difference."""
    parser.addoption("--update-golden", action="store_true", help="write what the commands print as the golden files")


def pytest_configure() -> None:
    """Let Ctrl-C reach what tests start: where a shell started us in the background it is ignored, also by those."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
