"""What vLLM's API server answers to whoever has no key."""

from image.serving import Serving
from mistral_vllm.api_key import OPEN_PATHS

COMPLETION = {"prompt": [1, 2, 3], "max_tokens": 1}


def test_no_path_but_the_open_ones(server: Serving) -> None:
    """Whatever vLLM serves, /invocations with its completions and /tokenize among it, and what it does not serve."""
    served = server.get("/openapi.json").json()["paths"]
    assert {"/v1/completions", "/v1/attention", "/invocations", "/tokenize", "/scale_elastic_ep"} <= served.keys()
    paths = {path: sorted(methods) for path, methods in served.items()} | {
        "/docs": ["get"],
        "/openapi.json": ["get"],
        "/": ["get"],
        "//health": ["get"],
        "/health/x": ["get"],
        "/metricsx": ["get"],  # which vLLM takes for /metrics
    }
    answers = {
        (path, method): server.knock(method.upper(), path).status_code
        for path, methods in paths.items()
        for method in methods
    }
    open_paths = {path for (path, _), status in answers.items() if status != 401}
    assert open_paths == {"/health", "/ping", "/metrics"} == OPEN_PATHS
    assert {answers[path, "get"] for path in open_paths} == {200}


def test_with_the_key(server: Serving) -> None:
    """Everything is as vLLM serves it; with another key it is as without one."""
    answer = server.post("/invocations", COMPLETION)
    assert answer.status_code == 200
    assert len(answer.json()["choices"]) == 1
    assert server.post("/tokenize", {"prompt": "x"}).status_code != 401
    refused = server.post("/invocations", COMPLETION, key="another-key")
    assert (refused.status_code, refused.json()) == (401, {"error": "Unauthorized"})
