"""A Mistral with tools and pictures, served over HTTP: what it was made to say arrives as a client expects it."""

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from image.planning import planned_arguments
from image.scripted import GET, IMAGE_PIXELS, MAX_MODEL_LEN_TOKENS, PATCH_PIXELS, save_scripted
from image.serving import Serving, serve

TOOL_CALLS_ON = ("--enable-auto-tool-choice", "--tool-call-parser", "mistral")


@pytest.fixture(scope="module")
def chatting(caches: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """Return a server of the scripted model, planned by the operator, with vLLM's parser of Mistral's tool calls."""
    folder = save_scripted(tmp_path_factory.mktemp("models") / "scripted")
    arguments = [*planned_arguments(folder, max_model_len_tokens=MAX_MODEL_LEN_TOKENS), *TOOL_CALLS_ON]
    arguments += ["--served-model-name", "scripted"]
    with serve(arguments, log=tmp_path_factory.mktemp("chatting") / "log", caches=caches) as serving:
        serving.until_ready()
        yield serving


def chat(serving: Serving, content: Any, **more: Any) -> dict[str, Any]:
    """Send one message, and return the answer, which must be one."""
    messages = [{"role": "user", "content": content}]
    answer = serving.post(
        "/v1/chat/completions",
        {"model": "scripted", "messages": messages, "max_tokens": 32, "temperature": 0, **more},
    )
    assert answer.status_code == 200, answer.text
    answered: dict[str, Any] = answer.json()
    return answered


def picture(pixels: int) -> dict[str, Any]:
    """Return a square PNG as a client sends it."""
    file = io.BytesIO()
    Image.new("RGB", (pixels, pixels), "red").save(file, "PNG")
    return {
        "type": "image_url",
        "image_url": {"url": f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"},
    }


def test_without_tools(chatting: Serving) -> None:
    """The parser of tool calls is asked in every chat."""
    (choice,) = chat(chatting, "hi")["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("ok", "stop")


@pytest.mark.parametrize("tool_choice", ["auto", "required"])
def test_with_tools(chatting: Serving, tool_choice: str) -> None:
    """The model's call arrives as one, and not as text."""
    (choice,) = chat(chatting, "hi", tools=[GET], tool_choice=tool_choice)["choices"]
    (call,) = choice["message"]["tool_calls"]
    assert call["function"] == {"name": "get", "arguments": "{}"}
    assert choice["finish_reason"] == "tool_calls"


def test_a_picture(chatting: Serving) -> None:
    """It is read, and takes a token for each patch and one more for each row of patches."""
    rows = IMAGE_PIXELS // PATCH_PIXELS
    text = {"type": "text", "text": "hi"}
    without, with_picture = (
        chat(chatting, content)["usage"]["prompt_tokens"] for content in ([text], [text, picture(IMAGE_PIXELS)])
    )
    assert with_picture - without == rows * (rows + 1)
