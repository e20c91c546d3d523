"""Texts of the status that repeat somebody's words: made plain where they are made, whatever their source."""

from typing import Annotated

from pydantic import AfterValidator

from mistral_vllm.plain_text import encodable, plain_text, without_secrets

__all__ = ["Words", "encodable", "plain_text", "without_secrets"]

Words = Annotated[str, AfterValidator(plain_text)]
"""One line of visible characters without secrets."""
