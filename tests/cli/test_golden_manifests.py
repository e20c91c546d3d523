"""The manifests of every example: golden files that a person has read, and what the controller renders."""

import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from cli.written import Run
from devcluster.hub import HubServer
from mistral_operator.api.mistral_deployment import read_spec
from mistral_operator.api.names import PLAN_ANNOTATION
from mistral_operator.api.spec import RuntimeSpec
from mistral_operator.hub.remote import HubReader
from mistral_operator.planning.facts import GpuClass
from mistral_operator.planning.inventory import Inventory
from mistral_operator.planning.verdict import Circumstances, ModelAnswer, decide_plan
from mistral_operator.planning.wishes import Defaults
from mistral_operator.rendering.children import render_children
from mistral_operator.rendering.owner import Owner
from mistral_vllm.backends import ComputeCapability
from mistral_vllm.profiles import load_profiles
from mistral_vllm.runtimes import RuntimeName

EXAMPLES = Path(__file__).parents[2] / "examples"
GOLDEN = Path(__file__).parent / "golden" / "manifests"
NAMES = sorted(path.stem for path in EXAMPLES.glob("*.yaml"))
KUBERNETES = "1.37"
H100 = GpuClass(80 << 30, ComputeCapability.parse("9.0"), per_node=8)


def printed(name: str, run: Run) -> str:
    """Return what is printed of an example."""
    result = run("plan", "-f", str(EXAMPLES / f"{name}.yaml"), "-o", "manifests")
    assert result.exit_code == 0, result.stderr
    return result.stdout


def test_there_are_examples() -> None:
    """Each has a golden file, and no golden file is left over."""
    assert sorted(path.stem for path in GOLDEN.glob("*.yaml")) == NAMES
    assert len(NAMES) >= 4


@pytest.mark.parametrize("name", NAMES)
def test_golden_manifests(name: str, run: Run, hub: HubServer, request: pytest.FixtureRequest) -> None:
    """What would be applied for an example changes only when a person changes the golden file."""
    text = printed(name, run).replace(hub.url, "http://hub.example")
    # the digest of a plan depends on the hub's address
    text = re.sub(rf"({re.escape(PLAN_ANNOTATION)}: ).*", r"\1digest", text)
    path = GOLDEN / f"{name}.yaml"
    if request.config.getoption("--update-golden"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_manifests_are_kubernetes_own(name: str, run: Run) -> None:
    """Kubernetes' schemas know every field, and only the resource's children are printed, volumes first."""
    manifests = list(yaml.safe_load_all(printed(name, run)))
    for manifest in manifests:
        kubernetes_validate.validate(manifest, KUBERNETES, strict=True)
        assert "ownerReferences" not in manifest["metadata"]
    assert [manifest["kind"] for manifest in manifests][-2:] == ["Service", "Deployment"]
    assert ("PersistentVolumeClaim" in [manifest["kind"] for manifest in manifests]) == (name == "large-model")


@pytest.mark.parametrize("name", NAMES)
def test_it_is_what_the_controller_renders(name: str, run: Run, hub: HubServer) -> None:
    """The controller's own decision on the same facts leads to the same manifests, but for their owner."""
    body: dict[str, Any] = yaml.safe_load((EXAMPLES / f"{name}.yaml").read_text(encoding="utf-8"))
    spec = read_spec(body["spec"], strict=True)
    facts = HubReader(hub.url, token=False).read(spec.model.id, spec.model.revision)
    defaults = Defaults("mistral-vllm", "0.26.0", RuntimeSpec(name=RuntimeName.MISTRAL_VLLM, version="0.26.0"), hub.url)
    circumstances = Circumstances(ModelAnswer(facts), Inventory(frozenset({H100})), defaults, load_profiles())
    resolved = decide_plan(spec, None, circumstances, generation=7, replan=None).resolved
    assert resolved is not None
    manifests = render_children(Owner(body["metadata"]["name"], "default", "a-uid"), spec, resolved)
    for manifest in manifests:
        del manifest["metadata"]["ownerReferences"]
    assert list(yaml.safe_load_all(printed(name, run))) == list(manifests)


@pytest.mark.parametrize("name", NAMES)
def test_an_example_explains_itself(name: str) -> None:
    """The first line of a file that people copy says what it shows."""
    assert (EXAMPLES / f"{name}.yaml").read_text(encoding="utf-8").startswith("# ")
