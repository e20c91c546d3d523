"""Why there is no plan: the one error of planning, and its reasons."""

from enum import StrEnum

from mistral_vllm.constraints import Rejection


class Problem(StrEnum):
    """What kind of answer is missing; the command line turns each into an exit code."""

    MODEL = "model"  # the model or its layout cannot be read
    PLACEMENT = "placement"  # no valid backend, or a wish that cannot be met
    HARDWARE = "hardware"  # no GPU there is will do


class PlanReason(StrEnum):
    """Reasons of planning itself; layouts and backends bring their own (:mod:`mistral_vllm.reasons`)."""

    GEOMETRY_INVALID = "GeometryInvalid"
    """A size in the config is no positive integer. Next: Check that it is a decoder's own config, and not an
    adapter's."""
    DTYPE_UNKNOWN = "DTypeUnknown"
    """A dtype is unknown, or the GPU has no bfloat16. Next: One of those that the message names."""
    PARALLELISM_INVALID = "ParallelismInvalid"
    """So many GPUs cannot share this model's heads or widths. Next: One of the numbers that the message names."""
    PIPELINE_UNSUPPORTED = "PipelineUnsupported"
    """A pipeline of several stages is not planned for yet. Next: Use `parallelism.tensor`."""
    MAX_MODEL_LEN_INVALID = "MaxModelLenInvalid"
    """`engine.maxModelLen` is beyond what the model's scaled rope is made for. Next: Lower it."""
    ARGUMENT_CONFLICT = "ArgumentConflict"
    """`extraArgs` or `env` say what the plan says, take GPUs that the pod does not get (`--data-parallel-size`,
    `--nnodes`), or name a file of arguments (`--config`); abbreviations are found here. Next: Say it in the field that
    the message names."""
    GPU_TOO_OLD = "GPUTooOld"
    """This vLLM release, or the way the weights are quantised, needs a newer GPU. Next: Another GPU, release or
    checkpoint."""
    WEIGHTS_UNREADABLE = "WeightsUnreadable"
    """There are no weights in a format that is planned for. Next: Choose a model with safetensors, or with
    pytorch_model.bin."""
    RUNTIME_UNKNOWN = "RuntimeUnknown"
    """`image.runtime` names what this operator does not know. Next: Name a runtime and a vLLM release that exist."""
    ANOTHER_PLAN = "AnotherPlan"
    """Of a class of GPU that is left out: it would run another backend or dtype than the leading one. Next: Nothing;
    or keep the leading one out with `gpu.products`."""


class PlanFinding(StrEnum):
    """What a person should know although there is a plan, where planning itself found it."""

    CHECKPOINT_KV_CACHE = "CheckpointKVCache"
    """The checkpoint asks for the dtype of its KV cache. Next: Set `engine.kvCacheDtype` if another one is wanted."""
    DTYPE_FALLBACK = "DTypeFallback"
    """The checkpoint is bfloat16, which the GPU has not: it runs in float16. Next: A GPU from 8.0 on, where that
    matters."""
    LONGER_THAN_CONFIG = "LongerThanConfig"
    """`engine.maxModelLen` is beyond the length that the config gives; the model may not be good that far out."""
    QUERY_SCALING_UNREAD = "QueryScalingUnread"
    """vLLM does not read this config's query scaling: long answers differ from the model's own. Next: A lower
    `engine.maxModelLen`, or a checkpoint with params.json."""


class Unplannable(Exception):
    """There is no plan.

    Attributes
    ----------
    problem : Problem
    reason : str
        A stable CamelCase word.
    message : str
        One sentence that names the object and the cause.
    next_step : str
        What to do about it.
    rejected : tuple of Rejection
        Where backends were refused, each with its reason.
    """

    def __init__(
        self, problem: Problem, reason: str, message: str, next_step: str, rejected: tuple[Rejection, ...] = ()
    ) -> None:
        super().__init__(f"{message}. {next_step}")
        self.problem = problem
        self.reason = reason
        self.message = message
        self.next_step = next_step
        self.rejected = rejected
