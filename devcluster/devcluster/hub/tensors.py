"""Tensors, and how a checkpoint stores parameters as tensors: in which dtype, with which scales."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

ITEM_BYTES: Mapping[str, int] = {"F32": 4, "BF16": 2, "F16": 2, "F8_E4M3": 1}
"""Bytes per element of the safetensors dtypes that these checkpoints use."""

_DTYPES: Mapping[str, str] = {"bfloat16": "BF16", "float16": "F16", "float32": "F32"}


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor of a checkpoint.

    Parameters
    ----------
    name
        Key in the safetensors header.
    dtype
        Safetensors dtype, a key of `ITEM_BYTES`.
    shape
        Number of elements per axis; linear layers are (outputs, inputs), scalars are ().
    """

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Length in bytes."""
        return math.prod(self.shape) * ITEM_BYTES[self.dtype]


@dataclass(frozen=True)
class Storage:
    """How a checkpoint stores its parameters.

    Parameters
    ----------
    dtype
        Safetensors dtype of everything that is not quantised.
    scales
        Suffixes of the per-tensor scales that accompany a quantised linear layer; empty when nothing is
        quantised.
    skipped
        Parts of the names of linear layers that stay in `dtype` all the same.
    """

    dtype: str
    scales: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Read ``torch_dtype`` or ``dtype``, and ``quantization_config``, of a config.json.

        Raises
        ------
        ValueError
            For a dtype or a quantisation other than per-tensor fp8.
        """
        dtype = _dtype(config.get("torch_dtype") or config.get("dtype") or "bfloat16")
        quantization = config.get("quantization_config")
        if quantization is None:
            return cls(dtype)
        if quantization.get("quant_method") != "fp8" or quantization.get("weight_block_size") is not None:
            raise ValueError(f"only per-tensor fp8 weights can be laid out, not {quantization}")
        static = quantization.get("activation_scheme") == "static"
        return cls(
            dtype,
            ("weight_scale_inv", "activation_scale") if static else ("weight_scale_inv",),
            tuple(module.removeprefix("model.") for module in quantization.get("modules_to_not_convert") or ()),
        )

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Self:
        """Read ``quantization`` of a params.json, whose checkpoints are otherwise bfloat16.

        Raises
        ------
        ValueError
            For a quantisation other than per-tensor fp8.
        """
        quantization = params.get("quantization")
        if quantization is None:
            return cls("BF16")
        if quantization.get("qformat_weight") != "fp8_e4m3":
            raise ValueError(f"only per-tensor fp8 weights can be laid out, not {quantization}")
        static = quantization.get("qscheme_act") == "TENSOR"
        scales = ("qscale_weight", "qscale_act") if static else ("qscale_weight",)
        return cls("BF16", scales, ("vision_encoder", "vision_language_adapter", "patch_merger"))

    def plain(self, name: str, *shape: int) -> Tensor:
        """Return the weight of an embedding, norm, convolution or head, which is never quantised."""
        return Tensor(f"{name}.weight", self.dtype, shape)

    def linear(self, name: str, outputs: int, inputs: int) -> Iterator[Tensor]:
        """Yield the weight of a linear layer, followed by its scales if it is quantised.

        The scales are scalars of the unquantised dtype, as transformers' converter of Ministral-3 keeps them.
        """
        quantised = bool(self.scales) and not any(module in name for module in self.skipped)
        yield Tensor(f"{name}.weight", "F8_E4M3" if quantised else self.dtype, (outputs, inputs))
        if quantised:
            for scale in self.scales:
                yield Tensor(f"{name}.{scale}", self.dtype, ())


def _dtype(name: str) -> str:
    if name not in _DTYPES:
        raise ValueError(f"dtype {name!r} cannot be laid out: use one of {', '.join(_DTYPES)}")
    return _DTYPES[name]
