"""What the chart repeats of other sources is fresh, and each value is documented and has a type."""

import json
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from chart.helm import CHART, ROOT, Release, helm, refusal
from charts.generate import UndocumentedError, documented, generated, values_table
from mistral_operator.api.crd import custom_resource_definition
from mistral_operator.api.names import DEFAULT_IMAGE_REPOSITORY
from mistral_operator.controller.settings import HubSettings, LeaseSettings, Settings
from mistral_vllm.runtimes import DEFAULT_VERSION, RuntimeName, UnknownRuntime, get_runtime

VALUES: Final = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
SCHEMA: Final = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
METADATA: Final = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
PAGES: Final = [
    CHART / "README.md",
    *(ROOT / "docs" / name for name in ("install.md", "upgrade.md", "closed-networks.md", "security.md")),
]
OF_A_PARENT: Final = {"global", "enabled"}  # what a chart that has this one as a part passes on


@pytest.mark.parametrize("path", generated(), ids=lambda path: str(path.relative_to(CHART)))
def test_generated_files_are_fresh(path: Path) -> None:
    """CustomResourceDefinition, rights and README are what their sources say."""
    assert path.read_text(encoding="utf-8") == generated()[path], "run: python charts/generate.py"


def test_lint() -> None:
    """Helm finds nothing to complain of."""
    assert "0 chart(s) failed" in helm("lint", "--strict", CHART)


def test_versions() -> None:
    """The chart installs the operator of its own checkout."""
    assert METADATA["appVersion"] == version("mistral-operator")
    assert re.fullmatch(r"\d+\.\d+\.\d+", METADATA["version"])


def test_the_definition_survives_helm() -> None:
    """Numbers, order of rules and texts of the CustomResourceDefinition pass through the template unharmed."""
    rendered = Release().find("CustomResourceDefinition")
    assert rendered["spec"] == json.loads(json.dumps(custom_resource_definition()["spec"]))
    assert rendered["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}


def defined(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema, or what it refers to."""
    name = schema.get("$ref", "").removeprefix("#/definitions/")
    return dict(SCHEMA["definitions"][name]) if name else schema


def untyped(value: Any, schema: dict[str, Any], path: str = "") -> list[str]:
    """Return the paths of values that the schema does not know, and of those it knows and that there are not."""
    schema = defined(schema)
    if not isinstance(value, dict) or "properties" not in schema:
        return [] if schema else [path]
    if schema.get("additionalProperties") is not False:
        return [f"{path}: others are admitted"]
    known = schema["properties"].keys() - (OF_A_PARENT if not path else set())
    optional = {".livenessProbe", ".readinessProbe", ".startupProbe", ".resources", ".affinity", ".strategy"}
    wrong = [f"{path}.{name}" for name in value.keys() ^ known if path not in optional or name in value]
    return wrong + [part for name in value.keys() & known
                    for part in untyped(value[name], schema["properties"][name], f"{path}.{name}")]  # fmt: skip


def test_each_value_has_a_type_and_each_type_a_value() -> None:
    """No value escapes the schema, and none stands in it that there is not."""
    assert untyped(VALUES, SCHEMA) == []


def test_each_value_is_used() -> None:
    """A value that no template reads would promise something."""
    templates = "\n".join(path.read_text(encoding="utf-8") for path in (CHART / "templates").iterdir())
    for value in documented((CHART / "values.yaml").read_text(encoding="utf-8")):
        assert re.search(rf"\.{value.path.split('.')[-1]}\b", templates) or value.path.split(".")[0].endswith(
            "Probe"
        ), value.path


def test_defaults_are_those_of_the_command() -> None:
    """Who installs the chart gets what ``mistral-operator run`` does."""
    vllm, hub = VALUES["vllm"], VALUES["hub"]
    assert (vllm["repository"], vllm["tag"]) == (DEFAULT_IMAGE_REPOSITORY, DEFAULT_VERSION)
    assert (vllm["runtime"], vllm["version"]) == (RuntimeName.MISTRAL_VLLM, DEFAULT_VERSION)
    assert (hub["timeoutSeconds"], hub["recheckSeconds"]) == (HubSettings.timeout_seconds, HubSettings.recheck_seconds)
    assert (VALUES["workers"], VALUES["resyncSeconds"]) == (Settings.workers, Settings.resync_seconds)
    assert VALUES["lease"]["durationSeconds"] == LeaseSettings.duration_seconds


@pytest.mark.parametrize("release", ["0.26.0", "0.25.1", "0.11.2", "v0.27.0", "0.28rc1", "1.0.0", "latest", "", "0.26"])
@pytest.mark.parametrize("runtime", [*RuntimeName, "ollama"])
def test_runtimes_are_those_of_the_catalogue(runtime: str, release: str) -> None:
    """The schema refuses what the operator would refuse to start with, and nothing else."""
    try:
        get_runtime(runtime, release)
    except UnknownRuntime:
        known = False
    else:
        known = True
    assert (refusal(vllm={"runtime": runtime, "version": release}) is None) is known


def test_an_undocumented_value_is_told() -> None:
    """By its path and line."""
    with pytest.raises(UndocumentedError, match=r"line 4: a\.c has no comment"):
        documented("## A\na:\n  # told\n  c: 1\n")


def test_table() -> None:
    """Sections, nested values, defaults in words, and what a table cannot hold."""
    text = (
        '## One\n\n# -- First,\n# and | more\na: ""\nb:\n  # -- Second\n  # @default -- none\n  c: []\n\n'
        "## Two\n\n# -- Third\nd: {e: [1, x], f: true}\n"
    )
    assert values_table(documented(text)) == (
        '### One\n\n| value | meaning | default |\n|---|---|---|\n| `a` | First, and \\| more | `""` |\n'
        "| `b.c` | Second | none |\n\n### Two\n\n| value | meaning | default |\n|---|---|---|\n"
        "| `d` | Third | `{e: [1, x], f: true}` |\n"
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.name))
def test_links(page: Path) -> None:
    """Pages that it names are there."""
    links = re.findall(r"\]\((?!http)([^)#]+)", page.read_text(encoding="utf-8"))
    assert links
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES[1:], ids=lambda page: str(page.name))
def test_values_that_pages_name(page: Path) -> None:
    """They are there, on the command line and in the text."""
    text = page.read_text(encoding="utf-8")
    named = set(re.findall(r"--set '?([\w.]+)=", text))
    named |= {path for path in re.findall(r"`([a-z]\w+(?:\.\w+)+)(?:=\w+)?`", text) if path.split(".")[0] in VALUES}
    assert named
    paths = {value.path for value in documented((CHART / "values.yaml").read_text(encoding="utf-8"))}
    below = {path for path in named if any(path.startswith(f"{known}.") for known in paths)}  # of a whole object
    assert named - below <= paths


def test_values_of_a_page() -> None:
    """What stands in a page as a file of values is one."""
    page = (ROOT / "docs" / "closed-networks.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"```yaml\n# values.yaml\n(.*?)```", page, re.DOTALL)
    assert Release(values=yaml.safe_load(text)).find("NetworkPolicy")
