"""Every reason this package gives, one CamelCase word each: stable, and safe to match on.

Sentences may be reworded between releases; these words may not. Below each stands what it means and, after ``Next:``,
what to do; docs/troubleshooting.md is made of it.
"""

from enum import StrEnum
from typing import NamedTuple


class LayoutReason(StrEnum):
    """Why a config cannot be read as one window and one attention type per layer."""

    LAYER_COUNT_MISSING = "LayerCountMissing"
    """The config does not say how many layers there are."""
    LAYER_COUNT_INVALID = "LayerCountInvalid"
    """The number of layers is no integer that a model can have."""
    WINDOW_TYPE = "WindowType"
    """`sliding_window` is neither an integer nor null nor a list of them."""
    WINDOW_PATTERN = "WindowPattern"
    """A list in `sliding_window` is empty, holds something else, or does not divide the layers."""
    WINDOW_SIZES_DIFFER = "WindowSizesDiffer"
    """A list in `sliding_window` has two sizes, and vLLM knows one a model."""
    WINDOW_MISSING = "WindowMissing"
    """Layers slide, and nothing says how wide their window is."""
    LAYER_TYPES_INVALID = "LayerTypesInvalid"
    """`layer_types` is no list."""
    LAYER_TYPES_LENGTH = "LayerTypesLength"
    """`layer_types` has another length than the model has layers."""
    LAYER_TYPE_UNKNOWN = "LayerTypeUnknown"
    """`layer_types` holds a kind of attention that is not planned for."""
    LAYERS_CONFLICT = "LayersConflict"
    """`sliding_window` is a list, and `layer_types` says otherwise."""
    MODEL_TYPE_UNKNOWN = "ModelTypeUnknown"
    """What an absent window, or a window without `layer_types`, means for this `model_type` is not known."""
    DECODER_INVALID = "DecoderInvalid"
    """Which part of the config is the decoder's cannot be told."""
    FOREIGN_KEYS = "ForeignKeys"
    """config.json uses params.json's words, as MLX conversions do; vLLM would fill in another model."""
    FAMILY_SETTING_INVALID = "FamilySettingInvalid"
    """A setting by which this family says which layers slide is of the wrong kind."""
    CONFIG_MISSING = "ConfigMissing"
    """There is neither a config.json nor a params.json."""


class FindingReason(StrEnum):
    """What a reader of a config should know although the config could be read."""

    CLASS_DEFAULT_WINDOW = "ClassDefaultWindow"
    """`sliding_window` is absent, which means the model class's default."""
    CLASS_DEFAULT_LAYER_COUNT = "ClassDefaultLayerCount"
    """The number of layers is absent, which means the model class's default."""
    WINDOW_FROM_CONFIG_JSON = "WindowFromConfigJson"
    """params.json has no window, and the config.json beside it fills it in, as vLLM does."""
    NON_POSITIVE_WINDOW = "NonPositiveWindow"
    """A window of 0 or less is read as none."""
    TEXT_FOR_NULL = "TextForNull"
    """The window is a text such as "null", read as none; vLLM refuses it."""
    NUMERIC_STRING = "NumericString"
    """The window is a number in quotes, read as that number; vLLM refuses it."""
    LIST_IN_CONFIG_JSON = "ListInConfigJson"
    """config.json has a list of windows, which is params.json's way to write it."""
    ALL_LAYERS_FULL = "AllLayersFull"
    """There is a window, and every layer is told to attend to everything."""
    SLIDING_LAYERS_WITHOUT_WINDOW = "SlidingLayersWithoutWindow"
    """Layers are told to slide, and there is no window: they attend to everything."""
    UNDERSCORE_WINDOW_IGNORED = "UnderscoreWindowIgnored"
    """params.json's `_sliding_window` is ignored, as vLLM does."""
    OUTER_WINDOW_IGNORED = "OuterWindowIgnored"
    """The top-level window of a multimodal model is ignored: only its text_config counts."""
    WINDOW_SWITCHED_OFF = "WindowSwitchedOff"
    """`use_sliding_window` is not true, so the window is unused."""
    MODEL_TYPE_MISSING = "ModelTypeMissing"
    """config.json has no `model_type`, and was read by its architectures."""
    FILES_DISAGREE = "FilesDisagree"
    """config.json and params.json say different things; the message says which counts."""
    OTHER_FILE_UNREADABLE = "OtherFileUnreadable"
    """The file that does not count cannot be read."""


