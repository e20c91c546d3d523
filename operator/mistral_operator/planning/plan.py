"""One plan: what to run, how, and what it will take, with the reason of every choice.

The only place that puts the parts together. Each step is a pure function of its own module; the first that cannot
answer raises :class:`Unplannable`, so that there is either a whole plan or one sentence why not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mistral_operator.planning import engine_args
from mistral_operator.planning.batches import with_batch_defaults
from mistral_operator.planning.engine_gaps import engine_gaps
from mistral_operator.planning.facts import ModelFacts, WeightFormat
from mistral_operator.planning.geometry import Geometry, read_geometry
from mistral_operator.planning.memory import MemoryPlan
from mistral_operator.planning.parallelism import refuse_uneven
from mistral_operator.planning.precision import Precision, resolve_precision
from mistral_operator.planning.problems import PlanFinding, PlanReason, Problem, Unplannable
from mistral_operator.planning.request import PlanRequest
from mistral_operator.planning.sizing import memory_assumptions, size_memory
from mistral_operator.planning.weights import size_weights
from mistral_vllm.attention_facts import AttentionFacts, EngineFeatures, features_of
from mistral_vllm.backends import Platform
from mistral_vllm.decision import BackendDecision, NoValidBackend, decide
from mistral_vllm.decoder import ConfigFormat, Decoder, find_decoder
from mistral_vllm.engine_reading import engine_override
from mistral_vllm.files import ConfigFiles, read_files
from mistral_vllm.layout import AttentionLayout
from mistral_vllm.profiles import Profile, find_profile
from mistral_vllm.reasons import EngineReason, Finding, RejectionReason, Unsupported


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything decided for one model on one class of GPU."""

    facts: ModelFacts
    request: PlanRequest
    config_format: ConfigFormat
    architecture: str | None
    layout: AttentionLayout
    geometry: Geometry
    precision: Precision
    max_model_len_tokens: int
    decision: BackendDecision
    parameters: int | None
    weights_bytes: int | None
    memory: MemoryPlan | None  # None: not a GPU, or weights of unknown size
    args: tuple[str, ...]  # the plan's own, without request.extra_args
    env: Mapping[str, str]  # the plan's own, without request.env
    findings: tuple[Finding, ...]
    assumptions: tuple[str, ...]

    @property
    def command_args(self) -> tuple[str, ...]:
        """What follows ``vllm serve``, the user's own arguments last."""
        return (*self.args, *self.request.extra_args)

    @property
    def command_env(self) -> dict[str, str]:
        """The environment of ``vllm serve``; the user's own wins."""
        return {**self.env, **self.request.env}


def make_plan(facts: ModelFacts, request: PlanRequest, profiles: Sequence[Profile] = ()) -> Plan:
    """Plan one model, choosing by measured ``profiles`` where one fits.

    A plan is returned even where memory does not suffice: ``plan.memory.fits`` says so, and by how much.

    Raises
    ------
    Unplannable
        When the model cannot be read, or nothing can run it as asked.
    """
    files = ConfigFiles(facts.config, facts.params, facts.weights_in(WeightFormat.MISTRAL) is not None)
    layout, decoder = _read(facts, files)
    beside = files.config if files.format is ConfigFormat.MISTRAL else None
    geometry = read_geometry(decoder, len(layout.layers), beside=beside)
    max_model_len, length_overrides, length_findings = _max_model_len(facts, geometry, decoder, request)
    _check_weights(facts)
    load_format = _load_format(facts, files.format)
    precision = resolve_precision(
        facts,
        files.chosen,
        decoder,
        weight_format=load_format,
        dtype=request.dtype,
        kv_cache_dtype=request.kv_cache_dtype,
        compute_capability=request.gpu.compute_capability,
        platform=request.runtime.platform,
    )
    refuse_uneven(facts.id, geometry, request.tensor_parallel, precision.quantized)
    engine_args.refuse_conflicts(request)
    features = features_of(request.extra_args, request.env)
    decision = _decide(facts, request, layout, geometry, precision, max_model_len, features, profiles)
    overrides, engine_findings = _overrides(facts, files, layout, decoder, request)
    overrides = _merge(overrides, length_overrides)
    request = with_batch_defaults(request)
    weights = size_weights(facts, load_format, geometry, decoder, files.chosen, precision)
    memory = size_memory(request, layout, geometry, precision, decision, features, max_model_len, weights.size_bytes)
    attention, attention_env = engine_args.attention_args(decision, request.runtime)
    return Plan(
        facts=facts,
        request=request,
        config_format=files.format,
        architecture=_architecture(files),
        layout=layout,
        geometry=geometry,
        precision=precision,
        max_model_len_tokens=max_model_len,
        decision=decision,
        parameters=weights.parameters,
        weights_bytes=weights.size_bytes,
        memory=memory,
        args=(
            *engine_args.model_args(facts, files.format, load_format, request, max_model_len),
            *attention,
            *engine_args.override_args(overrides),
        ),
        env={**engine_args.hub_env(request), **engine_args.plugin_env(request.runtime), **attention_env},
        findings=(
            *layout.findings,
            *engine_findings,
            *length_findings,
            *precision.findings,
            *engine_gaps(decoder, max_model_len),
        ),
        assumptions=(*request.assumptions, *weights.assumptions, *memory_assumptions(request, memory)),
    )


def _read(facts: ModelFacts, files: ConfigFiles) -> tuple[AttentionLayout, Decoder]:
    try:
        return read_files(files), find_decoder(files.chosen, files.format)
    except Unsupported as error:
        raise Unplannable(
            Problem.MODEL,
            str(error.reason),
            f"the attention layout of {facts.id} cannot be read: {error.message}",
            "Correct the file, or choose a revision of the model whose config is consistent",
        ) from error


