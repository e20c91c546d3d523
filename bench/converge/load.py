"""How much is created, and at what pace."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Load:
    """Objects of one run: all at once, or each only when the one before has converged."""

    objects: int
    one_at_a_time: bool = False

    def __str__(self) -> str:
        return f"{self.objects:,} objects, one at a time" if self.one_at_a_time else f"{self.objects:,} objects at once"
