"""What pods say that they run: asked of each once, with the key from its Secret, and told in the status.

kwok gives a pod whatever address its annotation names; at that one a server answers as the image would.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from itertools import count
from typing import Any, Final, Protocol

import pytest

from cluster.live import Body, Live, condition_of, pod_of
from cluster.traces import Audit, Request, log_lines, total
from devcluster.operator import Operator
from mistral_operator.api.names import CONTAINER_PORT
from unit.pod_answers import layers
from unit.pod_server import PodServer, telling

ADDRESS: Final = "devcluster.mistral-operator.io/address"
KEY: Final = "sk-NotARealKeyButUnmistakable"
REFERENCE: Final = {"name": "vllm", "key": "api-key"}
# planned with XFORMERS and a window of 4096 tokens in all 32 layers
H200: Final = {"products": ["NVIDIA-H200"]}
FALLEN_BACK: Final = telling(layers("sliding_attention", 32, 4096, "FLASH_ATTN"))
_numbers = count(1)


class NewPod(Protocol):
    """Makes what answers for a pod."""

    def __call__(self, key: str | None = None) -> PodServer:
        """Return it, listening on an address of its own."""


@pytest.fixture
def new_pod() -> Iterator[NewPod]:
    """Return what makes pods' servers, on addresses that no other test uses."""
    with ExitStack() as stack:

        def new(key: str | None = None) -> PodServer:
            try:
                server = PodServer(new_address(), CONTAINER_PORT, key=key)
            except OSError as error:
                pytest.skip(f"only Linux has all of 127.0.0.0/8 on its loopback: {error}")
            return stack.enter_context(server)

        yield new


def new_address() -> str:
    """Return a loopback address that no other test uses."""
    return f"127.1.2.{next(_numbers)}"


def serve(live: Live, address: str, **spec: Any) -> None:
    """Create a MistralDeployment whose pods have an address."""
    live.mdep("m", gpu=H200, podAnnotations={ADDRESS: address}, **spec)


def restart(live: Live, restarts: int = 1) -> None:
    """Let the container of the one pod of m have been restarted."""
    (pod,) = live.pods("m")
    (container,) = pod["status"]["containerStatuses"]
    live.patch(
        "Pod",
        pod["metadata"]["name"],
        {"status": {"containerStatuses": [{**container, "restartCount": restarts}]}},
        "status",
    )


def told_events(live: Live) -> list[tuple[str, str]]:
    """Return the Events about what pods run."""
    return [event for event in live.events("m") if event[1].startswith("Attention")]


def counted(live: Live, at_least: int, questions: Callable[[], int]) -> None:
    """Wait until a pod has been asked so often."""
    live.until(f"{at_least} questions", lambda: questions() >= at_least)


def test_a_pod_that_runs_the_plan(live: Live, new_pod: NewPod) -> None:
    """It is verified, with what it reported and when; that is no Event, and Ready was never in doubt."""
    pod = new_pod()
    serve(live, pod.address)
    live.until_condition("m", "AttentionVerified", "True", "AttentionAsPlanned")
    body = live.until_ready("m")
    observed = body["status"]["attention"]["observed"]
    assert observed.pop("verifiedAt") >= body["metadata"]["creationTimestamp"]
    assert observed == {"backends": body["status"]["attention"]["backends"], "slidingWindow": 4096}
    assert [question.path for question in pod.questions] == ["/v1/attention"]
    assert told_events(live) == []


def test_a_pod_that_fell_back(live: Live, new_pod: NewPod) -> None:
    """It serves and is not Ready, by name; the restart that mends it is seen, and each way is one Event."""
    pod = new_pod()
    pod.reply = FALLEN_BACK
    serve(live, pod.address)
    found = live.until_condition("m", "AttentionVerified", "False", "AttentionDiffers")
    (name,) = (body["metadata"]["name"] for body in live.pods("m"))
    assert found["message"] == f"pod {name}: sliding_attention runs FLASH_ATTN, not XFORMERS"
    ready = live.until_condition("m", "Ready", "False", "AttentionDiffers")
    assert ready["message"] == found["message"]
    status = live.get("MistralDeployment", "m")["status"]
    assert (status["phase"], status["readyReplicas"]) == ("Degraded", 1)
    assert status["attention"]["observed"]["backends"] == {"sliding_attention": "FLASH_ATTN"}
    live.until("the Event", lambda: told_events(live) == [("Warning", "AttentionDiffers")])

    pod.reply = telling()
    restart(live)
    live.until_condition("m", "AttentionVerified", "True", "AttentionAsPlanned")
    live.until_ready("m")
    live.until(
        "the good news",
        lambda: told_events(live) == [("Warning", "AttentionDiffers"), ("Normal", "AttentionAsPlanned")],
    )
    assert len(pod.questions) == 2


