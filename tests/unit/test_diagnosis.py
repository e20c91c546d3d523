"""Why pods do not answer: words of Kubernetes 1.37, containerd, PyTorch and vLLM 0.26, and what is made of them."""

from pathlib import Path
from typing import Any

import pytest

from mistral_operator.api.pod_reasons import PodReason
from mistral_operator.status.diagnosis import (
    Diagnosis,
    diagnose,
    log_wanted,
    speaks,
    wanted_of,
    wants_claim,
    wants_events,
)
from mistral_operator.status.diagnosis.engine import engine_failure
from mistral_operator.status.diagnosis.finding import LONGEST, Finding, part, say
from mistral_operator.status.evidence import NO_EVIDENCE, Evidence, ObjectEvent
from mistral_vllm.telling.root_cause import root_cause
from unit.pods import NAME, Body, container, ended, pod, running, unscheduled, waiting

LOGS = Path(__file__).parent / "vllm_logs"
PREEMPTION = ". preemption: 0/5 nodes are available: 5 Preemption is not helpful for scheduling."
NO_MEMORY = "CUDA out of memory. Tried to allocate 112.00 MiB. GPU 0 has a total capacity of 79.18 GiB"


def found(
    *pods: Body, failed: tuple[Body, ...] = (), refusal: str | None = None, evidence: Evidence = NO_EVIDENCE
) -> Diagnosis | None:
    """Return the diagnosis, whose message is no longer than any may be."""
    diagnosis = diagnose(pods, failed, refusal, evidence)
    assert diagnosis is None or len(diagnosis.message) <= LONGEST
    return diagnosis


def events(*told: tuple[str, str]) -> Evidence:
    """Return Events of the one pod, newest first."""
    return Evidence(events={NAME: [ObjectEvent(*one) for one in told]})


@pytest.mark.parametrize(
    "one",
    [
        pytest.param(pod(), id="no container yet"),
        pytest.param(pod(waiting("ContainerCreating")), id="creating"),
        pytest.param(pod(running()), id="loading"),
        pytest.param(pod(running(started=True, last={"exitCode": 1, "message": "old"})), id="an old crash"),
        pytest.param(pod(node=None), id="the scheduler has not looked"),
        pytest.param(
            pod(waiting("PodInitializing"), initContainerStatuses=[
                container({"terminated": {"exitCode": 0, "reason": "Completed"}}, name="init")]),
            id="an init container that did its work",
        ),
    ],
)  # fmt: skip
def test_nothing_is_wrong(one: Body) -> None:
    """A pod on its way is no finding."""
    assert found(one) is None


@pytest.mark.parametrize(
    ("message", "reason", "said"),
    [
        (
            (
                "0/5 nodes are available: 2 Insufficient nvidia.com/gpu, 3 node(s) didn't match Pod's node "
                f"affinity/selector. no new claims to deallocate{PREEMPTION}"
            ),
            PodReason.INSUFFICIENT_GPU,
            "no node takes it: Insufficient nvidia.com/gpu, node(s) didn't match Pod's node affinity/selector; lower",
        ),
        (
            f"0/5 nodes are available: 1 Insufficient nvidia.com/mig-1g.10gb, 1 Insufficient cpu{PREEMPTION}",
            PodReason.INSUFFICIENT_GPU,
            "no node takes it: Insufficient nvidia.com/mig-1g.10gb, Insufficient cpu; lower spec.replicas",
        ),
        (f"0/5 nodes are available: 5 Insufficient memory{PREEMPTION}", PodReason.INSUFFICIENT_MEMORY, "memory; lower"),
        (f"0/5 nodes are available: 5 Insufficient cpu{PREEMPTION}", PodReason.INSUFFICIENT_CPU, "cpu; lower spec.res"),
        ("0/5 nodes are available: 5 Too many pods.", PodReason.INSUFFICIENT_RESOURCES, "Too many pods; lower"),
        (
            "0/5 nodes are available: 5 node(s) had untolerated taint {dedicated: team-a}.",
            PodReason.UNTOLERATED_TAINT,
            "untolerated taint {dedicated: team-a}; add the taints",
        ),
        (
            (
                "0/5 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, 4 node(s) had "
                "untolerated taint(s)."
            ),
            PodReason.UNTOLERATED_TAINT,
            "no node takes it: node(s) had untolerated taint(s), node(s) didn't match",
        ),
        (
            "0/5 nodes are available: 5 node(s) didn't match Pod's node affinity/selector.",
            PodReason.AFFINITY_UNMATCHED,
            "correct spec.nodeSelector or spec.affinity",
        ),
        (
            "0/5 nodes are available: 5 node(s) didn't match pod topology spread constraints.",
            PodReason.AFFINITY_UNMATCHED,
            "spec.topologySpreadConstraints",
        ),
        ("0/5 nodes are available: 5 node(s) were unschedulable.", PodReason.NODES_CORDONED, "`kubectl uncordon` a"),
        ("no nodes available to schedule pods", PodReason.UNSCHEDULABLE, "no node takes it: no nodes available to sch"),
        ("", PodReason.UNSCHEDULABLE, "the scheduler gives no reason"),
        (
            'persistentvolumeclaim "models" not found. not found',
            PodReason.CLAIM_MISSING,
            "create the claim, or correct spec.storage.pvc.name",
        ),
        (
            "0/5 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found",
            PodReason.CLAIM_PENDING,
            "claim models is not bound; name a storage class",
        ),
        (
            (
                "0/5 nodes are available: 4 Insufficient nvidia.com/gpu, 1 node(s) didn't match PersistentVolume's "
                f"node affinity{PREEMPTION}"
            ),
            PodReason.VOLUME_ELSEWHERE,
            "use a claim whose volume is where the GPUs are",
        ),
        (
            "0/5 nodes are available: 5 node(s) had volume node affinity conflict.",
            PodReason.VOLUME_ELSEWHERE,
            "volume node affinity conflict; use a claim",
        ),
        (
            (
                "0/5 nodes are available: 1 node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod "
                "access mode already in-use by another pod."
            ),
            PodReason.VOLUME_IN_USE,
            "use a claim with ReadWriteMany, or lower spec.replicas",
        ),
    ],
)
def test_scheduling(message: str, reason: PodReason, said: str) -> None:
    """The node that came closest decides; what of it is a number of nodes is left out, for it moves."""
    one = unscheduled(message)
    diagnosis = found(one, evidence=Evidence(claim="models"))
    assert diagnosis is not None
    assert diagnosis.reason == reason
    assert said in diagnosis.message
    assert diagnosis.passing
    assert diagnosis == found(
        unscheduled(message.replace("5 ", "17 ").replace("0/17", "0/5")), evidence=Evidence(claim="models")
    )


