"""The PersistentVolumeClaim that spec.storage.pvc.create asks for."""

from mistral_operator.api.spec import MistralDeploymentSpec
from mistral_operator.rendering.owner import Manifest, Owner, metadata_of


def render_pvc(owner: Owner, spec: MistralDeploymentSpec) -> Manifest | None:
    """Return the claim, or None where none is to be made."""
    wanted = spec.storage and spec.storage.pvc and spec.storage.pvc.create
    if not wanted:
        return None
    claim: Manifest = {
        "accessModes": list(wanted.access_modes),
        "resources": {"requests": {"storage": wanted.size}},
    }
    if wanted.storage_class_name is not None:
        claim["storageClassName"] = wanted.storage_class_name
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata_of(owner), "spec": claim}
