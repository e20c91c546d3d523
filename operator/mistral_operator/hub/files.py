"""Which file of a repository is what: the one place that knows names of files.

The rules are those of the readers: ``model.safetensors`` or its shards, else ``pytorch_model.bin`` or its
shards, for transformers' format; ``consolidated*.safetensors`` for Mistral's. Only the root counts, as it
does for vLLM.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import translate
from itertools import islice
from typing import Final, Protocol

CONFIG: Final = "config.json"
PARAMS: Final = "params.json"
QUANTIZATION: Final = "hf_quant_config.json"
HF_INDEX: Final = "model.safetensors.index.json"
MISTRAL_INDEX: Final = "consolidated.safetensors.index.json"


def _any_of(*patterns: str) -> re.Pattern[str]:
    """Return one pattern for several: a listing has thousands of names."""
    return re.compile("|".join(map(translate, patterns)))


# of any more digits, a name is no shard's
_SHARD: Final = re.compile(r"(?P<stem>.+)-(?P<number>[0-9]{1,9})-of-(?P<count>[0-9]{1,9})(?P<suffix>\.\w+)")
_HF_SHARD: Final = re.compile(r"model-[0-9]{1,9}-of-[0-9]{1,9}\.safetensors")
_PICKLED: Final = re.compile(r"pytorch_model(-[0-9]{1,9}-of-[0-9]{1,9})?\.bin")
_MISTRAL: Final = _any_of("consolidated*.safetensors")
_TOKENIZERS: Final = _any_of("tekken.json", "tokenizer.json", "tokenizer_config.json", "tokenizer.model*")
_MAX_NAMES: Final = 100  # of a kind that are kept: that there are some is what counts
_OTHER_WEIGHTS: Final = _any_of(
    *("*.safetensors", "*.gguf", "*.ggml", "ggml-*.bin", "*.onnx", "*.npz", "*.h5", "*.msgpack"),
    *("consolidated*.pt", "consolidated*.pth"),
)


class ModelFiles(Protocol):
    """The files at the root of one revision of one model, wherever they lie."""

    @property
    def model(self) -> str:
        """How errors name the model."""

    @property
    def sizes(self) -> Mapping[str, int]:
        """Every file's size in bytes."""

    @property
    def remote(self) -> bool:
        """Whether reading costs a request, so that one index is better than the headers of all shards."""

    @property
    def declared_elements(self) -> Mapping[str, int]:
        """What a hub says about its safetensors files: dtype to stored elements; empty where nobody says."""

    def read(self, name: str, limit: int) -> bytes | None:
        """Return the first ``limit`` bytes of a file, or None if there is no such file."""

    def stream(self, name: str, limit: int) -> Iterator[bytes]:
        """Yield the first ``limit`` bytes of a file that is there, in pieces."""

    def read_range(self, name: str, start: int, length: int) -> bytes:
        """Return ``length`` bytes of a file, fewer at its end."""


@dataclass(frozen=True, slots=True)
class SortedFiles:
    """Names of files by what they are."""

    hf_safetensors: tuple[str, ...]
    hf_pickled: tuple[str, ...]
    mistral: tuple[str, ...]
    tokenizer: frozenset[str]
    other_weights: frozenset[str]


def sort_files(names: Iterable[str]) -> SortedFiles:
    """Sort the names of files at a repository's root."""
    names = sorted(names)
    shards = [name for name in names if _HF_SHARD.fullmatch(name)]
    single = [name for name in names if name == "model.safetensors"]
    # with both, an index makes the shards the checkpoint; without one transformers takes the single file
    hf_safetensors = shards if shards and (HF_INDEX in names or not single) else single
    mistral = [name for name in names if _MISTRAL.match(name)]
    ours = {*shards, *single, *mistral}
    return SortedFiles(
        hf_safetensors=tuple(hf_safetensors),
        hf_pickled=tuple(name for name in names if _PICKLED.fullmatch(name)),
        mistral=tuple(mistral),
        tokenizer=_some(name for name in names if _TOKENIZERS.match(name)),
        other_weights=_some(name for name in names if name not in ours and _OTHER_WEIGHTS.match(name)),
    )


def _some(names: Iterable[str]) -> frozenset[str]:
    return frozenset(islice(names, _MAX_NAMES))


def missing_shard(names: Iterable[str]) -> str | None:
    """Return the name of a shard that the others' names promise and that is not there."""
    present = set(names)
    shards = [shard for name in sorted(present) if (shard := _SHARD.fullmatch(name)) is not None]
    found = Counter(map(_checkpoint, shards))
    for shard in shards:
        count, width = int(shard["count"]), len(shard["number"])
        # counting is enough: names are unique, so as many as promised are all of them
        if count > found[_checkpoint(shard)]:
            numbers = range(1, count + 1)
            promised = (f"{shard['stem']}-{number:0{width}}-of-{shard['count']}{shard['suffix']}" for number in numbers)
            return next(name for name in promised if name not in present)
    return None


def _checkpoint(shard: re.Match[str]) -> tuple[str, ...]:
    """Return what the shards of one checkpoint have in common."""
    return shard["stem"], shard["count"], shard["suffix"]
