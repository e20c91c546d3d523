"""What the tests of rendering share: manifests of a spec as the operator renders them, on a cluster with these GPUs."""

from typing import Any

from mistral_operator.api.spec import MistralDeploymentSpec
from mistral_operator.api.status import Resolved
from mistral_operator.planning.facts import GpuClass
from mistral_operator.planning.verdict import decide_plan
from mistral_operator.rendering.children import render_children
from mistral_operator.rendering.owner import Manifest, Owner
from unit.planning_on_clusters import H200, circumstances, spec

OWNER = Owner("mistral", "models", "0b6c3f5e-8f0a-4f0e-9d7b-3f1c2d4e5a6b")


def planned(wanted: MistralDeploymentSpec, *classes: GpuClass) -> Resolved:
    """Return the plan of a spec as the status keeps it."""
    resolved = decide_plan(wanted, None, circumstances(*(classes or (H200,))), generation=1, replan=None).resolved
    assert resolved is not None
    return resolved


def rendered(wanted: MistralDeploymentSpec, resolved: Resolved | None = None) -> dict[str, Manifest]:
    """Return the children by kind."""
    manifests = render_children(OWNER, wanted, resolved or planned(wanted))
    return {str(manifest["kind"]): manifest for manifest in manifests}


def pod(resolved: Resolved | None = None, **fields: Any) -> Manifest:
    """Return the pod's spec of a MistralDeployment with these fields."""
    found: Manifest = rendered(spec(**fields), resolved)["Deployment"]["spec"]["template"]["spec"]
    return found


def container(resolved: Resolved | None = None, **fields: Any) -> Manifest:
    """Return the vLLM container of a MistralDeployment with these fields."""
    (found,) = pod(resolved, **fields)["containers"]
    assert isinstance(found, dict)
    return found


def environment(resolved: Resolved | None = None, **fields: Any) -> dict[str, Manifest]:
    """Return the container's environment by name; every name stands in it once."""
    entries = container(resolved, **fields)["env"]
    by_name = {str(entry["name"]): entry for entry in entries}
    assert len(by_name) == len(entries)
    return by_name


def flag(args: list[str], name: str) -> str | None:
    """Return what follows a flag; it stands there at most once."""
    positions = [position for position, argument in enumerate(args) if argument == name]
    assert len(positions) <= 1, f"{name} stands in {args} more than once"
    return args[positions[0] + 1] if positions else None
