"""``mistral-operator plan``: from a model's name to its attention backend, its memory and vLLM's arguments.

Reads the model, plans it, prints it. What no flag tells is assumed, and every assumption is printed.
"""

import json
import sys
from collections.abc import Sequence
from enum import IntEnum, StrEnum
from typing import Annotated, NoReturn

import typer

from mistral_operator.cli.document import plan_document
from mistral_operator.hub import HubError, read_model
from mistral_operator.planning.facts import GpuClass
from mistral_operator.planning.memory import MemoryPlan
from mistral_operator.planning.plan import Plan, make_plan
from mistral_operator.planning.problems import Problem, Unplannable
from mistral_operator.planning.quantity import gib, parse_bytes
from mistral_operator.planning.request import PlanRequest
from mistral_vllm.backends import AUTO, BACKEND_NAMES, ComputeCapability, Platform
from mistral_vllm.profiles import load_profiles
from mistral_vllm.runtimes import DEFAULT_VERSION, Runtime, RuntimeName, UnknownRuntime, get_runtime

_DEFAULT_CAPABILITY = "9.0"
_DEFAULT_GPU_MEMORY = "80Gi"


class ExitCode(IntEnum):
    """What the command's exit code tells a script."""

    PLANNED = 0
    USAGE = 2
    MODEL = 3  # the model or its layout cannot be read
    PLACEMENT = 4  # no valid backend, or it does not fit


class Output(StrEnum):
    """What to print."""

    TEXT = "text"
    JSON = "json"
    YAML = "yaml"


def plan(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A model's id on the hub, or a local folder.", show_default=False)
    ],
    *,
    revision: Annotated[str, typer.Option(help="Branch, tag or commit.")] = "main",
    hf_endpoint: Annotated[
        str | None, typer.Option(help="Hub or mirror to read.", envvar="HF_ENDPOINT", show_default="huggingface.co")
    ] = None,
    vllm: Annotated[str | None, typer.Option(help="vLLM release.", show_default=DEFAULT_VERSION)] = None,
    runtime: Annotated[
        str | None,
        typer.Option(help=f"Image's engine: {', '.join(RuntimeName)}.", show_default="mistral-vllm where it exists"),
    ] = None,
    compute_capability: Annotated[
        str | None, typer.Option(help="Of the GPU.", show_default=_DEFAULT_CAPABILITY)
    ] = None,
    gpu_memory: Annotated[str | None, typer.Option(help="Of one GPU.", show_default=_DEFAULT_GPU_MEMORY)] = None,
    gpus: Annotated[int, typer.Option(min=1, max=1024, help="GPUs of one pod (tensor parallel).")] = 1,
    max_model_len: Annotated[
        int | None, typer.Option(min=1, max=2**31, help="Longest sequence, in tokens.", show_default="the model's own")
    ] = None,
    attention_backend: Annotated[str, typer.Option(help=f"Auto, or one of {', '.join(BACKEND_NAMES)}.")] = AUTO,
    xformers: Annotated[bool, typer.Option("--xformers/--no-xformers", help="Whether the image has xFormers.")] = True,
    dtype: Annotated[str | None, typer.Option(help="vLLM's --dtype.", show_default="the checkpoint's")] = None,
    kv_cache_dtype: Annotated[str, typer.Option(help="vLLM's --kv-cache-dtype.")] = "auto",
    extra_arg: Annotated[
        list[str] | None, typer.Option(help="Argument for vLLM itself; may be repeated.", show_default=False)
    ] = None,
    output: Annotated[Output, typer.Option("-o", "--output", help="What to print.")] = Output.TEXT,
) -> None:
    """Plan one model: its attention layout, backend, memory and vLLM's arguments. Needs no cluster."""
    request = _request(
        runtime=runtime,
        vllm=vllm,
        compute_capability=compute_capability,
        gpu_memory=gpu_memory,
        gpus=gpus,
        max_model_len=max_model_len,
        attention_backend=attention_backend,
        xformers=xformers,
        dtype=dtype,
        kv_cache_dtype=kv_cache_dtype,
        extra_args=tuple(extra_arg or ()),
        hf_endpoint=hf_endpoint,
    )
    try:
        facts = read_model(model, revision=revision, endpoint=hf_endpoint)
        made = make_plan(facts, request, load_profiles())
    except HubError as error:
        _fail(ExitCode.MODEL, error.message, error.next_step)
    except Unplannable as error:
        code = ExitCode.MODEL if error.problem is Problem.MODEL else ExitCode.PLACEMENT
        untold = [f"{no.backend}: {no.message}" for no in error.rejected if no.message not in error.message]
        _fail(code, error.message, error.next_step, untold)
    _print(made, output)
    if made.memory is not None and not made.memory.fits:
        _fail(ExitCode.PLACEMENT, *_why_it_does_not_fit(made, made.memory))


