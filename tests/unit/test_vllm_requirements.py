"""The packages of the images: those that a person chose, and on the CPU, where they are tested, those that GPUs get."""

import re

import pytest
from packaging.requirements import Requirement

from mistral_vllm.runtimes import DEFAULT_VERSION
from unit.dockerfiles import ROOT, makefile

IMAGE = ROOT / "images" / "vllm"
PINNED = {"vllm": DEFAULT_VERSION, "xformers": "0.0.35", "torch": "2.11.0"}
COMPILED = {
    "requirements.in": "requirements.txt",
    "requirements-cpu.in": "requirements-cpu.txt",
    "build-requirements.in": "build-requirements.txt",
}
# CUDA, what computes with it and what that needs; tests without a GPU run none of it
FOR_GPUS = {
    "fastsafetensors", "flashinfer-python", "humming-kernels", "ml-dtypes", "nvtx", "pyelftools", "pynvvideocodec",
    "quack-kernels", "tabulate", "tilelang", "tokenspeed-mla", "tokenspeed-triton", "torch-c-dlpack-ext", "vllm",
    "xformers", "z3-solver",
}  # fmt: skip
OF_CUDA = ("cuda-", "nvidia-")


def requirements(file: str) -> list[Requirement]:
    """Return what a requirements file and those that it includes ask for, in order."""
    found = []
    for line in (IMAGE / file).read_text(encoding="utf-8").splitlines():
        included = re.match(r"-r (\S+)", line)
        if included:
            found += requirements(included[1])
        elif re.match(r"[a-z]", line):
            found.append(Requirement(line.partition("#")[0].strip(" \\")))
    return found


def versions(wanted: list[Requirement]) -> dict[str, str]:
    """Return the versions of those that name one."""
    exact = [(requirement.name, str(requirement.specifier)) for requirement in wanted]
    return {name: specifier.removeprefix("==") for name, specifier in exact if specifier.startswith("==")}


def installed(file: str, python: str, machine: str) -> dict[str, str]:
    """Return what is installed from a compiled file by a Python (3.12) on Linux."""
    environment = {
        "implementation_name": "cpython", "os_name": "posix", "platform_machine": machine, "platform_system": "Linux",
        "platform_python_implementation": "CPython", "python_full_version": f"{python}.0", "python_version": python,
        "sys_platform": "linux",
    }  # fmt: skip
    return versions([each for each in requirements(file) if each.marker is None or each.marker.evaluate(environment)])


@pytest.mark.parametrize("package", PINNED)
def test_it_holds_what_the_plugin_is_written_for(package: str) -> None:
    """The release of the catalogue, and the versions whose kernels were measured."""
    assert versions(requirements("requirements.txt"))[package] == PINNED[package]


@pytest.mark.parametrize("asked", COMPILED)
def test_they_are_compiled_from_what_was_asked_for(asked: str) -> None:
    """Every version and every bound that a person chose holds in the file that is installed."""
    compiled = versions(requirements(COMPILED[asked]))
    wanted = requirements(asked)
    assert wanted
    assert [str(each) for each in wanted if not each.specifier.contains(compiled[each.name.replace("_", "-")])] == []


@pytest.mark.parametrize("file", ["requirements.txt", "build-requirements.txt"])
def test_every_package_has_a_hash(file: str) -> None:
    """What is installed into the image that serves is what was resolved, byte for byte."""
    text = (IMAGE / file).read_text(encoding="utf-8")
    assert re.findall(r"(?m)^(?=[a-z])(?!.*\\\n +--hash=sha256:[0-9a-f]{64}).*", text) == []


def test_one_uv_builds_everything() -> None:
    """The Makefile's and the image's are one version."""
    assert versions(requirements("build-requirements.txt"))["uv"] == makefile("UV_VERSION")


def test_they_are_resolved_as_of_the_release() -> None:
    """The day belongs to the vLLM that is held: who changes the one has to look up the other."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    ((version, day),) = re.findall(r"vLLM (\S+) was released on (\S+),", text)
    assert version == DEFAULT_VERSION
    assert re.findall(r"(?m)^AS_OF := --exclude-newer (\S+)", text) == [f"{day}T23:59:59Z"]


def test_what_is_newer_is_so_by_choice() -> None:
    """A package may be newer than that day only where a person named its version."""
    newer = re.findall(r"--exclude-newer-package (\S+)=\S+", (ROOT / "Makefile").read_text(encoding="utf-8"))
    assert newer
    assert set(newer) <= versions(requirements("requirements-engine.in")).keys()


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize("python", ["3.12", "3.13"])
def test_what_is_tested_is_what_is_shipped(python: str, machine: str) -> None:
    """A package of both images has one version, and what the tests go without is for GPUs alone."""
    gpu, cpu = (installed(file, python, machine) for file in ("requirements.txt", "requirements-cpu.txt"))
    shared = gpu.keys() & cpu.keys()
    assert {"transformers", "mistral-common", "torch", "torchvision"} <= shared
    assert {name: cpu[name] for name in shared} == {name: gpu[name] for name in shared}
    assert {name for name in gpu.keys() - cpu.keys() if not name.startswith(OF_CUDA)} - FOR_GPUS == set()


def test_each_file_asks_for_the_common_ones() -> None:
    """What both images hold is written once."""
    common = {str(each) for each in requirements("requirements-engine.in")}
    for file in ("requirements.in", "requirements-cpu.in"):
        assert common <= {str(each) for each in requirements(file)}
