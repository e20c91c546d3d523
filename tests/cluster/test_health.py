"""The operator as a process: what it answers, how it ends, and what it says when it cannot begin."""

import os
import signal
import socket
import subprocess
from pathlib import Path
from typing import Final

import pytest
from prometheus_client.parser import text_string_to_metric_families

from cluster.conftest import QUICK
from cluster.live import Live, manifest
from cluster.processes import ask, until_ended, until_heard, until_leads
from cluster.traces import Audit, log_lines
from devcluster.cluster import write_kubeconfig
from devcluster.definitions import delete_definition
from devcluster.hub import HubServer
from devcluster.operator import COMMAND, NAMESPACE, Operator

LEASE: Final = f"apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/mistral-operator"
AT_ONCE_SECONDS: Final = 10.0  # a third of what a kubelet grants


def run(tmp_path: Path, *arguments: str, kubeconfig: Path | None = None) -> tuple[int, str]:
    """Run the operator where it is expected to end by itself; return its exit code and what it says."""
    environment = {**os.environ, "HOME": str(tmp_path), "KUBECONFIG": str(kubeconfig or tmp_path / "config")}
    command = (str(COMMAND), "run", "--http-host=127.0.0.1", "--http-port=0", *arguments)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603
    return done.returncode, done.stdout + done.stderr


def holder(live: Live) -> str:
    """Return who holds the Lease; nobody when it was given back."""
    return str(live.request("GET", LEASE)["spec"].get("holderIdentity", ""))


def test_health_over_http(live: Live, operator: Operator) -> None:
    """A kubelet and Prometheus find what they look for, and nothing else is there."""
    live.mdep("m")
    live.until_ready("m")
    for path in ("/healthz", "/readyz"):
        said = ask(operator, path)
        assert (said.status, said.text) == (200, "ok\n")
        assert said.content_type == "text/plain; charset=utf-8"
    metrics = ask(operator, "/metrics")
    assert (metrics.status, metrics.content_type) == (200, "text/plain; version=0.0.4; charset=utf-8")
    families = {family.name: family for family in text_string_to_metric_families(metrics.text)}
    ours = {name for name in families if name.startswith("mistral_operator_")}
    assert {"mistral_operator_leading", "mistral_operator_condition", "mistral_operator_reconciles"} <= ours
    assert all(families[name].documentation for name in ours)
    assert ask(operator, "/").status == 404


@pytest.mark.parametrize("times", [1, 2])
def test_a_signal_ends_it_in_order(bare: Live, hub: HubServer, times: int) -> None:
    """It gives the Lease back and ends with 0, at once; a second signal changes nothing."""
    with Operator(bare.plane, hub.url, arguments=(*QUICK, "--lease-duration=30"), name="operator-ends") as operator:
        operator.wait_ready()
        until_leads(operator)
        bare.mdep("m")
        bare.until_there("m")
        assert holder(bare)
        for _ in range(times):
            os.kill(operator.pid, signal.SIGTERM)
        assert until_ended(operator, AT_ONCE_SECONDS) == 0
        assert holder(bare) == ""
        assert "Traceback" not in operator.log
        assert all(isinstance(line, dict) for line in log_lines(operator))


def test_a_signal_ends_it_before_it_has_begun(bare: Live, hub: HubServer) -> None:
    """One that still waits for its resource ends as well as any other."""
    delete_definition(bare.plane, "mistraldeployments.mistral-operator.io")
    with Operator(bare.plane, hub.url, arguments=QUICK, name="operator-waits", install_crd=False) as operator:
        until_heard(operator)
        os.kill(operator.pid, signal.SIGTERM)
        assert until_ended(operator, AT_ONCE_SECONDS) == 0
        assert "Traceback" not in operator.log


def test_a_signal_ends_it_while_the_api_server_is_away(bare: Live, hub: HubServer) -> None:
    """What cannot be given back runs out by itself."""
    with Operator(bare.plane, hub.url, arguments=QUICK, name="operator-cut-off") as operator:
        operator.wait_ready()
        until_leads(operator)
        bare.plane.stop_apiserver()
        try:
            os.kill(operator.pid, signal.SIGTERM)
            assert until_ended(operator, AT_ONCE_SECONDS) == 0
        finally:
            bare.plane.start_apiserver()
        assert "Traceback" not in operator.log


