"""Real vLLM on the CPU with the plugin in it: ``make test-image`` makes the environment that these tests run in."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from image.generating import Engines
from image.planning import planned_arguments
from image.serving import Serving, serve
from image.tiny import WINDOW_TOKENS, TinyModel, save_tiny


def pytest_configure(config: pytest.Config) -> None:
    """Let other people's packages deprecate what they like: they are gigabytes, and not what is tested."""
    config.addinivalue_line("filterwarnings", "ignore::DeprecationWarning")


@pytest.hookimpl(tryfirst=True)  # pytest-xdist reads the groups in this very hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep together what asks the one server, and else the tests of a file, where several processes run them."""
    for item in items:
        asks_server = isinstance(item, pytest.Function) and "server" in item.fixturenames
        item.add_marker(pytest.mark.xdist_group("server" if asks_server else item.path.name))


@pytest.fixture(scope="session")
def windowed(tmp_path_factory: pytest.TempPathFactory) -> TinyModel:
    """Return a Mistral as config.json writes it: a window, and no layer_types."""
    return save_tiny(tmp_path_factory.mktemp("models") / "windowed", sliding_window=WINDOW_TOKENS)


@pytest.fixture(scope="session")
def caches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where vLLM may keep what it compiled, for all processes of a session."""
    return tmp_path_factory.mktemp("caches")


@pytest.fixture(scope="session")
def server(windowed: TinyModel, caches: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """Return vLLM's own API server with the plugin, started with what the operator plans for the CPU.

    The plugin is required: that it has no backend to offer is no failure where vLLM has one of its own alone.
    """
    log = tmp_path_factory.mktemp("server") / "log"
    required = {"MISTRAL_VLLM_REQUIRED": "1"}
    with serve(planned_arguments(windowed.folder), log=log, caches=caches, env=required) as serving:
        serving.until_ready()
        yield serving


@pytest.fixture(scope="session")
def engines(caches: Path, tmp_path_factory: pytest.TempPathFactory) -> Engines:
    """Return engines without a server: faster to start, one model after the other."""
    return Engines(caches, tmp_path_factory.mktemp("engines"))
