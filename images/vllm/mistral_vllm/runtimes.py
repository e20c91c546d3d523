"""What each vLLM release can do and how it is told: the catalogue.

Read in the sources of vLLM 0.11.2, 0.12.0, 0.13.0, … one release of every minor up to 0.32.0, and 0.33.0. A release
that is not here is *unknown*: it gets no attention flag, and the plan says so. Patch releases of one minor count as
one.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple

XFORMERS: Final = "XFORMERS"
FLASH_ATTN: Final = "FLASH_ATTN"
FLASHINFER: Final = "FLASHINFER"
TRITON_ATTN: Final = "TRITON_ATTN"
FLEX_ATTENTION: Final = "FLEX_ATTENTION"
CPU_ATTN: Final = "CPU_ATTN"
AUTO: Final = "Auto"  # the engine's own choice: it is told nothing

BACKEND_NAMES: Final = (XFORMERS, FLASH_ATTN, FLASHINFER, TRITON_ATTN, FLEX_ATTENTION, CPU_ATTN)


class ComputeCapability(NamedTuple):
    """CUDA compute capability; compares as a pair of integers, so 10.0 is above 9.0."""

    major: int
    minor: int

    @classmethod
    def parse(cls, text: str) -> "ComputeCapability":
        """Parse ``"9.0"``.

        Raises
        ------
        ValueError
            For anything but two small decimal numbers with a dot between them.
        """
        match = re.fullmatch(r"([0-9]{1,2})\.([0-9])", text.strip())
        if match is None:
            raise ValueError(f"compute capability {text!r} is not of the form MAJOR.MINOR, such as 9.0")
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


class Platform(StrEnum):
    """Where a runtime's kernels run."""

    CUDA = "cuda"
    CPU = "cpu"


class Phase(StrEnum):
    """The two kinds of work of a decoder: many query tokens at once, or one per sequence."""

    PREFILL = "prefill"
    DECODE = "decode"


class Selector(StrEnum):
    """How a release is told which backend to use."""

    ENV = "env"  # VLLM_ATTENTION_BACKEND, one for the process
    FLAG = "flag"  # --attention-backend, one for the process
    FLAG_PER_KIND = "flag-per-kind"  # and --attention-config {"backend_per_kind": …}
    NONE = "none"  # the platform has one backend and ignores what it is told


BOTH_PHASES: Final = frozenset(Phase)
_HALF: Final = frozenset({"float16", "bfloat16"})
_ANY_DTYPE: Final = frozenset({"float16", "bfloat16", "float32"})
_UNQUANTISED_KV: Final = frozenset({"auto", "float16", "bfloat16"})


class HeadSizes(NamedTuple):
    """The head sizes a backend takes: a set, or a range of multiples (inclusive, in elements)."""

    only: frozenset[int] = frozenset()
    minimum: int = 1
    maximum: int | None = None
    multiple_of: int = 1

    def accept(self, head_size: int) -> bool:
        """Whether a head size is one of them."""
        if self.only:
            return head_size in self.only
        return (
            head_size >= self.minimum
            and head_size % self.multiple_of == 0
            and (self.maximum is None or head_size <= self.maximum)
        )

    def __str__(self) -> str:
        if self.only:
            return ", ".join(map(str, sorted(self.only)))
        upper = "" if self.maximum is None else f" up to {self.maximum}"
        unit = f"multiples of {self.multiple_of}" if self.multiple_of > 1 else f"{self.minimum} or more"
        return unit + upper


_ANY_HEAD_SIZE: Final = HeadSizes()
_ANY_GPU: Final = ComputeCapability(0, 0)


