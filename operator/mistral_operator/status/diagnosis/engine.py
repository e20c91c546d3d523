"""vLLM's own words of why it ended, classified: what our image writes to the termination log, or a log was read for.

Words of vLLM 0.26.0, of PyTorch 2.11, of huggingface_hub and of :mod:`mistral_vllm`; earlier causes come first, because
what follows from them may be in the same text.
"""

import re
from typing import Final

from mistral_operator.api.pod_reasons import PodReason
from mistral_operator.status.diagnosis.finding import Finding, Pattern, first_found, steady
from mistral_vllm.backends import people_name

_SENTENCE_ENDS: Final = re.compile(r"[.!] (?=[A-Z])")  # and not at dots in numbers and names
# of PyTorch and NCCL themselves
_ADVICE: Final = re.compile(r"[.;]? (?:Search for|CUDA kernel errors|For debugging|Compile with|Caused by|\(run with)")
_WINDOW_STEP: Final = re.compile(r"; correct")
_NO_NAME: Final = re.compile(r"[^\w -]")
_LONGEST_NAME: Final = 96  # of what stands before the words that are looked for
# vLLM's own switch for FlashInfer's all-reduce, which takes a multicast address that is not there for granted
_NO_FUSED_ALL_REDUCE: Final = "--compilation-config.pass_config.fuse_allreduce_rms=false"
_MOST_TOKENS: Final = re.compile(r"estimated maximum model length is (?P<tokens>\d{1,12})")
_LESS_MEMORY: Final = "raise engine.gpuMemoryUtilization or parallelism.tensor"

