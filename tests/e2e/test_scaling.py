"""kubectl scale, as autoscalers do it."""

from e2e.served import Served


def test_up_and_down(served: Served) -> None:
    """To a second pod that serves beside the first, and to none."""
    (first,) = served.lives()
    served.scale(2)
    served.until_ready(2)
    assert first in served.lives()
    served.scale(0)
    served.until_stopped()
    assert served.condition("Available")["reason"] == "ScaledToZero"