class Backend(NamedTuple):
    """What one attention backend of one release can do."""

    name: str  # people's name, as in our status
    engine_name: str  # what this release is told
    platform: Platform = Platform.CUDA
    window_phases: frozenset[Phase] = BOTH_PHASES  # where a sliding window is honoured
    min_compute_capability: ComputeCapability = _ANY_GPU
    max_compute_capability: ComputeCapability | None = None
    head_sizes: HeadSizes = _ANY_HEAD_SIZE
    dtypes: frozenset[str] = _HALF
    kv_cache_dtypes: frozenset[str] | None = _UNQUANTISED_KV  # None: any this release knows
    fp8_kv_compute_capability: int | None = None  # the one major version on which fp8 KV works all the same
    kernel_block_size: int = 16  # tokens; --block-size must be a multiple
    kernels: Mapping[Phase, frozenset[str]] | None = None  # names in the measured profiles
    speculative_decoding: bool = True
    batch_invariance: bool = True
    hnd_layout: bool = True  # reads a KV cache whose heads come before its tokens
    kv_connector: bool = True


class Release(NamedTuple):
    """How one range of vLLM minor releases reads configs and is told its attention backend."""

    first_minor: int
    last_minor: int
    selector: Selector
    backends: tuple[Backend, ...]  # dense CUDA decoders, in the engine's own order of preference
    strict_config: bool  # transformers 5: config.json values of a wrong type are refused
    prefers_params_json: bool  # --config-format auto: params.json beside consolidated*.safetensors wins
    remaps_params_window: bool  # checks the window of params.json; before, lists are converted unchecked
    params_fall_back_to_config_json: bool
    all_full_layers_slide: bool  # a window applies to every layer although all layer_types say full_attention
    zero_window_is_none: bool
    explicit_hf_formats: bool  # --load-format hf and --tokenizer-mode hf exist
    min_compute_capability: ComputeCapability


class RuntimeName(StrEnum):
    """The images this operator knows by what they contain, never by their tags."""

    MISTRAL_VLLM = "mistral-vllm"  # this project's: stock vLLM with the XFORMERS backend
    VLLM = "vllm"
    VLLM_CPU = "vllm-cpu"


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


_FLASH_ATTN = Backend(
    FLASH_ATTN,
    FLASH_ATTN,
    min_compute_capability=ComputeCapability(8, 0),
    head_sizes=HeadSizes(multiple_of=8, minimum=8, maximum=256),  # 512 needs FlashAttention 4, which no profile has
    fp8_kv_compute_capability=9,
    kernels={Phase.PREFILL: frozenset({"flash_attn"}), Phase.DECODE: frozenset({"flash_attn"})},
)
_FLASHINFER = Backend(
    FLASHINFER,
    FLASHINFER,
    # 0.24 raised its floor from 7.5: broken on Turing (flashinfer issue 3620)
    min_compute_capability=ComputeCapability(8, 0),
    max_compute_capability=ComputeCapability(12, 1),
    head_sizes=HeadSizes(only=frozenset({64, 128, 256, 512})),
    kv_cache_dtypes=None,
    kernels={Phase.PREFILL: frozenset({"flashinfer"}), Phase.DECODE: frozenset({"flashinfer"})},
)
_TRITON_ATTN = Backend(
    TRITON_ATTN,
    TRITON_ATTN,
    head_sizes=HeadSizes(minimum=32),
    dtypes=_ANY_DTYPE,
    kv_cache_dtypes=None,
    kernels={Phase.PREFILL: frozenset({"triton_attn"}), Phase.DECODE: frozenset({"triton_attn"})},
)
_FLEX_ATTENTION = Backend(
    FLEX_ATTENTION,
    FLEX_ATTENTION,
    dtypes=_ANY_DTYPE,
    kernels={Phase.PREFILL: frozenset({"flex_attention"}), Phase.DECODE: frozenset({"flex_attention"})},
)
_CPU_ATTN = Backend(
    CPU_ATTN,
    CPU_ATTN,
    platform=Platform.CPU,
    head_sizes=HeadSizes(only=frozenset({32, 64, 80, 96, 112, 128, 160, 192, 224, 256, 512})),
    dtypes=_ANY_DTYPE,
    kv_cache_dtypes=None,
)
_CUDA_BACKENDS = (_FLASH_ATTN, _FLASHINFER, _TRITON_ATTN, _FLEX_ATTENTION)
_FLASHINFER_0_22 = _FLASHINFER._replace(min_compute_capability=ComputeCapability(7, 5))
_FLASHINFER_0_11 = _FLASHINFER_0_22._replace(head_sizes=HeadSizes(only=frozenset({64, 128, 256})))
_CUDA_BACKENDS_0_22 = (_FLASH_ATTN, _FLASHINFER_0_22, _TRITON_ATTN, _FLEX_ATTENTION)
_CUDA_BACKENDS_0_11 = (_FLASH_ATTN, _FLASHINFER_0_11, _TRITON_ATTN, _FLEX_ATTENTION)

