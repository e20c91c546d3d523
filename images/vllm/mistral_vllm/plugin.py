"""The plugin's entry points: vLLM calls :func:`register` in every one of its processes, before it reads a model.

Imports the standard library alone until it is called, because vLLM only logs a plugin that fails to load, and serves
without it. What is called may fail: that ends the process. Nothing here touches CUDA, and calling it again changes
nothing.

What it may meet, and what happens unless ``MISTRAL_VLLM_REQUIRED=1`` forbids it:

=================================  ==================================================================================
another vLLM release               nothing is installed: vLLM serves on its own backends
no xFormers, or without its CUDA   no XFORMERS: vLLM takes FlashAttention, which honours the window; ``CUSTOM`` asked
library                            for by name ends in vLLM's own error, after this module's warning
no CUDA GPU                        the same; on vLLM for the CPU that is no failure, since CPU_ATTN is all it has
=================================  ==================================================================================
"""

import logging
import os
from collections.abc import Mapping
from typing import Final

from mistral_vllm.backends import XFORMERS
from mistral_vllm.runtimes import DEFAULT_VERSION

BACKEND_CLASS: Final = "mistral_vllm.backend.attention.XFormersBackend"
REQUIRED_VARIABLE: Final = "MISTRAL_VLLM_REQUIRED"
_LEFT_OUT: Final = "--attention-backend CUSTOM must be left out"  # vLLM's own error would not say why
_LOGGER: Final = logging.getLogger(f"vllm.{__name__}")  # below vLLM's own logger, or a pod would not show it


class PluginError(RuntimeError):
    """The plugin is required and cannot do its work; the message is one sentence with cause and next step."""


def register() -> None:
    """Install the integration, the backend and what tells of them; the entry point of ``vllm.general_plugins``.

    Raises
    ------
    PluginError
        When something is missing and ``MISTRAL_VLLM_REQUIRED=1``.
    """
    from vllm.version import __version__ as found  # noqa: PLC0415

    problem = wrong_release(found)
    if problem is not None:
        give_up(problem, os.environ)
        return

    from mistral_vllm.integration.install import install  # noqa: PLC0415 - written for the tested release alone
    from mistral_vllm.telling import worker  # noqa: PLC0415

    install()
    worker.install()
    problem = _register_backend()
    if problem is not None:
        give_up(problem, os.environ)


def wrong_release(found: str) -> str | None:
    """Say what is wrong with a vLLM version, or return None; builds (``0.26.0+cu130``) count as their release."""
    if found.partition("+")[0] == DEFAULT_VERSION:
        return None
    return (
        f"vLLM {found} is installed and vLLM {DEFAULT_VERSION} is the one release tested: install that, or take "
        "mistral_vllm out of VLLM_PLUGINS; vLLM serves without the plugin, on its own attention backends"
    )


def give_up(problem: str, environment: Mapping[str, str]) -> None:
    """Warn of a problem, or refuse to go on where the plugin is required.

    Raises
    ------
    PluginError
        Where it is required.
    """
    if environment.get(REQUIRED_VARIABLE) == "1":
        raise PluginError(f"mistral_vllm cannot do its work, and {REQUIRED_VARIABLE}=1 forbids its fallback: {problem}")
    _LOGGER.warning("mistral_vllm: %s", problem)


def _register_backend() -> str | None:
    """Give vLLM the backend's name, not its class, which needs CUDA to be imported; return what stands in the way."""
    from vllm.platforms import current_platform  # noqa: PLC0415
    from vllm.v1.attention.backends.registry import AttentionBackendEnum, register_backend  # noqa: PLC0415

    from mistral_vllm.backend.availability import xformers_availability  # noqa: PLC0415

    if current_platform.is_cpu():
        return None
    if not current_platform.is_cuda():
        return (
            f"vLLM found no CUDA GPU, which {XFORMERS} needs: give the pod a GPU and its driver, or use vLLM for the "
            f"CPU; until then {_LEFT_OUT}"
        )
    availability = xformers_availability()
    if not availability.ok:
        return f"{availability.reason}, and {_LEFT_OUT}"
    register_backend(AttentionBackendEnum.CUSTOM, BACKEND_CLASS)
    return None
