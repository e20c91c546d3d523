"""The life of a release beside a model that is served: nothing that happens to the one ends the other."""

from chart.helm import CRD
from chart.installing import Installer
from devcluster.hub import HubServer
from e2e.releases import Operators, release
from e2e.served import Served
from e2e.toolbox import Expected


def test_an_upgrade(
    installer: Installer, hub: HubServer, operators: Operators, served: Served, expected: Expected
) -> None:
    """From the previous chart, with a new default image: new operators, the same pod, and a word on the new plan."""
    lives, before = served.lives(), operators.names()
    installer.upgrade(release(hub, vllm_tag="newer"))
    operators.until_ready()
    operators.until_gone(before)
    served.until("PlanCurrent to be False", lambda: served.condition("PlanCurrent").get("status") == "False")
    assert "newer" in served.condition("PlanCurrent")["message"]
    served.annotate_service("upgraded")
    served.until_changed("upgraded")
    served.until_ready()
    assert served.lives() == lives
    assert served.complete(expected) == expected.tokens


def test_it_goes_and_comes_back(
    installer: Installer, hub: HubServer, operators: Operators, served: Served, expected: Expected
) -> None:
    """Uninstalled, it leaves definition, object and pod; installed anew, it looks after them again."""
    lives, uid = served.lives(), served.body()["metadata"]["uid"]
    before = operators.names()
    installer.uninstall(release(hub))
    operators.until_gone(before)
    assert installer.definition() is not None, f"{CRD} is gone"
    assert served.body()["metadata"]["uid"] == uid
    assert served.complete(expected) == expected.tokens
    served.annotate_service("while nobody looked")
    installer.install(release(hub))
    operators.until_ready()
    served.until_changed("while nobody looked")
    served.until_ready()
    assert served.body()["metadata"]["uid"] == uid
    assert served.lives() == lives