# 0.11.2's own XFORMERS builds its decode mask over the whole context and passes no window
# (v1/attention/backends/xformers.py): relative error 0.70 to 0.91 once the context exceeds the window.
_XFORMERS_0_11 = Backend(
    XFORMERS,
    XFORMERS,
    window_phases=frozenset({Phase.PREFILL}),
    head_sizes=HeadSizes(multiple_of=8, minimum=32, maximum=256),
)

# This project's backend: FlashAttention's KV cache layout, prefill by the faster kernel, decode by xFormers' split-K
# over the window's blocks. What it declines is what that kernel cannot do (triton_splitk.py of xFormers 0.0.35)
# or what inheriting from FlashAttention would wrongly claim.
_XFORMERS = Backend(
    XFORMERS,
    "CUSTOM",
    min_compute_capability=ComputeCapability(8, 0),
    # split-K has 512 as well, but FlashAttention, which prefills from the same cache, does not
    head_sizes=HeadSizes(only=frozenset({16, 32, 64, 128, 256})),
    kernel_block_size=64,
    kernels={
        Phase.PREFILL: frozenset({"flash_attn", "xformers_fa2"}),
        Phase.DECODE: frozenset({"flash_attn", "xformers_splitk_tuned"}),
    },
    speculative_decoding=False,
    batch_invariance=False,
    hnd_layout=False,
    kv_connector=False,
)

_VOLTA = ComputeCapability(7, 0)
_TURING = ComputeCapability(7, 5)  # torch 2.11 for CUDA 13 has no Volta

_R0_11 = Release(
    first_minor=11,
    last_minor=11,
    selector=Selector.ENV,
    backends=(*_CUDA_BACKENDS_0_11, _XFORMERS_0_11),
    strict_config=False,
    prefers_params_json=False,
    remaps_params_window=False,
    params_fall_back_to_config_json=False,
    all_full_layers_slide=True,
    zero_window_is_none=False,
    explicit_hf_formats=False,
    min_compute_capability=_VOLTA,
)
_R0_12 = _R0_11._replace(
    first_minor=12,
    last_minor=12,
    backends=_CUDA_BACKENDS_0_11,
    params_fall_back_to_config_json=True,
    explicit_hf_formats=True,
)
_R0_13 = _R0_12._replace(first_minor=13, last_minor=15, selector=Selector.FLAG)
_R0_16 = _R0_13._replace(first_minor=16, last_minor=17, remaps_params_window=True)
_R0_18 = _R0_16._replace(first_minor=18, last_minor=18, prefers_params_json=True)
_R0_19 = _R0_18._replace(first_minor=19, last_minor=19, zero_window_is_none=True)
# 0.20 to 0.23 accept transformers 4 and 5; an image built today gets 5
_R0_20 = _R0_19._replace(first_minor=20, last_minor=21, strict_config=True)
_R0_22 = _R0_20._replace(first_minor=22, last_minor=23, backends=_CUDA_BACKENDS_0_22)
_R0_24 = _R0_22._replace(first_minor=24, last_minor=25, backends=_CUDA_BACKENDS)
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
        return Runtime(runtime_name, version, Platform.CPU, release, (_CPU_ATTN,) if release else ())
    if runtime_name is RuntimeName.VLLM:
        return Runtime(runtime_name, version, Platform.CUDA, release, release.backends if release else ())
    if release is None or version != DEFAULT_VERSION:
        raise UnknownRuntime(
            f"runtime mistral-vllm {version} does not exist: its XFORMERS backend is written for and tested on vLLM "
            f"{DEFAULT_VERSION} alone; use --vllm {DEFAULT_VERSION}, or --runtime vllm for stock vLLM {version}"
        )
    return Runtime(runtime_name, version, Platform.CUDA, release, (_XFORMERS, *release.backends))
