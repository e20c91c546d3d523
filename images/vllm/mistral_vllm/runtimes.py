"""What each vLLM release can do and how it is told: the catalogue.

Read in the sources of vLLM 0.11.2, 0.12.0, 0.13.0, … one release of every minor up to 0.32.0, and 0.33.0. A release
that is not here is *unknown*: it gets no attention flag, and the plan says so. Patch releases of one minor count as
one.
"""

import re
from enum import StrEnum
from typing import Final, NamedTuple

from mistral_vllm.backends import (
    CPU_BACKENDS,
    CUDA_BACKENDS,
    CUDA_BACKENDS_0_11,
    CUDA_BACKENDS_0_22,
    XFORMERS_0_11,
    XFORMERS_0_26,
    Backend,
    ComputeCapability,
    Platform,
)


class Selector(StrEnum):
    """How a release is told which backend to use."""

    ENV = "env"  # VLLM_ATTENTION_BACKEND, one for the process
    FLAG = "flag"  # --attention-backend, one for the process
    FLAG_PER_KIND = "flag-per-kind"  # and --attention-config {"backend_per_kind": …}
    NONE = "none"  # the platform has one backend and ignores what it is told


class Release(NamedTuple):
    """How one range of vLLM minor releases reads configs and is told its attention backend."""

    first_minor: int
    last_minor: int
    selector: Selector
    backends: tuple[Backend, ...]  # dense CUDA decoders, in the engine's own order of preference
    strict_config: bool  # transformers 5: config.json values of a wrong type are refused
    remaps_params_window: bool  # checks the window of params.json; before, lists are converted unchecked
    params_fall_back_to_config_json: bool
    all_full_layers_slide: bool  # a window applies to every layer although all layer_types say full_attention
    zero_window_is_none: bool
    explicit_hf_formats: bool  # --load-format hf and --tokenizer-mode hf exist
    min_compute_capability: ComputeCapability
    shutdown_timeout: bool  # --shutdown-timeout exists; without it SIGTERM aborts the requests that run


class RuntimeName(StrEnum):
    """The images this operator knows by what they contain, never by their tags."""

    MISTRAL_VLLM = "mistral-vllm"  # this project's: stock vLLM with the XFORMERS backend
    VLLM = "vllm"
    VLLM_CPU = "vllm-cpu"  # with this project's plugin, or stock: both are run in the same way

    @property
    def platform(self) -> Platform:
        """What the image computes on."""
        return Platform.CPU if self is RuntimeName.VLLM_CPU else Platform.CUDA

    @property
    def writes_termination_log(self) -> bool:
        """Whether the image's own entry point writes down why vLLM ended: vLLM's last lines never say it."""
        return self is RuntimeName.MISTRAL_VLLM

    @property
    def tells_attention(self) -> bool:
        """Whether it is worth asking ``GET /v1/attention`` what its workers run: one without the plugin answers 404."""
        return self is not RuntimeName.VLLM

    @property
    def program(self) -> str:
        """What is run in vLLM's place, with vLLM's arguments."""
        return "mistral-vllm" if self.writes_termination_log else "vllm"


class Runtime(NamedTuple):
    """One image's engine: a runtime name and a vLLM version."""

    name: RuntimeName
    version: str
    platform: Platform
    release: Release | None  # None: not in the catalogue
    backends: tuple[Backend, ...]  # in the engine's own order of preference; XFORMERS, where it is installed, first

    @property
    def known(self) -> bool:
        """Whether the catalogue says how this release behaves."""
        return self.release is not None

    @property
    def selector(self) -> Selector:
        """How this runtime is told its backend; NONE where it cannot be told or is not known."""
        if self.release is None or self.platform is Platform.CPU:
            return Selector.NONE
        return self.release.selector

    def backend(self, name: str) -> Backend | None:
        """Return the backend of that (people's) name, if this runtime has it."""
        return next((backend for backend in self.backends if backend.name == name), None)

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


class UnknownRuntime(ValueError):
    """A runtime name or version that means nothing, or a pair that was never built."""


_VOLTA = ComputeCapability(7, 0)
_TURING = ComputeCapability(7, 5)  # torch 2.11 for CUDA 13 has no Volta