_HUB: Final = (
    Pattern(
        PodReason.WEIGHTS_GATED,
        re.compile(r"gated repo(?: for url (?P<url>\S+))?|awaiting a review from the repo authors"),
        "accept the model's licence on the hub with the account of spec.hfTokenSecretRef",
        "the hub does not let this pod's token read the gated model",
    ),
    Pattern(
        PodReason.WEIGHTS_NOT_FOUND,
        re.compile(
            r"(?P<after> is not a local folder and is not a valid model identifier)"
            r"|Invalid repository ID or local directory specified: '(?P<id>[^']{1,256})'"
            r"|Failed to load mistral 'params.json' config for model (?P<params>\S{1,256}?)\."
            r"|RepositoryNotFoundError|RevisionNotFoundError"
        ),
        "correct spec.model.id and revision, or let spec.hfTokenSecretRef name a token that may read it",
        lambda match: f"the hub shows this pod no model {_model(match) or 'of that name'}",
    ),
    Pattern(
        PodReason.WEIGHTS_UNREACHABLE,
        re.compile(
            r"LocalEntryNotFoundError|outgoing traffic has been disabled|We couldn't connect to|Max retries exceeded"
            r"|Temporary failure in name resolution|Name or service not known|ConnectTimeout|ConnectError"
        ),
        "let pods reach the hub (DNS, proxy, NetworkPolicy), or set HF_ENDPOINT of a mirror in spec.env",
        "this pod cannot reach the hub",
    ),
)
_WEIGHTS: Final = (
    Pattern(
        PodReason.WEIGHTS_MISSING,
        re.compile(r"Cannot find any model weights with"),
        "put the weights where spec.model.path says, or use a revision that has them",
        lambda match: _until(_SENTENCE_ENDS, match),
    ),
    Pattern(
        PodReason.WEIGHTS_MISSING,
        re.compile(r"No such file or directory: \S{1,512}safetensors\S*"),
        "put the weights where spec.model.path says, or use a revision that has them",
    ),
    Pattern(
        PodReason.MODEL_UNSUPPORTED,
        re.compile(r"Model architectures \[[^\]]{0,512}\] (?:are not supported for now|failed to be inspected)"),
        "use a vLLM release that knows this model (spec.image)",
    ),
    Pattern(
        PodReason.DISK_FULL,
        re.compile(r"No space left on device|Not enough free disk space|Disk quota exceeded"),
        "raise spec.storage.emptyDir.sizeLimit or the size of the claim",
        "the volume for the weights is full",
    ),
    Pattern(
        PodReason.VOLUME_NOT_WRITABLE,
        re.compile(r"(?:Permission denied|Read-only file system): '(?P<path>[^']{1,512})'"),
        "let group 2000 write there (fsGroup), or mount a volume that may be written",
        lambda match: f"{match['path']} cannot be written",
    ),
)
_MEMORY: Final = (
    Pattern(
        PodReason.KV_CACHE_TOO_SMALL,
        re.compile(
            r"max seq len \((?P<length>\d{1,12})\), \((?P<needed>[\d.]{1,16} GiB) KV cache is needed[^(]{0,128}"
            r"\((?P<left>[\d.]{1,16} GiB)\)"
        ),
        lambda match: (
            f"set engine.maxModelLen to at most {most['tokens']}, or {_LESS_MEMORY}"
            if (most := _MOST_TOKENS.search(match.string, match.end())) is not None
            else f"lower engine.maxModelLen, or {_LESS_MEMORY}"
        ),
        lambda match: (
            f"a sequence of engine.maxModelLen {match['length']} needs {match['needed']} of KV cache, and "
            f"{match['left']} are left"
        ),
    ),
    Pattern(
        PodReason.KV_CACHE_TOO_SMALL,
        re.compile(r"No available memory for the cache blocks"),
        f"{_LESS_MEMORY}, or use a larger GPU",
        "the weights leave no memory for a KV cache",
    ),
    Pattern(
        PodReason.GPU_MEMORY_TAKEN,
        re.compile(
            r"(?:Free|Available) memory on (?:device|node) [^\s(]{0,32} ?"
            r"\((?P<free>[\d.]{1,16})/(?P<total>[\d.]{1,16}) GiB\) on startup is less than desired \w{1,32} memory "
            r"utilization \((?P<share>[\d.]{1,16}), (?P<wanted>[\d.]{1,16}) GiB\)"
        ),
        "end what else runs on that GPU, or lower engine.gpuMemoryUtilization",
        lambda match: (
            f"{match['free']} of {match['total']} GiB are free, and engine.gpuMemoryUtilization {match['share']} asks "
            f"for {match['wanted']} GiB"
        ),
    ),
    Pattern(
        PodReason.CUDA_OUT_OF_MEMORY,
        re.compile(
            r"CUDA out of memory(?: occurred when warming up \w{1,32} with \d{1,6} dummy requests|\. Tried to allocate "
            r"[\d.]{1,16} [KMG]iB\. GPU \d{1,6} has a total capacity of [\d.]{1,16} GiB of which [\d.]{1,16} [KMG]iB "
            r"is free)?"
            r"|CUDA error: (?:out of memory|CUBLAS_STATUS_ALLOC_FAILED)"
        ),
        "lower engine.maxNumSeqs, maxNumBatchedTokens or gpuMemoryUtilization, or raise parallelism.tensor",
    ),
    Pattern(
        PodReason.PROCESS_KILLED,
        re.compile(r" (?:was killed by SIGKILL|ended without a word)"),
        "raise spec.resources.limits.memory",
        lambda match: f"{_NO_NAME.split(_before(match))[-1]}{match[0]}: most likely the pod's memory limit",
    ),
)
_ATTENTION: Final = (
    Pattern(
        PodReason.WINDOW_MISMATCH,
        re.compile(r"(?<=WindowMismatch: )refusing to serve: "),
        "correct --hf-overrides in spec.extraArgs, or the model's sliding_window and layer_types",
        lambda match: _until(_WINDOW_STEP, match),
    ),
    Pattern(
        PodReason.BACKEND_UNSUPPORTED,
        re.compile(
            r"Selected backend (?:\w{1,64}\.){1,4}(?P<name>\w{1,64}) is not valid for this configuration. "
            r"Reason: (?P<why>\[[^\]]{0,512}\]?)"
        ),
        "leave engine.attentionBackend to Auto, or change what the reason names",
        lambda match: f"vLLM refuses the attention backend {people_name(match['name'])}: {match['why']}",
    ),
    Pattern(
        PodReason.BACKEND_UNSUPPORTED,
        re.compile(r"No valid attention backend found for .{0,512}?Reasons: (?P<why>.+)"),
        "use another GPU, dtype or vLLM release",
        lambda match: f"no attention backend runs this model on this GPU: {match['why']}",
    ),
    Pattern(
        PodReason.BACKEND_UNSUPPORTED,
        re.compile(r"Unknown attention backend: '(?P<name>[^']{1,64})'"),
        "correct spec.image.runtime (it says what the image contains), or engine.attentionBackend",
        lambda match: f"this vLLM knows no attention backend {match['name']}",
    ),
    Pattern(
        PodReason.BACKEND_UNSUPPORTED,
        re.compile(r"Backend (?P<name>\w{1,64}) must be registered before use"),
        "use the image mistral-vllm, and see that nothing takes mistral_vllm out of VLLM_PLUGINS",
        lambda match: f"the attention backend {people_name(match['name'])} is not registered: its plugin did not load",
    ),
    Pattern(
        PodReason.DTYPE_UNSUPPORTED,
        re.compile(
            r"Bfloat16 is only supported on GPUs with compute capability of at least (?P<least>\d{1,3}(?:\.\d{1,3})?)"
        ),
        "set engine.dtype to float16, or gpu.minComputeCapability",
        lambda match: f"bfloat16 needs compute capability {match['least']}, which this GPU has not",
    ),
)
_PLATFORM: Final = (
    Pattern(
        PodReason.PLUGIN_RELEASE_MISMATCH,
        re.compile(r"vLLM (?P<found>\S{1,64}) is installed and vLLM (?P<tested>\S{1,64}) is the one release tested"),
        "correct spec.image: use mistral-vllm as it is built, or runtime vllm for stock vLLM",
        lambda match: f"the image has vLLM {match['found']}, and its plugin is for {match['tested']} alone",
    ),
    Pattern(
        PodReason.DRIVER_TOO_OLD,
        re.compile(
            r"driver on your system is too old(?: \(found version (?P<found>\d{1,9})\))?"
            r"|driver version is insufficient for CUDA runtime version|unsupported display driver / cuda driver"
        ),
        "update the NVIDIA driver of the node, or use an image for an older CUDA",
        lambda match: f"the node's NVIDIA driver is too old for the image's CUDA{_known_cuda(match['found'])}",
    ),
    Pattern(
        PodReason.NO_GPU_IN_POD,
        re.compile(
            r"Failed to infer device type|No CUDA GPUs are available|Found no NVIDIA driver|found no CUDA GPU"
            r"|libcuda\.so\S{0,32}: cannot open shared object|no CUDA-capable device is detected"
            r"|adjusted local rank \d{1,6} is out of bounds for 0 devices"
        ),
        "see that the NVIDIA driver and container toolkit work on the node, or set spec.runtimeClassName",
        "vLLM finds no GPU in the pod",
    ),
    Pattern(
        PodReason.PLUGIN_REFUSED,
        re.compile(
            r"PluginError: (?:mistral_vllm cannot do its work, and \S{1,64} forbids its fallback: )?(?P<what>.+)"
        ),
        "use the image mistral-vllm as it is built",
        lambda match: match["what"],
    ),
    Pattern(
        PodReason.PORT_IN_USE,
        re.compile(
            r"(?:\[Errno 98\] |[Aa]ddress already in use|EADDRINUSE|bind on address (?P<address>\([^)]{0,128}\)))"
        ),
        "take hostNetwork or the other server out of the pod",
        "the port that vLLM listens on is in use",
    ),
)
_GPU: Final = (
    Pattern(
        PodReason.CUDA_ERROR,
        re.compile(r"CUDA error: no kernel image is available for execution on the device"),
        "set gpu.minComputeCapability to what spec.image was built for, or use an image for this GPU",
    ),
    Pattern(
        PodReason.CUDA_ERROR,
        re.compile(r"(?:CUDA(?: driver)?|CUDART|NCCL) error(?: in)?: (?=.)"),
        f"with parallelism.tensor, try spec.extraArgs {_NO_FUSED_ALL_REDUCE}; else look for Xid errors in the node's "
        "kernel log",
        lambda match: _until(_ADVICE, match),
    ),
)
_ARGUMENTS: Final = (
    Pattern(
        PodReason.ARGUMENT_UNKNOWN,
        re.compile(r"unrecognized arguments: (?P<flags>.+)"),
        "take it out of spec.extraArgs, or correct spec.image.runtime.version: flags belong to a release",
        lambda match: f"this vLLM release does not know {match['flags']}",
    ),
    Pattern(
        PodReason.ARGUMENT_INVALID,
        re.compile(r": error: (?P<what>argument .+)"),
        "correct it in spec.extraArgs or spec.engine",
        lambda match: f"vLLM refuses an argument: {match['what']}",
    ),
    Pattern(
        PodReason.MAX_MODEL_LEN_TOO_LONG,
        re.compile(
            r"User-specified max_model_len \((?P<asked>\d{1,12})\) is greater than the derived max_model_len "
            r"\((?:\w{1,64}=)?(?P<most>\d{1,12})"
        ),
        lambda match: f"set engine.maxModelLen to at most {match['most']}",
        lambda match: f"engine.maxModelLen {match['asked']} is more than the model's {match['most']}",
    ),
)
# a plugin that refuses names what it refuses; hardware before what depends on it; last, CUDA errors of no other cause
_PATTERNS: Final = (*_ARGUMENTS, *_HUB, *_PLATFORM, *_ATTENTION, *_MEMORY, *_WEIGHTS, *_GPU)


def engine_failure(words: str) -> Finding | None:
    """Return what vLLM's words mean; None where nobody knows them."""
    text = steady(words)
    return first_found(_PATTERNS, text)


def _known_cuda(version: str | None) -> str:
    """Say which CUDA a driver knows; CUDA writes 12.4 as 12040."""
    return "" if version is None else f" (it knows CUDA {int(version) // 1000}.{int(version) % 1000 // 10})"


def _model(match: re.Match[str]) -> str | None:
    return match["id"] or match["params"] or (_before(match).rpartition(" ")[2] if match["after"] else None)


def _before(match: re.Match[str]) -> str:
    """Return what stands before a match: a pattern that begins with it would be tried at each of its characters."""
    return match.string[max(0, match.start() - _LONGEST_NAME) : match.start()]


def _until(end: re.Pattern[str], match: re.Match[str]) -> str:
    """Return a text from a match up to where something else begins, or to its end."""
    found = end.search(match.string, match.end())
    return match.string[match.start() : None if found is None else found.start()].rstrip(".!")