def _max_model_len(
    facts: ModelFacts, geometry: Geometry, decoder: Decoder, request: PlanRequest
) -> tuple[int, dict[str, Any], tuple[Finding, ...]]:
    """Return the longest sequence served; beyond the config's, the override that lets vLLM build its rope that long."""
    asked, derived = request.max_model_len_tokens, geometry.max_model_len_tokens
    if asked is None or asked <= derived:
        return asked or derived, {}, ()
    if geometry.rope_scaled:
        raise Unplannable(
            Problem.PLACEMENT,
            PlanReason.MAX_MODEL_LEN_INVALID,
            f"max_model_len {asked} is beyond the {derived} tokens that {facts.id}'s scaled rope is made for",
            f"Ask for at most {derived}",
        )
    words: dict[str, Any] = {"max_position_embeddings": asked}
    if decoder.config_format is ConfigFormat.MISTRAL:
        words["max_seq_len"] = asked  # its parser copies the shorter length there, and the shortest counts
    finding = Finding(
        PlanFinding.LONGER_THAN_CONFIG,
        f"max_model_len {asked} is beyond the config's {derived}: vLLM is told so by --hf-overrides, "
        "and the model may not be good that far out",
    )
    return asked, {"text_config": words} if decoder.multimodal else words, (finding,)


def _check_weights(facts: ModelFacts) -> None:
    """Refuse a model whose only weights are of a kind that neither load format reads: GGUF, exl2, ….

    A model without any weight file is planned from its config, and the plan says so.
    """
    if facts.weights or not facts.other_weights:
        return
    raise Unplannable(
        Problem.MODEL,
        PlanReason.WEIGHTS_UNREADABLE,
        f"{facts.id} has no weights that are planned for, only {', '.join(sorted(facts.other_weights)[:3])}",
        "Choose a model with safetensors, or with pytorch_model.bin",
    )


def _load_format(facts: ModelFacts, config_format: ConfigFormat) -> WeightFormat:
    """Return the weights that go with the config; where the model has only the other kind, those."""
    preferred = WeightFormat.MISTRAL if config_format is ConfigFormat.MISTRAL else WeightFormat.HF
    if facts.weights and facts.weights_in(preferred) is None:
        return facts.weights[0].format
    return preferred


def _decide(
    facts: ModelFacts,
    request: PlanRequest,
    layout: AttentionLayout,
    geometry: Geometry,
    precision: Precision,
    max_model_len: int,
    features: EngineFeatures,
    profiles: Sequence[Profile],
) -> BackendDecision:
    runtime, capability = request.runtime, request.gpu.compute_capability
    minimum = runtime.release.min_compute_capability if runtime.release else None
    if runtime.platform is Platform.CUDA and minimum and capability is not None and capability < minimum:
        raise Unplannable(
            Problem.HARDWARE,
            PlanReason.GPU_TOO_OLD,
            f"{runtime} needs compute capability {minimum}, the GPU has {capability}",
            "Choose a newer GPU, or an older vLLM release",
        )
    try:
        return decide(
            AttentionFacts(
                layout=layout,
                runtime=runtime,
                compute_capability=capability,
                head_size=geometry.head_size,
                dtype=precision.dtype,
                kv_cache_dtype=precision.kv_cache_dtype,
                max_model_len_tokens=max_model_len,
                requested=request.attention_backend,
                xformers_installed=request.xformers_installed,
                latent_attention=geometry.latent_rank > 0,
                features=features,
                profile=find_profile(
                    profiles,
                    compute_capability=capability,
                    head_size=geometry.head_size,
                    dtype=precision.dtype,
                    vllm_version=runtime.version,
                ),
            )
        )
    except NoValidBackend as error:
        raise Unplannable(
            Problem.PLACEMENT,
            str(error.reason),
            f"no valid attention backend for {facts.id}: {error.message}",
            _way_out(error.reason, request, precision),
            error.rejected,
        ) from error


def _way_out(reason: RejectionReason, request: PlanRequest, precision: Precision) -> str:
    if request.attention_backend is not None:
        return "Leave the choice to the plan (Auto), or change what the sentence names"
    if reason is RejectionReason.KV_CACHE_DTYPE:
        # by name: left out, a checkpoint's wish for another one would count
        return f"Keep the KV cache in the model's own dtype, {precision.dtype}, or choose a GPU that reads this one"
    return "Change what the sentence names"


def _overrides(
    facts: ModelFacts, files: ConfigFiles, layout: AttentionLayout, decoder: Decoder, request: PlanRequest
) -> tuple[Mapping[str, Any], tuple[Finding, ...]]:
    release = request.runtime.release
    if release is None or decoder.get("kv_lora_rank"):
        return {}, ()
    try:
        override = engine_override(files, layout, release)
    except Unsupported as error:
        raise Unplannable(
            Problem.MODEL if error.reason is not EngineReason.ENGINE_IGNORES_LAYOUT else Problem.PLACEMENT,
            str(error.reason),
            f"{facts.id} on {request.runtime}: {error.message}",
            "Correct the file in the model's repository, or choose another vLLM release",
        ) from error
    return ({}, ()) if override is None else (override.values, (override.finding,))


def _merge(left: Mapping[str, Any], right: Mapping[str, Any]) -> dict[str, Any]:
    """Merge two overrides; both nest under the same key or neither does."""
    merged = {**left, **right}
    if "text_config" in left and "text_config" in right:
        merged["text_config"] = {**left["text_config"], **right["text_config"]}
    return merged


def _architecture(files: ConfigFiles) -> str | None:
    architectures = (files.config or {}).get("architectures")
    if isinstance(architectures, list) and architectures and isinstance(architectures[0], str):
        return architectures[0]
    return None
