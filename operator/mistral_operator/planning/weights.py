"""How large a model's weights are: as stored, else counted from its config and said to be so."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mistral_operator.planning.facts import ModelFacts, WeightFormat
from mistral_operator.planning.geometry import Geometry
from mistral_operator.planning.parameters import count_parameters
from mistral_operator.planning.precision import Precision
from mistral_vllm.decoder import Decoder


@dataclass(frozen=True, slots=True)
class WeightsSize:
    """The whole model's weights. None is unknown."""

    parameters: int | None
    size_bytes: int | None
    assumptions: tuple[str, ...] = ()


def size_weights(
    facts: ModelFacts,
    load_format: WeightFormat,
    geometry: Geometry,
    decoder: Decoder,
    config: Mapping[str, Any],
    precision: Precision,
) -> WeightsSize:
    """Size the weights of one format.

    Stored elements count as parameters only without quantisation: packed formats hold several in one.
    """
    counted = count_parameters(geometry, decoder, config)
    weights = facts.weights_in(load_format)
    if weights is not None:
        stored = weights.parameters if precision.quantization is None else None
        return WeightsSize(stored or counted, weights.size_bytes)
    size_bytes = None if counted is None else _counted_bytes(counted, geometry, precision)
    if counted is None or size_bytes is None:
        unknown = "their size cannot be told from its config, so memory is not planned"
        return WeightsSize(counted, None, (f"weights: the model holds none, and {unknown}",))
    told = f"{counted:,} parameters in {precision.quantization or precision.dtype}, counted from its config"
    return WeightsSize(counted, size_bytes, (f"weights: the model holds none; {told}",))


def _counted_bytes(parameters: int, geometry: Geometry, precision: Precision) -> int | None:
    """Return what that many parameters take: fp8 stores all but embeddings and head in one byte."""
    if precision.quantization is None:
        return parameters * precision.dtype_bytes
    if precision.quantization in ("fp8", "fp8_e4m3"):
        return parameters + 2 * geometry.vocab_size * geometry.hidden_size * (precision.dtype_bytes - 1)
    return None