class DecisionReason(StrEnum):
    """Why a backend was chosen, one for each rule of the chain."""

    USER_CHOICE = "UserChoice"
    """`engine.attentionBackend` names it, and it can run this model."""
    LATENT_ATTENTION = "LatentAttention"
    """The model uses multi-head latent attention, for which vLLM has its own backends."""
    RELEASE_UNKNOWN = "ReleaseUnknown"
    """The vLLM release is not in the catalogue: it is told nothing."""
    NO_SLIDING_WINDOW = "NoSlidingWindow"
    """No layer has a window: the engine's own choice."""
    WINDOW_EXCEEDS_CONTEXT = "WindowExceedsContext"
    """The window is at least as long as the context: the engine's own choice."""
    MEASURED_FASTEST = "MeasuredFastest"
    """A measured table has it as the fastest for this GPU, head size, dtype and release."""
    XFORMERS_PREFERRED = "XFormersPreferred"
    """XFORMERS is installed and able, and nothing was measured."""
    FLASH_ATTENTION = "FlashAttention"
    """FLASH_ATTN is able, and XFORMERS is not there."""
    STANDARD_ATTENTION = "StandardAttention"
    """It is the first of the engine's own backends that is able."""


class RejectionReason(StrEnum):
    """Why a backend was not chosen, one for each constraint, then one for each way to lose against the chosen one."""

    NOT_IN_RUNTIME = "NotInRuntime"
    """The runtime does not contain it. Next: Another `image.runtime`."""
    NOT_INSTALLED = "NotInstalled"
    """xFormers is not installed in the image. Next: Use `mistral-vllm` as it is built."""
    WINDOW_IGNORED = "WindowIgnored"
    """It would attend to every token: it ignores the window, in prefill or in decode."""
    LATENT_ATTENTION = "LatentAttention"
    """It does not run multi-head latent attention, for which vLLM has its own backends."""
    COMPUTE_CAPABILITY = "ComputeCapability"
    """It needs another compute capability than the GPU has."""
    HEAD_SIZE = "HeadSize"
    """It does not take the model's head size."""
    DTYPE = "DType"
    """It does not compute in the model's dtype."""
    KV_CACHE_DTYPE = "KVCacheDType"
    """It does not read a KV cache of that dtype on this GPU."""
    BLOCK_SIZE = "BlockSize"
    """`--block-size` is no multiple of its own."""
    SPECULATIVE_DECODING = "SpeculativeDecoding"
    """It decodes one token a sequence, and speculative decoding asks for several."""
    BATCH_INVARIANCE = "BatchInvariance"
    """It splits by batch size, which `VLLM_BATCH_INVARIANT` forbids."""
    KV_CACHE_LAYOUT = "KVCacheLayout"
    """It reads the KV cache in NHD layout alone, and HND is asked for."""
    KV_CONNECTOR = "KVConnector"
    """It does not take part in KV transfer, which is asked for."""
    CONTEXT_PARALLEL = "ContextParallel"
    """vLLM has no decode context parallelism for layers with a window."""
    WINDOW_DISABLED = "WindowDisabled"
    """`--disable-sliding-window` caps the context at the window."""
    HYBRID_KV_CACHE = "HybridKVCache"
    """An argument makes vLLM merge full and sliding layers, and window them all."""
    MEASURED_SLOWER = "MeasuredSlower"
    """It was measured, and is slower than the chosen one."""
    NOT_MEASURED = "NotMeasured"
    """The table that decided has no figures of it."""
    LOWER_PREFERENCE = "LowerPreference"
    """Another one comes first."""


class EngineReason(StrEnum):
    """Why a vLLM release cannot be brought to run a layout as it is meant."""

    ENGINE_REFUSES_CONFIG = "EngineRefusesConfig"
    """This vLLM release would not start on this config. Next: Correct the config, or choose another release."""
    ENGINE_IGNORES_LAYOUT = "EngineIgnoresLayout"
    """This vLLM release would run other layers than the config means. Next: Correct the config, or choose another
    release."""
    ENGINE_OVERRIDDEN = "EngineOverridden"
    """Left alone, this vLLM release would run other layers; `--hf-overrides` makes it run what is meant."""


class Finding(NamedTuple):
    """Something a person should know: a stable reason and one sentence."""

    reason: FindingReason | EngineReason | str
    message: str


class Unsupported(ValueError):
    """A layout that cannot be read, or cannot be run as it is meant.

    Attributes
    ----------
    reason : LayoutReason or EngineReason
    message : str
        One sentence that names the field, the value found and what would be accepted.
    """

    def __init__(self, reason: LayoutReason | EngineReason, message: str) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message
