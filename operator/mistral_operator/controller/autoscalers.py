"""Autoscalers that scale an object's Deployment behind its back: they and the operator would undo each other."""

from collections.abc import Sequence

from mistral_operator.api.conditions import Reason
from mistral_operator.api.status import PlanWarning
from mistral_operator.cluster.client import Cluster
from mistral_operator.cluster.resources import AUTOSCALERS, DEPLOYMENTS
from mistral_operator.controller.keys import Key
from mistral_operator.controller.store import Store


async def scaled_by_others(
    cluster: Cluster, store: Store, key: Key, wanted: int, previous: Sequence[PlanWarning]
) -> list[PlanWarning]:
    """Return a warning for each autoscaler whose target is the Deployment.

    They are looked for only while something hints at them: replicas that are not the wanted ones, or a warning that
    stands.
    """
    seen = store.get(DEPLOYMENTS, key)
    differs = seen is not None and seen["spec"]["replicas"] not in (None, wanted)
    if not differs and not any(warning.reason == Reason.DEPLOYMENT_SCALED_BY_OTHERS for warning in previous):
        return []
    found = []
    async for page in cluster.pages(AUTOSCALERS, key.namespace):
        for autoscaler in page:
            target = autoscaler["spec"]["scaleTargetRef"]
            if (target["kind"], target["name"]) == (DEPLOYMENTS.kind, key.name):
                found.append(str(autoscaler["metadata"]["name"]))
    return [_warning(name, key) for name in sorted(found)]


def _warning(name: str, key: Key) -> PlanWarning:
    return PlanWarning(
        reason=Reason.DEPLOYMENT_SCALED_BY_OTHERS,
        message=f"HorizontalPodAutoscaler {name} scales Deployment {key.name}, which is set back whenever the operator "
        f"applies it: point its scaleTargetRef to MistralDeployment {key.name}",
    )
