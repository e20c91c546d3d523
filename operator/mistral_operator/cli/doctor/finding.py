"""One line of the doctor's: which check, about what, how bad, why, and the next step."""

from dataclasses import dataclass
from enum import StrEnum


class Check(StrEnum):
    """What is checked, in the order in which it is told, and in which an operator is installed."""

    API_SERVER = "api-server"
    DEFINITION = "crd"
    RIGHTS = "rbac"
    OPERATOR = "operator"
    NODES = "gpu-nodes"
    HUB = "hub"
    IMAGES = "image-pull"
    DEPLOYMENTS = "deployments"


class Level(StrEnum):
    """How bad it is: a problem is something that does not work, a warning is something a person should know."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding; ``object`` and ``reason`` are for machines too, ``next_step`` is empty where there is nothing to do.

    Attributes
    ----------
    object : str
        Kind and name, such as ``MistralDeployment team/mistral-7b``.
    reason : str
        One CamelCase word: of :class:`~mistral_operator.cli.doctor.reasons.DoctorReason`, of a condition, of the hub
        or of the kubelet.
    """

    check: Check
    level: Level
    object: str
    reason: str
    message: str
    next_step: str = ""


def ok(check: Check, about: str, reason: str, message: str) -> Finding:
    """Tell what works."""
    return Finding(check, Level.OK, about, str(reason), message)


def warning(check: Check, about: str, reason: str, message: str, next_step: str) -> Finding:
    """Tell what a person should know although nothing is broken by it, or what could not be checked."""
    return Finding(check, Level.WARNING, about, str(reason), message, next_step)


def problem(check: Check, about: str, reason: str, message: str, next_step: str) -> Finding:
    """Tell what does not work."""
    return Finding(check, Level.PROBLEM, about, str(reason), message, next_step)
