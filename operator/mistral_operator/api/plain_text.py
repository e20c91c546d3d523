"""Texts of the status that repeat somebody's words: whatever they are, a status can hold them.

What is made of them for people is :mod:`mistral_operator.status.plain`'s: plain, in one place, whoever said it.
"""

from typing import Annotated, Any

from pydantic import BeforeValidator

from mistral_vllm.plain_text import encodable, plain_text, without_secrets

__all__ = ["Words", "encodable", "plain_text", "without_secrets"]


def _held(words: Any) -> Any:
    return encodable(words) if isinstance(words, str) else words


Words = Annotated[str, BeforeValidator(_held)]
"""A text of somebody else: pydantic refuses surrogates that stand alone, so they are U+FFFD."""
