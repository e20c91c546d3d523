"""What the plugin does where something that it needs is not there: one sentence, and the documented fallback.

The platform is pretended, since this machine has no GPU; everything up to the first kernel is vLLM's own code.
"""

import json
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

from image.registering import Registered, install, register_on

INTEGRATION = {
    "parsers": ["EnhancingHFConfigParser", "EnhancingMistralConfigParser"],
    "classes": {
        "MistralForCausalLM": "mistral_vllm.integration.models",
        "LlamaForCausalLM": "vllm.model_executor.models.llama",
    },
    "cuda": False,
    "xformers": False,
}
FALLBACK = "until then FlashAttention decodes the windows, and --attention-backend CUSTOM must be left out"
NO_XFORMERS = f"xFormers is not installed: install xformers==0.0.35; {FALLBACK}"
NO_LIBRARY = (
    "xFormers 0.0.35 has no CUDA operators, because libcudart.so.12 cannot be loaded: install nvidia-cuda-runtime-cu12 "
    f"and put its lib folder on LD_LIBRARY_PATH; {FALLBACK}"
)
NO_GPU = (
    "vLLM found no CUDA GPU, which XFORMERS needs: give the pod a GPU and its driver, or use vLLM for the CPU; until "
    "then --attention-backend CUSTOM must be left out"
)


@pytest.fixture
def with_xformers(tmp_path: Path) -> Path:
    """Return a folder with what is looked at of an xFormers built for CUDA 12.8."""
    install(tmp_path, "xformers", "0.0.35", {})
    package = tmp_path / "xformers"
    package.mkdir()
    for name in ("__init__.py", "_C.so"):
        (package / name).touch()
    (package / "cpp_lib.json").write_text(json.dumps({"version": {"cuda": 1208}}))
    return tmp_path


def warnings(registered: Registered) -> list[str]:
    """Return the plugin's warnings, without vLLM's beginning of each line."""
    return [
        line.partition("mistral_vllm: ")[2]
        for line in registered.log.splitlines()
        if "WARNING" in line and "mistral_vllm: " in line
    ]


def test_nothing(with_xformers: Path) -> None:
    """With everything there the backend is registered by its name: no CUDA is touched, and xFormers is not imported."""
    cuda = find_spec("nvidia.cu13")
    assert cuda is not None
    assert cuda.submodule_search_locations is not None
    (library,) = Path(next(iter(cuda.submodule_search_locations)), "lib").glob("libcudart.so.13*")
    shutil.copy(library, with_xformers / "libcudart.so.12")  # it is loaded, no more
    ran = register_on("CUDA", with_xformers, {"LD_LIBRARY_PATH": str(with_xformers), "MISTRAL_VLLM_REQUIRED": "1"})
    assert ran.found == INTEGRATION | {"backend": "mistral_vllm.backend.attention.XFormersBackend"}, ran.log
    assert warnings(ran) == []


def test_xformers(tmp_path: Path) -> None:
    """Without xFormers the integration works, and the backend's name stays free."""
    ran = register_on("CUDA", tmp_path, {})
    assert ran.found == INTEGRATION | {"backend": None}, ran.log
    assert set(warnings(ran)) == {NO_XFORMERS}


def test_cuda_library_of_xformers(with_xformers: Path) -> None:
    """An xFormers that cannot load is none: importing it would succeed all the same."""
    ran = register_on("CUDA", with_xformers, {})
    assert ran.found == INTEGRATION | {"backend": None}, ran.log
    assert set(warnings(ran)) == {NO_LIBRARY}


def test_gpu(tmp_path: Path) -> None:
    """VLLM for CUDA on a machine without a GPU ends by itself, after this warning."""
    ran = register_on("UNSPECIFIED", tmp_path, {})
    assert ran.found == INTEGRATION | {"backend": None}, ran.log
    assert set(warnings(ran)) == {NO_GPU}


def test_required(tmp_path: Path) -> None:
    """What is missing ends the process where the plugin is required, and its last line says so."""
    ran = register_on("CUDA", tmp_path, {"MISTRAL_VLLM_REQUIRED": "1"})
    assert ran.exit_code == 1
    assert ran.log.splitlines()[-1] == (
        "mistral_vllm.plugin.PluginError: mistral_vllm cannot do its work, and MISTRAL_VLLM_REQUIRED=1 forbids its "
        f"fallback: {NO_XFORMERS}"
    )
