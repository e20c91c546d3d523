"""vLLM's parser of Mistral's tool calls with every version of tekken that mistral-common reads.

With the parser on, vLLM has mistral-common write a grammar for every chat, also for one without tools.
"""

from pathlib import Path
from typing import Any

import pytest
from mistral_common.tokens.tokenizers.base import TokenizerVersion
from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
from vllm.tokenizers.mistral import MistralTokenizer
from vllm.tool_parsers.mistral_tool_parser import MistralToolParser

from image.scripted import GET, save_tekken

NAMED = {"type": "function", "function": {"name": GET["function"]["name"]}}
WITH_GRAMMAR = TokenizerVersion.v11


@pytest.mark.parametrize("version", [version for version in TokenizerVersion if version >= TokenizerVersion.v3])
@pytest.mark.parametrize(
    "asked",
    [{}, *({"tools": [GET], "tool_choice": choice} for choice in ("auto", "required", "none", NAMED))],
    ids=["no tools", "auto", "required", "none", "named"],
)
def test_a_chat(version: TokenizerVersion, asked: dict[str, Any], tmp_path: Path) -> None:
    """A grammar comes out where the version has one, and no chat is refused."""
    save_tekken(tmp_path, version.value)
    request = ChatCompletionRequest(model="any", messages=[{"role": "user", "content": "hi"}], **asked)
    parser = MistralToolParser(MistralTokenizer.from_pretrained(tmp_path), request.tools)
    outputs = parser.adjust_request(request).structured_outputs
    assert bool(outputs and outputs.grammar) == (version >= WITH_GRAMMAR)
