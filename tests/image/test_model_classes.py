"""Every class that a model of Mistral's family is served by can be imported with the packages of the image.

vLLM imports the class of a model when that model starts, and not before: what another release of a package broke shows
in that pod alone. The architectures come from what offers them, so that a new one is tested without being added here.
"""

import ast
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from transformers.models.auto import modeling_auto
from vllm.model_executor.models.registry import ModelRegistry, _ModelInfo
from vllm.transformers_utils.configs import mistral as params_json

from mistral_vllm.class_defaults import OUTER_CLASSES
from mistral_vllm.decoder import ARCHITECTURES
from mistral_vllm.integration import models
from mistral_vllm.integration.install import MODEL_CLASSES

FAMILY = ("mistral", "ministral", "mixtral", "pixtral", "voxtral")
HUB = Path(__file__).parents[2] / "devcluster/devcluster/hub/models"
REGISTERED = frozenset(ModelRegistry.models)


def of_registry() -> set[str]:
    """Return what vLLM's registry names after the family, drafts of speculative decoding among it."""
    return {name for name in REGISTERED if any(member in name.lower() for member in FAMILY)}


def of_params_json() -> set[str]:
    """Return what vLLM's reader of params.json may take a model for."""
    nodes = ast.walk(ast.parse(Path(params_json.__file__).read_text()))
    words = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return words & REGISTERED


def of_multimodal_config_json() -> set[str]:
    """Return transformers' classes of the multimodal config.json files that the plugin reads."""
    mappings = [value for name, value in vars(modeling_auto).items() if name.endswith("_MAPPING_NAMES")]
    names = {mapping.get(model_type) for mapping in mappings for model_type in OUTER_CLASSES}
    return {name for name in names if isinstance(name, str)} & REGISTERED


def of_plugin() -> set[str]:
    """Return the architectures that the plugin reads and those that it has classes of its own for."""
    return {*ARCHITECTURES, *MODEL_CLASSES}


def of_hub() -> set[str]:
    """Return the architectures of the models that the operator is tested with."""
    return {name for file in HUB.glob("*/config.json") for name in json.loads(file.read_text())["architectures"]}


SOURCES = (of_registry, of_params_json, of_multimodal_config_json, of_plugin, of_hub)


@pytest.mark.parametrize("architecture", sorted(set().union(*(source() for source in SOURCES))))
def test_the_class_of_an_architecture(architecture: str) -> None:
    """It is inspected as when a model starts; vLLM makes a class for classification from the decoder's."""
    registered = ModelRegistry.models[ModelRegistry._normalize_arch(architecture, None)]  # noqa: SLF001
    _ModelInfo.from_model_cls(registered.load_model_cls())


@pytest.mark.parametrize("model_class", sorted(set(MODEL_CLASSES.values())))
def test_a_class_of_the_plugin(model_class: str) -> None:
    """The same of the classes that take the place of vLLM's."""
    _ModelInfo.from_model_cls(getattr(models, model_class))


@pytest.mark.parametrize("source", SOURCES)
def test_what_offers_architectures(source: Callable[[], set[str]]) -> None:
    """Each of them still does: where another release put it elsewhere, the tests above would go without."""
    assert len(source()) > 1
