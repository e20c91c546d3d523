"""Measured profiles: which kernel is faster, per phase, on one compute capability with one head size and dtype.

Each profile is a JSON file beside this module, with the provenance of every table in it. Figures are compared within
one row of one table only: the same machine, the same run, the same shapes. Nothing is compared across rows.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from mistral_vllm.backends import Backend, ComputeCapability, Phase

_FILES: Final = ("sm90-head128-bfloat16.json",)


class ProfileError(ValueError):
    """A profile file that does not say what a profile must."""


class Row(NamedTuple):
    """One shape and what each kernel took for it."""

    shape: Mapping[str, int]  # batch (sequences), context (tokens), …
    figures: Mapping[str, float]  # kernel -> figure in the table's unit


class Table(NamedTuple):
    """Rows measured the same way."""

    phase: Phase
    device: str
    unit: str
    higher_is_better: bool
    provenance: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Profile:
    """Measured tables for one compute capability, head size and dtype."""

    name: str
    compute_capability: ComputeCapability
    head_size: int
    dtype: str
    vllm_versions: tuple[str, ...]  # the engine releases whose kernels these are
    window_tokens: int
    tables: tuple[Table, ...]

    @property
    def devices(self) -> tuple[str, ...]:
        """The GPUs the figures were taken on."""
        return tuple(dict.fromkeys(table.device for table in self.tables))

    def speedups(self, backend: Backend, other: Backend, phase: Phase) -> tuple[float, ...] | None:
        """How many times faster a backend is than another in one phase, one figure for each row that tells.

        A backend with several kernels for a phase uses the fastest. Where both would run the same kernel, or one has
        every kernel of the other, it is not slower and the answer is 1. None when nothing can be said.
        """
        ours, theirs = _kernels(backend, phase), _kernels(other, phase)
        ratios, same_kernel = [], bool(ours and theirs and ours >= theirs)
        for table in self.tables:
            if table.phase is not phase:
                continue
            for row in table.rows:
                our, their = (_best(row, kernels, table) for kernels in (ours, theirs))
                if our is None or their is None:
                    continue
                if our == their:
                    same_kernel = True
                    continue
                ours_figure, their_figure = row.figures[our], row.figures[their]
                ratios.append(ours_figure / their_figure if table.higher_is_better else their_figure / ours_figure)
        return tuple(ratios) or ((1.0,) if same_kernel else None)


def _kernels(backend: Backend, phase: Phase) -> frozenset[str]:
    return backend.kernels[phase] if backend.kernels is not None else frozenset()


def _best(row: Row, kernels: frozenset[str], table: Table) -> str | None:
    measured = sorted(kernel for kernel in kernels if kernel in row.figures)
    if not measured:
        return None
    return (max if table.higher_is_better else min)(measured, key=row.figures.__getitem__)


def load_profiles() -> tuple[Profile, ...]:
    """Read the profiles that ship with this package.

    Raises
    ------
    ProfileError
        When a file is torn or incomplete.
    """
    # Here, and not at the top: who only asks whether a model has a window need not pay for them
    import json  # noqa: PLC0415
    from importlib import resources  # noqa: PLC0415

    profiles = []
    for name in _FILES:
        try:
            raw = json.loads(resources.files(__name__).joinpath(name).read_bytes())
        except (OSError, json.JSONDecodeError) as error:
            raise ProfileError(f"profile {name} cannot be read: {error}") from error
        profiles.append(parse_profile(raw, name))
    return tuple(profiles)


def find_profile(
    profiles: Iterable[Profile],
    *,
    compute_capability: ComputeCapability | None,
    head_size: int | None,
    dtype: str,
    vllm_version: str,
) -> Profile | None:
    """Return the profile measured for exactly this, or None."""
    return next(
        (
            profile
            for profile in profiles
            if (profile.compute_capability, profile.head_size, profile.dtype) == (compute_capability, head_size, dtype)
            and vllm_version in profile.vllm_versions
        ),
        None,
    )


def parse_profile(raw: Any, name: str) -> Profile:
    """Check and convert one profile file.

    Raises
    ------
    ProfileError
        Naming the file and the word that is missing or of the wrong type.
    """
    try:
        return Profile(
            name=name,
            compute_capability=ComputeCapability.parse(raw["compute_capability"]),
            head_size=int(raw["head_size"]),
            dtype=str(raw["dtype"]),
            vllm_versions=tuple(str(version) for version in raw["vllm_versions"]),
            window_tokens=int(raw["window_tokens"]),
            tables=tuple(_table(table) for table in raw["tables"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ProfileError(f"profile {name}: {type(error).__name__}: {error}") from error


def _table(raw: Mapping[str, Any]) -> Table:
    rows = tuple(
        Row(
            {key: int(value) for key, value in row["shape"].items()},
            {kernel: float(figure) for kernel, figure in row["figures"].items()},
        )
        for row in raw["rows"]
    )
    if not rows or any(figure <= 0 for row in rows for figure in row.figures.values()):
        raise ValueError("a table needs rows, and every figure must be above zero")
    return Table(
        phase=Phase(raw["phase"]),
        device=str(raw["device"]),
        unit=str(raw["unit"]),
        higher_is_better=bool(raw["higher_is_better"]),
        provenance=str(raw["provenance"]),
        rows=rows,
    )
