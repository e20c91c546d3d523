"""The list of engines that the memory plan is held against on a GPU: tried here with an engine that is none."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.kv_cache_runs import RUNS, Run
from devcluster.hub import MODELS
from mistral_operator.planning.facts import GpuClass, ModelFacts
from mistral_operator.planning.plan import Plan, make_plan
from mistral_operator.planning.request import PlanRequest
from mistral_vllm.backends import ComputeCapability
from mistral_vllm.runtimes import get_runtime

SCRIPT = Path(__file__).parents[2] / "bench/kv_cache_runs.py"
H100 = GpuClass(85017493504, ComputeCapability(9, 0), "NVIDIA H100 80GB HBM3")
ENGINE = """
import json, sys
print("INFO starting")
if "Codestral" in sys.argv[1]:
    sys.exit("CUDA out of memory")
print(json.dumps({"model": sys.argv[1].rsplit("/", 1)[-1], "max_model_len": int(sys.argv[3])}))
"""


def planned(run: Run) -> Plan:
    """Plan what a run would start, on the stock image."""
    config = json.loads((MODELS / run.model / "config.json").read_text()) | json.loads(run.hf_overrides)
    request = PlanRequest(
        runtime=get_runtime("vllm", "0.26.0"),
        gpu=H100,
        tensor_parallel=run.gpus,
        kv_cache_dtype=run.kv_cache_dtype,
        max_model_len_tokens=run.length,
        max_num_batched_tokens=run.batched_tokens,
        max_num_seqs=run.seqs,
    )
    return make_plan(ModelFacts(run.model, "local", None, config, None), request)


@pytest.mark.parametrize("run", RUNS, ids=lambda run: f"{run.model}, {run.batched_tokens}, {run.gpus}")
def test_every_run_fits(run: Run) -> None:
    """A run that could not start would measure nothing."""
    plan = planned(run)
    assert plan.memory is not None
    assert plan.memory.fits
    assert plan.max_model_len_tokens == run.length


def test_every_layout_is_there() -> None:
    """All sliding, interleaved and full; both kinds of batches; a cache in one byte; several GPUs."""
    layouts = {(bool(layout.sliding), bool(layout.full)) for layout in (planned(run).layout for run in RUNS)}
    assert layouts == {(True, False), (True, True), (False, True)}
    assert {run.batched_tokens for run in RUNS} == {2048, 8192}
    assert {planned(run).precision.kv_cache_dtype_bytes for run in RUNS} == {1, 2}
    assert {run.gpus for run in RUNS} == {1, 2}
    assert len(set(RUNS)) == len(RUNS)


def test_a_run_that_fails_keeps_no_other_from_it(tmp_path: Path) -> None:
    """What was measured is kept; what failed is told with the end of its log, and the exit code says so."""
    engine, out = tmp_path / "engine.py", tmp_path / "out.json"
    engine.write_text(ENGINE)
    command = [sys.executable, str(SCRIPT), "--engine", str(engine), "--out", str(out)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 - our own script
    assert done.returncode == 1
    assert "CUDA out of memory" in done.stderr
    measured = json.loads(out.read_text())["measured"]
    expected = [run for run in RUNS if run.gpus == 1 and "Codestral" not in run.model]
    assert [(one["model"], one["max_model_len"]) for one in measured] == [(run.model, run.length) for run in expected]


def test_the_list() -> None:
    """Each line is a command that can be run by hand."""
    command = [sys.executable, str(SCRIPT), "--list", "--gpus", "2"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - our own script
    assert len(done.stdout.splitlines()) == len(RUNS)
    assert all("kv_cache_on_gpu.py" in line for line in done.stdout.splitlines())
