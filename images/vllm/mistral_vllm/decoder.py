"""Where in a model's files the decoder is described, in whose words, and with which class defaults."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from mistral_vllm.class_defaults import CLASS_DEFAULTS, GEOMETRY_WORDS, OUTER_CLASSES
from mistral_vllm.reasons import Finding, FindingReason, LayoutReason, Unsupported


class ConfigFormat(StrEnum):
    """vLLM's ``--config-format``: which file, and so whose vocabulary."""

    HF = "hf"  # config.json
    MISTRAL = "mistral"  # params.json

    @property
    def file_name(self) -> str:
        """The file of this format."""
        return "config.json" if self is ConfigFormat.HF else "params.json"


_SHOWN_DIGITS: Final = 20
_TEXT_KEYS: Final = ("text_config", "llm_config", "language_config")
ARCHITECTURES: Final = MappingProxyType(
    {
        "MistralForCausalLM": "mistral",
        "MistralModel": "mistral",
        "MistralForSequenceClassification": "mistral",
        "Ministral3ForCausalLM": "ministral3",
        "MixtralForCausalLM": "mixtral",
    }
)
# vLLM's _remap_general_mistral_args (transformers_utils/configs/mistral.py)
_PARAMS_NAMES: Final = MappingProxyType(
    {
        "dim": "hidden_size",
        "n_kv_heads": "num_key_value_heads",
        "n_layers": "num_hidden_layers",
        "n_heads": "num_attention_heads",
        "hidden_dim": "intermediate_size",
        "tied_embeddings": "tie_word_embeddings",
    }
)
_OBJECT_KEYS: Final = (
    *GEOMETRY_WORDS,
    "layer_types",
    "model_type",
    "dtype",
    "torch_dtype",
    "kv_lora_rank",
    "qk_rope_head_dim",
    "num_local_experts",
    "rope_parameters",
    "rope_scaling",
)


class Decoder(NamedTuple):
    """The decoder's part of a config, under transformers' names.

    ``written`` is what the file says; ``defaults`` what the class fills in. For an object such as a
    ``PretrainedConfig`` the class has done so already, and ``defaults`` is empty.
    """

    written: Mapping[str, Any]
    defaults: Mapping[str, Any]
    model_type: str | None
    config_format: ConfigFormat
    path: str = ""  # "text_config." where the decoder is nested
    resolved: bool = False  # the config class has applied its own rules already
    multimodal: bool = False
    findings: tuple[Finding, ...] = ()

    def get(self, key: str) -> Any:
        """Return the value written, else the class default, else None."""
        return self.written[key] if key in self.written else self.defaults.get(key)

    def writes(self, key: str) -> bool:
        """Whether the file itself has the word."""
        return key in self.written

    def where(self, key: str) -> str:
        """Name a word of the decoder as a person finds it: file, path and the file's own key."""
        if self.resolved:
            return f"{self.path}{key}"
        if self.config_format is ConfigFormat.MISTRAL:
            key = next((theirs for theirs, ours in _PARAMS_NAMES.items() if ours == key), key)
        return f"{self.config_format.file_name}: {self.path}{key}"


def detect_format(config: object) -> ConfigFormat:
    """Tell params.json from config.json by its vocabulary; anything that is no mapping speaks transformers'."""
    if not isinstance(config, Mapping):
        return ConfigFormat.HF
    mistral_words = "n_layers" in config or "dim" in config
    hf_words = "model_type" in config or "architectures" in config or "num_hidden_layers" in config
    return ConfigFormat.MISTRAL if mistral_words and not hf_words else ConfigFormat.HF


def find_decoder(config: object, config_format: ConfigFormat | None = None) -> Decoder:
    """Return the decoder's part of a config.

    Parameters
    ----------
    config : mapping or object
        config.json or params.json as a mapping, or anything with the same words as attributes.
    config_format
        Which of the two a mapping is; told from its words when None.

    Raises
    ------
    Unsupported
        When there is no decoder to read: words of the other format, a ``text_config`` that is no object.
    """
    config_format = config_format or detect_format(config)
    if not isinstance(config, Mapping):
        return _decoder_of_object(config)
    if config_format is ConfigFormat.MISTRAL:
        return _decoder_of_params(config)
    return _decoder_of_config(config)


def _decoder_of_object(config: object) -> Decoder:
    path, inner = "", config
    for key in _TEXT_KEYS:
        candidate = getattr(config, key, None)
        if candidate is not None:
            if isinstance(candidate, Mapping):
                raise Unsupported(
                    LayoutReason.DECODER_INVALID,
                    f"{key} of the config object is a plain mapping; pass the whole config as a mapping instead",
                )
            path, inner = f"{key}.", candidate
            break
    written = {key: getattr(inner, key) for key in _OBJECT_KEYS if hasattr(inner, key)}
    model_type = written.get("model_type")
    return Decoder(
        written,
        {},
        model_type if isinstance(model_type, str) else None,
        ConfigFormat.HF,
        path=path,
        resolved=True,
        multimodal=bool(path),
    )


