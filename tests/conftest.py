"""Options of the whole suite."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a person rewrite the golden files, and read the difference."""
    parser.addoption("--update-golden", action="store_true", help="write what the commands print as the golden files")
