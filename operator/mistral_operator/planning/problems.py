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
    DTYPE_UNKNOWN = "DTypeUnknown"
    PARALLELISM_INVALID = "ParallelismInvalid"
    PIPELINE_UNSUPPORTED = "PipelineUnsupported"
    MAX_MODEL_LEN_INVALID = "MaxModelLenInvalid"
    ARGUMENT_CONFLICT = "ArgumentConflict"
    GPU_TOO_OLD = "GPUTooOld"
    WEIGHTS_UNREADABLE = "WeightsUnreadable"
    RUNTIME_UNKNOWN = "RuntimeUnknown"
    ANOTHER_PLAN = "AnotherPlan"  # of a class of GPU that would run something else than the leading one


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