def test_a_spec_that_names_nodes() -> None:
    """Beside a taint, nodes that do not match mean little: those without GPUs never do, unless the spec narrows."""
    one = unscheduled(
        "0/5 nodes are available: 1 node(s) had untolerated taint(s), 4 node(s) didn't match Pod's node "
        "affinity/selector."
    )
    one["spec"] = {"nodeSelector": {"zone": "a"}}
    narrowed = found(one)
    assert narrowed is not None
    assert narrowed.reason == PodReason.AFFINITY_UNMATCHED
    assert narrowed.message.endswith(", or add its taints to spec.tolerations")


def test_a_node_that_is_cordoned_beside_one_that_is_tainted() -> None:
    """A cluster's control plane is tainted, so a taint alone says little where a node is cordoned, too."""
    both = found(
        unscheduled(
            "0/3 nodes are available: 1 node(s) had untolerated taint(s), 1 node(s) were unschedulable, 1 node(s) "
            "didn't match Pod's node affinity/selector."
        )
    )
    assert both is not None
    assert both.reason == PodReason.UNTOLERATED_TAINT
    assert both.message.endswith("or use other nodes, or `kubectl uncordon` it")


def test_a_gate() -> None:
    """A queue holds the pod back, and says so."""
    gated = found(unscheduled("Scheduling is blocked due to non-empty scheduling gates", "SchedulingGated"))
    assert gated is not None
    assert gated.reason == PodReason.SCHEDULING_GATED


def test_a_claim_says_why() -> None:
    """What the claim's own Events say stands where it is waited for."""
    why = ObjectEvent("FailedBinding", "no persistent volumes available for this claim and no storage class is set")
    one = unscheduled("pod has unbound immediate PersistentVolumeClaims")
    assert wants_claim(one)
    assert not wants_claim(unscheduled("0/5 nodes are available: 5 Insufficient cpu."))
    diagnosis = found(one, evidence=Evidence(claim="models", claim_events=[why]))
    assert diagnosis is not None
    assert "claim models is not bound: no persistent volumes available for this claim and no" in diagnosis.message


PULLED = 'failed to pull and unpack image "ghcr.io/acme/mistral-vllm:0.1": failed to resolve reference "ghcr.io/acme/m"'


