"""What an operator tells machines: a log of JSON objects with each decision once, metrics, and no secret anywhere."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import yaml

from cluster.conftest import QUICK
from cluster.hubs import put_models
from cluster.live import NEMO, Answer, Live, manifest
from cluster.traces import Audit, log_lines, metrics_text, samples, total
from devcluster.hub import Fault, HubServer, Kind
from devcluster.operator import NAMESPACE, SERVICE_ACCOUNT, Operator

INTERLEAVED: Final = {"id": "mistralai/Ministral-8B-Instruct-2410", "revision": "with-layer_types"}


def lines_about(operator: Operator, live: Live, name: str, event: str) -> list[dict[str, Any]]:
    """Return the lines of one kind about an object, oldest first."""
    key = f"{live.namespace}/{name}"
    return [line for line in log_lines(operator) if (line["event"], line.get("object")) == (event, key)]


def decisions(operator: Operator, live: Live, name: str) -> list[dict[str, Any]]:
    """Return the lines about an object's plans, oldest first."""
    return lines_about(operator, live, name, "planned")


@contextmanager
def no_status(live: Live) -> Iterator[None]:
    """Let the API server refuse every status in a namespace."""
    group, name = "apis/admissionregistration.k8s.io/v1", f"no-status-{live.namespace}"
    status = {
        "apiGroups": ["mistral-operator.io"],
        "apiVersions": ["*"],
        "operations": ["UPDATE"],
        "resources": ["mistraldeployments/status"],
    }
    policy = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "matchConstraints": {"resourceRules": [status]},
            "validations": [{"expression": "false", "message": "no status here"}],
        },
    }
    here = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": live.namespace}}}
    binding = policy | {
        "kind": "ValidatingAdmissionPolicyBinding",
        "spec": {"policyName": name, "validationActions": ["Deny"], "matchResources": here},
    }
    probe = manifest("probe")
    probe["metadata"]["annotations"] = {"mistral-operator.io/paused": "true"}
    live.create(probe)

    def refuses() -> bool:
        try:
            live.patch("MistralDeployment", "probe", {"status": {"phase": "Pending"}}, "status")
        except Answer as answer:
            return "no status here" in answer.message
        return False

    live.request("POST", f"{group}/validatingadmissionpolicies", policy)
    live.request("POST", f"{group}/validatingadmissionpolicybindings", binding)
    try:
        live.until("the policy to be in force", refuses)
        yield
    finally:
        live.request("DELETE", f"{group}/validatingadmissionpolicybindings/{name}")
        live.request("DELETE", f"{group}/validatingadmissionpolicies/{name}")


def look_again(live: Live, name: str, times: int) -> None:
    """Wait until the operator has looked at an object some more times."""
    audit = Audit(live.plane)
    read = ("get", "mistraldeployments", live.namespace, name)
    live.until(
        f"{name} to be looked at {times} more times",
        lambda: [(r.verb, r.resource, r.namespace, r.name) for r in audit.requests()].count(read) >= times,
    )


