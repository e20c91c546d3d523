"""The demo behind a proxy."""

import pytest

from demo.world import Demo, World
from devcluster.demo.proxies import past_proxies


@pytest.mark.parametrize(
    ("environment", "names"),
    [
        ({}, None),
        ({"no_proxy": "a"}, None),
        ({"HTTP_PROXY": "http://p"}, "127.0.0.1"),
        ({"https_proxy": "http://p", "NO_PROXY": "a,b"}, "a,b,127.0.0.1"),
        ({"ALL_PROXY": "http://p", "NO_PROXY": "a", "no_proxy": "b"}, "b,127.0.0.1"),
        ({"HTTP_PROXY": "http://p", "no_proxy": "*"}, None),
        ({"HTTP_PROXY": ""}, None),
    ],
)
def test_what_is_set(environment: dict[str, str], names: str | None) -> None:
    """The machine itself joins what the user excepts, in both spellings, where there is a proxy at all."""
    assert past_proxies(environment) == ({} if names is None else {"no_proxy": names, "NO_PROXY": names})


def test_a_proxy_that_cannot_reach_this_machine(world: World) -> None:
    """Nobody asks it for the demo's own hub and operator."""
    nowhere = "http://127.0.0.1:9"
    with Demo(world, HTTP_PROXY=nowhere, http_proxy=nowhere, HTTPS_PROXY=nowhere, NO_PROXY="", no_proxy="") as demo:
        code, said = demo.end()
    assert code == 0, said
    assert world.is_empty()
