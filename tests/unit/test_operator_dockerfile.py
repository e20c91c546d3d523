"""The operator's image holds what is locked and what is loaded, and runs as the operator is told to run."""

import fnmatch
import inspect
import json
import re
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path
from typing import Any, Final, get_args

import pytest
import yaml
from packaging.markers import Marker
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import parse_wheel_filename

from mistral_operator.cli.run import run
from unit.dockerfiles import ROOT, instructions, makefile, read_dockerfile

DOCKERFILE: Final = read_dockerfile(ROOT / "images" / "operator" / "Dockerfile")
LOCK: Final = {package["name"]: package for package in tomllib.loads((ROOT / "uv.lock").read_text("utf-8"))["package"]}
CHART_VALUES: Final = yaml.safe_load((ROOT / "charts" / "mistral-operator" / "values.yaml").read_text("utf-8"))
PROJECT: Final = tomllib.loads((ROOT / "operator" / "pyproject.toml").read_text("utf-8"))["project"]
WORKSPACE: Final = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["uv"]["workspace"]
(_minor,) = re.findall(r"(?m)^ARG BASE=\S+/python:3\.(\d+)-slim", DOCKERFILE)
BASE_PYTHON: Final = (3, int(_minor))
PYTHONS: Final = [(3, 11), (3, 12), (3, 13)]  # what BASE may bring: bookworm's, the serving image's, trixie's
GLIBC: Final = 28  # 2.28, of Debian 10; a base is newer
ARCHITECTURES: Final = ["x86_64", "aarch64"]
LEFT_OUT: Final = re.findall(r"--no-emit-package (\S+)", DOCKERFILE)
EVERYTHING_LOADED: Final = """
import importlib, json, pkgutil, sys, sysconfig, mistral_operator, uvloop
for module in pkgutil.walk_packages(mistral_operator.__path__, "mistral_operator."):
    importlib.import_module(module.name)
files = [getattr(module, "__file__", None) for module in sys.modules.values()]
json.dump({"folder": sysconfig.get_path("purelib"), "files": [file for file in files if file]}, sys.stdout)
"""


def needed(python: tuple[int, int], machine: str) -> set[str]:
    """Return the packages that the operator installs on Linux, from the lock file."""
    version = ".".join(map(str, python))
    environment = {
        "sys_platform": "linux", "platform_system": "Linux", "os_name": "posix", "platform_machine": machine,
        "python_version": version, "python_full_version": f"{version}.0", "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }  # fmt: skip
    found: set[str] = set()
    waiting = ["mistral-operator"]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        for dependency in LOCK[name].get("dependencies", ()):
            assert "extra" not in dependency, f"{name} asks for an extra, which this does not read"
            if "marker" not in dependency or Marker(dependency["marker"]).evaluate(environment):
                waiting.append(dependency["name"])
    return found - set(LEFT_OUT)


def tags(python: tuple[int, int], machine: str) -> set[Tag]:
    """Return what a wheel may be tagged with, to be installed there."""
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in range(GLIBC, 4, -1)]
    platforms += [f"{name}_{machine}" for name in ("manylinux2014", "manylinux2010", "manylinux1")]
    interpreter = f"cp{python[0]}{python[1]}"
    return {*cpython_tags(python, platforms=platforms), *compatible_tags(python, interpreter, platforms)}


def has_wheel(package: dict[str, Any], suitable: set[Tag]) -> bool:
    """Whether one of a locked package's files can be installed without a compiler."""
    names = [wheel["url"].rsplit("/", 1)[1] for wheel in package.get("wheels", ())]
    return any(parse_wheel_filename(name)[3] & suitable for name in names)


def removed() -> list[str]:
    """Return the patterns of installed files that the image goes without."""
    (patterns,) = re.findall(r"rm -f (kubernetes/[^;]+);", DOCKERFILE)
    return str(patterns).split()


def copied() -> set[str]:
    """Return what is taken out of the context."""
    copies = (copy for copy in instructions(DOCKERFILE, "COPY") if not copy.startswith("--from="))
    return {source for copy in copies for source in copy.split()[:-1]}


@pytest.mark.parametrize("machine", ARCHITECTURES)
@pytest.mark.parametrize("python", PYTHONS, ids=lambda python: ".".join(map(str, python)))
def test_nothing_is_compiled(python: tuple[int, int], machine: str) -> None:
    """Every locked package has a wheel for both architectures and for each Python that a base may bring."""
    suitable = tags(python, machine)
    packages = [LOCK[name] for name in needed(python, machine)]
    installed = [package for package in packages if "registry" in package["source"]]
    assert {"uvloop", "aiohttp", "kubernetes"} <= {package["name"] for package in installed}
    assert [package["name"] for package in installed if not has_wheel(package, suitable)] == []


