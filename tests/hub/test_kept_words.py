"""What of a config is kept: all that a plan reads, and little else."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mistral_operator.hub.errors import ConfigTooLargeError
from mistral_operator.hub.kept_words import READ, kept_of
from mistral_operator.hub.local import read_folder
from mistral_operator.planning.facts import GpuClass, ModelFacts
from mistral_operator.planning.plan import Plan, make_plan
from mistral_operator.planning.problems import Unplannable
from mistral_operator.planning.request import PlanRequest
from mistral_vllm.backends import ComputeCapability
from mistral_vllm.runtimes import get_runtime

GPU = GpuClass(memory_bytes=80 * 2**30, compute_capability=ComputeCapability(9, 0))


class Recording(dict[str, Any]):
    """An object of a config that notes which of its lists and objects are looked at."""

    def __init__(self, content: Mapping[str, Any], read: set[str]) -> None:
        super().__init__({name: recording(value, read) for name, value in content.items()})
        self._read = read

    def __getitem__(self, name: str) -> Any:
        return self._noted(name, super().__getitem__(name))

    def get(self, name: str, default: Any = None) -> Any:
        """Note the name, too."""
        return self._noted(name, super().get(name, default))

    def _noted(self, name: str, value: Any) -> Any:
        if isinstance(value, list | dict):
            self._read.add(name)
        return value


def recording(value: Any, read: set[str]) -> Any:
    """Return a value whose objects note what is read."""
    match value:
        case dict():
            return Recording(value, read)
        case list():
            return [recording(item, read) for item in value]
        case _:
            return value


def plan_of(facts: ModelFacts) -> Plan | str:
    """Return the plan of a model, or why there is none."""
    try:
        return replace(make_plan(facts, PlanRequest(get_runtime(), GPU)), facts=facts)
    except Unplannable as problem:
        return str(problem)


def whole_configs() -> list[Path]:
    """Return the files that the development hub serves."""
    folder = Path(__file__).parents[2] / "devcluster/devcluster/hub/models"
    return sorted(path for name in ("config.json", "params.json") for path in folder.rglob(name))


@pytest.mark.parametrize("path", whole_configs(), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_list_and_object_that_a_plan_reads_is_kept(path: Path) -> None:
    """Who makes a plan read another one adds its name."""
    read: set[str] = set()
    content = recording(json.loads(path.read_text()), read)
    of_config = path.name == "config.json"
    facts = ModelFacts("m", "main", None, content if of_config else None, None if of_config else content)
    plan_of(facts)
    assert read or not of_config  # a params.json may have no list at all
    assert read - {name for name in read if name.startswith("group_")} <= READ


@pytest.mark.parametrize("path", whole_configs(), ids=lambda path: f"{path.parent.name}/{path.name}")
@pytest.mark.parametrize("beside", [{}, {"ignore": ["lm_head"] * 50, "id2label": {str(n): "x" for n in range(50)}}])
def test_the_plan_is_that_of_the_whole_file(path: Path, beside: dict[str, Any]) -> None:
    """Nothing that is left out has a meaning."""
    whole = {**json.loads(path.read_text()), **beside}
    kept = kept_of("m", path.name, whole)
    of_config = path.name == "config.json"

    def facts(content: Mapping[str, Any] | None) -> ModelFacts:
        return ModelFacts("m", "main", None, content if of_config else None, None if of_config else content)

    plan, other = plan_of(facts(whole)), plan_of(facts(kept))
    if isinstance(plan, Plan) and isinstance(other, Plan):
        plan, other = replace(plan, facts=facts(None)), replace(other, facts=facts(None))
    assert plan == other


QUANTIZED: list[dict[str, Any]] = [
    {"quant_method": "fp8", "weight_block_size": [128, 128], "modules_to_not_convert": ["a"] * 3000},
    {
        "quant_method": "compressed-tensors",
        "config_groups": {"any name": {"weights": {"num_bits": 4, "type": "int", "group_size": 128}, "targets": ["x"]}},
        "ignore": ["lm_head"] * 3000,
    },
    {"producer": {"name": "modelopt"}, "quantization": {"quant_algo": "NVFP4", "exclude_modules": ["a"] * 3000}},
    {"quant_method": "awq", "bits": 4, "group_size": 128},
    {"nothing": "of all that"},
]


@pytest.mark.parametrize("quantization", QUANTIZED)
def test_quantised_models_are_planned_as_with_the_whole_file(quantization: dict[str, Any]) -> None:
    """The long lists of layers that are left out of it are left out here, too."""
    path = next(path for path in whole_configs() if "Mistral-7B-v0.1" in str(path) and path.name == "config.json")
    whole = {**json.loads(path.read_text()), "quantization_config": quantization}
    kept = kept_of("m", "config.json", whole)
    plans = [plan_of(ModelFacts("m", "main", None, content, None)) for content in (whole, kept)]
    precisions = [plan if isinstance(plan, str) else plan.precision for plan in plans]
    assert precisions[0] == precisions[1]
    assert len(json.dumps(kept)) < 2000


def test_a_folder_is_read_whole(tmp_path: Path) -> None:
    """It is its reader's own, and forgotten at once."""
    (tmp_path / "config.json").write_text('{"auto_map": {"a": [1]}}')
    assert read_folder(tmp_path).config == {"auto_map": {"a": [1]}}


def test_what_is_there_stays_there() -> None:
    """An object that says nothing that is read is not an empty one."""
    written = {"multimodal": {"whisper_model_args": {"encoder_args": {"dim": 1}}}, "vision_encoder": {}, "moe": None}
    kept = kept_of("m", "params.json", written)
    assert kept == {"multimodal": {"whisper_model_args": None}, "vision_encoder": {}, "moe": None}


def test_texts_are_cut() -> None:
    """No word that is read is that long."""
    kept = kept_of("m", "config.json", {"chat_template": "x" * 9999, "architectures": ["y" * 9999]})
    assert kept == {"chat_template": "x" * 1024, "architectures": ["y" * 1024]}


@pytest.mark.parametrize("content", [{"layer_types": [[]] * 5000}, {f"{number}": 0 for number in range(5000)}])
def test_more_than_a_model_is_described_by(content: dict[str, Any]) -> None:
    """It names the file."""
    with pytest.raises(ConfigTooLargeError, match=r"^config\.json of m is larger than 4,096 values that are read"):
        kept_of("m", "config.json", content)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda values: st.lists(values, max_size=4) | st.dictionaries(st.sampled_from(sorted(READ)) | st.text(), values),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(sorted(READ)) | st.text(), VALUES, max_size=5))
def test_keeping_twice_is_keeping_once(content: dict[str, Any]) -> None:
    """And what is kept is part of what was written."""
    kept = kept_of("m", "config.json", content)
    assert kept_of("m", "config.json", kept) == kept
    assert kept is not None
    assert kept.keys() <= content.keys()
