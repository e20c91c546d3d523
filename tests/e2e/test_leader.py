"""Two operators: one leads, and where it ends another goes on."""

from e2e.releases import Operators
from e2e.served import Served


def test_another_takes_over(operators: Operators, served: Served) -> None:
    """The leader's pod is deleted: another holds the Lease and acts on a change, and the model never notices."""
    before, lives = operators.leader(), served.lives()
    operators.delete(before)
    after = operators.leader()
    assert after != before
    served.annotate_service(f"by-{after}")
    served.until_changed(f"by-{after}")
    operators.until_ready()
    assert len(operators.names()) == 2
    assert served.lives() == lives
