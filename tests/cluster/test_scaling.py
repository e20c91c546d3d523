"""The scale subresource: people and autoscalers scale the MistralDeployment, never the Deployment behind it."""

import yaml

from cluster.live import Live, condition_of, manifest


def test_kubectl_scale(live: Live) -> None:
    """``kubectl scale`` works as on a Deployment, down to nothing and back."""
    live.mdep("m")
    live.until_ready("m")
    live.plane.kubectl("scale", "mdep", "m", "--replicas=3", "-n", live.namespace)
    live.until_ready("m")
    assert len(live.pods("m")) == 3
    scale = live.request("GET", live.path("MistralDeployment", "m", "scale"))
    assert (scale["spec"]["replicas"], scale["status"]["replicas"]) == (3, 3)
    assert scale["status"]["selector"] == "app.kubernetes.io/instance=m,app.kubernetes.io/name=vllm"

    live.plane.kubectl("scale", "mdep", "m", "--replicas=0", "-n", live.namespace)
    live.until_condition("m", "Available", "False", "ScaledToZero")
    live.until("no pod", lambda: not live.pods("m"))
    body = live.get("MistralDeployment", "m")
    assert body["status"]["phase"] == "Stopped"
    assert condition_of(body, "Ready")["reason"] == "ScaledToZero"
    assert not [kind for kind, _ in live.events("m") if kind == "Warning"]

    live.plane.kubectl("scale", "mdep", "m", "--replicas=1", "-n", live.namespace)
    live.until_ready("m")


def test_reapplying_yaml_without_replicas_keeps_the_number(live: Live) -> None:
    """Somebody's GitOps does not undo what an autoscaler did."""
    text = yaml.safe_dump(manifest("m") | {"metadata": {"name": "m", "namespace": live.namespace}})
    live.plane.kubectl("apply", "-f", "-", stdin=text)
    live.until_ready("m")
    live.plane.kubectl("scale", "mdep", "m", "--replicas=2", "-n", live.namespace)
    live.until_ready("m")
    for flags in ((), ("--server-side", "--force-conflicts")):
        live.plane.kubectl("apply", *flags, "-f", "-", stdin=text)
        assert live.get("MistralDeployment", "m")["spec"]["replicas"] == 2
    assert live.get("Deployment", "m")["spec"]["replicas"] == 2


def test_a_horizontal_pod_autoscaler_scales_the_object(live: Live) -> None:
    """The real controller reads the scale subresource, finds the pods by its selector, and writes spec.replicas."""
    live.mdep("m")
    live.until_ready("m")
    live.create(
        {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "m"},
            "spec": {
                "scaleTargetRef": {
                    "apiVersion": "mistral-operator.io/v1alpha1",
                    "kind": "MistralDeployment",
                    "name": "m",
                },
                "minReplicas": 2,
                "maxReplicas": 4,
            },
        }
    )
    live.until("the autoscaler's least", lambda: live.get("MistralDeployment", "m")["spec"]["replicas"] == 2)
    live.until_ready("m")
    assert live.get("Deployment", "m")["spec"]["replicas"] == 2
    live.plane.kubectl("scale", "mdep", "m", "--replicas=9", "-n", live.namespace)
    live.until("the autoscaler's most", lambda: live.get("MistralDeployment", "m")["spec"]["replicas"] == 4)
    live.until("the Deployment to follow", lambda: live.get("Deployment", "m")["spec"]["replicas"] == 4)


def test_an_autoscaler_on_the_deployment_is_told(live: Live) -> None:
    """Two who write one field undo each other; the operator wins, and says that somebody else tries."""
    live.mdep("m")
    live.until_ready("m")
    live.create(
        {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "wrong"},
            "spec": {
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "m"},
                "minReplicas": 2,
                "maxReplicas": 4,
            },
        }
    )

    def warned() -> bool:
        warnings = live.get("MistralDeployment", "m")["status"].get("warnings", ())
        return any(warning["reason"] == "DeploymentScaledByOthers" for warning in warnings)

    live.until("a warning", warned)
    assert live.get("MistralDeployment", "m")["spec"]["replicas"] == 1
