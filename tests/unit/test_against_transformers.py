"""The same verdict as transformers for every config it accepts, except where a table says why not.

``make test`` runs it with the transformers of uv.lock, ``make test-image`` with that of the image.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from mistral_vllm.class_defaults import CLASS_DEFAULTS, OUTER_CLASSES
from mistral_vllm.decoder import find_decoder
from mistral_vllm.layout import read_layout
from mistral_vllm.mistral_sliding_window import enhance_mistral_config_for_sliding_window
from mistral_vllm.reasons import LayoutReason, Unsupported

transformers = pytest.importorskip("transformers")

MODELS = sorted((Path(__file__).parents[2] / "devcluster/devcluster/hub/models").glob("*/config.json"))
F, S = "full_attention", "sliding_attention"


def oracle(config: Mapping[str, Any], folder: Path) -> Any:
    """Return AutoConfig's decoder."""
    (folder / "config.json").write_text(json.dumps(config))
    return transformers.AutoConfig.from_pretrained(folder).get_text_config()


def windows_of(decoder: Any) -> tuple[int | None, ...]:
    """Return each layer's window as transformers' model code takes it."""
    window = getattr(decoder, "sliding_window", None)
    types = getattr(decoder, "layer_types", None) or [S] * decoder.num_hidden_layers
    return tuple(window if layer == S else None for layer in types)


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.parent.name)
def test_every_known_model(path: Path, tmp_path: Path) -> None:
    """Every model's config.json is read as AutoConfig reads it."""
    config = json.loads(path.read_text())
    assert read_layout(config).windows == windows_of(oracle(config, tmp_path))


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.parent.name)
def test_enhanced_objects_stay_consistent(path: Path, tmp_path: Path) -> None:
    """Enhancing works on transformers' own objects: same kind, same layout, idempotent, the original unchanged."""
    config = json.loads(path.read_text())
    (tmp_path / "config.json").write_text(json.dumps(config))
    loaded = transformers.AutoConfig.from_pretrained(tmp_path)
    before = loaded.to_dict()
    enhanced = enhance_mistral_config_for_sliding_window(loaded)
    assert type(enhanced) is type(loaded)
    assert loaded.to_dict() == before
    assert windows_of(enhanced.get_text_config()) == read_layout(config).windows == read_layout(enhanced).windows
    again = enhance_mistral_config_for_sliding_window(enhanced)
    assert again.to_dict() == enhanced.to_dict()
    if read_layout(config).window_tokens is None:
        assert enhanced is loaded


@pytest.mark.parametrize("model_type", CLASS_DEFAULTS)
def test_class_defaults(model_type: str, tmp_path: Path) -> None:
    """Every class default this package knows is the one transformers has."""
    theirs = oracle({"model_type": model_type}, tmp_path)
    ours = find_decoder({"model_type": model_type})
    derived = {"head_dim", "sliding_window", "num_key_value_heads", "sliding_window_pattern"}
    for key, value in CLASS_DEFAULTS[model_type].items():
        if key not in derived:
            assert (key, getattr(theirs, key, None)) == (key, value)
    assert theirs.num_key_value_heads == (ours.get("num_key_value_heads") or theirs.num_attention_heads)
    head_dim = getattr(theirs, "head_dim", None) or theirs.hidden_size // theirs.num_attention_heads
    assert head_dim == (ours.get("head_dim") or ours.get("hidden_size") // ours.get("num_attention_heads"))


@pytest.mark.parametrize("model_type", OUTER_CLASSES)
@pytest.mark.parametrize("text_config", [None, {}, {"num_hidden_layers": 3}], ids=["none", "empty", "layers"])
def test_nested_class_defaults(model_type: str, text_config: dict[str, Any] | None, tmp_path: Path) -> None:
    """A multimodal class fills in its decoder as transformers does."""
    config: dict[str, Any] = {"model_type": model_type}
    if text_config is not None:
        config["text_config"] = text_config
    theirs = oracle(config, tmp_path)
    ours = find_decoder(config)
    for key in ("num_hidden_layers", "hidden_size", "num_attention_heads", "intermediate_size", "vocab_size"):
        assert (key, ours.get(key)) == (key, getattr(theirs, key))
    assert read_layout(config).windows == windows_of(theirs)


# Where this package says otherwise on purpose: the value transformers keeps, and what it means here.
DIFFERENCES = [
    pytest.param({"sliding_window": 0}, (0,) * 4, (None,) * 4, id="0 is no window"),
    pytest.param({"sliding_window": -1}, (-1,) * 4, (None,) * 4, id="-1 is no window"),
]


@pytest.mark.parametrize(("words", "theirs", "ours"), DIFFERENCES)
def test_documented_differences(
    words: dict[str, Any], theirs: tuple[int | None, ...], ours: tuple[int | None, ...], tmp_path: Path
) -> None:
    """0 and -1, which transformers keeps as they are, are no windows."""
    config = {"model_type": "mistral", "num_hidden_layers": 4, **words}
    assert windows_of(oracle(config, tmp_path)) == theirs
    assert read_layout(config).windows == ours


@pytest.mark.parametrize(
    "words",
    [
        pytest.param({"sliding_window": [None, 4]}, id="list"),
        pytest.param({"sliding_window": "4096"}, id="text"),
    ],
)
def test_read_here_though_transformers_refuses(words: dict[str, Any], tmp_path: Path) -> None:
    """Two spellings are read here, with a finding, that transformers 5 refuses."""
    config = {"model_type": "mistral", "num_hidden_layers": 4, **words}
    with pytest.raises(Exception, match="sliding_window"):
        oracle(config, tmp_path)
    assert read_layout(config).findings


_model_types = st.sampled_from(
    ["mistral", "ministral", "ministral3", "mixtral", "llama", "qwen2", "gemma2", "gemma3_text"]
)
_layer_types = st.lists(st.sampled_from([F, S]), min_size=1, max_size=12)


@st.composite
def _decoders(draw: st.DrawFn) -> dict[str, Any]:
    layers = draw(st.integers(1, 12))
    config: dict[str, Any] = {"model_type": draw(_model_types), "num_hidden_layers": layers}
    config |= draw(st.fixed_dictionaries({}, optional={"sliding_window": st.none() | st.integers(1, 2**20)}))
    if draw(st.booleans()):
        config["layer_types"] = draw(
            st.none() | _layer_types | st.lists(st.sampled_from([F, S]), min_size=layers, max_size=layers)
        )
    if config["model_type"] == "qwen2":
        config |= draw(
            st.fixed_dictionaries(
                {}, optional={"use_sliding_window": st.booleans(), "max_window_layers": st.integers(0, 12)}
            )
        )
    if config["model_type"] == "gemma3_text" and draw(st.booleans()):
        config["sliding_window_pattern"] = draw(st.integers(1, 8))
    return config


@given(_decoders(), st.sampled_from([None, "mistral3", "llava"]))
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_generated_configs(tmp_path: Path, config: dict[str, Any], outer: str | None) -> None:
    """What transformers accepts is read as transformers reads it, and what it refuses is not guessed at."""
    written = config if outer is None else {"model_type": outer, "text_config": config}
    declared = config.get("layer_types")
    if declared is not None and len(declared) != config["num_hidden_layers"]:
        with pytest.raises(Exception, match="layer_types"):
            oracle(written, tmp_path)
        with pytest.raises(Unsupported) as refused:
            read_layout(written)
        assert refused.value.reason is LayoutReason.LAYER_TYPES_LENGTH
    else:
        assert read_layout(written).windows == windows_of(oracle(written, tmp_path))