def _decoder_of_params(params: Mapping[str, Any]) -> Decoder:
    written = {key: value for key, value in params.items() if key not in _PARAMS_NAMES}
    written |= {name: params[key] for key, name in _PARAMS_NAMES.items() if key in params}
    multimodal = params.get("multimodal")
    has_tower = bool(params.get("vision_encoder")) or (isinstance(multimodal, Mapping) and bool(multimodal))
    return Decoder(written, {}, None, ConfigFormat.MISTRAL, multimodal=has_tower)


def _decoder_of_config(config: Mapping[str, Any]) -> Decoder:
    outer_type = config.get("model_type")
    outer = OUTER_CLASSES.get(outer_type) if isinstance(outer_type, str) else None
    text_key = next((key for key in _TEXT_KEYS if config.get(key) is not None), None)
    if text_key is None:
        if outer is None:
            return _flat_decoder(config)
        return Decoder(
            {},
            {**CLASS_DEFAULTS[outer.decoder], **outer.without_text_config},
            outer.decoder,
            ConfigFormat.HF,
            path="text_config.",
            multimodal=True,
            findings=_outer_window(config),
        )
    inner = config[text_key]
    if not isinstance(inner, Mapping):
        raise Unsupported(
            LayoutReason.DECODER_INVALID, f"config.json: {text_key} is {json_kind(inner)}, expected an object"
        )
    if isinstance(outer_type, str) and outer_type in CLASS_DEFAULTS:
        raise Unsupported(
            LayoutReason.DECODER_INVALID,
            f"config.json: model_type {outer_type!r} is a text model and yet has a {text_key}: which one is meant?",
        )
    inner_type = inner.get("model_type", outer.decoder if outer else None)
    if inner_type is not None and not isinstance(inner_type, str):
        raise Unsupported(
            LayoutReason.MODEL_TYPE_UNKNOWN,
            f"config.json: {text_key}.model_type is {json_kind(inner_type)}, expected a string",
        )
    defaults = {**CLASS_DEFAULTS.get(inner_type or "", {}), **(outer.beside_text_config if outer else {})}
    return Decoder(
        inner,
        defaults,
        inner_type,
        ConfigFormat.HF,
        path=f"{text_key}.",
        multimodal=True,
        findings=_outer_window(config),
    )


def _flat_decoder(config: Mapping[str, Any]) -> Decoder:
    foreign = [key for key in ("n_layers", "dim", "n_heads") if key in config]
    if foreign and "num_hidden_layers" not in config:
        raise Unsupported(
            LayoutReason.FOREIGN_KEYS,
            f"config.json uses params.json's words ({', '.join(foreign)}), as MLX conversions do; neither transformers "
            "nor vLLM reads them there, and both would fill in a different model",
        )
    model_type = config.get("model_type")
    if model_type is not None and not isinstance(model_type, str):
        raise Unsupported(
            LayoutReason.MODEL_TYPE_UNKNOWN, f"config.json: model_type is {json_kind(model_type)}, expected a string"
        )
    findings: tuple[Finding, ...] = ()
    if model_type is None:
        architectures = config.get("architectures")
        names = architectures if isinstance(architectures, list) else []
        model_type = next(
            (ARCHITECTURES[name] for name in names if isinstance(name, str) and name in ARCHITECTURES), None
        )
        if model_type is not None:
            findings = (
                Finding(
                    FindingReason.MODEL_TYPE_MISSING,
                    f"config.json has no model_type; read as {model_type!r} from its architectures, but transformers "
                    "refuses such a file",
                ),
            )
    return Decoder(config, CLASS_DEFAULTS.get(model_type or "", {}), model_type, ConfigFormat.HF, findings=findings)


def _outer_window(config: Mapping[str, Any]) -> tuple[Finding, ...]:
    if config.get("sliding_window") is None:
        return ()
    return (
        Finding(
            FindingReason.OUTER_WINDOW_IGNORED,
            "config.json: the top-level sliding_window of a multimodal model is ignored; only text_config counts",
        ),
    )


def json_kind(value: object) -> str:
    """Name a JSON value's type as JSON does."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return f"the boolean {str(value).lower()}"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a string"
    return "a list" if isinstance(value, list | tuple) else "an object"


def json_shown(value: object) -> str:
    """Show a number as it is, cut short, and name the type of anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return json_kind(value)
    text = str(value)
    return text if len(text) <= _SHOWN_DIGITS else f"{text[:_SHOWN_DIGITS]}…"