def _request(
    *,
    runtime: str | None,
    vllm: str | None,
    compute_capability: str | None,
    gpu_memory: str | None,
    gpus: int,
    max_model_len: int | None,
    attention_backend: str,
    xformers: bool,
    dtype: str | None,
    kv_cache_dtype: str,
    extra_args: tuple[str, ...],
    hf_endpoint: str | None,
) -> PlanRequest:
    """Turn flags into a request; a flag that means nothing ends the command with a usage error."""
    assumptions = []
    engine = _runtime(runtime, vllm)
    if runtime is None or vllm is None:
        assumptions.append(f"runtime: {engine} (say otherwise with --runtime and --vllm)")
    try:
        capability = ComputeCapability.parse(compute_capability or _DEFAULT_CAPABILITY)
        memory_bytes = parse_bytes(gpu_memory or _DEFAULT_GPU_MEMORY)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    on_cuda = engine.platform is Platform.CUDA
    if on_cuda and (compute_capability is None or gpu_memory is None):
        assumptions.append(
            f"GPU: {gib(memory_bytes)} of memory, compute capability {capability} "
            "(say otherwise with --gpu-memory and --compute-capability)"
        )
    if max_model_len is None:
        assumptions.append("context: the longest the model's config allows (say otherwise with --max-model-len)")
    wanted = attention_backend.upper()
    if wanted != AUTO.upper() and wanted not in BACKEND_NAMES:
        raise typer.BadParameter(
            f"attention backend {attention_backend!r} is unknown. Use Auto, or one of {', '.join(BACKEND_NAMES)}."
        )
    return PlanRequest(
        runtime=engine,
        gpu=GpuClass(memory_bytes, capability if on_cuda else None),
        tensor_parallel=gpus,
        attention_backend=None if wanted == AUTO.upper() else wanted,
        xformers_installed=xformers,
        max_model_len_tokens=max_model_len,
        dtype=dtype,
        kv_cache_dtype=kv_cache_dtype,
        extra_args=extra_args,
        hf_endpoint=hf_endpoint,
        assumptions=tuple(assumptions),
    )


def _runtime(name: str | None, version: str | None) -> Runtime:
    """Return the engine; a release this project has no image for is stock vLLM unless said otherwise."""
    version = (version or DEFAULT_VERSION).strip().removeprefix("v")
    name = name or (RuntimeName.MISTRAL_VLLM if version == DEFAULT_VERSION else RuntimeName.VLLM)
    try:
        return get_runtime(name, version)
    except UnknownRuntime as error:
        raise typer.BadParameter(str(error)) from error


def _print(made: Plan, output: Output) -> None:
    if output is Output.JSON:
        typer.echo(json.dumps(plan_document(made), indent=2))
    elif output is Output.YAML:
        import yaml  # noqa: PLC0415 - most plans are read as text

        typer.echo(yaml.safe_dump(plan_document(made), sort_keys=False, allow_unicode=True, width=120), nl=False)
    else:
        from rich.console import Console  # noqa: PLC0415 - scripts need no drawing

        from mistral_operator.cli.text import print_plan  # noqa: PLC0415

        print_plan(made, Console(highlight=False))


def _why_it_does_not_fit(made: Plan, memory: MemoryPlan) -> tuple[str, str]:
    """Return the cause with its numbers, and the change that would make it fit."""
    count, cache = made.request.tensor_parallel, memory.kv_cache
    where = f"{made.facts.id} does not fit on {count} GPU{'s' if count > 1 else ''} of {gib(memory.total_bytes)}"
    if not memory.largest_max_model_len_tokens:
        taken = f"weights {gib(memory.weights_bytes)} and working memory {gib(memory.working_bytes)} a GPU"
        return (
            f"{where}: {taken} leave too little of {gib(memory.usable_bytes)} for a KV cache",
            "Use more GPUs (--gpus) or larger ones (--gpu-memory)",
        )
    needed = f"a sequence of {made.max_model_len_tokens:,} tokens needs {cache.blocks_per_request:,} KV cache blocks"
    shorter = f"--max-model-len {memory.largest_max_model_len_tokens} or less"
    return (
        f"{where}: {needed}, and {cache.blocks:,} fit",
        f"Use {shorter}, more GPUs (--gpus), or larger ones (--gpu-memory)",
    )


def _fail(code: ExitCode, message: str, next_step: str, details: Sequence[str] = ()) -> NoReturn:
    """End the command: what is wrong, its details, what to do."""
    typer.echo(f"Error: {message.rstrip('.')}.", err=True)
    for detail in details:
        typer.echo(f"  - {detail}", err=True)
    typer.echo(f"Next: {next_step.rstrip('.')}.", err=True)
    sys.exit(code)