@pytest.mark.parametrize("text", [None, "{", "contexts: 7"], ids=["none", "no YAML", "something else"])
def test_a_broken_kubeconfig(tmp_path: Path, text: str | None) -> None:
    """The last line says what is wrong and what to do, and the exit code is 2."""
    path = tmp_path / "config"
    if text is not None:
        path.write_text(text)
    code, said = run(tmp_path)
    assert code == 2
    assert said.splitlines()[-1].startswith("Error: No cluster to talk to: ")
    assert said.endswith("Set KUBECONFIG, name a context of it, or run in a pod.\n")
    assert "Traceback" not in said


def test_an_unknown_context(bare: Live, tmp_path: Path) -> None:
    """It is named."""
    code, said = run(tmp_path, "--context=elsewhere", kubeconfig=bare.plane.admin_kubeconfig)
    assert code == 2
    assert "elsewhere" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("option", "named"),
    [
        ("--unknown", "--unknown"),
        ("--log-level=loud", "--log-level"),
        ("--vllm=99.0.0", "99.0.0"),
    ],
)
def test_an_option_that_means_nothing(tmp_path: Path, option: str, named: str) -> None:
    """It is named, with exit code 2."""
    code, said = run(tmp_path, option)
    assert code == 2
    assert named in said
    assert "Traceback" not in said


def test_a_port_that_is_taken(bare: Live, tmp_path: Path) -> None:
    """It is named, with exit code 2."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, said = run(tmp_path, f"--http-port={port}", kubeconfig=bare.plane.admin_kubeconfig)
    assert code == 2
    assert f"Cannot listen on 127.0.0.1:{port}" in said
    assert "--http-port" in said
    assert "Traceback" not in said


def test_a_token_that_is_not_accepted_is_told_and_waited_for(bare: Live) -> None:
    """Rights may come later, and a restart brings none: the log says what the API server says."""
    cluster = {"server": bare.plane.server, "certificate-authority": str(bare.plane.ca_file)}
    kubeconfig = write_kubeconfig(bare.plane.folder / "stranger.kubeconfig", cluster, "unknown")
    command = (str(COMMAND), "run", "--http-host=127.0.0.1", "--http-port=0")
    process = bare.plane.run("operator-stranger", command, {**os.environ, "KUBECONFIG": str(kubeconfig)})
    log = bare.plane.folder / "operator-stranger.log"
    try:
        bare.until("a line in the log", lambda: "Unauthorized" in log.read_text())
        assert process.exit_code is None
    finally:
        process.end(grace_seconds=AT_ONCE_SECONDS)
    assert process.exit_code == 0
    assert "Traceback" not in log.read_text()


def test_some_namespaces_only(bare: Live, hub: HubServer) -> None:
    """Nothing elsewhere is touched, looked at, or listed."""
    ours, also_ours, theirs = (f"{bare.namespace}-{name}" for name in ("a", "b", "c"))
    for name in (ours, also_ours, theirs):
        bare.plane.kubectl("create", "namespace", name)
    audit = Audit(bare.plane)
    options = (*QUICK, f"--namespace={ours}", f"--namespace={also_ours}")
    with Operator(bare.plane, hub.url, arguments=options, name="operator-of-some") as operator:
        for name in (theirs, ours, also_ours):
            Live(bare.plane, name).create(manifest("m"))
        for name in (ours, also_ours):
            Live(bare.plane, name).until_there("m")
        operator.wait_ready()
        operator.stop()

    def watched() -> set[str]:
        return {request.namespace for request in audit.requests() if request.verb == "watch"}

    bare.until("the watches to end in the log too", lambda: watched() >= {ours, also_ours})
    assert Live(bare.plane, theirs).find("Deployment", "m") is None
    assert "observedGeneration" not in Live(bare.plane, theirs).get("MistralDeployment", "m").get("status", {})
    everywhere = {request.resource for request in audit.requests() if request.namespace == ""}
    assert {name for name in everywhere if not name.startswith("/")} == {"nodes", "selfsubjectaccessreviews"}
    assert {request.namespace for request in audit.requests()} == {"", ours, also_ours}
    for name in (ours, also_ours, theirs):
        Live(bare.plane, name).delete("MistralDeployment", "m")
