"""Containers that ended: by the kernel, by vLLM itself, or nobody knows."""

import re
from typing import Final

from mistral_operator.api.names import CONTAINER
from mistral_operator.api.pod_reasons import PodReason
from mistral_operator.status.diagnosis.containers import NEVER_RAN
from mistral_operator.status.diagnosis.engine import engine_failure
from mistral_operator.status.diagnosis.finding import Finding
from mistral_operator.status.diagnosis.pods import Container, words_of
from mistral_vllm.telling.root_cause import root_cause

_LOG: Final = re.compile(r"^Traceback |^\(\w{1,64} pid=|^(INFO|WARNING|ERROR) \d\d-\d\d ", re.MULTILINE)
_SEE_LOG: Final = "see `kubectl logs --previous{}`"


def crashed(container: Container, cause: str | None) -> Finding | None:
    """Return why a container ended.

    Parameters
    ----------
    cause
        What was found in its log, where that was read.
    """
    end = container.ended
    if not end:
        return None
    if end.get("reason") == "OOMKilled":
        return _out_of_memory(container)
    words = cause or _told(container)
    found = engine_failure(words) if _is_vllm(container) else None
    if found is not None:
        return found
    how = f"{container.title} ended with exit code {end.get('exitCode')}"
    told = words.removeprefix(how).lstrip("; ")
    step = _SEE_LOG.format("" if _is_vllm(container) else f" -c {container.name}")
    reason = PodReason.INIT_CONTAINER_FAILED if container.init else PodReason.CONTAINER_CRASHED
    return Finding(reason, f"{how}: {told}" if told else how, step)


def is_explained(container: Container) -> bool:
    """Tell whether a container that ended says why, or is none of vLLM's whose log could be understood."""
    end = container.ended
    if not end or not _is_vllm(container) or container.told_to_end:
        return True
    explained = end.get("reason") == "OOMKilled" or end.get("reason") in NEVER_RAN
    return explained or engine_failure(_told(container)) is not None


def _is_vllm(container: Container) -> bool:
    return container.name == CONTAINER and not container.init


def _told(container: Container) -> str:
    """Return the termination message: the root cause as our image wrote it, or found in the end of a log."""
    words = words_of(container.ended, "message")
    return root_cause(words, int(container.ended.get("exitCode") or 0)) if _LOG.search(words) else words


def _out_of_memory(container: Container) -> Finding:
    raise_it = "raise spec.resources.limits.memory"
    if not _is_vllm(container):
        raise_it = "raise its memory limit where it is injected"
    cause = f"{container.title} took more memory than its limit and was killed (OOMKilled)"
    return Finding(PodReason.OOM_KILLED, cause, raise_it)
