"""The flags of ``plan``: what they ask for, and which of them say what something else says already.

What no flag tells is assumed, and every assumption is said.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import typer

from mistral_operator.planning.facts import GpuClass
from mistral_operator.planning.fit import Remedies
from mistral_operator.planning.quantity import gib, parse_bytes
from mistral_operator.planning.request import PlanRequest
from mistral_vllm.backends import AUTO, BACKEND_NAMES, ComputeCapability, Platform
from mistral_vllm.runtimes import DEFAULT_VERSION, Runtime, RuntimeName, UnknownRuntime, get_runtime

DEFAULT_CAPABILITY: Final = "9.0"
DEFAULT_GPU_MEMORY: Final = "80Gi"

ON_FLAGS: Final = Remedies(
    shorter="pass --max-model-len {tokens} or less",
    more_gpus="raise --gpus to {gpus}",
    larger_gpus="choose larger GPUs (--gpu-memory)",
    match="Lower --gpus",
    length="--max-model-len",
    shared="plan with -f a MistralDeployment whose spec.engine.gpuMemoryUtilization is {part} or less",
)
"""What helps a model that does not fit on the GPU that flags describe."""
ON_CLUSTER: Final = Remedies(
    shorter=ON_FLAGS.shorter,
    more_gpus=ON_FLAGS.more_gpus,
    larger_gpus="add larger GPUs to the cluster",
    match="Lower --gpus, add such a node, or describe a GPU with --gpu-memory and --compute-capability "
    "instead of --context",
    length=ON_FLAGS.length,
    shared=ON_FLAGS.shared,
)
"""What helps a model that does not fit on the GPUs of a cluster."""

_SAID_BY_THE_FILE: Final[Mapping[str, str]] = {
    "revision": "spec.model.revision",
    "gpus": "spec.parallelism.tensor",
    "max_model_len": "spec.engine.maxModelLen",
    "attention_backend": "spec.engine.attentionBackend",
    "xformers": "spec.image.runtime",
    "dtype": "spec.engine.dtype",
    "kv_cache_dtype": "spec.engine.kvCacheDtype",
    "extra_arg": "spec.extraArgs",
}
_SAID_BY_NODES: Final = ("compute_capability", "gpu_memory")
_ABOUT_MANIFESTS: Final = ("image_repository", "image_tag")


@dataclass(frozen=True, slots=True)
class Flags:
    """Values of the flags; None is one that was not given."""

    runtime: str | None
    vllm: str | None
    compute_capability: str | None
    gpu_memory: str | None
    gpus: int
    max_model_len: int | None
    attention_backend: str
    xformers: bool
    dtype: str | None
    kv_cache_dtype: str
    extra_args: tuple[str, ...]
    hf_endpoint: str | None
    image_repository: str | None
    image_tag: str | None

    def request(self, *, on_cluster: bool) -> PlanRequest:
        """Return what is asked for; ``on_cluster`` leaves the GPU to the cluster's nodes.

        Raises
        ------
        typer.BadParameter
            For a flag that means nothing.
        """
        assumptions = []
        engine = self.engine()
        if self.runtime is None or self.vllm is None:
            assumptions.append(f"runtime: {engine} (say otherwise with --runtime and --vllm)")
        memory_bytes, capability = self.gpu_memory_bytes(), self.capability()
        on_cuda = engine.platform is Platform.CUDA
        if on_cuda and not on_cluster and (self.compute_capability is None or self.gpu_memory is None):
            assumptions.append(
                f"GPU: {gib(memory_bytes)} of memory, compute capability {capability} "
                "(say otherwise with --gpu-memory and --compute-capability)"
            )
        if self.max_model_len is None:
            assumptions.append(
                "context: the longest the model's config allows, if it fits (say otherwise with --max-model-len)"
            )
        return PlanRequest(
            runtime=engine,
            gpu=GpuClass(None, None) if on_cluster else GpuClass(memory_bytes, capability if on_cuda else None),
            tensor_parallel=self.gpus,
            attention_backend=self._backend(),
            xformers_installed=self.xformers,
            max_model_len_tokens=self.max_model_len,
            dtype=self.dtype,
            kv_cache_dtype=self.kv_cache_dtype,
            extra_args=self.extra_args,
            hf_endpoint=self.hf_endpoint,
            assumptions=tuple(assumptions),
        )

    def engine(self) -> Runtime:
        """Return the engine; a release this project has no image for is stock vLLM unless said otherwise."""
        version = (self.vllm or DEFAULT_VERSION).strip().removeprefix("v")
        name = self.runtime or (RuntimeName.MISTRAL_VLLM if version == DEFAULT_VERSION else RuntimeName.VLLM)
        try:
            return get_runtime(name, version)
        except UnknownRuntime as error:
            raise typer.BadParameter(str(error)) from error

    def gpu_memory_bytes(self, otherwise: str | None = None) -> int:
        """Return the memory of one GPU; ``otherwise`` counts where no flag tells."""
        try:
            return parse_bytes(self.gpu_memory or otherwise or DEFAULT_GPU_MEMORY)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from error

    def capability(self, otherwise: str | None = None) -> ComputeCapability:
        """Return the GPU's compute capability; ``otherwise`` counts where no flag tells."""
        try:
            return ComputeCapability.parse(self.compute_capability or otherwise or DEFAULT_CAPABILITY)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from error

    def _backend(self) -> str | None:
        wanted = self.attention_backend.upper()
        if wanted == AUTO.upper():
            return None
        if wanted not in BACKEND_NAMES:
            raise typer.BadParameter(
                f"attention backend {self.attention_backend!r} is unknown. "
                f"Use Auto, or one of {', '.join(BACKEND_NAMES)}."
            )
        return wanted


def refuse_contradictions(ctx: typer.Context, *, from_file: bool, on_cluster: bool) -> None:
    """Refuse flags that were given although a file or a cluster says the same.

    Raises
    ------
    typer.BadParameter
        Naming the flag, and where to say it.
    """
    for parameter in ctx.command.params:
        name = parameter.name or ""
        source = ctx.get_parameter_source(name)
        if source is None or source.name != "COMMANDLINE":
            continue
        flag = "/".join((*parameter.opts, *parameter.secondary_opts))
        if from_file and name in _SAID_BY_THE_FILE:
            raise typer.BadParameter(f"{flag} is not for a file: set {_SAID_BY_THE_FILE[name]} in it")
        if on_cluster and name in _SAID_BY_NODES:
            raise typer.BadParameter(f"{flag} is not for a cluster: with --context, its nodes say which GPUs there are")
        if not from_file and name in _ABOUT_MANIFESTS:
            raise typer.BadParameter(f"{flag} is about manifests, which need a file (-f)")
