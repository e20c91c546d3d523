"""Which attention backend runs a model: facts in, one decision out, by a chain of small rules.

Every backend the runtime has is first asked by :mod:`mistral_vllm.constraints`; those left are the candidates. Then
the rules are asked in order and the first that answers decides. A backend that would ignore the window is never a
candidate, whoever asks for it. Adding a rule is adding a function to ``RULES``.
"""

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from mistral_vllm.attention_facts import AttentionFacts, XFormersStatus
from mistral_vllm.backends import AUTO, FLASH_ATTN, TRITON_ATTN, XFORMERS, Backend, Phase
from mistral_vllm.constraints import Rejection, nearest, not_in_runtime, reject, why_not_in_runtime
from mistral_vllm.layer_types import LayerType
from mistral_vllm.layout import AttentionLayout
from mistral_vllm.reasons import DecisionReason, RejectionReason
from mistral_vllm.runtimes import Selector

if TYPE_CHECKING:
    from mistral_vllm.profiles import Profile

_NEVER_BELOW: Final = 0.9  # a backend that is faster on the whole may be this near behind at one batch size


class BackendDecision(NamedTuple):
    """What was chosen, why, and why not the others.

    Attributes
    ----------
    backends
        People's name of the backend for each kind of layer the model has; ``Auto`` is the engine's own choice.
    reason, message
        The rule that decided, and one sentence a person understands.
    rejected
        Every other backend of the runtime, and XFORMERS wherever it is not to be had.
    xformers
        Whether XFormers can be used at all.
    layout
        The layout it was decided for.
    """

    backends: Mapping[LayerType, str]
    reason: DecisionReason
    message: str
    rejected: tuple[Rejection, ...]
    xformers: XFormersStatus
    layout: AttentionLayout

    @property
    def uses_xformers(self) -> bool:
        """Whether any kind of layer runs on XFORMERS."""
        return XFORMERS in self.backends.values()


class NoValidBackend(ValueError):
    """No backend can run the model as asked: an explicit choice that is refused, or no candidate left."""

    def __init__(self, reason: RejectionReason, message: str, rejected: tuple[Rejection, ...]) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.rejected = rejected


class _Candidates(NamedTuple):
    """The backends that passed every constraint, in the engine's own order of preference."""

    sliding: tuple[Backend, ...]  # for the kinds of layers that must be told together with the sliding ones
    full: tuple[Backend, ...]
    rejected: tuple[Rejection, ...]

    def for_window(self, name: str) -> Backend | None:
        return next((backend for backend in self.sliding if backend.name == name), None)


class _Choice(NamedTuple):
    """A rule's answer: one backend for the layers with a window (or for all), or the engine's own choice."""

    backend: Backend | None
    reason: DecisionReason
    message: str
    outranked: tuple[Rejection, ...] = ()


_Rule = Callable[[AttentionFacts, _Candidates], _Choice | None]


def decide(facts: AttentionFacts) -> BackendDecision:
    """Choose a backend for each kind of layer.

    Raises
    ------
    NoValidBackend
        When the user's choice is refused, or nothing can run the model.
    """
    candidates = _candidates(facts)
    choice = next(choice for rule in RULES if (choice := rule(facts, candidates)) is not None)
    return BackendDecision(
        backends=_per_kind(facts, candidates, choice),
        reason=choice.reason,
        message=choice.message,
        rejected=_all_rejected(facts, candidates, choice),
        xformers=facts.xformers,
        layout=facts.layout,
    )


def _candidates(facts: AttentionFacts) -> _Candidates:
    # Without a window anywhere, the one kind there is takes the place of the sliding layers. A release that is told
    # one backend for the process needs one that can run every kind.
    together = facts.kinds if facts.runtime.selector is not Selector.FLAG_PER_KIND else facts.kinds[:1]
    verdicts = [(backend, reject(backend, facts, together)) for backend in facts.runtime.backends]
    return _Candidates(
        sliding=tuple(backend for backend, rejection in verdicts if rejection is None),
        full=tuple(b for b in facts.runtime.backends if reject(b, facts, (LayerType.FULL,)) is None),
        rejected=tuple(rejection for _, rejection in verdicts if rejection is not None) + not_in_runtime(facts),
    )


