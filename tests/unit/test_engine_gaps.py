"""What a file says and vLLM does not read."""

from typing import Any

import pytest

from mistral_operator.planning.engine_gaps import engine_gaps
from mistral_vllm.decoder import find_decoder

ROPE = {"rope_type": "yarn", "original_max_position_embeddings": 16384, "llama_4_scaling_beta": 0.1}


@pytest.mark.parametrize(
    ("config", "tokens", "told"),
    [
        pytest.param({"rope_parameters": ROPE}, 262144, True, id="Ministral-3 at full length"),
        pytest.param({"rope_parameters": ROPE}, 16384, False, id="never beyond the original length"),
        pytest.param({"rope_parameters": ROPE | {"llama_4_scaling_beta": 0.0}}, 262144, False, id="Devstral-2's zero"),
        pytest.param({"rope_parameters": ROPE, "llama_4_scaling": {"beta": 0.1}}, 262144, False, id="both words"),
        pytest.param({"rope_parameters": None}, 262144, False, id="no rope"),
        pytest.param({"rope_parameters": ROPE | {"llama_4_scaling_beta": "x"}}, 262144, False, id="no number"),
    ],
)
def test_query_scaling(config: dict[str, Any], tokens: int, told: bool) -> None:
    """A scaling that config.json asks for, and vLLM reads from params.json alone, is told where it would matter."""
    findings = engine_gaps(find_decoder({"model_type": "ministral3"} | config), tokens)
    assert [found.reason for found in findings] == (["QueryScalingUnread"] if told else [])
