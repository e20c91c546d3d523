"""Kubeconfigs that lead nowhere: each ends in a sentence that says what to do, and in no traceback."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

# a process of its own: the client reads KUBECONFIG when it is imported
_CONNECT = """
import asyncio, sys
from mistral_operator.cluster.connection import NoClusterError, connect

async def ask():
    try:
        async with await connect(*sys.argv[1:]) as connection:
            print("connected to", connection.configuration.host)
    except NoClusterError as error:
        print(error)

asyncio.run(ask())
"""


def config(cluster: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """Return a kubeconfig."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        "clusters": [{"name": "k", "cluster": {"server": "https://127.0.0.1:1"} if cluster is None else cluster}],
        "users": [{"name": "u", "user": {"token": "t"}}],
    } | more


def connected(folder: Path, written: str | None, *arguments: str) -> str:
    """Return what comes of connecting with a kubeconfig of that text."""
    file = folder / "config"
    if written is not None:
        file.write_text(written, encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KUBERNETES_")}
    ended = subprocess.run(  # noqa: S603 - our own
        [sys.executable, "-c", _CONNECT, *arguments],
        env=environment | {"KUBECONFIG": str(file)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in ended.stderr
    return ended.stdout.strip()


@pytest.mark.parametrize(
    ("written", "told"),
    [
        pytest.param(None, "Invalid kube-config file", id="no file"),
        pytest.param("", "the kubeconfig is none", id="an empty file"),
        pytest.param("[1, 2]", "the kubeconfig is none", id="a list"),
        pytest.param("a: [", "expected the node content", id="no YAML"),
        pytest.param("apiVersion: v1\nkind: Config\n", "Expected key current-context", id="nothing in it"),
        pytest.param(
            yaml.safe_dump(config({"server": "https://h", "certificate-authority": "/nowhere/ca.pem"})),
            "/nowhere/ca.pem", id="certificates that are not there",
        ),
        pytest.param(
            yaml.safe_dump(config({"server": "https://h", "certificate-authority-data": "bm90IGEgY2VydA=="})),
            "certificate", id="certificates that are none",
        ),
        pytest.param(yaml.safe_dump(config({"insecure-skip-tls-verify": True})), "has no server", id="no server"),
        pytest.param(yaml.safe_dump(config(clusters=None)), "", id="null for a list"),
    ],
)  # fmt: skip
def test_a_kubeconfig_that_leads_nowhere(tmp_path: Path, written: str | None, told: str) -> None:
    """The sentence names the cause as far as it is known, and the ways out."""
    text = connected(tmp_path, written)
    assert text.startswith("No cluster to talk to: ")
    assert told in text
    assert text.endswith("Set KUBECONFIG, name a context of it, or run in a pod.")


def test_a_context_that_does_not_exist(tmp_path: Path) -> None:
    """It is named."""
    text = connected(tmp_path, yaml.safe_dump(config()), "staging")
    assert text.startswith("No cluster to talk to: ")
    assert "staging" in text


def test_a_kubeconfig(tmp_path: Path) -> None:
    """One that is well is taken."""
    assert connected(tmp_path, yaml.safe_dump(config())) == "connected to https://127.0.0.1:1"
