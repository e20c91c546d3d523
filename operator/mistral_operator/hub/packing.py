"""Facts as bytes: what is kept of each model, in memory and on disk, takes what it is long and no more.

As objects the same values take up to forty times that.
"""

import json
from dataclasses import asdict
from typing import Final

from mistral_operator.planning.facts import ModelFacts, WeightFormat, Weights

_FORMAT_VERSION: Final = 3  # raised with every change of what is packed: older bytes are then none


def pack(facts: ModelFacts) -> bytes:
    """Return everything but under which names and at which commit it was read."""
    content = {
        "format_version": _FORMAT_VERSION,
        "config": facts.config,
        "params": facts.params,
        "weights": [asdict(weights) for weights in facts.weights],
        "tokenizer_files": sorted(facts.tokenizer_files),
        "quantization": facts.quantization,
        "other_weights": sorted(facts.other_weights),
    }
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def unpack(content: bytes, *, model: str, revision: str, commit: str | None) -> ModelFacts:
    """Return the facts again.

    Raises
    ------
    ValueError, LookupError, TypeError, RecursionError
        When these are no bytes of :func:`pack`, or those of another release.
    """
    stored = json.loads(content.decode("utf-8"))
    if stored["format_version"] != _FORMAT_VERSION:
        raise ValueError("packed by another release")
    return ModelFacts(
        id=model,
        revision=revision,
        commit=commit,
        config=stored["config"],
        params=stored["params"],
        weights=tuple(
            Weights(
                WeightFormat(weights["format"]),
                weights["size_bytes"],
                tuple(weights["files"]),
                weights["parameters"],
                weights["dtypes"],
            )
            for weights in stored["weights"]
        ),
        tokenizer_files=frozenset(stored["tokenizer_files"]),
        quantization=stored["quantization"],
        other_weights=frozenset(stored["other_weights"]),
    )