@pytest.mark.parametrize("reason", ["ErrImagePull", "ImagePullBackOff"])
@pytest.mark.parametrize(
    ("words", "expected", "said", "passing"),
    [
        (f"{PULLED}: ghcr.io/acme/mistral-vllm:0.1: not found", PodReason.IMAGE_MISSING, "correct spec.image", False),
        (
            f"{PULLED}: no match for platform in manifest: not found",
            PodReason.IMAGE_MISSING,
            "pulled: no match for platform in manifest: not found; correct",
            False,
        ),
        (
            (
                f"{PULLED}: failed to authorize: failed to fetch anonymous token: unexpected status from GET request "
                "to https://ghcr.io/token?scope=repository%3Aacme: 401 Unauthorized"
            ),
            PodReason.IMAGE_ACCESS_DENIED,
            "spec.imagePullSecrets",
            False,
        ),
        (
            (
                f"{PULLED}: pull access denied, repository does not exist or may require authorization: server "
                "message: insufficient_scope: authorization failed"
            ),
            PodReason.IMAGE_ACCESS_DENIED,
            "spec.imagePullSecrets",
            False,
        ),
        (
            f"{PULLED}: unexpected status code 429 Too Many Requests: toomanyrequests: You have reached your limit",
            PodReason.IMAGE_PULL_FAILED,
            "from a mirror",
            True,
        ),
        (
            f'{PULLED}: failed to do request: Head "https://ghcr.io/v2/": dial tcp: lookup ghcr.io: i/o timeout',
            PodReason.IMAGE_PULL_FAILED,
            'pulled: Head "https://ghcr.io/v2/": dial tcp: lookup ghcr.io: i/o timeout; see that the node reaches',
            True,
        ),
        (
            f"{PULLED}: failed to extract layer sha256:0a: write /lib/libtorch.so: no space left on device",
            PodReason.DISK_FULL,
            "free disk on the node",
            False,
        ),
    ],
)
def test_images(reason: str, words: str, expected: PodReason, said: str, passing: bool) -> None:
    """The registry's words count, and whether the kubelet tries or waits just now makes no difference."""
    message = f"rpc error: code = NotFound desc = {words}"
    if reason == "ImagePullBackOff":
        message = f'Back-off pulling image "ghcr.io/acme/mistral-vllm:0.1": ErrImagePull: {message}'
    diagnosis = found(pod(waiting(reason, message)))
    assert diagnosis is not None
    assert (diagnosis.reason, diagnosis.passing) == (expected, passing)
    assert said in diagnosis.message
    assert "image ghcr.io/acme/mistral-vllm:0.1 cannot be pulled" in diagnosis.message
    assert not wants_events(pod(waiting(reason, message)))


def test_source_ports_do_not_move_a_message() -> None:
    """Each attempt has another port of ours in it."""
    said = [
        found(pod(waiting("ErrImagePull", f"lookup ghcr.io: read udp 10.0.0.1:{port}->10.96.0.10:53: i/o timeout")))
        for port in (43210, 43211)
    ]
    assert said[0] == said[1] is not None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ('failed to setup network for sandbox "{}": plugin type="calico" failed', "network for sandbox: plugin type="),
        ("failed to create pod network sandbox k8s_m-1_ns_0({}): error adding pod", "k8s_m-1_ns_0: error adding pod"),
        ("failed to pull image acme/vllm@sha256:{}: not found", f"acme/vllm@sha256:{'ab' * 32}: not found"),
    ],
)
def test_ids_of_sandboxes_do_not_move_a_message(words: str, said: str) -> None:
    """Each attempt has another; an image's digest is its name and stays."""
    diagnosis = found(CREATING, evidence=events(("FailedCreatePodSandBox", words.format("ab" * 32))))
    assert diagnosis is not None
    assert said in diagnosis.message


def test_a_back_off_that_does_not_say_why() -> None:
    """Before Kubernetes 1.32, only Events do."""
    one = pod(waiting("ImagePullBackOff", 'Back-off pulling image "a"'))
    assert wants_events(one)
    silent, told = found(one), found(one, evidence=events(("Failed", 'Failed to pull image "a": a: not found')))
    assert (silent and silent.reason, told and told.reason) == (PodReason.IMAGE_PULL_FAILED, PodReason.IMAGE_MISSING)


@pytest.mark.parametrize(
    ("one", "reason", "said"),
    [
        (waiting("InvalidImageName", "couldn't parse image name"), PodReason.IMAGE_NAME_INVALID, "correct spec.image"),
        (waiting("ErrImageNeverPull", "is not present"), PodReason.IMAGE_MISSING, "pullPolicy is Never"),
        (
            waiting("CreateContainerConfigError", 'secret "hf" not found'),
            PodReason.SECRET_MISSING,
            "Secret hf is not there; create Secret hf in this namespace",
        ),
        (
            waiting("CreateContainerConfigError", "couldn't find key token in Secret ns/hf"),
            PodReason.SECRET_KEY_MISSING,
            "Secret hf has no key token; add the key token to Secret hf",
        ),
        (
            waiting("CreateContainerConfigError", 'configmap "settings" not found'),
            PodReason.CONFIG_MAP_MISSING,
            "ConfigMap settings is not there",
        ),
        (
            waiting("CreateContainerConfigError", "couldn't find key a in ConfigMap ns/settings"),
            PodReason.CONFIG_MAP_KEY_MISSING,
            "ConfigMap settings has no key a",
        ),
        (
            waiting("CreateContainerConfigError", "container has runAsNonRoot and image will run as root"),
            PodReason.CONTAINER_CONFIG_INVALID,
            "image will run as root; correct what it names",
        ),
        (
            waiting(
                "RunContainerError",
                "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create "
                "failed: unable to start container process: error during container init: error running prestart hook "
                "#0: exit status 1, stderr: nvidia-container-cli: requirement error: unsatisfied condition: "
                "cuda>=13.0, please update your driver to a newer version",
            ),
            PodReason.DRIVER_TOO_OLD,
            "the node's NVIDIA driver is too old for the image (unsatisfied condition: cuda>=13.0)",
        ),
        (
            waiting("RunContainerError", "nvidia-container-cli: initialization error: nvml error: driver not loaded"),
            PodReason.NO_GPU_IN_POD,
            "driver not loaded; see that the NVIDIA driver and container toolkit",
        ),
        (
            ended(
                'unable to start container process: error during container init: exec: "mistral-vllm": executable '
                "file not found in $PATH",
                code=128,
                reason="StartError",
            ),
            PodReason.CONTAINER_CANNOT_START,
            "the image has no program mistral-vllm; correct spec.image.runtime",
        ),
        (waiting("PostStartHookError", "hook failed"), PodReason.CONTAINER_CANNOT_START, "(PostStartHookError): hook"),
        (ended(code=137, reason="OOMKilled"), PodReason.OOM_KILLED, "vLLM took more memory than its limit"),
        (ended(code=137, reason="OOMKilled", name="proxy"), PodReason.OOM_KILLED, "container proxy took more"),
        (
            ended("no such file", name="proxy"),
            PodReason.CONTAINER_CRASHED,
            "container proxy ended with exit code 1: no",
        ),
        (
            ended("RuntimeError: no\n  kernel"),
            PodReason.CONTAINER_CRASHED,
            "vLLM ended with exit code 1: RuntimeError: no kernel; see `kubectl logs --previous`",
        ),
        (ended(), PodReason.CONTAINER_CRASHED, "vLLM ended with exit code 1; see"),
        (
            running(last={"exitCode": 1, "message": NO_MEMORY}),
            PodReason.CUDA_OUT_OF_MEMORY,
            "CUDA out of memory",
        ),
    ],
)
def test_containers(one: Body, reason: PodReason, said: str) -> None:
    """What a container says itself needs no Event."""
    diagnosis = found(pod(one))
    assert diagnosis is not None
    assert diagnosis.reason == reason
    assert said in diagnosis.message
    assert not diagnosis.passing


