"""Autoscalers that scale a Deployment behind its object's back."""

from mistral_operator.cluster.resources import AUTOSCALERS, DEPLOYMENTS
from mistral_operator.controller.autoscalers import scaled_by_others
from mistral_operator.controller.keys import Key
from mistral_operator.controller.store import Store
from unit.api_server import ApiServer, on_server


def test_what_is_said_holds_for_a_paused_object() -> None:
    """A Deployment is set back when it is applied, which it is not while its object is paused."""

    async def test(server: ApiServer) -> None:
        target = {"kind": "Deployment", "name": "m"}
        server.put(AUTOSCALERS, {"metadata": {"namespace": "ns", "name": "h"}, "spec": {"scaleTargetRef": target}})
        store = Store()
        deployment = {"metadata": {"namespace": "ns", "name": "m"}, "spec": {"replicas": 5}}
        store.watched(DEPLOYMENTS, server.put(DEPLOYMENTS, deployment), deleted=False)
        (warning,) = await scaled_by_others(await server.cluster(), store, Key("ns", "m"), 1, [])
        assert warning.message == (
            "HorizontalPodAutoscaler h scales Deployment m, which is set back whenever the operator applies it: "
            "point its scaleTargetRef to MistralDeployment m"
        )

    on_server(test)