def test_its_base_is_a_python_that_was_looked_at() -> None:
    """The default is one of those whose wheels are known to exist."""
    assert BASE_PYTHON in PYTHONS


def test_what_is_left_out_is_never_loaded() -> None:
    """Neither a package that is not installed, nor a file that is removed."""
    done = subprocess.run((sys.executable, "-c", EVERYTHING_LOADED), capture_output=True, check=True, text=True)  # noqa: S603
    loaded = json.loads(done.stdout)
    folder = Path(loaded["folder"])
    files = {str(Path(file).relative_to(folder)) for file in loaded["files"] if Path(file).is_relative_to(folder)}
    assert {"uvloop/__init__.py", "kubernetes/aio/client/api_client.py"} <= files
    unwanted = [*(f"{name.replace('-', '_')}/*" for name in LEFT_OUT), *removed(), "*/tests/*"]
    assert {name for name in files for pattern in unwanted if fnmatch.fnmatch(name, pattern)} == set()


def test_what_is_left_out_is_there_to_be_left_out() -> None:
    """A newer package may have other files, and the image would grow again without a word."""
    assert set(LEFT_OUT) <= LOCK.keys()
    folder = Path(sysconfig.get_path("purelib"))
    assert [pattern for pattern in removed() if next(folder.glob(pattern), None) is None] == []


def test_it_is_made_of_the_operator_and_what_it_imports() -> None:
    """Each member of the workspace that the operator needs becomes a wheel of the image."""
    sources = (LOCK[name]["source"] for name in needed(BASE_PYTHON, "x86_64"))
    (built,) = re.findall(r"for project in ([^;]+);", DOCKERFILE)
    assert set(built.split()) == {source["editable"] for source in sources if "editable" in source}


def test_the_lock_file_can_be_read_where_it_is_exported() -> None:
    """Uv asks for every member of the workspace, whichever is exported."""
    assert {"pyproject.toml", "uv.lock"} | {f"{member}/pyproject.toml" for member in WORKSPACE["members"]} <= copied()


def test_the_context_holds_what_is_copied() -> None:
    """And nothing that is not there, or that nobody copies."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    kept = {line.removeprefix("!") for line in lines if line.startswith("!")}
    assert "*" in lines
    assert [path for path in kept if not (ROOT / path).exists()] == []
    assert [path for path in kept if not any(Path(path).is_relative_to(source) for source in copied())] == []
    assert [source for source in copied() if not any(Path(path).is_relative_to(source) for path in kept)] == []


def test_it_runs_as_the_user_of_the_chart() -> None:
    """By number: runAsNonRoot can be checked against nothing else."""
    context = CHART_VALUES["podSecurityContext"]
    assert instructions(DOCKERFILE, "USER") == [f"{context['runAsUser']}:{context['runAsGroup']}"]


def test_its_entry_point_is_the_operator() -> None:
    """A console script of the distribution, and one of its commands."""
    (entry_point,), (command,) = instructions(DOCKERFILE, "ENTRYPOINT"), instructions(DOCKERFILE, "CMD")
    (program,) = json.loads(entry_point)
    assert program in PROJECT["scripts"]
    assert json.loads(command) == [run.__name__]


def test_it_listens_where_the_operator_does() -> None:
    """One port for the kubelet and for Prometheus."""
    assert instructions(DOCKERFILE, "EXPOSE") == [str(inspect.signature(run).parameters["http_port"].default)]


def test_it_writes_to_one_folder() -> None:
    """A volume at /tmp is enough for a read-only root; the operator knows the variable that says so."""
    environment = dict(word.split("=", 1) for word in " ".join(instructions(DOCKERFILE, "ENV")).split())
    folders = {name: value for name, value in environment.items() if value.startswith("/") and name != "PATH"}
    assert folders.keys() == {"HOME", "HUB_CACHE"}
    assert all(Path(folder).is_relative_to("/tmp") for folder in folders.values())  # noqa: S108 - the container's
    (option,) = get_args(inspect.get_annotations(run)["hub_cache"])[1:]
    assert option.envvar == "HUB_CACHE"


def test_it_says_which_operator_it_holds() -> None:
    """In the label that registries show, and in the tag, under the name that the chart looks for."""
    assert f'org.opencontainers.image.version="{PROJECT["version"]}"' in " ".join(instructions(DOCKERFILE, "LABEL"))
    assert makefile("OPERATOR_IMAGE") == f"{CHART_VALUES['image']['repository']}:{PROJECT['version']}"
