"""The image that serves on the CPU is the one that serves on GPUs, but for vLLM itself."""

import re

import pytest

from mistral_vllm.runtimes import DEFAULT_VERSION
from unit.dockerfiles import ROOT, instructions, makefile, read_dockerfile

IMAGE = ROOT / "images" / "vllm"
GPU, CPU = (read_dockerfile(IMAGE / name) for name in ("Dockerfile", "Dockerfile.cpu"))
OF_GPUS = {"NVIDIA_DRIVER_CAPABILITIES", "PATH"}


def environment(dockerfile: str) -> set[str]:
    """Return what an image sets, less what GPUs need."""
    words = " ".join(instructions(dockerfile, "ENV")).split()
    return {word for word in words if word.partition("=")[0] not in OF_GPUS}


@pytest.mark.parametrize("instruction", ["USER", "EXPOSE", "ENTRYPOINT", "CMD", "HEALTHCHECK"])
def test_what_pods_rely_on(instruction: str) -> None:
    """The user, the port and the entry point are the same."""
    assert instructions(CPU, instruction) == instructions(GPU, instruction)


def test_its_environment() -> None:
    """What is written goes to the same folders."""
    assert environment(CPU) == environment(GPU)


def test_its_user() -> None:
    """With the same name, the same numbers and the same folders."""
    made = r"(?:groupadd|useradd|install --directory) [^&]+"
    (gpu,), (cpu,) = ([run for run in instructions(text, "RUN") if "groupadd" in run] for text in (GPU, CPU))
    assert re.findall(made, cpu) == re.findall(made, gpu)


def test_which_vllm_it_holds() -> None:
    """The same release, in its requirements, under the name that vLLM's console script asks for, and in its tag."""
    requirements = (IMAGE / "requirements-cpu.txt").read_text(encoding="utf-8")
    assert f"\nvllm-cpu=={DEFAULT_VERSION}\n" in requirements
    assert f"Name: vllm\\nVersion: {DEFAULT_VERSION}+cpu\\n" in CPU
    assert f'org.opencontainers.image.version="{DEFAULT_VERSION}"' in " ".join(instructions(CPU, "LABEL"))
    assert makefile("VLLM_CPU_IMAGE") == f"mistral-vllm-cpu:{DEFAULT_VERSION}"
