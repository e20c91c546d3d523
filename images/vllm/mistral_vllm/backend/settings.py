"""The one setting of the backend: ``MISTRAL_VLLM_DECODE``."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from mistral_vllm.backend.dispatch import Choice, LaunchParameters

VARIABLE: Final = "MISTRAL_VLLM_DECODE"


class Mode(StrEnum):
    """Where the table of decode kernels comes from."""

    AUTO = "auto"  # shipped for this GPU and shape, or cached, or measured at start-up
    RULE = "rule"  # by a rule of thumb, without measuring
    PINNED = "pinned"  # one kernel for every batch


class SettingError(ValueError):
    """The variable's value means nothing."""


@dataclass(frozen=True, slots=True)
class DecodeSetting:
    """What the user wants."""

    mode: Mode
    pinned: Choice | None = None


def read_setting(environment: Mapping[str, str] = os.environ) -> DecodeSetting:
    """Read ``MISTRAL_VLLM_DECODE``: ``auto``, ``rule``, ``flash_attn``, or ``SPLIT_K,WARPS,STAGES``.

    Raises
    ------
    SettingError
        For any other value.
    """
    value = environment.get(VARIABLE, "").strip().lower() or Mode.AUTO
    if value in (Mode.AUTO, Mode.RULE):
        return DecodeSetting(Mode(value))
    if value == "flash_attn":
        return DecodeSetting(Mode.PINNED, Choice(None))
    if re.fullmatch(r"[0-9]{1,3},[0-9]{1,2},[0-9]", value):
        split_k, warps, stages = map(int, value.split(","))
        if split_k >= 1 and warps in (1, 2, 4, 8, 16) and stages >= 1:
            return DecodeSetting(Mode.PINNED, Choice(LaunchParameters(split_k, warps, stages)))
    raise SettingError(
        f"{VARIABLE}={value!r} is none of auto, rule, flash_attn, or SPLIT_K,WARPS,STAGES such as 8,4,2 "
        "(warps a power of two up to 16)"
    )