def test_a_pod_that_cannot_be_reached(live: Live) -> None:
    """A policy may keep the operator out: it is Unknown and Ready, and no Event."""
    serve(live, new_address())
    message = live.until_condition("m", "AttentionVerified", "Unknown", "PodUnreachable")["message"]
    assert "NetworkPolicy" in message
    assert "observed" not in live.until_ready("m")["status"]["attention"]
    assert told_events(live) == []


def test_a_pod_that_comes_within_reach(live: Live, operator: Operator) -> None:
    """It is asked again without a write, and verified when it answers."""
    address = new_address()
    serve(live, address)
    live.until_condition("m", "AttentionVerified", "Unknown", "PodUnreachable")
    before = live.until_ready("m")
    tried = partial(total, operator, "mistral_operator_attention_asks_total", result="PodUnreachable")
    already = tried()
    live.until("another try", lambda: tried() > already)
    after = live.get("MistralDeployment", "m")
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
    try:
        server = PodServer(address, CONTAINER_PORT)
    except OSError as error:
        pytest.skip(f"only Linux has all of 127.0.0.0/8 on its loopback: {error}")
    with server:
        live.until_condition("m", "AttentionVerified", "True", "AttentionAsPlanned", seconds=60)
    assert told_events(live) == []


def test_a_stock_image_cannot_tell(live: Live, new_pod: NewPod) -> None:
    """It is not even asked."""
    pod = new_pod()
    stock = {"repository": "vllm/vllm-openai", "tag": "v0.26.0", "runtime": {"name": "vllm", "version": "0.26.0"}}
    serve(live, pod.address, image=stock)
    live.until_ready("m")
    live.until_condition("m", "AttentionVerified", "Unknown", "ImageCannotTell")
    assert pod.questions == []


def test_it_is_asked_once_a_run(live: Live, new_pod: NewPod) -> None:
    """Neither changes of the object, nor of the pod, nor two resyncs make anybody ask again; a restart does."""
    pod = new_pod()
    serve(live, pod.address)
    live.until_condition("m", "AttentionVerified", "True")
    live.until_ready("m")
    audit = Audit(live.plane)

    def requests() -> list[Request]:
        return [request for request in audit.requests() if request.namespace in ("", live.namespace)]

    live.patch("MistralDeployment", "m", {"spec": {"service": {"annotations": {"a": "b"}}}})
    live.until_condition("m", "AttentionVerified", "True", generation=2)
    (name,) = (body["metadata"]["name"] for body in live.pods("m"))
    live.patch("Pod", name, {"metadata": {"labels": {"a": "b"}}})
    lists = [("list", resource) for resource in ("mistraldeployments", "pods")]
    live.until(
        "two whole resyncs",
        lambda: all([(one.verb, one.resource) for one in requests()].count(kind) >= 3 for kind in lists),
    )
    assert len(pod.questions) == 1
    assert [one for one in requests() if one.verb == "get" and one.resource in ("replicasets", "pods", "secrets")] == []
    restart(live)
    counted(live, 2, lambda: len(pod.questions))
    assert [one.resource for one in requests() if one.verb == "get"].count("replicasets") == 1


