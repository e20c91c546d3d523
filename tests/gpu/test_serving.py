"""What ``mistral-operator plan`` prints, unchanged, starts the server; and what the server tells agrees with the plan.

Needs the package installed with its entry points, and beside it the operator's sources and what ``plan`` imports.
"""

from pathlib import Path
from typing import Any

import pytest

from gpu.conftest import keep
from gpu.model import LAYOUTS, VOCABULARY, Reference
from gpu.serving import ask, is_installed, plan, save_tokenizer, served

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory, device: Any) -> Reference:
    """Return small random models with a tokenizer."""
    made = Reference(tmp_path_factory.mktemp("models"), 512, device)
    for folder in made.folders.values():
        save_tokenizer(folder, VOCABULARY)
    return made


@pytest.mark.parametrize("layout", list(LAYOUTS))
def test_the_plan_starts_the_server_and_they_agree(
    layout: str, reference: Reference, tmp_path: Path, on_cpu: bool
) -> None:
    """``GET /v1/attention`` needs the key, and tells the plan's backends, window and layers."""
    if on_cpu or not is_installed():
        pytest.skip("needs a GPU, and the package installed with its entry points")
    planned = plan(reference.folders[layout], 4096)
    assert planned["attention"]["backends"]["sliding_attention"] == "XFORMERS"
    with served(planned, tmp_path / "log") as url:
        assert ask(f"{url}/v1/attention", key=None)[0] == 401
        status, told = ask(f"{url}/v1/attention")
        metrics = ask(f"{url}/metrics", key=None)[1]
    assert status == 200
    kept = {"args": planned["args"], "env": planned["env"], "plan": planned["attention"], "pod": told}
    keep(f"served-{layout}.json", kept)
    for word in ("backends", "slidingWindow", "layers"):
        assert told[word] == planned["attention"][word], word
    sliding = told["kinds"][0]
    assert sliding["kernels"]["decodeKernel"] == "xformers_splitk"
    assert (told["ranks"], told["ranksAgree"], told["warnings"]) == (1, True, [])
    assert "mistral_vllm_attention_info{backend_full=" in metrics