_R0_11 = Release(
    first_minor=11,
    last_minor=11,
    selector=Selector.ENV,
    backends=(*CUDA_BACKENDS_0_11, XFORMERS_0_11),
    strict_config=False,
    remaps_params_window=False,
    params_fall_back_to_config_json=False,
    all_full_layers_slide=True,
    zero_window_is_none=False,
    explicit_hf_formats=False,
    min_compute_capability=_VOLTA,
    shutdown_timeout=False,
)
_R0_12 = _R0_11._replace(
    first_minor=12,
    last_minor=12,
    backends=CUDA_BACKENDS_0_11,
    params_fall_back_to_config_json=True,
    explicit_hf_formats=True,
)
_R0_13 = _R0_12._replace(first_minor=13, last_minor=15, selector=Selector.FLAG)
_R0_16 = _R0_13._replace(first_minor=16, last_minor=17, remaps_params_window=True)
_R0_18 = _R0_16._replace(first_minor=18, last_minor=18, shutdown_timeout=True)
_R0_19 = _R0_18._replace(first_minor=19, last_minor=19, zero_window_is_none=True)
# 0.20 to 0.23 accept transformers 4 and 5; an image built today gets 5
_R0_20 = _R0_19._replace(first_minor=20, last_minor=21, strict_config=True)
_R0_22 = _R0_20._replace(first_minor=22, last_minor=23, backends=CUDA_BACKENDS_0_22)
_R0_24 = _R0_22._replace(first_minor=24, last_minor=25, backends=CUDA_BACKENDS)
_R0_26 = _R0_24._replace(first_minor=26, last_minor=26, selector=Selector.FLAG_PER_KIND, min_compute_capability=_TURING)
_R0_27 = _R0_26._replace(first_minor=27, last_minor=33, all_full_layers_slide=False)

RELEASES: Final = (_R0_11, _R0_12, _R0_13, _R0_16, _R0_18, _R0_19, _R0_20, _R0_22, _R0_24, _R0_26, _R0_27)
DEFAULT_VERSION: Final = "0.26.0"  # the one release the XFORMERS backend is written for and tested on


def find_release(version: str) -> Release | None:
    """Return how that vLLM version behaves, or None where no one has read it.

    Raises
    ------
    UnknownRuntime
        When the text is no version at all.
    """
    match = re.fullmatch(r"v?([0-9]{1,9})\.([0-9]{1,9})(?:(?:\.|rc|\+)[0-9A-Za-z.+]*)?", version.strip())
    if match is None:
        raise UnknownRuntime(f"vLLM version {version!r} is not of the form 0.26.0")
    major, minor = int(match[1]), int(match[2])
    if major != 0:
        return None
    return next((release for release in RELEASES if release.first_minor <= minor <= release.last_minor), None)


def get_runtime(name: str = RuntimeName.MISTRAL_VLLM, version: str = DEFAULT_VERSION) -> Runtime:
    """Return one image's engine.

    Raises
    ------
    UnknownRuntime
        When the name is none of ours, the version is no version, or ``mistral-vllm`` was never built on it.
    """
    try:
        runtime_name = RuntimeName(name)
    except ValueError:
        raise UnknownRuntime(f"runtime {name!r} is none of {', '.join(RuntimeName)}") from None
    release = find_release(version)
    version = version.strip().removeprefix("v")
    if runtime_name is RuntimeName.VLLM_CPU:
        return Runtime(runtime_name, version, Platform.CPU, release, CPU_BACKENDS if release else ())
    if runtime_name is RuntimeName.VLLM:
        return Runtime(runtime_name, version, Platform.CUDA, release, release.backends if release else ())
    if release is None or version != DEFAULT_VERSION:
        raise UnknownRuntime(
            f"runtime mistral-vllm {version} does not exist: its XFORMERS backend is written for and tested on vLLM "
            f"{DEFAULT_VERSION} alone; use --vllm {DEFAULT_VERSION}, or --runtime vllm for stock vLLM {version}"
        )
    return Runtime(runtime_name, version, Platform.CUDA, release, (XFORMERS_0_26, *release.backends))