def test_the_key_is_that_of_the_secret(live: Live, operator: Operator, new_pod: NewPod) -> None:
    """It is told when it is missing, read when it comes, sent to the pod, and found nowhere else."""
    pod = new_pod(key=KEY)
    serve(live, pod.address, apiKeySecretRef=REFERENCE)
    message = live.until_condition("m", "AttentionVerified", "Unknown", "KeyMissing")["message"]
    for words in (f"Secret {live.namespace}/vllm", "spec.apiKeySecretRef", "Create it with a key 'api-key'"):
        assert words in message
    live.until_ready("m")
    assert pod.questions == []
    live.secret("vllm", {"api-key": KEY})
    live.until_condition("m", "AttentionVerified", "True", "AttentionAsPlanned", seconds=60)
    assert [question.authorization for question in pod.questions] == [f"Bearer {KEY}"]

    pod.key = "another"
    restart(live)
    live.until_condition("m", "AttentionVerified", "Unknown", "KeyRefused")
    live.until_ready("m")
    told = f"{live.get('MistralDeployment', 'm')} {live.all('Event')} {log_lines(operator)}"
    assert KEY not in told


def test_a_stranger_with_our_labels_gets_no_key(live: Live, new_pod: NewPod) -> None:
    """Labels and annotations are free to anybody: a pod alone, and one of somebody else's ReplicaSet."""
    pod, alone, foreign = new_pod(key=KEY), new_pod(), new_pod()
    alone.reply = foreign.reply = FALLEN_BACK
    live.secret("vllm", {"api-key": KEY})
    serve(live, pod.address, apiKeySecretRef=REFERENCE)
    live.until_condition("m", "AttentionVerified", "True")
    deployment = live.get("Deployment", "m")
    audit = Audit(live.plane)
    live.create(_imitation(deployment, "alone", alone))
    template = _imitation(deployment, "foreign", foreign)
    template["metadata"]["labels"] |= {"of": "somebody-else"}
    spec = {"replicas": 1, "selector": {"matchLabels": {"of": "somebody-else"}}, "template": template}
    live.create({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "foreign"}, "spec": spec})
    live.until("all three to be Ready", lambda: _ready(live) == 3)
    live.until(
        "the foreign ReplicaSet to be looked at",
        lambda: (
            ("replicasets", live.namespace, "foreign")
            in [(one.resource, one.namespace, one.name) for one in audit.requests()]
        ),
    )
    live.until("the status to count them", lambda: live.get("MistralDeployment", "m")["status"]["readyReplicas"] == 3)
    live.until_condition("m", "AttentionVerified", "True")
    assert (alone.questions, foreign.questions) == ([], [])
    assert told_events(live) == []


def test_the_worst_of_several_speaks(live: Live, new_pod: NewPod) -> None:
    """One of two fell back: it is named, and what the other says changes nothing."""
    pod, other = new_pod(), new_pod()
    other.reply = FALLEN_BACK
    serve(live, pod.address)
    live.until_condition("m", "AttentionVerified", "True")
    live.patch("MistralDeployment", "m", {"spec": {"replicas": 2}})
    live.until("two pods", lambda: len(live.pods("m")) == 2)
    live.until_condition("m", "AttentionVerified", "True")
    newest = max(live.pods("m"), key=lambda body: str(body["metadata"]["creationTimestamp"]))["metadata"]["name"]
    live.until("it to be Ready", lambda: _ready(live) == 2)
    ip = {"podIP": other.address, "podIPs": [{"ip": other.address}]}
    body = live.get("Pod", newest)
    (container,) = body["status"]["containerStatuses"]
    status = {**ip, "containerStatuses": [{**container, "restartCount": 1}]}
    live.patch("Pod", newest, {"status": status}, "status")
    found = live.until_condition("m", "AttentionVerified", "False", "AttentionDiffers")
    assert found["message"].startswith(f"pod {newest}: ")


def _imitation(deployment: Body, name: str, server: PodServer) -> Body:
    """Return a pod that looks like one of a Deployment's."""
    body = pod_of(deployment, name)
    body["metadata"]["annotations"] = deployment["spec"]["template"]["metadata"]["annotations"] | {
        ADDRESS: server.address
    }
    return body


def _ready(live: Live) -> int:
    pods = live.all("Pod", "app.kubernetes.io/instance=m")
    return sum(condition_of(body, "Ready").get("status") == "True" for body in pods)
