"""The vLLM pod."""

from typing import Any, Final

from mistral_operator.api.names import CONTAINER, CONTAINER_PORT
from mistral_operator.api.spec import MistralDeploymentSpec
from mistral_operator.api.status import Resolved
from mistral_operator.planning.engine_args import says
from mistral_operator.rendering.affinity import render_affinity
from mistral_operator.rendering.environment import render_environment
from mistral_operator.rendering.owner import Manifest, Owner
from mistral_operator.rendering.probes import render_probes
from mistral_operator.rendering.security import container_security, pod_security
from mistral_operator.rendering.service import PORT_NAME
from mistral_operator.rendering.volumes import render_mounts, render_volumes
from mistral_vllm.backends import Platform
from mistral_vllm.runtimes import find_release

_DRAIN_SECONDS: Final = 15  # until every proxy has heard that the endpoint is gone
_GRACE_SECONDS: Final = 180
_EXIT_SECONDS: Final = 10  # what vLLM takes to end once its requests have
_SHUTDOWN: Final = "--shutdown-timeout"
_GPU_TOLERATION: Final = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}


def render_pod(owner: Owner, spec: MistralDeploymentSpec, resolved: Resolved) -> Manifest:
    """Return the pod's spec.

    Raises
    ------
    Unrenderable
        When the spec contradicts what every pod has.
    """
    # by name alone: a plan that runs is rendered as it is although this operator does not know its release any more
    needs_gpu = resolved.runtime.name.platform is Platform.CUDA
    pod: Manifest = {
        "automountServiceAccountToken": False,
        # said even where it is the default: its old alias, which the API server fills and nobody owns, keeps the last
        "serviceAccountName": spec.service_account_name or "default",
        "enableServiceLinks": False,  # a Service called vllm would inject VLLM_PORT
        "securityContext": pod_security(spec),
        "terminationGracePeriodSeconds": _grace_seconds(spec),
        "affinity": render_affinity(spec, resolved, needs_gpu=needs_gpu),
        "tolerations": _tolerations(spec, needs_gpu=needs_gpu),
        "containers": [_container(spec, resolved, needs_gpu=needs_gpu)],
        "volumes": render_volumes(owner, spec),
    }
    as_asked = {
        "imagePullSecrets": spec.image_pull_secrets,
        "nodeSelector": spec.node_selector,
        "priorityClassName": spec.priority_class_name,
        "runtimeClassName": spec.runtime_class_name,
        "schedulerName": spec.scheduler_name,
        "topologySpreadConstraints": spec.topology_spread_constraints,
    }
    return pod | {name: value for name, value in as_asked.items() if value}


def _container(spec: MistralDeploymentSpec, resolved: Resolved, *, needs_gpu: bool) -> Manifest:
    served = spec.model.served_name or spec.model.id
    container: Manifest = {
        "name": CONTAINER,
        "image": resolved.image,
        "command": [resolved.runtime.name.program, "serve"],
        "args": [
            *resolved.args,
            *("--served-model-name", served),
            *("--host", "0.0.0.0", "--port", str(CONTAINER_PORT)),  # noqa: S104 - the pod's own network
            *_shutdown_args(spec, resolved),
            *(spec.extra_args or ()),
        ],
        "env": render_environment(spec, resolved),
        "ports": [{"name": PORT_NAME, "containerPort": CONTAINER_PORT, "protocol": "TCP"}],
        "resources": _resources(spec, needs_gpu=needs_gpu),
        **render_probes(resolved.weights),
        "terminationMessagePolicy": _termination_message_policy(resolved),
        "securityContext": container_security(spec),
        "volumeMounts": render_mounts(spec),
    }
    drain = _drain_seconds(spec)
    if drain:
        container["lifecycle"] = {"preStop": {"sleep": {"seconds": drain}}}
    if spec.image is not None and spec.image.pull_policy is not None:
        container["imagePullPolicy"] = spec.image.pull_policy
    return container


def _termination_message_policy(resolved: Resolved) -> str:
    """Read the cause from the file that our image writes; of other images, the last lines are all there is."""
    return "File" if resolved.runtime.name.writes_termination_log else "FallbackToLogsOnError"


def _grace_seconds(spec: MistralDeploymentSpec) -> int:
    wanted = spec.termination_grace_period_seconds
    return _GRACE_SECONDS if wanted is None else wanted


def _drain_seconds(spec: MistralDeploymentSpec) -> int:
    return min(_DRAIN_SECONDS, _grace_seconds(spec) // 2)


def _shutdown_args(spec: MistralDeploymentSpec, resolved: Resolved) -> list[str]:
    """Let running requests end within the grace period: told nothing, vLLM aborts them at SIGTERM."""
    release = find_release(resolved.runtime.version)
    seconds = _grace_seconds(spec) - _drain_seconds(spec) - _EXIT_SECONDS
    if release is None or not release.shutdown_timeout or seconds <= 0 or says(spec.extra_args or (), _SHUTDOWN):
        return []
    return [_SHUTDOWN, str(seconds)]


def _resources(spec: MistralDeploymentSpec, *, needs_gpu: bool) -> dict[str, Any]:
    """Return the user's resources with the plan's GPUs; a request for GPUs follows from the limit."""
    resources = dict(spec.resources or {})
    if needs_gpu:
        gpus = spec.parallelism.tensor * spec.parallelism.pipeline
        resources["limits"] = {**(resources.get("limits") or {}), spec.gpu.resource_name: str(gpus)}
    return resources


def _tolerations(spec: MistralDeploymentSpec, *, needs_gpu: bool) -> list[dict[str, Any]]:
    if not needs_gpu:
        return list(spec.tolerations or ())  # nodes with GPUs are for pods that use them
    theirs = [toleration for toleration in spec.tolerations or () if toleration != _GPU_TOLERATION]
    return [dict(_GPU_TOLERATION), *theirs]
