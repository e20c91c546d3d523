"""The Deployment: how many pods, and how they are replaced."""

from typing import Final

from mistral_operator.api.names import PLAN_ANNOTATION
from mistral_operator.api.spec import MistralDeploymentSpec, RolloutSpec
from mistral_operator.api.status import Resolved
from mistral_operator.planning.frozen import plan_digest
from mistral_operator.rendering.owner import Manifest, Owner, labels_of, metadata_of, selector_of
from mistral_operator.rendering.pod import render_pod
from mistral_operator.rendering.probes import startup_seconds

_IMAGE_PULL_SECONDS: Final = 20 * 60  # a vLLM image is about 10 GB


def render_deployment(owner: Owner, spec: MistralDeploymentSpec, resolved: Resolved) -> Manifest:
    """Return the Deployment."""
    # maxSurge 0 never needs a spare GPU; switching to Recreate by apply is refused once rollingUpdate was defaulted
    rollout = spec.rollout or RolloutSpec()
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata_of(owner),
        "spec": {
            "replicas": spec.replicas,
            "revisionHistoryLimit": 3,
            "progressDeadlineSeconds": startup_seconds(resolved.weights) + _IMAGE_PULL_SECONDS,
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxSurge": rollout.max_surge, "maxUnavailable": rollout.max_unavailable},
            },
            "selector": {"matchLabels": selector_of(owner.name)},
            "template": {
                "metadata": {
                    "labels": {**(spec.pod_labels or {}), **labels_of(owner.name)},
                    "annotations": {**(spec.pod_annotations or {}), PLAN_ANNOTATION: plan_digest(resolved)},
                },
                "spec": render_pod(owner, spec, resolved),
            },
        },
    }
