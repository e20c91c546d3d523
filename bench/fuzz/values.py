"""Values that break programs: characters, numbers and shapes that a hostile or careless sender may choose."""

import random
from typing import Any, Final

TEXTS: Final = (
    "", " ", "🚀", "é中", "a\u202eb", "\u0000", "\ud800", "\udfff\ud800", "\x1b[2J\x1b[31m", "\x1b]0;title\x07",
    "\x7f\x85\u2028\u2029",
    "\ufeff", "\uffff", "a" * 300, "🚀" * 64, "../../etc/passwd", "a/b", "%2e%2e%2f", "{{ .Values }}", "$(id)", "`id`",
    "'\"\\",
    "null", "true", "1e999", "-1", "hf_abcdefghijklmnopqrstuvwxyz0123", "Bearer sk-live-0123456789abcdef",
    "https://user:secret@host/x?sig=1",
    "a\nb\r\nc\td", "Failed core proc(s): {'" * 20, "(Request ID: " * 30, "=" * 200, "😀\u200d\u200b\u2066x",
)  # fmt: skip
"""Strings; the first that a consumer forgets is the one that ends it."""

NUMBERS: Final = (
    0, 1, -1, 2, 7, 8, 64, 127, 128, 4095, 4096, 2**31 - 1, 2**31, 2**53, 2**63 - 1, 2**63, -(2**63), 10**20, 10**400,
    0.5, -0.0, 1e308,
    float("inf"), float("-inf"), float("nan"),
)  # fmt: skip
"""Numbers; JSON has no infinities, and Python's reader takes them all the same."""

SENSIBLE: Final = (
    "a", "a-b", "main", "8", "80Gi", "100Mi", "0.5", "8.0", "9.0", "nvidia.com/gpu", "nvidia.com/mig-1g.10gb", "10%",
    "1", "auto", "bfloat16",
    "mistralai/Mistral-7B-v0.1", "mistralai/Mistral-Nemo-Instruct-2407", "/models", "/data/x", "0.26.0", "v0.26.0",
    "key", "Always", "a.b/c",
    "sha256:" + "0" * 64, "--seed=1", "NAME", "registry.example/a",
)  # fmt: skip
"""Strings that mean something somewhere in a spec."""


class Values:
    """Draws values; the same seed draws the same ones."""

    def __init__(self, source: random.Random) -> None:
        self.source = source

    def text(self) -> str:
        """Draw a string, at times of two parts."""
        text = self.source.choice(TEXTS)
        return text + self.source.choice(TEXTS) if self.source.random() < 0.2 else text

    def number(self) -> float:
        """Draw a number of any size."""
        return self.source.choice(NUMBERS)

    def json(self, depth: int = 4) -> Any:
        """Draw any JSON value."""
        kind = self.source.randrange(9 if depth else 6)
        if kind == 0:
            return None
        if kind == 1:
            return self.source.random() < 0.5
        if kind in (2, 3):
            return self.number()
        if kind in (4, 5):
            return self.text()
        if kind == 6:
            return [self.json(depth - 1) for _ in range(self.source.randrange(4))]
        if kind == 7:
            return [[]] * self.source.choice((1, 100, 3_000))
        return {self.text(): self.json(depth - 1) for _ in range(self.source.randrange(4))}

    def mutated(self, value: Any, rate: float) -> Any:
        """Return a JSON value of which each part is another with a probability of ``rate``, or is left out."""
        if self.source.random() < rate:
            return self.json()
        if isinstance(value, dict):
            kept = {name: part for name, part in value.items() if self.source.random() > rate / 4}
            return {name: self.mutated(part, rate) for name, part in kept.items()}
        if isinstance(value, list):
            return [self.mutated(part, rate) for part in value]
        return value
