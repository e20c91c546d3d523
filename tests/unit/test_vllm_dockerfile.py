"""The image that serves is what the operator renders pods for, and what the plugin is tested on."""

import re
import tomllib

from mistral_operator.api.names import CONTAINER_PORT, DEFAULT_IMAGE_REPOSITORY
from mistral_operator.api.rendered import RENDERED_VOLUMES
from mistral_vllm.runtimes import DEFAULT_VERSION
from unit.dockerfiles import ROOT, instructions, makefile, read_dockerfile
from unit.rendering_from_specs import container, environment, pod

IMAGE = ROOT / "images" / "vllm"
DOCKERFILE = read_dockerfile(IMAGE / "Dockerfile")
MADE_BY_THE_RUNTIME = {RENDERED_VOLUMES["tmp"], RENDERED_VOLUMES["shm"]}


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


def test_it_says_which_vllm_it_holds() -> None:
    """In the label that registries show, and in the tag under which the operator looks for it."""
    assert f'org.opencontainers.image.version="{DEFAULT_VERSION}"' in " ".join(instructions(DOCKERFILE, "LABEL"))
    assert makefile("VLLM_IMAGE") == f"{DEFAULT_IMAGE_REPOSITORY}:{DEFAULT_VERSION}"
