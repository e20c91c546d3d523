"""What is built, from which files, and what it is called."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[4]


@dataclass(frozen=True, slots=True)
class Image:
    """One image of the project."""

    tag: str  # what a pod asks for
    target: str  # of the Makefile
    variable: str  # of the Makefile, for the tag
    dockerfile: Path
    context: Path
    minutes: float  # to build on two cores, the first time

    def digest(self, base: str) -> str:
        """Return what a build on a base depends on, in one word."""
        digest = hashlib.sha256(f"{base} {self.tag}".encode() + self.dockerfile.read_bytes())
        for path in self._sources():
            digest.update(f"\0{path.relative_to(self.context)}\0".encode())
            digest.update(path.read_bytes())
        return digest.hexdigest()[:16]

    def _sources(self) -> Iterator[Path]:
        """Yield the files that .dockerignore lets into the build."""
        for line in (self.context / ".dockerignore").read_text(encoding="utf-8").splitlines():
            if line.startswith("!"):
                path = self.context / line[1:]
                yield from sorted(filter(_counts, path.rglob("*"))) if path.is_dir() else [path]


def _counts(path: Path) -> bool:
    return path.is_file() and "__pycache__" not in path.parts


OPERATOR: Final = Image(
    tag="mistral-operator:0.1.0",
    target="image",
    variable="OPERATOR_IMAGE",
    dockerfile=ROOT / "images" / "operator" / "Dockerfile",
    context=ROOT,
    minutes=1.5,
)
VLLM_CPU: Final = Image(
    tag="mistral-vllm-cpu:0.26.0",
    target="image-vllm-cpu",
    variable="VLLM_CPU_IMAGE",
    dockerfile=ROOT / "images" / "vllm" / "Dockerfile.cpu",
    context=ROOT / "images" / "vllm",
    minutes=7.0,
)
IMAGES: Final = (OPERATOR, VLLM_CPU)
