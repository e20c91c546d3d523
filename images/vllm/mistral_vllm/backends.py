"""What one attention backend can do: the vocabulary, and the backends of every vLLM release this project knows.

Read in ``v1/attention/backends/*.py`` of the releases that :mod:`mistral_vllm.runtimes` lists: windows, compute
capabilities, head sizes, dtypes, block sizes.
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
    fp8_kv_floor: ComputeCapability = _ANY_GPU  # below it, a backend that reads fp8 KV does not start with it
    kernel_block_size: int = 16  # tokens; --block-size must be a multiple
    kernels: Mapping[Phase, frozenset[str]] | None = None  # names in the measured profiles
    speculative_decoding: bool = True
    batch_invariance: bool = True
    hnd_layout: bool = True  # reads a KV cache whose heads come before its tokens
    kv_connector: bool = True


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
    fp8_kv_floor=ComputeCapability(8, 9),  # Triton compiles fp8e4nv for no older GPU
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
CPU_BACKENDS = (_CPU_ATTN,)
CUDA_BACKENDS = (_FLASH_ATTN, _FLASHINFER, _TRITON_ATTN, _FLEX_ATTENTION)
_FLASHINFER_0_22 = _FLASHINFER._replace(min_compute_capability=ComputeCapability(7, 5))
_FLASHINFER_0_11 = _FLASHINFER_0_22._replace(head_sizes=HeadSizes(only=frozenset({64, 128, 256})))
CUDA_BACKENDS_0_22 = (_FLASH_ATTN, _FLASHINFER_0_22, _TRITON_ATTN, _FLEX_ATTENTION)
CUDA_BACKENDS_0_11 = (_FLASH_ATTN, _FLASHINFER_0_11, _TRITON_ATTN, _FLEX_ATTENTION)

# 0.11.2's own XFORMERS builds its decode mask over the whole context and passes no window
# (v1/attention/backends/xformers.py): relative error 0.70 to 0.91 once the context exceeds the window.
XFORMERS_0_11 = Backend(
    XFORMERS,
    XFORMERS,
    window_phases=frozenset({Phase.PREFILL}),
    head_sizes=HeadSizes(multiple_of=8, minimum=32, maximum=256),
)

# This project's backend: FlashAttention's KV cache layout, prefill by the faster kernel, decode by xFormers' split-K
# over the window's blocks. What it declines is what that kernel cannot do (triton_splitk.py of xFormers 0.0.35)
# or what inheriting from FlashAttention would wrongly claim.
XFORMERS_0_26 = Backend(
    XFORMERS,
    "CUSTOM",
    min_compute_capability=ComputeCapability(8, 0),
    # split-K has 256 and 512 as well, but FlashAttention, which prefills from the same cache, has no 512, and gets 256
    # with a window wrong in vLLM 0.26 (seen on an H100, FlashAttention 3: relative error 0.5 in a chunk of prefill)
    head_sizes=HeadSizes(only=frozenset({16, 32, 64, 128})),
    kernel_block_size=64,
    kernels={
        Phase.PREFILL: frozenset({"flash_attn"}),
        Phase.DECODE: frozenset({"flash_attn", "xformers_splitk_tuned"}),
    },
    speculative_decoding=False,
    batch_invariance=False,
    hnd_layout=False,
    kv_connector=False,
)


def people_name(engine_name: str) -> str:
    """Return our status's name of what vLLM 0.26 calls a backend: its free place CUSTOM is this project's XFORMERS."""
    return XFORMERS if engine_name == XFORMERS_0_26.engine_name else engine_name
