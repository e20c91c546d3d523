"""Every reason this package gives, one CamelCase word each: stable, and safe to match on.

Sentences may be reworded between releases; these words may not.
"""

from enum import StrEnum
from typing import NamedTuple


class LayoutReason(StrEnum):
    """Why a config cannot be read as one window and one attention type per layer."""

    LAYER_COUNT_MISSING = "LayerCountMissing"
    LAYER_COUNT_INVALID = "LayerCountInvalid"
    WINDOW_TYPE = "WindowType"
    WINDOW_PATTERN = "WindowPattern"
    WINDOW_SIZES_DIFFER = "WindowSizesDiffer"
    WINDOW_MISSING = "WindowMissing"
    LAYER_TYPES_INVALID = "LayerTypesInvalid"
    LAYER_TYPES_LENGTH = "LayerTypesLength"
    LAYER_TYPE_UNKNOWN = "LayerTypeUnknown"
    LAYERS_CONFLICT = "LayersConflict"
    MODEL_TYPE_UNKNOWN = "ModelTypeUnknown"
    DECODER_INVALID = "DecoderInvalid"
    FOREIGN_KEYS = "ForeignKeys"
    FAMILY_SETTING_INVALID = "FamilySettingInvalid"
    CONFIG_MISSING = "ConfigMissing"


class FindingReason(StrEnum):
    """What a reader of a config should know although the config could be read."""

    CLASS_DEFAULT_WINDOW = "ClassDefaultWindow"
    CLASS_DEFAULT_LAYER_COUNT = "ClassDefaultLayerCount"
    WINDOW_FROM_CONFIG_JSON = "WindowFromConfigJson"
    NON_POSITIVE_WINDOW = "NonPositiveWindow"
    TEXT_FOR_NULL = "TextForNull"
    NUMERIC_STRING = "NumericString"
    LIST_IN_CONFIG_JSON = "ListInConfigJson"
    ALL_LAYERS_FULL = "AllLayersFull"
    SLIDING_LAYERS_WITHOUT_WINDOW = "SlidingLayersWithoutWindow"
    UNDERSCORE_WINDOW_IGNORED = "UnderscoreWindowIgnored"
    OUTER_WINDOW_IGNORED = "OuterWindowIgnored"
    WINDOW_SWITCHED_OFF = "WindowSwitchedOff"
    MODEL_TYPE_MISSING = "ModelTypeMissing"
    FILES_DISAGREE = "FilesDisagree"
    OTHER_FILE_UNREADABLE = "OtherFileUnreadable"


class DecisionReason(StrEnum):
    """Why a backend was chosen, one for each rule of the chain."""

    USER_CHOICE = "UserChoice"
    LATENT_ATTENTION = "LatentAttention"
    RELEASE_UNKNOWN = "ReleaseUnknown"
    NO_SLIDING_WINDOW = "NoSlidingWindow"
    WINDOW_EXCEEDS_CONTEXT = "WindowExceedsContext"
    MEASURED_FASTEST = "MeasuredFastest"
    XFORMERS_PREFERRED = "XFormersPreferred"
    FLASH_ATTENTION = "FlashAttention"
    STANDARD_ATTENTION = "StandardAttention"


class RejectionReason(StrEnum):
    """Why a backend was not chosen, one for each constraint, then one for each way to lose against the chosen one."""

    NOT_IN_RUNTIME = "NotInRuntime"
    NOT_INSTALLED = "NotInstalled"
    WINDOW_IGNORED = "WindowIgnored"
    LATENT_ATTENTION = "LatentAttention"
    COMPUTE_CAPABILITY = "ComputeCapability"
    HEAD_SIZE = "HeadSize"
    DTYPE = "DType"
    KV_CACHE_DTYPE = "KVCacheDType"
    BLOCK_SIZE = "BlockSize"
    SPECULATIVE_DECODING = "SpeculativeDecoding"
    BATCH_INVARIANCE = "BatchInvariance"
    KV_CACHE_LAYOUT = "KVCacheLayout"
    KV_CONNECTOR = "KVConnector"
    CONTEXT_PARALLEL = "ContextParallel"
    WINDOW_DISABLED = "WindowDisabled"
    HYBRID_KV_CACHE = "HybridKVCache"
    MEASURED_SLOWER = "MeasuredSlower"
    NOT_MEASURED = "NotMeasured"
    LOWER_PREFERENCE = "LowerPreference"


class EngineReason(StrEnum):
    """Why a vLLM release cannot be brought to run a layout as it is meant."""

    ENGINE_REFUSES_CONFIG = "EngineRefusesConfig"
    ENGINE_IGNORES_LAYOUT = "EngineIgnoresLayout"
    ENGINE_OVERRIDDEN = "EngineOverridden"


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