def test_each_decision_is_one_line(live: Live, operator: Operator) -> None:
    """Window, layers, backends and XFormers' availability stand in one line, which only another decision repeats."""
    interleaved = manifest("interleaved")
    interleaved["spec"]["model"] = INTERLEAVED
    live.create(interleaved)
    live.mdep("m")
    live.mdep("nemo", NEMO)
    status = {name: live.until_ready(name)["status"] for name in ("m", "nemo", "interleaved")}

    lines = {name: decisions(operator, live, name) for name in status}
    assert {name: len(found) for name, found in lines.items()} == dict.fromkeys(status, 1)
    for name, (line,) in lines.items():
        attention = status[name]["attention"]
        assert line["level"] == "info"
        assert line["model"] == live.get("MistralDeployment", name)["spec"]["model"]["id"]
        assert line["commit"] == status[name]["resolved"]["commit"]
        assert line["window"] == attention.get("slidingWindow")
        assert {kind: line[kind] for kind in ("sliding", "full")} == attention["layers"]
        assert line["backends"] == attention["backends"]
        assert line["reason"] == attention["reason"]
        assert line["xformers"] == attention["xformers"] == "Available"
    assert (lines["m"][0]["window"], lines["m"][0]["sliding"], lines["m"][0]["full"]) == (4096, 32, 0)
    assert (lines["nemo"][0]["window"], lines["nemo"][0]["sliding"], lines["nemo"][0]["full"]) == (None, 0, 40)
    assert lines["interleaved"][0]["sliding"] > lines["interleaved"][0]["full"] > 0

    look_again(live, "m", 2)
    live.patch("MistralDeployment", "m", {"spec": {"replicas": 2}}, "scale")
    live.until_ready("m")
    live.patch("MistralDeployment", "m", {"spec": {"service": {"port": 80}}})
    live.until_ready("m")
    look_again(live, "m", 1)
    assert decisions(operator, live, "m") == lines["m"]

    live.patch("MistralDeployment", "m", {"spec": {"engine": {"attentionBackend": "FLASH_ATTN"}}})
    live.until_ready("m")
    first, second = decisions(operator, live, "m")
    assert [first] == lines["m"]
    assert second["backends"] == {"sliding_attention": "FLASH_ATTN"}
    assert second["reason"] == "UserChoice"


def test_a_decision_that_cannot_be_written_down_is_no_line_yet(live: Live, operator: Operator) -> None:
    """However often the same is decided before the status takes it, one line tells it."""
    with no_status(live):
        live.mdep("m")
        live.until("several tries", lambda: len(lines_about(operator, live, "m", "could not reconcile")) >= 3)
        assert decisions(operator, live, "m") == []
    live.until_ready("m")
    live.until("the decision", lambda: decisions(operator, live, "m"))
    look_again(live, "m", 2)
    assert len(decisions(operator, live, "m")) == 1


def test_an_unscheduled_object_that_is_scaled_is_not_decided_anew(live: Live, operator: Operator) -> None:
    """Nothing runs, so that each look makes the plan anew; it is news only when it is another plan."""
    live.mdep("m", nodeSelector={"zone": "nowhere"})
    live.until_condition("m", "Available", "False", "AffinityUnmatched")
    live.until("the decision", lambda: decisions(operator, live, "m"))
    live.patch("MistralDeployment", "m", {"spec": {"replicas": 2}}, "scale")
    live.until("both pods", lambda: len(live.pods("m")) == 2)
    look_again(live, "m", 3)
    assert len(decisions(operator, live, "m")) == 1


def test_no_secret_is_ever_told(solo: Live, tmp_path: Path) -> None:
    """Neither log, at its most talkative, nor metrics, status, Events or children hold a token, good or bad."""
    put_models(tmp_path, "acme/gated", "acme/strict")
    good, refused, malformed, api_key = "hf_good_0123", "hf_refused_4567", "hf_mal formed_89", "sk_api_key_abcd"
    with (
        HubServer(tmp_path) as hub,
        Operator(solo.plane, hub.url, arguments=(*QUICK, "--log-level=DEBUG"), name="operator-talkative") as operator,
    ):
        operator.wait_ready()
        hub.faults["acme/gated"] = Fault(Kind.GATED, tokens=frozenset({good}))
        hub.faults["acme/strict"] = Fault(Kind.BAD_TOKEN)
        solo.secret("hf", {"good": good, "refused": refused, "malformed": malformed})
        solo.secret("api", {"key": api_key})
        api_key_reference = {"name": "api", "key": "key"}
        for name, model in (("good", "acme/gated"), ("refused", "acme/gated"), ("malformed", "acme/strict")):
            solo.mdep(name, model, hfTokenSecretRef={"name": "hf", "key": name}, apiKeySecretRef=api_key_reference)
        solo.mdep("strict", "acme/strict", hfTokenSecretRef={"name": "hf", "key": "refused"})
        solo.until_ready("good")
        solo.until_condition("refused", "ModelResolved", "False", "Gated")
        solo.until_condition("malformed", "ModelResolved", "False", "BadToken")
        solo.until_condition("strict", "ModelResolved", "False", "BadToken")
        assert {good, refused} <= {exchange.token for exchange in hub.requests}

        lines = log_lines(operator)
        assert any(line["level"] == "debug" for line in lines)
        assert all({"event", "level", "timestamp"} <= line.keys() for line in lines)
        kinds = ("MistralDeployment", "Deployment", "ReplicaSet", "Pod", "Service", "Event")
        told = [operator.log, metrics_text(operator), *(str(solo.all(kind)) for kind in kinds)]
        kubeconfig = solo.plane.folder / f"{NAMESPACE}-{SERVICE_ACCOUNT}.kubeconfig"
        own = yaml.safe_load(kubeconfig.read_text())["users"][0]["user"]["token"]
        secrets = (good, refused, malformed, api_key, own)
        for secret in (*secrets, *(base64.b64encode(secret.encode()).decode() for secret in secrets)):
            assert not [text for text in told if secret in text]


