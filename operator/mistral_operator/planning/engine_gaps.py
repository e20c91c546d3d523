"""What a model's file says and no vLLM release reads: not to be planned around, but to be told."""

from collections.abc import Mapping

from mistral_operator.planning.problems import PlanFinding
from mistral_vllm.decoder import ConfigFormat, Decoder
from mistral_vllm.reasons import Finding


def engine_gaps(decoder: Decoder, max_model_len_tokens: int) -> tuple[Finding, ...]:
    """Return a finding for each word of the config that vLLM leaves unread and that changes answers."""
    return _query_scaling(decoder, max_model_len_tokens)


def _query_scaling(decoder: Decoder, max_model_len_tokens: int) -> tuple[Finding, ...]:
    """Tell where Ministral-3's query scaling is lost.

    vLLM takes it from a top-level ``llama_4_scaling`` (models/mistral.py), which params.json has; config.json has
    ``rope_parameters.llama_4_scaling_beta`` instead, and no scaling is applied beyond the original length.
    """
    rope = decoder.get("rope_parameters")
    if decoder.config_format is not ConfigFormat.HF or not isinstance(rope, Mapping):
        return ()
    beta, original = rope.get("llama_4_scaling_beta"), rope.get("original_max_position_embeddings")
    if not isinstance(beta, int | float) or not beta or not isinstance(original, int):
        return ()
    if decoder.get("llama_4_scaling") or max_model_len_tokens <= original:
        return ()
    where = decoder.where("rope_parameters")
    return (
        Finding(
            PlanFinding.QUERY_SCALING_UNREAD,
            f"{where}.llama_4_scaling_beta is {beta}, which vLLM reads from params.json alone: beyond {original} "
            "tokens its attention differs from the model's own",
        ),
    )
