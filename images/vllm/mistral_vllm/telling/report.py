"""The facts of all ranks as one report: what ``GET /v1/attention`` answers. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from mistral_vllm.backends import people_name
from mistral_vllm.layer_types import LayerType
from mistral_vllm.telling.facts import PENDING, LayerFacts, RankFacts, UntoldRank

_WARNINGS: Final = "warnings"  # in what a backend tells of its kernels
_WORDS: Final = {
    "window": "window",
    "backend": "backend",
    "headSize": "head size",
    "queryHeads": "query heads",
    "kvHeads": "KV heads",
}


class Untold(Exception):
    """There is nothing to report; the sentence says why."""


class _Kind(NamedTuple):
    """Layers that are alike."""

    layer_type: LayerType
    facts: LayerFacts
    layers: int


def report(ranks: Sequence[RankFacts | UntoldRank]) -> dict[str, Any]:
    """Return the report, JSON data in camelCase; docs/pod-report.md describes every field.

    Raises
    ------
    Untold
        When no rank could tell, or none has an attention layer.
    """
    silent: list[UntoldRank] = []
    told: list[RankFacts] = []
    for rank in ranks:
        if "error" in rank:
            silent.append(rank)
        else:
            told.append(rank)
    stages = _by_stage(told)
    layers = [facts for stage in stages for facts in stage[0]["layers"].values()]
    if not layers:
        raise Untold(
            f"no rank could tell of its layers: {silent[0]['error']}" if silent else "no rank has an attention layer"
        )
    kinds = _kinds(layers)
    differences = [*_silences(silent), *_differences(stages)]
    return {
        "versions": told[0]["versions"],
        "xformers": told[0]["xformers"],
        "slidingWindow": kinds[0].facts["window"],
        "layers": {
            "sliding": sum(kind.layers for kind in kinds if kind.layer_type is LayerType.SLIDING),
            "full": sum(kind.layers for kind in kinds if kind.layer_type is LayerType.FULL),
        },
        "backends": _backends(kinds),
        "kinds": [_shown(kind) for kind in kinds],
        "ranks": len(ranks),
        "ranksAgree": not differences,
        "warnings": list(dict.fromkeys([*differences, *_mixtures(kinds), *_told_warnings(told)])),
    }


def is_pending(found: Mapping[str, Any]) -> bool:
    """Tell whether a report was made before a layer's first step: its decode table is still to come."""
    return any((kind["kernels"] or {}).get("decodeTableSource") == PENDING for kind in found["kinds"])


def _by_stage(told: Iterable[RankFacts]) -> list[list[RankFacts]]:
    """Return the ranks of each stage of the pipeline, both in order: those of one stage hold the same layers."""
    stages: dict[int, list[RankFacts]] = {}
    for rank in sorted(told, key=lambda rank: (rank["stage"], rank["rank"])):
        stages.setdefault(rank["stage"], []).append(rank)
    return list(stages.values())


def _kinds(layers: Iterable[LayerFacts]) -> list[_Kind]:
    """Return the layers that are alike together: sliding ones first, then those that are most."""
    alike: list[tuple[LayerFacts, int]] = []
    for layer in layers:
        facts = _without_warnings(layer)
        place = next((place for place, (seen, _) in enumerate(alike) if seen == facts), None)
        if place is None:
            alike.append((facts, 1))
        else:
            alike[place] = (facts, alike[place][1] + 1)
    kinds = [
        _Kind(LayerType.FULL if facts["window"] is None else LayerType.SLIDING, facts, count) for facts, count in alike
    ]
    return sorted(kinds, key=lambda kind: (kind.layer_type is LayerType.FULL, -kind.layers))


def _shown(kind: _Kind) -> dict[str, Any]:
    facts = kind.facts
    return {
        "kind": kind.layer_type.value,
        "layers": kind.layers,
        "slidingWindow": facts["window"],
        "backend": people_name(facts["backend"]),
        "headSize": facts["headSize"],
        "queryHeads": facts["queryHeads"],
        "kvHeads": facts["kvHeads"],
        "kernels": facts["kernels"],
    }


def _backends(kinds: Iterable[_Kind]) -> dict[str, str]:
    """Return the backend of each kind of layer; where there are several, that of most layers."""
    backends: dict[str, str] = {}
    for kind in kinds:
        backends.setdefault(kind.layer_type.value, people_name(kind.facts["backend"]))
    return backends