@pytest.mark.parametrize(
    ("code", "reason", "expected", "said"),
    [
        (137, "OOMKilled", PodReason.OOM_KILLED, "init container fetch took more memory"),
        (3, "Error", PodReason.INIT_CONTAINER_FAILED, "init container fetch ended with exit code 3; see `kubectl logs"),
    ],
)
def test_init_containers(code: int, reason: str, expected: PodReason, said: str) -> None:
    """They are others', and are named."""
    one = pod(waiting("PodInitializing"), initContainerStatuses=[ended(code=code, reason=reason, name="fetch")])
    diagnosis = found(one)
    assert diagnosis is not None
    assert diagnosis.reason == expected
    assert said in diagnosis.message


CREATING = pod(waiting("ContainerCreating"))
TOLD_TO_END = running(last={"exitCode": 137, "reason": "Error"})


@pytest.mark.parametrize(
    ("one", "told", "reason", "said"),
    [
        (CREATING, [("Pulling", 'Pulling image "a"')], PodReason.IMAGE_PULLING, 'pulling image "a"; a vLLM image is'),
        (CREATING, [("Pulled", "Successfully pulled"), ("Pulling", 'Pulling image "a"')], None, ""),
        (
            CREATING,
            [("FailedMount", 'MountVolume.SetUp failed for volume "models" : no such server')],
            PodReason.VOLUME_NOT_MOUNTED,
            "no such server; correct spec.storage",
        ),
        (
            CREATING,
            [
                ("FailedMount", "Unable to attach or mount volumes: timed out waiting for the condition"),
                ("FailedMount", 'MountVolume.SetUp failed for volume "v" : secret "certificates" not found'),
            ],
            PodReason.SECRET_MISSING,
            "Secret certificates is not there",
        ),
        (
            CREATING,
            [("FailedAttachVolume", 'Multi-Attach error for volume "pvc-1" Volume is already used by pod(s) m-2')],
            PodReason.VOLUME_IN_USE,
            "Multi-Attach error",
        ),
        (
            CREATING,
            [("FailedCreatePodSandBox", "Failed to create pod sandbox: plugin type=calico failed (add)")],
            PodReason.SANDBOX_FAILED,
            "mend the network plugin",
        ),
        (
            pod(running()),
            [("Unhealthy", "Startup probe failed: connection refused"), ("FailedMount", "long ago")],
            None,
            "",
        ),
        (
            pod(running(started=True)),
            [("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503")],
            PodReason.READINESS_FAILED,
            "does not answer /health: HTTP probe failed with statuscode: 503; see",
        ),
        (
            pod(TOLD_TO_END),
            [("Killing", "Container vllm failed startup probe, will be restarted")],
            PodReason.STARTUP_TIMED_OUT,
            "did not answer within its start-up time",
        ),
        (
            pod(TOLD_TO_END),
            [("Killing", "Container vllm failed liveness probe, will be restarted")],
            PodReason.LIVENESS_FAILED,
            "stopped answering /health",
        ),
        (pod(TOLD_TO_END), [], PodReason.CONTAINER_CRASHED, "vLLM ended with exit code 137; see"),
    ],
)
def test_events(one: Body, told: list[tuple[str, str]], reason: PodReason | None, said: str) -> None:
    """What a pod does not say, its Events do; what they told of before is not repeated once it is over."""
    assert wants_events(one)
    diagnosis = found(one, evidence=events(*told))
    assert (diagnosis and diagnosis.reason) == reason
    assert said in (diagnosis.message if diagnosis else "")


