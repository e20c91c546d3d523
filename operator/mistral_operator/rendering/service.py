"""The Service in front of the pods, and the URL it gives them."""

from typing import Final

from mistral_operator.api.spec import MistralDeploymentSpec
from mistral_operator.rendering.owner import Manifest, Owner, metadata_of, selector_of

PORT_NAME: Final = "http"


def render_service(owner: Owner, spec: MistralDeploymentSpec) -> Manifest:
    """Return the Service."""
    wanted = spec.service
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata_of(owner, wanted.annotations),
        "spec": {
            "type": wanted.type,
            "selector": selector_of(owner.name),
            "ports": [{"name": PORT_NAME, "port": wanted.port, "targetPort": PORT_NAME, "protocol": "TCP"}],
        },
    }


def url_of(owner: Owner, spec: MistralDeploymentSpec) -> str:
    """Return the base URL of the OpenAI API inside the cluster."""
    return f"http://{owner.name}.{owner.namespace}.svc:{spec.service.port}/v1"
