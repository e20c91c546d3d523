"""Operator files."""

from pathlib import Path

import pytest

from bench.converge.errors import BenchmarkError
from bench.converge.operators import Operator

SMALLEST = "label: greeter\ncommand: [greeter]\ntemplate: greeting.yaml\n"


def _file(folder: Path, text: str) -> Path:
    path = folder / "operator.yaml"
    path.write_text(text)
    return path


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    """An operator file can be used from anywhere."""
    operator = Operator.load(_file(tmp_path, SMALLEST + "manifests: [crds, /elsewhere/rights.yaml]\n"))
    assert operator.template == tmp_path / "greeting.yaml"
    assert operator.manifests == (tmp_path / "crds", Path("/elsewhere/rights.yaml"))


def test_user(tmp_path: Path) -> None:
    """Every operator runs under a ServiceAccount, so that its requests can be told from others'."""
    assert Operator.load(_file(tmp_path, SMALLEST)).user == "system:serviceaccount:operator:operator"
    named = Operator.load(_file(tmp_path, SMALLEST + "service_account: apps/greeter\n"))
    assert (named.account, named.user) == (("apps", "greeter"), "system:serviceaccount:apps:greeter")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("label: greeter\ncommand: [greeter]\n", "template: Field required"),
        (SMALLEST.replace("[greeter]", "[]"), "command: Tuple should have at least 1 item"),
        (SMALLEST + "staus: [status.phase]\n", "staus: Extra inputs are not permitted"),
        (SMALLEST + "status: [status..phase]\n", "'status..phase' is no path"),
        (SMALLEST + "service_account: greeter\n", "service_account: String should match pattern"),
        ("[label", "cannot be read"),
        ("greeter", "the file: "),
    ],
)
def test_a_wrong_file_is_told_by_field(text: str, told: str, tmp_path: Path) -> None:
    """What is wrong is named with the file and the field."""
    path = _file(tmp_path, text)
    with pytest.raises(BenchmarkError, match="operator file") as error:
        Operator.load(path)
    assert str(path) in str(error.value)
    assert told in str(error.value)


def test_an_absent_file_is_told(tmp_path: Path) -> None:
    """So is a file that is not there."""
    with pytest.raises(BenchmarkError, match=r"cannot be read: .*No such file"):
        Operator.load(tmp_path / "absent.yaml")


@pytest.mark.parametrize(
    ("text", "told"), [(None, "No such file"), ("- 1", "is no object"), ("kind: A", "is no object")]
)
def test_a_template_that_is_no_object_is_told(text: str | None, told: str, tmp_path: Path) -> None:
    """The template is read before anything is started."""
    operator = Operator.load(_file(tmp_path, SMALLEST))
    if text is not None:
        operator.template.write_text(text)
    with pytest.raises(BenchmarkError, match=told):
        operator.object()
