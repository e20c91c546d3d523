"""``mistral-operator plan``: from a model, or from a MistralDeployment, to backend, memory, arguments and manifests.

Reads what is to be planned, plans it as the operator would, prints it. Without a cluster its GPU is what flags say.
"""

import sys
from typing import Annotated, Final

import typer

from mistral_operator.cli.ending import ExitCode, Refused, refusals
from mistral_operator.cli.flags import (
    DEFAULT_CAPABILITY,
    DEFAULT_GPU_MEMORY,
    ON_CLUSTER,
    ON_FLAGS,
    Flags,
    refuse_contradictions,
)
from mistral_operator.cli.printing import Output, print_deployments, print_one
from mistral_operator.hub import read_model
from mistral_operator.planning.context_length import plan_what_fits
from mistral_operator.planning.fit import what_would_fit, why_it_does_not_fit
from mistral_vllm.backends import AUTO, BACKEND_NAMES
from mistral_vllm.profiles import load_profiles
from mistral_vllm.runtimes import DEFAULT_VERSION, RuntimeName

_IMAGE: Final = "the operator's own default"


def plan(
    ctx: typer.Context,
    model: Annotated[
        str | None, typer.Argument(metavar="MODEL", help="A model's id on the hub, or a local folder.")
    ] = None,
    *,
    file: Annotated[
        str | None,
        typer.Option("-f", "--file", help="Plan the MistralDeployments of this file instead; - is standard input."),
    ] = None,
    context: Annotated[
        str | None, typer.Option(help="Plan on the GPUs of this kubeconfig context's cluster.", show_default="none")
    ] = None,
    revision: Annotated[str, typer.Option(help="Branch, tag or commit.")] = "main",
    hf_endpoint: Annotated[
        str | None, typer.Option(help="Hub or mirror to read.", envvar="HF_ENDPOINT", show_default="huggingface.co")
    ] = None,
    vllm: Annotated[
        str | None, typer.Option(help="vLLM release.", envvar="RUNTIME_VERSION", show_default=DEFAULT_VERSION)
    ] = None,
    runtime: Annotated[
        str | None,
        typer.Option(
            help=f"Image's engine: {', '.join(RuntimeName)}.",
            envvar="RUNTIME_NAME",
            show_default="mistral-vllm where it exists",
        ),
    ] = None,
    image_repository: Annotated[
        str | None,
        typer.Option(help="vLLM image where a file names none.", envvar="IMAGE_REPOSITORY", show_default=_IMAGE),
    ] = None,
    image_tag: Annotated[
        str | None, typer.Option(help="Its tag.", envvar="IMAGE_TAG", show_default=DEFAULT_VERSION)
    ] = None,
    compute_capability: Annotated[str | None, typer.Option(help="Of the GPU.", show_default=DEFAULT_CAPABILITY)] = None,
    gpu_memory: Annotated[str | None, typer.Option(help="Of one GPU.", show_default=DEFAULT_GPU_MEMORY)] = None,
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
    output: Annotated[
        Output, typer.Option("-o", "--output", help="What to print; manifests need a file.")
    ] = Output.TEXT,
) -> None:
    """Plan a model, or the MistralDeployments of a file: attention, memory, arguments, manifests. Needs no cluster."""
    if (model is None) == (file is None):
        raise typer.BadParameter("name either a MODEL or, with -f, a file with MistralDeployments")
    if output is Output.MANIFESTS and file is None:
        raise typer.BadParameter("manifests are those of a MistralDeployment: name a file with -f")
    refuse_contradictions(ctx, from_file=file is not None, on_cluster=context is not None)
    flags = Flags(
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
        image_repository=image_repository,
        image_tag=image_tag,
    )
    try:
        if file is not None:
            sys.exit(_plan_file(file, flags, context, output))
        elif context is not None:
            _plan_on_cluster(model or "", revision, flags, context, output)
        else:
            _plan_on_flags(model or "", revision, flags, output)
    except Refused as refused:
        refused.tell()
        sys.exit(refused.code)


def _plan_on_flags(model: str, revision: str, flags: Flags, output: Output) -> None:
    request = flags.request(on_cluster=False)
    with refusals():
        facts = read_model(model, revision=revision, endpoint=flags.hf_endpoint)
        made = plan_what_fits(facts, request, load_profiles(), ON_FLAGS)
    print_one(made, output)
    if made.memory is not None and not made.memory.fits:
        cause = why_it_does_not_fit(made, made.memory)
        raise Refused(ExitCode.PLACEMENT, cause, what_would_fit(made, made.memory, ON_FLAGS))


def _plan_on_cluster(model: str, revision: str, flags: Flags, context: str, output: Output) -> None:
    from mistral_operator.cli.cluster_facts import read_cluster  # noqa: PLC0415 - the client takes long to import
    from mistral_operator.planning.placement import place_request  # noqa: PLC0415

    request = flags.request(on_cluster=True)
    cluster = read_cluster(context)
    with refusals():
        facts = read_model(model, revision=revision, endpoint=flags.hf_endpoint)
        placement = place_request(facts, request, cluster.inventory, load_profiles(), ON_CLUSTER)
    print_one(placement.plan, output, placement)


def _plan_file(file: str, flags: Flags, context: str | None, output: Output) -> int:
    """Plan each MistralDeployment of a file; one that cannot be planned does not keep the others from it."""
    from mistral_operator.cli.deployments import plan_deployment  # noqa: PLC0415 - nobody else needs the resource
    from mistral_operator.cli.files import read_deployments  # noqa: PLC0415

    flags.request(on_cluster=context is not None)  # a flag that means nothing is told before anything is read
    asked = read_deployments(file)
    cluster = None
    if context is not None:
        from mistral_operator.cli.cluster_facts import read_cluster  # noqa: PLC0415 - the client takes long to import

        references = ((one.namespace, one.spec.hf_token_secret_ref) for one in asked)
        cluster = read_cluster(context, [(where, what) for where, what in references if what is not None])
    planned, code = [], ExitCode.PLANNED
    for one in asked:
        try:
            planned.append(plan_deployment(one, flags, cluster))
        except Refused as refused:
            refused.tell(str(one))
            code = max(code, refused.code)
    if planned and not (output is Output.MANIFESTS and code):  # half of the manifests are better not applied
        print_deployments(planned, output)
    return code