def test_a_lost_node() -> None:
    """Whatever the pod's status said last, nobody hears of it any more."""
    diagnosis = found(pod(running(started=True), node="h200-1"), evidence=Evidence(lost_nodes=frozenset({"h200-1"})))
    assert diagnosis is not None
    assert diagnosis.reason == PodReason.NODE_LOST
    assert "nothing is heard of its node h200-1; mend or delete" in diagnosis.message


EVICTED = pod(
    name="m-old", phase="Failed", reason="Evicted", message="The node was low on resource: ephemeral-storage. Threshold"
    " quantity: 107374182400, available: 98Gi. Container vllm was using 210Gi, request is 0, has larger consumption of "
    "ephemeral-storage. ",
)  # fmt: skip


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (EVICTED["status"]["message"], "keep weights on a claim"),
        ("The node was low on resource: memory. Threshold quantity: 100Mi", "set spec.resources.requests.memory"),
        ('Usage of EmptyDir volume "models" exceeds the limit "20Gi". ', "raise spec.storage.emptyDir.sizeLimit"),
    ],
)
def test_evicted(words: str, said: str) -> None:
    """An eviction speaks while the pod's successor begins, and goes with it."""
    evicted = EVICTED | {"status": EVICTED["status"] | {"message": words}}
    diagnosis = found(pod(running() | {"restartCount": 0}), failed=(evicted,))
    assert diagnosis is not None
    assert (diagnosis.reason, diagnosis.passing) == (PodReason.EVICTED, True)
    assert "pod m-old: its node evicted it: " in diagnosis.message
    assert said in diagnosis.message


@pytest.mark.parametrize("successor", [unscheduled("0/1 nodes are available: 1 Insufficient cpu."), pod(ended("no"))])
def test_what_a_successor_says_counts_more(successor: Body) -> None:
    """The eviction is history then."""
    diagnosis = found(successor, failed=(EVICTED,))
    assert diagnosis is not None
    assert diagnosis.reason != PodReason.EVICTED


@pytest.mark.parametrize(("created", "counts"), [("12:00:59", True), ("12:01:01", False), ("11:00:00", True)])
def test_an_eviction_of_long_ago(created: str, counts: bool) -> None:
    """Nobody removes the pod; one that was created much later did not come in its place."""
    ended_at = {"type": "DisruptionTarget", "status": "True", "lastTransitionTime": "2026-11-25T12:00:00Z"}
    evicted = EVICTED | {"status": EVICTED["status"] | {"conditions": [ended_at]}}
    successor = pod(running() | {"restartCount": 0})
    successor["metadata"]["creationTimestamp"] = f"2026-11-25T{created}Z"
    assert (found(successor, failed=(evicted,)) is not None) is counts


def test_a_node_that_refuses_a_pod() -> None:
    """A device that is broken: the pod ends before it begins."""
    words = "Pod was rejected: Allocate failed due to no healthy devices present; cannot allocate unhealthy devices"
    refused = pod(phase="Failed", reason="UnexpectedAdmissionError", message=words)
    diagnosis = found(pod(), failed=(refused,))
    assert diagnosis is not None
    assert diagnosis.reason == PodReason.NODE_REFUSED_POD
    assert "no healthy devices present" in diagnosis.message


@pytest.mark.parametrize(
    ("words", "reason", "said"),
    [
        (
            (
                "exceeded quota: gpus, requested: requests.nvidia.com/gpu=1, used: requests.nvidia.com/gpu=4, "
                "limited: requests.nvidia.com/gpu=4"
            ),
            PodReason.QUOTA_EXCEEDED,
            "quota gpus allows requests.nvidia.com/gpu=4 in all, and a pod asks for requests.nvidia.com/gpu=1; raise",
        ),
        (
            "failed quota: cpus: must specify limits.cpu for: vllm",
            PodReason.QUOTA_EXCEEDED,
            "quota cpus wants pods to say limits.cpu for: vllm; set them in spec.resources",
        ),
        (
            (
                'violates PodSecurity "restricted:latest": privileged (container "vllm" must not set '
                "securityContext.privileged=true)"
            ),
            PodReason.POD_SECURITY_REFUSED,
            'violates PodSecurity "restricted:latest": privileged (container "vllm" must not set',
        ),
        (
            'error looking up service account ns/robot: serviceaccount "robot" not found',
            PodReason.SERVICE_ACCOUNT_MISSING,
            "ServiceAccount robot is not there; create ServiceAccount robot",
        ),
        (
            "ValidatingAdmissionPolicy 'owners' with binding 'all' denied request: pods need a label team",
            PodReason.ADMISSION_REFUSED,
            "denied request: pods need a label team; correct what it names",
        ),
    ],
)
def test_refusals(words: str, reason: PodReason, said: str) -> None:
    """Why no pod can be created, without the name of the last one that could not, nor what others use."""
    diagnoses = [found(refusal=f'pods "m-5b9c7d-{name}" is forbidden: {words}') for name in ("aaaaa", "bbbbb")]
    assert (
        diagnoses[0] == diagnoses[1] == found(refusal=f'pods "m" is forbidden: {words.replace("gpu=4, ", "gpu=3, ")}')
    )
    assert diagnoses[0] is not None
    assert diagnoses[0].reason == reason
    assert diagnoses[0].message.startswith("pods are refused: ")
    assert said in diagnoses[0].message