def _users_choice(facts: AttentionFacts, candidates: _Candidates) -> _Choice | None:
    if facts.requested is None:
        return None
    backend = candidates.for_window(facts.requested)
    if backend is not None:
        return _Choice(backend, DecisionReason.USER_CHOICE, f"{backend.name} was asked for and can run this model")
    refusal = next((rejection for rejection in candidates.rejected if rejection.backend == facts.requested), None)
    reason = refusal.reason if refusal else RejectionReason.NOT_IN_RUNTIME
    cause = refusal.message if refusal else why_not_in_runtime(facts.requested, facts)
    raise NoValidBackend(reason, f"{facts.requested} was asked for, but {cause}", candidates.rejected)


def _unknown_release(facts: AttentionFacts, _candidates: _Candidates) -> _Choice | None:
    if facts.runtime.known:
        return None
    return _Choice(
        None,
        DecisionReason.RELEASE_UNKNOWN,
        f"how vLLM {facts.runtime.version} treats attention is not known here: it keeps its own choice",
    )


def _latent_attention(facts: AttentionFacts, _candidates: _Candidates) -> _Choice | None:
    if not facts.latent_attention:
        return None
    return _Choice(
        None,
        DecisionReason.LATENT_ATTENTION,
        "the model uses multi-head latent attention, for which vLLM has backends of its own and no window",
    )


def _some_candidate(facts: AttentionFacts, candidates: _Candidates) -> _Choice | None:
    """Refuse here, where every later rule may rely on a candidate."""
    if candidates.sliding:
        return None
    first = nearest(candidates.rejected)
    shown = f"{first.backend} {first.message}"
    common = {(r.reason, r.message) for r in candidates.rejected if r.reason is not RejectionReason.NOT_IN_RUNTIME}
    message = (
        first.message if len(common) == 1 else f"no attention backend of {facts.runtime} can run this model: {shown}"
    )
    raise NoValidBackend(first.reason, message, candidates.rejected)


def _no_window(facts: AttentionFacts, _candidates: _Candidates) -> _Choice | None:
    if facts.layout.window_tokens is not None:
        return None
    return _Choice(None, DecisionReason.NO_SLIDING_WINDOW, f"no layer has a window: {_engines_own(facts)}")


def _window_exceeds_context(facts: AttentionFacts, _candidates: _Candidates) -> _Choice | None:
    if facts.window_bites:
        return None
    return _Choice(
        None,
        DecisionReason.WINDOW_EXCEEDS_CONTEXT,
        f"the window of {facts.layout.window_tokens} tokens never bites at max_model_len {facts.max_model_len_tokens}, "
        f"so every layer attends to everything: {_engines_own(facts)}",
    )


def _measured_fastest(facts: AttentionFacts, candidates: _Candidates) -> _Choice | None:
    """Choose the candidate that, against every other one measured, is faster on the whole and nowhere much slower."""
    profile = _profile(facts)
    if profile is None:
        return None
    for backend in candidates.sliding:
        others = [other for other in candidates.sliding if other is not backend]
        measured = {other.name: phases for other in others if (phases := _compare(profile, backend, other)) is not None}
        if not measured or not all(_faster(phases) for phases in measured.values()):
            continue
        outranked = tuple(
            Rejection(other.name, RejectionReason.MEASURED_SLOWER, _slower(backend, measured[other.name]))
            if other.name in measured
            else Rejection(other.name, RejectionReason.NOT_MEASURED, f"no figures in profile {profile.name}")
            for other in others
        )
        worst = min(ratio for phases in measured.values() for speedups in phases.values() for ratio in speedups)
        but = "" if worst >= 1 else f", if by up to {1 - worst:.0%} not at every batch size"
        return _Choice(
            backend,
            DecisionReason.MEASURED_FASTEST,
            f"measured on {' and '.join(profile.devices)} (compute capability {profile.compute_capability}, head size "
            f"{profile.head_size}, {profile.dtype}): fastest of {', '.join((backend.name, *measured))} with a window"
            + but,
            outranked,
        )
    return None


def _profile(facts: AttentionFacts) -> "Profile | None":
    """Return the profile, unless its figures were taken on a cache of another dtype."""
    return facts.profile if facts.kv_cache_dtype in ("auto", facts.dtype) else None


def _compare(profile: "Profile", backend: Backend, other: Backend) -> dict[Phase, tuple[float, ...]] | None:
    """Return how many times faster a backend is in each phase, or None where a phase has nothing to compare."""
    phases = {phase: profile.speedups(backend, other, phase) for phase in Phase}
    known = {phase: speedups for phase, speedups in phases.items() if speedups is not None}
    return known if len(known) == len(phases) else None


