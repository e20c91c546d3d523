"""What the Prometheus operator is given finds the operator and the pods that serve."""

from typing import Any, Final

from chart.helm import Release
from chart.value_sets import SETS

WATCHED: Final = SETS["everything that is watched by others"]


def test_monitors() -> None:
    """The operator's Service and vLLM's pods are found by the labels and ports that they have."""
    monitor, service = WATCHED.find("ServiceMonitor")["spec"], WATCHED.find("Service")
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    (endpoint,) = monitor["endpoints"]
    assert (endpoint["port"], endpoint["honorLabels"]) == (service["spec"]["ports"][0]["name"], True)
    assert pods_of(Release()) is None
    assert pods_of(WATCHED) == {"any": True}
    named: dict[str, Any] = {"watchNamespaces": ["a"], "metrics": {"podMonitor": {"enabled": True}}}
    assert pods_of(Release(values=named)) == {"matchNames": ["a"]}


def pods_of(release: Release) -> Any:
    """Return where a release's PodMonitor looks; None where there is none."""
    found = [body["spec"]["namespaceSelector"] for body in release.rendered() if body["kind"] == "PodMonitor"]
    return found[0] if found else None


def test_pods_that_serve_are_found() -> None:
    """By the labels and the port that the operator gives them."""
    from mistral_operator.rendering.owner import labels_of  # noqa: PLC0415
    from mistral_operator.rendering.service import PORT_NAME  # noqa: PLC0415

    spec = WATCHED.find("PodMonitor")["spec"]
    assert spec["selector"]["matchLabels"].items() <= labels_of("m").items()
    assert spec["podMetricsEndpoints"][0]["port"] == PORT_NAME