@pytest.mark.parametrize(
    ("log", "reason", "said"),
    [
        ("gated", PodReason.WEIGHTS_GATED, "accept the model's licence on the hub"),
        ("no_such_repository", PodReason.WEIGHTS_NOT_FOUND, "the hub shows this pod no model mistralai/Nope-7B"),
        ("hub_unreachable", PodReason.WEIGHTS_UNREACHABLE, "let pods reach the hub"),
        ("no_weights", PodReason.WEIGHTS_MISSING, "Cannot find any model weights with `empty`"),
        ("out_of_memory", PodReason.CUDA_OUT_OF_MEMORY, "capacity of 139.80 GiB of which 8.86 GiB is free"),
        ("only_worker_out_of_memory", PodReason.CUDA_OUT_OF_MEMORY, "capacity of 79.18 GiB of which 54.88 MiB is free"),
        ("second_worker_out_of_memory", PodReason.CUDA_OUT_OF_MEMORY, "Tried to allocate 112.00 MiB"),
        (
            "kv_cache_too_small",
            PodReason.KV_CACHE_TOO_SMALL,
            (
                "engine.maxModelLen 4000000 needs 3.81 GiB of KV cache, and 1.0 GiB are left; set engine.maxModelLen "
                "to at most 1048576"
            ),
        ),
        ("max_model_len", PodReason.MAX_MODEL_LEN_TOO_LONG, "set engine.maxModelLen to at most 4096"),
        ("cuda_error", PodReason.CUDA_ERROR, ": CUDA error: an illegal memory access was encountered; with"),
        ("no_gpu", PodReason.NO_GPU_IN_POD, "vLLM finds no GPU in the pod"),
        ("old_driver", PodReason.DRIVER_TOO_OLD, "too old for the image's CUDA (it knows CUDA 12.2)"),
        ("port_in_use", PodReason.PORT_IN_USE, "the port that vLLM listens on is in use"),
        ("unknown_backend", PodReason.BACKEND_UNSUPPORTED, "this vLLM knows no attention backend XFORMERS"),
        ("unknown_argument", PodReason.ARGUMENT_UNKNOWN, "does not know --foo-bar 3"),
        ("invalid_choice", PodReason.ARGUMENT_INVALID, "argument --dtype: invalid choice: 'bogus'"),
        ("wrong_release", PodReason.PLUGIN_RELEASE_MISMATCH, "has vLLM 0.27.1, and its plugin is for 0.26.0 alone"),
        (
            "worker_killed",
            PodReason.PROCESS_KILLED,
            "a worker ended without a word: most likely the pod's memory limit",
        ),
        ("worker_killed_while_serving", PodReason.PROCESS_KILLED, "VllmWorker-0 ended without a word"),
        ("engine_core_killed", PodReason.PROCESS_KILLED, "the engine core ended without a word"),
    ],
)
def test_what_vllm_says(log: str, reason: PodReason, said: str) -> None:
    """Real output of vLLM 0.26, told by our image's termination message, or found in the log of another."""
    code = 2 if "argument" in log or "choice" in log else 1
    text = (LOGS / f"{log}.log").read_text(encoding="utf-8")
    cause = root_cause(text, code)
    ours = found(pod(ended(cause, code=code)))
    assert ours is not None
    assert (ours.reason, ours.passing) == (reason, False)
    assert said in ours.message
    assert log_wanted(pod(ended(cause, code=code))) is None
    # the kubelet keeps 2,048 bytes of the end: they say enough, or the log is asked for
    other = pod(ended(text[-2048:], code=code))
    assert (found(other) == ours) != (log_wanted(other) is not None)
    assert found(other, evidence=Evidence(causes={NAME: cause})) == ours


def test_every_real_log_is_read() -> None:
    """None lies there without a reason."""
    (marks,) = test_what_vllm_says.pytestmark  # type: ignore[attr-defined]
    assert {log.stem for log in LOGS.glob("*.log")} == {values[0] for values in marks.args[1]}


