"""The image that serves is what the operator renders pods for, and what the plugin is tested on."""

import re
import tomllib

import pytest

from mistral_operator.api.names import CONTAINER_PORT, DEFAULT_IMAGE_REPOSITORY
from mistral_operator.api.rendered import RENDERED_VOLUMES
from mistral_vllm.runtimes import DEFAULT_VERSION
from unit.dockerfiles import ROOT, instructions, makefile, read_dockerfile
from unit.rendering_from_specs import container, environment, pod

IMAGE = ROOT / "images" / "vllm"
DOCKERFILE = read_dockerfile(IMAGE / "Dockerfile")
MADE_BY_THE_RUNTIME = {RENDERED_VOLUMES["tmp"], RENDERED_VOLUMES["shm"]}
PINNED = {"vllm": DEFAULT_VERSION, "xformers": "0.0.35", "torch": "2.11.0"}


def pins(file: str) -> dict[str, str]:
    """Return the versions of a compiled requirements file by package, and check that each has a hash."""
    text = (IMAGE / file).read_text(encoding="utf-8")
    entries = re.findall(
        r"(?m)^([a-z0-9-]+)(?:\[[^\]]*\])?==([^ ;\\]+)[^\\\n]*(\\\n\s+--hash=sha256:[0-9a-f]{64})?", text
    )
    assert [name for name, _, hashed in entries if not hashed] == []
    return {name: version for name, version, _ in entries}


def wanted(file: str) -> dict[str, str]:
    """Return what a person asked for by version."""
    return dict(re.findall(r"(?m)^([a-z0-9-]+)(?:\[[^\]]*\])?==([^ ;\n]+)", (IMAGE / file).read_text(encoding="utf-8")))


def test_it_runs_as_the_user_of_the_pod() -> None:
    """By number, as runAsNonRoot asks, and with an entry of /etc/passwd, as torch does."""
    context = pod()["securityContext"]
    assert instructions(DOCKERFILE, "USER") == [f"{context['runAsUser']}:{context['runAsGroup']}"]
    assert f"groupadd --gid {context['runAsGroup']} " in DOCKERFILE
    assert f"useradd --uid {context['runAsUser']} --gid {context['runAsGroup']} " in DOCKERFILE


def test_it_has_the_folders_that_are_mounted() -> None:
    """Those that no container runtime makes: run by hand, the image has them too, and they are the user's."""
    (made,) = re.findall(r"install --directory --owner=vllm --group=vllm (.*)", DOCKERFILE)
    assert set(made.split()) == set(RENDERED_VOLUMES.values()) - MADE_BY_THE_RUNTIME


def test_it_writes_where_the_pod_does() -> None:
    """Run by hand it has the environment of a pod, so that both need the same folders."""
    own = dict(word.split("=", 1) for word in " ".join(instructions(DOCKERFILE, "ENV")).split())
    rendered = {name: entry["value"] for name, entry in environment().items() if "value" in entry}
    folders = {name for name, value in rendered.items() if value.startswith(tuple(RENDERED_VOLUMES.values()))}
    assert folders <= own.keys()
    assert {name: own[name] for name in own.keys() & rendered.keys()} == {
        name: rendered[name] for name in own.keys() & rendered.keys()
    }


def test_it_listens_where_the_pod_does() -> None:
    """One port, the Service's target."""
    assert instructions(DOCKERFILE, "EXPOSE") == [str(CONTAINER_PORT)]


def test_its_entry_point_is_the_command_of_the_pod() -> None:
    """A console script that the plugin's distribution declares."""
    scripts = tomllib.loads((IMAGE / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    program, subcommand = container()["command"]
    assert instructions(DOCKERFILE, "ENTRYPOINT") == [f'["{program}"]']
    assert (program in scripts, subcommand) == (True, "serve")


@pytest.mark.parametrize("package", PINNED)
def test_it_holds_what_the_plugin_is_written_for(package: str) -> None:
    """The release of the catalogue, and the versions whose kernels were measured."""
    assert pins("requirements.txt")[package] == PINNED[package]


def test_it_says_which_vllm_it_holds() -> None:
    """In the label that registries show, and in the tag under which the operator looks for it."""
    assert f'org.opencontainers.image.version="{DEFAULT_VERSION}"' in " ".join(instructions(DOCKERFILE, "LABEL"))
    assert makefile("VLLM_IMAGE") == f"{DEFAULT_IMAGE_REPOSITORY}:{DEFAULT_VERSION}"


@pytest.mark.parametrize("name", ["requirements", "build-requirements"])
def test_requirements_are_compiled_from_what_was_asked_for(name: str) -> None:
    """Every version a person chose stands in the file that is installed, and every package there has a hash."""
    compiled = pins(f"{name}.txt")
    asked = wanted(f"{name}.in")
    assert asked
    assert {package: compiled.get(package) for package in asked} == asked


def test_one_uv_builds_everything() -> None:
    """The Makefile's and the image's are one version."""
    assert pins("build-requirements.txt")["uv"] == makefile("UV_VERSION")


def test_one_transformers_reads_configs() -> None:
    """The layouts are tested against the transformers that reads them in the pod."""
    packages = tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))["package"]
    (tested,) = [package["version"] for package in packages if package["name"] == "transformers"]
    assert pins("requirements.txt")["transformers"] == tested
