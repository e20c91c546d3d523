"""Which way the API server is reached."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

OUTSIDE = "http://proxy.example.com:3128"
NAMED = "http://named.example.com:3128"
# a process of its own: the client reads KUBECONFIG when it is imported
_ASK = """
import asyncio
from mistral_operator.cluster.connection import connect, credentials_of

async def ask():
    async with await connect("there") as connection:
        print((await credentials_of(connection)).proxy)

asyncio.run(ask())
"""


@pytest.mark.parametrize(
    ("environment", "proxy_url", "expected"),
    [
        ({"HTTP_PROXY": OUTSIDE}, None, None),
        ({"HTTPS_PROXY": OUTSIDE}, None, OUTSIDE),
        ({"HTTPS_PROXY": OUTSIDE, "NO_PROXY": "10.96.0.2"}, None, OUTSIDE),
        ({"HTTPS_PROXY": OUTSIDE, "NO_PROXY": "10.96.0.1"}, None, None),
        ({"HTTPS_PROXY": OUTSIDE, "NO_PROXY": "10.96.0.1"}, NAMED, NAMED),
    ],
)
def test_proxy(environment: dict[str, str], proxy_url: str | None, expected: str | None, tmp_path: Path) -> None:
    """The kubeconfig's own proxy comes first, then the environment's, unless it leaves the server out."""
    kubeconfig = _kubeconfig(tmp_path / "kubeconfig", proxy_url)
    own = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", _ASK],
        env={**own, **environment, "KUBECONFIG": str(kubeconfig)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.stdout.strip(), done.stderr) == (str(expected), "")


def _kubeconfig(path: Path, proxy_url: str | None) -> Path:
    cluster = {"server": "https://10.96.0.1:443", **({"proxy-url": proxy_url} if proxy_url else {})}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "there", "cluster": cluster}],
        "users": [{"name": "somebody", "user": {"token": "secret"}}],
        "contexts": [{"name": "there", "context": {"cluster": "there", "user": "somebody"}}],
        "current-context": "there",
    }
    path.write_text(yaml.safe_dump(config))
    return path
