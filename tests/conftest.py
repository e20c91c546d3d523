"""Options of the whole suite, and what every test may rely on."""

import signal

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a person rewrite the golden files, and read the difference."""
    parser.addoption("--update-golden", action="store_true", help="write what the commands print as the golden files")


def pytest_configure() -> None:
    """Let Ctrl-C reach what tests start: where a shell started us in the background it is ignored, also by those."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
