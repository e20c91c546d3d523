"""All children of one MistralDeployment, in the order in which they are applied."""

from typing import Final

from mistral_operator.api.spec import MistralDeploymentSpec
from mistral_operator.api.status import Resolved
from mistral_operator.rendering.deployment import render_deployment
from mistral_operator.rendering.owner import Manifest, Owner
from mistral_operator.rendering.pvc import render_pvc
from mistral_operator.rendering.service import render_service

PRUNABLE: Final = ("PersistentVolumeClaim",)
"""The only kinds that may ever be pruned: every object has one of each other kind."""


def prunable_kinds(owner: Owner, spec: MistralDeploymentSpec) -> tuple[str, ...]:
    """Return the kinds of which a child that is no longer rendered is to be deleted.

    A claim that was created once, and that the spec names now as one that exists, is what pods run on.
    """
    named = spec.storage and spec.storage.pvc and spec.storage.pvc.name
    return () if named == owner.name else PRUNABLE


def render_children(owner: Owner, spec: MistralDeploymentSpec, resolved: Resolved) -> tuple[Manifest, ...]:
    """Return the manifests.

    Raises
    ------
    Unrenderable
        When the spec contradicts what every pod has.
    """
    pvc = render_pvc(owner, spec)
    service = render_service(owner, spec)
    deployment = render_deployment(owner, spec, resolved)
    return (service, deployment) if pvc is None else (pvc, service, deployment)
