"""Two operators: one leads, and the other goes on where it ends."""

from e2e.releases import Operators
from e2e.served import Served


def test_another_takes_over(operators: Operators, served: Served) -> None:
    """The leader's pod is deleted: the other holds the Lease, acts on a change, and the model never notices."""
    before, lives = operators.leader(), served.lives()
    others = operators.names() - {before}
    operators.delete(before)
    after = operators.leader()
    assert after in others
    served.annotate_service(f"by-{after}")
    served.until_changed(f"by-{after}")
    operators.until_ready()
    assert len(operators.names()) == 2
    assert served.lives() == lives