@pytest.mark.parametrize(
    ("words", "reason", "said"),
    [
        (
            (
                "ValueError: Free memory on device cuda:0 (3.21/79.18 GiB) on startup is less than desired GPU memory "
                "utilization (0.92, 72.85 GiB). Decrease GPU memory utilization or reduce GPU memory used by other "
                "processes."
            ),
            PodReason.GPU_MEMORY_TAKEN,
            "3.21 of 79.18 GiB are free, and engine.gpuMemoryUtilization 0.92 asks for 72.85 GiB",
        ),
        (
            (
                "RuntimeError: CUDA out of memory occurred when warming up sampler with 256 dummy requests. Please try "
                "lowering `max_num_seqs` or `gpu_memory_utilization` when initializing the engine."
            ),
            PodReason.CUDA_OUT_OF_MEMORY,
            "CUDA out of memory occurred when warming up sampler with 256 dummy requests",
        ),
        (
            "ValueError: No available memory for the cache blocks. Try increasing `gpu_memory_utilization`",
            PodReason.KV_CACHE_TOO_SMALL,
            "the weights leave no memory for a KV cache",
        ),
        (
            (
                "ValueError: To serve at least one request with the model's max seq len (32768), (4.0 GiB KV cache is "
                "needed, which is larger than the available KV cache memory (0.1 GiB). Try increasing"
            ),
            PodReason.KV_CACHE_TOO_SMALL,
            "engine.maxModelLen 32768 needs 4.0 GiB of KV cache, and 0.1 GiB are left",
        ),
        (
            (
                "ValueError: Selected backend AttentionBackendEnum.CUSTOM is not valid for this configuration. "
                "Reason: ['kv_cache_dtype not supported']"
            ),
            PodReason.BACKEND_UNSUPPORTED,
            "vLLM refuses the attention backend XFORMERS: ['kv_cache_dtype not supported']",
        ),
        (
            (
                "ValueError: No valid attention backend found for cuda with AttentionSelectorConfig(head_size=80). "
                "Reasons: {FLASH_ATTN: [head_size not supported]}."
            ),
            PodReason.BACKEND_UNSUPPORTED,
            "no attention backend runs this model on this GPU: {FLASH_ATTN: [head_size not supported]}",
        ),
        (
            "RuntimeError: Backend CUSTOM must be registered before use. Use register_backend(Backend.CUSTOM, 'a.B')",
            PodReason.BACKEND_UNSUPPORTED,
            "the attention backend XFORMERS is not registered",
        ),
        (
            (
                "RuntimeError: Unexpected error from cudaGetDeviceCount(). Error 803: system has unsupported display "
                "driver / cuda driver combination"
            ),
            PodReason.DRIVER_TOO_OLD,
            "the node's NVIDIA driver is too old for the image's CUDA",
        ),
        (
            (
                "AcceleratorError: CUDA error: no kernel image is available for execution on the device\nSearch for "
                "`cudaErrorNoKernelImageForDevice' in https://docs.nvidia.com/cuda/cuda-runtime-api/group__CUDART__TYPES"
            ),
            PodReason.CUDA_ERROR,
            "no kernel image is available for execution on the device; set gpu.minComputeCapability",
        ),
        (
            "RuntimeError: NCCL error: unhandled cuda error (run with NCCL_DEBUG=INFO for details)",
            PodReason.CUDA_ERROR,
            "NCCL error: unhandled cuda error; with parallelism.tensor, try",
        ),
        (
            "RuntimeError: CUDA error: CUBLAS_STATUS_INTERNAL_ERROR when calling `cublasCreate(handle)`",
            PodReason.CUDA_ERROR,
            "CUDA error: CUBLAS_STATUS_INTERNAL_ERROR when calling `cublasCreate(handle)`; with",
        ),
        (
            "RuntimeError: CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
            PodReason.CUDA_OUT_OF_MEMORY,
            "CUDA error: CUBLAS_STATUS_ALLOC_FAILED; lower engine.maxNumSeqs",
        ),
        (
            "AcceleratorError: CUDA error: out of memory\nSearch for `cudaErrorMemoryAllocation' in https://docs.nvidia",
            PodReason.CUDA_OUT_OF_MEMORY,
            "CUDA error: out of memory; lower engine.maxNumSeqs",
        ),
        (
            (
                "WindowMismatch: refusing to serve: 32 of 32 attention layers did not get the window that the model's "
                "config means (config.json): model.layers.0.self_attn.attn has no window instead of a window of 4096; "
                "correct --hf-overrides, or the model's sliding_window and layer_types"
            ),
            PodReason.WINDOW_MISMATCH,
            "refusing to serve: 32 of 32 attention layers did not get the window",
        ),
        (
            (
                "ValueError: Bfloat16 is only supported on GPUs with compute capability of at least 8.0. Your Tesla T4 "
                "GPU has compute capability 7.5. You can use float16 instead"
            ),
            PodReason.DTYPE_UNSUPPORTED,
            "bfloat16 needs compute capability 8.0",
        ),
        (
            (
                "PluginError: mistral_vllm cannot do its work, and MISTRAL_VLLM_REQUIRED=1 forbids its fallback: vLLM "
                "found no CUDA GPU, which XFORMERS needs"
            ),
            PodReason.NO_GPU_IN_POD,
            "vLLM finds no GPU in the pod",
        ),
        (
            "AssertionError: DP adjusted local rank 0 is out of bounds for 0 devices.",
            PodReason.NO_GPU_IN_POD,
            "vLLM finds no GPU in the pod",
        ),
        (
            (
                "PluginError: mistral_vllm cannot do its work, and MISTRAL_VLLM_REQUIRED=1 forbids its fallback: "
                "xFormers is not installed, and --attention-backend CUSTOM must be left out"
            ),
            PodReason.PLUGIN_REFUSED,
            "xFormers is not installed",
        ),
        (
            "PermissionError: [Errno 13] Permission denied: '/models/hub'",
            PodReason.VOLUME_NOT_WRITABLE,
            "/models/hub cannot be written",
        ),
        (
            "OSError: [Errno 28] No space left on device: '/models/blobs/x'",
            PodReason.DISK_FULL,
            "the volume for the weights is full",
        ),
        (
            "ValueError: Model architectures ['Mistral9ForCausalLM'] are not supported for now. Supported: []",
            PodReason.MODEL_UNSUPPORTED,
            "Model architectures ['Mistral9ForCausalLM'] are not supported for now",
        ),
        (
            "vLLM was killed by SIGKILL: out of memory?",
            PodReason.PROCESS_KILLED,
            "vLLM was killed by SIGKILL: most likely",
        ),
    ],
)
def test_words_of_vllm(words: str, reason: PodReason, said: str) -> None:
    """Those of which there is no log here, word for word from the sources."""
    diagnosis = found(pod(ended(words)))
    assert diagnosis is not None
    assert diagnosis.reason == reason
    assert said in diagnosis.message
    assert engine_failure("RuntimeError: something else") is None