def _faster(phases: Mapping[Phase, tuple[float, ...]]) -> bool:
    """Tell whether a backend is the one to take: no phase is slower on the whole, and no batch size by much."""
    ratios = [ratio for speedups in phases.values() for ratio in speedups]
    means = [math.prod(speedups) ** (1 / len(speedups)) for speedups in phases.values()]
    return min(ratios) >= _NEVER_BELOW and min(means) >= 1 < max(means)


def _slower(backend: Backend, phases: Mapping[Phase, tuple[float, ...]]) -> str:
    told = ", ".join(f"{_times(speedups)} in {phase}" for phase, speedups in phases.items())
    return f"{backend.name} was measured faster: {told}"


def _xformers(facts: AttentionFacts, candidates: _Candidates) -> _Choice | None:
    backend = candidates.for_window(XFORMERS)
    if backend is None:
        return None
    return _Choice(
        backend,
        DecisionReason.XFORMERS_PREFERRED,
        f"layers with a window prefer XFORMERS where it is installed and able; {_no_profile(facts)}",
    )


def _flash_attention(facts: AttentionFacts, candidates: _Candidates) -> _Choice | None:
    backend = candidates.for_window(FLASH_ATTN)
    if backend is None:
        return None
    message = f"XFORMERS is not to be had, and FLASH_ATTN honours the window; {_no_profile(facts)}"
    return _Choice(backend, DecisionReason.FLASH_ATTENTION, message)


def _standard_attention(facts: AttentionFacts, candidates: _Candidates) -> _Choice | None:
    backend = candidates.sliding[0]
    return _Choice(
        backend,
        DecisionReason.STANDARD_ATTENTION,
        f"{backend.name} is the first of {facts.runtime}'s own backends that can run this model and honours the window",
    )


RULES: tuple[_Rule, ...] = (
    _users_choice,
    _unknown_release,
    _latent_attention,
    _some_candidate,
    _no_window,
    _window_exceeds_context,
    _measured_fastest,
    _xformers,
    _flash_attention,
    _standard_attention,
)


def _per_kind(facts: AttentionFacts, candidates: _Candidates, choice: _Choice) -> dict[LayerType, str]:
    if choice.backend is None:
        return dict.fromkeys(facts.kinds, AUTO)
    chosen = dict.fromkeys(facts.kinds, choice.backend.name)
    if not facts.layout.is_interleaved or facts.runtime.selector is not Selector.FLAG_PER_KIND:
        return chosen
    if choice.reason is DecisionReason.USER_CHOICE and choice.backend.name != XFORMERS:
        return chosen
    chosen[LayerType.FULL] = AUTO if choice.backend.name != XFORMERS else _beside_xformers(candidates)
    return chosen


def _beside_xformers(candidates: _Candidates) -> str:
    """Name a backend for the full layers: one KV cache layout serves the process, and auto could pick HND."""
    names = [backend.name for backend in candidates.full]
    return next((name for name in (FLASH_ATTN, TRITON_ATTN) if name in names), XFORMERS)


def _all_rejected(facts: AttentionFacts, candidates: _Candidates, choice: _Choice) -> tuple[Rejection, ...]:
    told = {*(r.backend for r in candidates.rejected), *(r.backend for r in choice.outranked)}
    if choice.backend is None:
        return candidates.rejected  # the engine may still take any of the candidates
    outranked = tuple(
        Rejection(backend.name, RejectionReason.LOWER_PREFERENCE, f"{choice.backend.name} comes first")
        for backend in facts.runtime.backends
        if backend.name not in told and backend is not choice.backend
    )
    return (*candidates.rejected, *choice.outranked, *outranked)


def _engines_own(facts: AttentionFacts) -> str:
    return f"vLLM {facts.runtime.version} chooses by itself"


def _no_profile(facts: AttentionFacts) -> str:
    capability, size = facts.compute_capability or "unknown", facts.head_size or "unknown"
    model = f"compute capability {capability}, head size {size}, {facts.dtype} on vLLM {facts.runtime.version}"
    return f"nothing was measured for {model}" if _profile(facts) is None else f"none was measured fastest for {model}"


def _times(speedups: tuple[float, ...]) -> str:
    low, high = f"{min(speedups):.2f}", f"{max(speedups):.2f}"
    if low == high:
        return "the same kernel" if high == "1.00" else f"{high} times"
    return f"{low} to {high} times"
