"""The Service in front of the pods, and its URL."""

from typing import Any

import pytest

from mistral_operator.rendering.owner import selector_of
from mistral_operator.rendering.service import url_of
from unit.planning_on_clusters import spec
from unit.rendering_from_specs import OWNER, container, rendered


@pytest.mark.parametrize(
    ("service", "kind", "port"),
    [
        ({}, "ClusterIP", 8000),
        ({"port": 80}, "ClusterIP", 80),
        ({"type": "LoadBalancer", "port": 443}, "LoadBalancer", 443),
        ({"type": "NodePort"}, "NodePort", 8000),
    ],
)
def test_the_service(service: dict[str, Any], kind: str, port: int) -> None:
    """It bears the owner's name and leads to the pods' port by its name, whatever its own is."""
    found = rendered(spec(service=service))["Service"]
    assert (found["metadata"]["name"], found["metadata"]["namespace"]) == (OWNER.name, OWNER.namespace)
    assert found["spec"] == {
        "type": kind,
        "selector": selector_of(OWNER.name),
        "ports": [{"name": "http", "port": port, "targetPort": "http", "protocol": "TCP"}],
    }
    assert container()["ports"][0]["name"] == "http"


@pytest.mark.parametrize(
    ("service", "annotations"), [({}, None), ({"annotations": {"lb/internal": "true"}}, {"lb/internal": "true"})]
)
def test_annotations(service: dict[str, Any], annotations: dict[str, str] | None) -> None:
    """Load balancers are told their ways by them."""
    assert rendered(spec(service=service))["Service"]["metadata"].get("annotations") == annotations


def test_the_url() -> None:
    """It leads to the OpenAI API from anywhere in the cluster."""
    assert url_of(OWNER, spec()) == "http://mistral.models.svc:8000/v1"
    assert url_of(OWNER, spec(service={"port": 80})) == "http://mistral.models.svc:80/v1"