def test_a_log_that_is_being_read() -> None:
    """Nothing is said until it is: what is said in between would be said twice."""
    one = pod(ended())
    assert log_wanted(one) is not None
    assert found(one, evidence=Evidence(unread=frozenset({NAME}))) is None


@pytest.mark.parametrize(
    ("one", "wanted"),
    [
        pytest.param(pod(ended("RuntimeError: no")), ("vllm", 1, True), id="waits to run again"),
        pytest.param(
            pod(container({"terminated": {"exitCode": 1, "finishedAt": "t"}})), ("vllm", 1, False), id="just ended"
        ),
        pytest.param(pod(ended("no", name="proxy")), None, id="another container"),
        pytest.param(pod(ended(code=137, reason="OOMKilled")), None, id="the kernel says why"),
        pytest.param(pod(ended(code=137)), None, id="told to end"),
        pytest.param(pod(running()), None, id="never ended"),
    ],
)
def test_which_logs_are_wanted(one: Body, wanted: tuple[str, int, bool] | None) -> None:
    """Those of a run of vLLM's that ended by itself and did not say why."""
    log = log_wanted(one)
    assert (log and (log.container, log.exit_code, log.previous)) == wanted


def test_the_worst_speaks() -> None:
    """What will not mend itself before what waits; of those alike the first by name, so that it does not move."""
    waits = unscheduled("0/1 nodes are available: 1 Insufficient nvidia.com/gpu.")
    crashes = [pod(ended("RuntimeError: no"), name=name) for name in ("m-b", "m-a")]
    for pods in ([waits, *crashes], [*reversed(crashes), waits]):
        diagnosis = found(*pods)
        assert diagnosis is not None
        assert diagnosis.message.startswith("pod m-a: ")


@pytest.mark.parametrize("step", ["look; at the node", "look at the node"])
def test_a_message_is_parted_as_it_was_put_together(step: str) -> None:
    """Others' words hold whatever they like, a next step no semicolon."""
    message = say("pod m-1", Finding(PodReason.CONTAINER_CRASHED, "it says: no; never; not here", step))
    assert part(message) == ("pod m-1: it says: no; never; not here", step.replace(";", ","))


def test_a_long_cause_is_cut_and_the_next_step_is_not() -> None:
    """The message ends with what to do."""
    diagnosis: Any = found(pod(ended("RuntimeError: " + "long " * 200)))
    assert diagnosis.message.endswith("…; see `kubectl logs --previous`")
    longer: Any = found(pod(ended("RuntimeError: " + "long " * 200), name="another-name-of-a-pod"))
    assert longer.message.partition(": ")[2] == diagnosis.message.partition(": ")[2]


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (pod(), False),
        (pod(waiting("ContainerCreating")), False),
        (pod(running()), False),
        (pod(waiting("ErrImagePull", "not found")), True),
        (pod(ended("ValueError: no")), True),
        (pod(ended()), True),  # the back-off's
        (unscheduled("0/5 nodes are available"), True),
        (pod(message="The node was low on resource: memory."), True),
    ],
)
def test_who_speaks(one: Body, words: bool) -> None:
    """A pod on its way says nothing that has to be read."""
    assert speaks(one) is words


def test_of_many_pods_some_are_read() -> None:
    """The first by name, always the same ones: a thousand replicas that say what they like take as long as fifty."""
    pods = [pod(ended("ValueError: no room"), name=f"m-{number:03}") for number in range(1000)]
    pods[50] = pod(waiting("InvalidImageName"), name="m-050")
    diagnosis = found(*pods)
    assert diagnosis is not None
    assert diagnosis.reason == PodReason.CONTAINER_CRASHED
    assert len(wanted_of(pods)) == 50


@pytest.mark.parametrize("say_it", [ended, unscheduled, lambda words: waiting("ErrImagePull", words)])
def test_words_without_end(say_it: Any) -> None:
    """A status may be as long as an object is; a message is not, and what stands at the beginning is understood."""
    body = say_it("manifest unknown " + "(Request ID: " * 100_000)
    assert found(body if "status" in body else pod(body)) is not None