def _mixtures(kinds: Sequence[_Kind]) -> list[str]:
    """Say where layers of one kind differ, as the report's short form has room for one window and one backend."""
    said = []
    windows: Counter[int] = Counter()
    for kind in kinds:
        if kind.facts["window"] is not None:
            windows[kind.facts["window"]] += kind.layers
    if len(windows) > 1:
        counts = ", ".join(f"{window} tokens in {_layers(count)}" for window, count in windows.items())
        said.append(f"sliding layers have more than one window: {counts}")
    for layer_type in LayerType:
        backends: Counter[str] = Counter()
        for kind in kinds:
            if kind.layer_type is layer_type:
                backends[people_name(kind.facts["backend"])] += kind.layers
        if len(backends) > 1:
            counts = ", ".join(f"{backend} in {_layers(count)}" for backend, count in backends.items())
            said.append(f"layers of {layer_type.value} have more than one backend: {counts}")
    return said


def _told_warnings(told: Iterable[RankFacts]) -> list[str]:
    return [
        warning
        for rank in told
        for layer in rank["layers"].values()
        for warning in (layer["kernels"] or {}).get(_WARNINGS, ())
    ]


def _silences(silent: Iterable[UntoldRank]) -> list[str]:
    return [f"rank {rank['rank']} could not tell of its layers: {rank['error']}" for rank in silent]


def _differences(stages: Iterable[Sequence[RankFacts]]) -> list[str]:
    """Say of each rank what differs from the first rank of its stage."""
    said = []
    for first, *others in stages:
        for other in others:
            found = _difference(first, other)
            if found:
                more = f", and {len(found) - 1} more" if len(found) > 1 else ""
                said.append(f"rank {other['rank']} differs from rank {first['rank']}: {found[0]}{more}")
    return said


def _difference(first: RankFacts, other: RankFacts) -> list[str]:
    found = [
        f"{name} is {found}, not {ours}"
        for (name, ours), found in zip(first["versions"].items(), other["versions"].values(), strict=True)
        if ours != found
    ]
    if first["xformers"] != other["xformers"]:
        found.append(f"xFormers is {other['xformers']!r}, not {first['xformers']!r}")
    for name, layer in first["layers"].items():
        if name not in other["layers"]:
            found.append(f"layer {name} is missing")
        else:
            found += [
                f"layer {name} has {difference}" for difference in _layer_difference(layer, other["layers"][name])
            ]
    found += [f"layer {name} is there as well" for name in other["layers"] if name not in first["layers"]]
    return found


def _layer_difference(ours: LayerFacts, theirs: LayerFacts) -> list[str]:
    mine: Mapping[str, Any] = ours
    other: Mapping[str, Any] = theirs
    found = [
        f"{word} {_shown_value(other[field])}, not {_shown_value(mine[field])}"
        for field, word in _WORDS.items()
        if mine[field] != other[field]
    ]
    if _without_warnings(ours)["kernels"] != _without_warnings(theirs)["kernels"]:
        found.append(_kernel_difference(ours["kernels"] or {}, theirs["kernels"] or {}))
    return found


def _kernel_difference(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    """Name the batch size where two decode tables part, or the first field that differs."""
    mine, other = (
        {row["batch"]: {name: value for name, value in row.items() if name != "batch"} for row in told["decodeTable"]}
        if "decodeTable" in told
        else {}
        for told in (ours, theirs)
    )
    for batch in sorted(mine.keys() | other.keys()):
        if mine.get(batch) != other.get(batch):
            return f"in its decode table {_row(other.get(batch))} at batch {batch}, not {_row(mine.get(batch))}"
    names = [name for name in (*ours, *theirs) if name != _WARNINGS and ours.get(name) != theirs.get(name)]
    name = next(iter(names), "kernels")
    return f"{name} {_shown_value(theirs.get(name))}, not {_shown_value(ours.get(name))}"


def _row(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return "nothing"
    return " ".join(str(value) if name == "kernel" else f"{name}={value}" for name, value in row.items())


def _shown_value(value: Any) -> str:
    return "none" if value is None else str(value)


def _layers(count: int) -> str:
    return "1 layer" if count == 1 else f"{count} layers"


def _without_warnings(layer: LayerFacts) -> LayerFacts:
    kernels = layer["kernels"]
    if kernels is None:
        return layer
    return {**layer, "kernels": {name: value for name, value in kernels.items() if name != _WARNINGS}}
