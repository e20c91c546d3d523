"""The command, run in this process against a hub of this process."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants
from typer.testing import CliRunner, Result

from devcluster.hub import HubServer
from mistral_operator.cli.app import app


@pytest.fixture(scope="session")
def hub() -> Iterator[HubServer]:
    """Serve the models of this repository."""
    with HubServer() as server:
        yield server


@pytest.fixture
def clean(hub: HubServer) -> Iterator[HubServer]:
    """Return the hub, without faults before and after."""
    hub.faults.clear()
    yield hub
    hub.faults.clear()


@pytest.fixture
def run(clean: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run ``mistral-operator`` against the hub, with a home folder and a cache of its own."""
    for name in [name for name in os.environ if name.startswith(("HF_", "HUGGING", "IMAGE_", "RUNTIME_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HF_ENDPOINT", clean.url)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(constants, "HF_ASSETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))

    def run_command(*arguments: str, stdin: str | None = None) -> Result:
        return CliRunner().invoke(app, list(arguments), input=stdin)

    return run_command