def test_metrics_show_each_object_until_it_is_gone(live: Live, operator: Operator) -> None:
    """Conditions and backends of every object, and how the operator itself is doing."""
    live.mdep("m")
    live.mdep("lost", "acme/nowhere")
    live.until_ready("m")
    live.until_condition("lost", "ModelResolved", "False")

    def shown(name: str) -> dict[str, float]:
        found = samples(operator, "mistral_operator_condition", namespace=live.namespace, name=name)
        return {sample.labels["type"]: sample.value for sample in found}

    def backends(name: str) -> dict[str, float]:
        found = samples(operator, "mistral_operator_attention_backend_info", namespace=live.namespace, name=name)
        return {sample.labels["backend"]: sample.value for sample in found}

    def replicas(name: str) -> list[float]:
        both = (f"mistral_operator_replicas_{which}" for which in ("desired", "ready"))
        found = [samples(operator, measure, namespace=live.namespace, name=name) for measure in both]
        return [sample.value for one in found for sample in one]

    def told(name: str) -> dict[str, float]:
        conditions = live.get("MistralDeployment", name)["status"]["conditions"]
        return {one["type"]: {"True": 1, "False": 0, "Unknown": -1}[one["status"]] for one in conditions}

    live.until("the metrics to say what the status says", lambda: shown("m") == told("m"))
    live.until("the metrics to say what the status says", lambda: shown("lost") == told("lost"))
    assert shown("m")["Ready"] == 1
    assert (shown("lost")["Ready"], shown("lost")["ModelResolved"]) == (0, 0)
    assert (backends("m"), backends("lost")) == ({"XFORMERS": 1}, {})
    assert (replicas("m"), replicas("lost")) == ([1, 1], [1, 0])

    assert total(operator, "mistral_operator_reconciles_total", result="done") > 0
    assert total(operator, "mistral_operator_reconcile_seconds_count") > 0
    assert len(samples(operator, "mistral_operator_queue_depth")) == 1
    assert total(operator, "mistral_operator_leading") == 1
    assert total(operator, "mistral_operator_hub_reads_total", result="Read") > 0
    assert total(operator, "mistral_operator_hub_reads_total", result="NotFoundOrNoAccess") > 0
    assert total(operator, "mistral_operator_api_requests_total", method="PATCH", code="200") > 0

    live.patch("MistralDeployment", "m", {"spec": {"engine": {"attentionBackend": "FLASH_ATTN"}}})
    live.until("the other backend", lambda: backends("m") == {"FLASH_ATTN": 1})
    live.patch("MistralDeployment", "m", {"spec": {"replicas": 0}})
    live.until("no replica to be wanted, or there", lambda: replicas("m") == [0, 0])
    for name in ("m", "lost"):
        live.delete("MistralDeployment", name)
    live.until(
        "nothing of them to be shown", lambda: not any((shown("m"), shown("lost"), backends("m"), replicas("m")))
    )
