"""Under a vLLM release that it was not tested on, the plugin ends the process or stays out of it."""

from pathlib import Path

from image.generating import Engines
from image.serving import serve
from image.tiny import TinyModel

ON_THE_PATH = {"PYTHONPATH": str(Path(__file__).parent / "another_release")}
SENTENCE = (
    "vLLM 0.25.1 is installed and vLLM 0.26.0 is the one release tested: install that, or take mistral_vllm out of "
    "VLLM_PLUGINS; vLLM serves without the plugin, on its own attention backends"
)


def test_required(windowed: TinyModel, caches: Path, tmp_path: Path) -> None:
    """The server ends before it reads a model, and the last thing that it says is why."""
    env = ON_THE_PATH | {"MISTRAL_VLLM_REQUIRED": "1"}
    with serve(["--model", str(windowed.folder)], log=tmp_path / "log", caches=caches, env=env) as serving:
        assert serving.until_ended() == 1
    assert (
        serving.log.read_text()
        .splitlines()[-1]
        .endswith(
            "PluginError: mistral_vllm cannot do its work, and MISTRAL_VLLM_REQUIRED=1 forbids its fallback: "
            + SENTENCE
        )
    )


def test_not_required(windowed: TinyModel, engines: Engines) -> None:
    """VLLM serves plainly, after one warning in each of its processes."""
    ran = engines.run("another-release", [{"model": str(windowed.folder)}], ON_THE_PATH)
    assert ran.exit_code == 0, ran.log[-3000:]
    answer = ran.answers[0]
    assert answer.tokens == windowed.scores(answer.tokens).likeliest
    warnings = [line for line in ran.log.splitlines() if SENTENCE in line]
    assert warnings
    assert all("WARNING" in line for line in warnings)
    assert "architecture=MistralForCausalLM" not in ran.log
