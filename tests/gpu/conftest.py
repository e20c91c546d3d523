"""What the tests on a GPU share: layers without an engine, and the table of errors at the end.

They need vLLM 0.26.0, xFormers and one CUDA GPU; elsewhere every module is skipped with a sentence. ``--cpu`` runs the
kernels of vLLM for the CPU through the very same code: it checks the harness and the reference, not the backend.
"""

import json
import os
import shlex
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import pytest

LIMITS: Final = {"bfloat16": 1e-2, "float16": 2e-3, "float32": 1e-5}
_ERRORS: Final = "relative_errors"
ENGINE: Final = "engine"
PARALLEL: Final = "parallel"

Layers = Callable[..., list[Any]]
Check = Callable[..., None]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the harness be checked where there is no GPU, and two ranks be run where there is one."""
    parser.addoption("--cpu", action="store_true", help="run CPU_ATTN of vLLM for the CPU in place of each backend")
    parser.addoption(
        "--share-gpu", action="store_true", help="run servers side by side, and two ranks on one GPU if need be"
    )


class _Skipped(pytest.Module):
    """A module that is not imported, because what it imports is not here."""

    def collect(self) -> list[pytest.Item]:
        raise pytest.skip.Exception(_missing(self.config) or "", allow_module_level=True)


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    """Skip every module with one sentence where it cannot run."""
    return _Skipped.from_parent(parent, path=module_path) if _missing(parent.config) else None


def _missing(config: pytest.Config) -> str | None:
    if find_spec("vllm") is None:
        return "vLLM is not installed here: run these tests where vllm==0.26.0 is, on a machine with a CUDA GPU"
    import torch  # noqa: PLC0415

    if config.getoption("--cpu") or torch.cuda.is_available():
        return None
    return "PyTorch finds no CUDA GPU here: run these tests on a machine with one (--cpu checks the harness alone)"


@pytest.fixture(scope="session")
def on_cpu(pytestconfig: pytest.Config) -> bool:
    """Whether the harness is checked and not the backend."""
    return bool(pytestconfig.getoption("--cpu"))


@pytest.fixture(scope="session")
def device(on_cpu: bool) -> Iterator[Any]:
    """Return the device, with vLLM's process groups for one rank."""
    import torch  # noqa: PLC0415

    from bench.attention.layers import single_rank  # noqa: PLC0415

    torch.set_float32_matmul_precision("highest")
    chosen = torch.device("cpu" if on_cpu else "cuda:0")
    with single_rank(chosen):
        yield chosen


@pytest.fixture
def layers(device: Any, on_cpu: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layers:
    """Return what builds layers: ``layers(backend, geometry, windows, …)`` gives their groups.

    ``decode`` is the backend's setting; it stays pinned unless a test is about it, because every other launch is
    compiled, and that takes longer than the tests do. ``engine`` goes to vLLM's arguments, the rest to
    :func:`bench.attention.layers.attention_groups`.
    """
    from bench.attention import layers as module  # noqa: PLC0415

    def build(
        backend: str,
        geometry: Any,
        windows: Sequence[int | None],
        *,
        decode: str = "8,4,2",
        max_model_len: int = 16384,
        engine: dict[str, Any] | None = None,
        **options: Any,
    ) -> list[Any]:
        monkeypatch.setenv("MISTRAL_VLLM_DECODE", decode)
        page_tokens = 16 if on_cpu else module.PAGE_TOKENS
        config = module.engine_config(
            geometry,
            tmp_path / "model",
            layers=len(windows),
            max_model_len=max_model_len,
            page_tokens=page_tokens,
            **{"max_num_seqs": 32, **(engine or {})},
        )
        options = {"pages": 4096, "page_tokens": page_tokens, **options}
        name = "CPU_ATTN" if on_cpu else backend
        return module.attention_groups(name, geometry, windows, config, device, **options)

    return build


@pytest.fixture
def check(record_property: Callable[[str, object], None]) -> Check:
    """Return what compares an output with the float32 reference, request by request, and keeps the errors."""

    def compare(batch: Any, output: Any, index: int = 0) -> None:
        errors = batch.errors(output, index)
        geometry = batch.group.geometry
        record_property(_ERRORS, [batch.group.backend.get_name(), geometry.dtype, errors])
        limit = LIMITS[geometry.dtype]
        wrong = [(r, f"{error:.2g}") for r, error in zip(batch.requests, errors, strict=True) if not error <= limit]
        assert not wrong, f"window {batch.group.windows[index]}, {geometry}: {len(wrong)} wrong, first {wrong[:5]}"

    return compare


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the errors of each backend and type, of whole engines, and of two ranks; also as JSON into ``$OUT``."""
    reports = [report for outcome in ("passed", "failed") for report in terminalreporter.stats.get(outcome, [])]
    kept = [property_ for report in reports if report.when == "call" for property_ in report.user_properties]
    found: dict[tuple[str, str], list[float]] = {}
    for backend, dtype, errors in (value for name, value in kept if name == _ERRORS):
        found.setdefault((backend, dtype), []).extend(errors)
    rows = [
        {"backend": backend, "dtype": dtype, "requests": len(e), "max": max(e), "mean": sum(e) / len(e)}
        for (backend, dtype), e in sorted(found.items())
    ]
    if rows:
        _print_table(terminalreporter, "largest relative error of each request against float32", rows)
        keep("errors.json", rows)
    engines = list({value["engine"]: value for name, value in kept if name == ENGINE}.values())
    if engines:
        _print_table(terminalreporter, "whole engines: mean |log-probability - transformers'|", engines)
        keep("engines-agree.json", _run_of(engines, terminalreporter.config))
    split = [value for name, value in kept if name == PARALLEL]
    if split:
        _print_table(terminalreporter, "two ranks and one: mean |difference of log-probabilities|", split)
        keep("engines-parallel.json", _run_of(split, terminalreporter.config))


def _run_of(engines: list[dict[str, Any]], config: pytest.Config) -> dict[str, Any]:
    """Return what engines showed as ``bench/results`` has it, with where and when."""
    import torch  # noqa: PLC0415
    from vllm.version import __version__ as version  # noqa: PLC0415

    on_gpu = torch.cuda.is_available()
    return {
        "command": f"python -m pytest {shlex.join(config.invocation_params.args)}",
        "gpu": torch.cuda.get_device_name() if on_gpu else "CPU",
        "gpus": torch.cuda.device_count() if on_gpu else 1,
        "date": datetime.now(UTC).date().isoformat(),
        "vllm": version,
        "engines": engines,
    }


def keep(file: str, content: Any) -> None:
    """Write JSON into ``$OUT``, where there is one."""
    if "OUT" in os.environ:
        (Path(os.environ["OUT"]) / file).write_text(json.dumps(content, indent=1) + "\n")


def _print_table(terminalreporter: Any, title: str, rows: list[dict[str, Any]]) -> None:
    cells = [
        list(rows[0]),
        *([f"{value:.3g}" if isinstance(value, float) else str(value) for value in row.values()] for row in rows),
    ]
    widths = [max(map(len, column)) + 2 for column in zip(*cells, strict=True)]
    terminalreporter.section(title)
    for line in cells:
        terminalreporter.write_line("".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)))
