"""One node, one release and one model for all tests, and how long each stage took.

The release is at first the previous one of the chart; what a test scales or changes the next one finds as it left it.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, Final

import pytest

from chart.installing import Installer
from devcluster.binaries import BINARIES, ensure
from devcluster.binaries.progress import Progress
from devcluster.hub import HubServer
from devcluster.node import Node, NodeUnavailable
from devcluster.node.images import IMAGES, ImagesError, check_room, ensure_images
from devcluster.node.packages import check_machine
from e2e.releases import NAMESPACE as OPERATORS
from e2e.releases import PREVIOUS, Operators, release
from e2e.served import NAMESPACE as MODELS
from e2e.served import Served
from e2e.stages import Stages
from e2e.toolbox import Expected, Toolbox

_STAGES: Final = pytest.StashKey[Stages]()


def pytest_configure(config: pytest.Config) -> None:
    """Start the stopwatch."""
    config.stash[_STAGES] = Stages(Progress().say)


def pytest_sessionstart() -> None:
    """Skip everything where there can be no node."""
    try:
        check_machine()
        check_room(IMAGES)
    except (NodeUnavailable, ImagesError) as error:
        pytest.exit(f"make e2e is skipped. {error}", returncode=0)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Time each test."""
    begun = time.monotonic()
    try:
        yield
    finally:
        item.config.stash[_STAGES].add(item.nodeid.partition("/e2e/")[2], time.monotonic() - begun)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print how long everything took."""
    lines = config.stash[_STAGES].lines()
    if lines:
        terminalreporter.section("how long it took")
        terminalreporter.write("\n".join((*lines, "")))


@pytest.fixture(scope="session")
def stages(pytestconfig: pytest.Config) -> Stages:
    """Return the stopwatch."""
    return pytestconfig.stash[_STAGES]


@pytest.fixture(scope="session")
def node(stages: Stages) -> Iterator[Node]:
    """Return a node that has the images."""
    with stages.stage("images"):
        archives = ensure_images(IMAGES, progress=Progress())
    with stages.stage("binaries"):
        ensure([BINARIES["helm"]], progress=Progress())
        node = Node(Progress())
    with ExitStack() as running:
        with stages.stage("node"):
            running.enter_context(node)
        for image, archive in archives.items():
            with stages.stage(f"node: load {image.tag}"):
                node.load_image(archive)
        yield node
        with stages.stage("node: stop"):
            running.close()


@pytest.fixture(scope="session")
def toolbox(node: Node, stages: Stages) -> Toolbox:
    """Return a pod to ask from."""
    toolbox = Toolbox(node)
    with stages.stage("toolbox"):
        toolbox.start()
    return toolbox


@pytest.fixture(scope="session")
def expected(toolbox: Toolbox, stages: Stages) -> Expected:
    """Return what transformers makes of the model's prompt, having made the model."""
    with stages.stage("model and its tokens by transformers"):
        return toolbox.make_model()


@pytest.fixture(scope="session")
def hub(node: Node, toolbox: Toolbox, expected: Expected) -> Iterator[HubServer]:  # noqa: ARG001 - serves the model
    """Return a hub with the model, that pods reach."""
    with HubServer(toolbox.models, host=node.host_address) as hub:
        yield hub


@pytest.fixture(scope="session")
def installer(node: Node) -> Installer:
    """Return Helm."""
    return Installer(node)


def restricted(name: str) -> dict[str, Any]:
    """Return a namespace that admits no pod with more rights than the strictest Pod Security level allows."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


@pytest.fixture(scope="session")
def operators(node: Node, installer: Installer, hub: HubServer, stages: Stages) -> Operators:
    """Return the operator's pods, of the previous chart."""
    operators = Operators(node)
    with stages.stage("helm install of the previous chart, two replicas ready"):
        node.apply(restricted(OPERATORS), restricted(MODELS))
        installer.install(release(hub), chart=PREVIOUS)
        operators.until_ready()
        installer.until_served()
    return operators


@pytest.fixture(scope="session")
def applied(node: Node, operators: Operators, toolbox: Toolbox, stages: Stages) -> Served:  # noqa: ARG001 - must be there
    """Return the model, applied and Ready."""
    served = Served(node, toolbox)
    with stages.stage("kubectl apply until Ready"):
        served.apply()
        served.until_ready()
    return served


@pytest.fixture
def served(applied: Served) -> Served:
    """Return the model with one Ready replica, whatever tests before have made of it."""
    if applied.body()["spec"]["replicas"] != 1:
        applied.scale(1)
    applied.until_ready()
    return applied
