"""The demo as a visitor runs it."""

import re
import signal

import pytest

from demo.world import Demo, World
from devcluster.hub import HubServer
from devcluster.hub.faults import Fault, Kind


def rows_of(said: str) -> dict[str, dict[str, str]]:
    """Return what ``kubectl get mdep -o wide`` said, by name and column."""
    lines = said[said.index("$ kubectl get mdep") :].splitlines()[1:4]
    starts = [match.start() for match in re.finditer(r"\S+", lines[0])]
    ends = [*starts[1:], None]
    table = [[line[a:b].strip() for a, b in zip(starts, ends, strict=True)] for line in lines]
    return {row[0]: dict(zip(table[0], row, strict=True)) for row in table[1:]}


def test_it_shows_both_models_ready_and_leaves_nothing(world: World) -> None:
    """Without a terminal it ends by itself, with the very output of kubectl."""
    with Demo(world) as demo:
        code, said = demo.end()
    assert code == 0, said
    rows = rows_of(said)
    assert {name: row["READY"] for name, row in rows.items()} == {"mistral-7b": "True", "mistral-nemo": "True"}
    assert (rows["mistral-7b"]["WINDOW"], rows["mistral-7b"]["BACKEND"]) == ("4096", "XFORMERS")
    assert rows["mistral-nemo"]["WINDOW"] == ""
    assert "Type:                  PlanCurrent" in said
    assert "Normal  PodsAvailable" in said
    assert "No GPU and no vLLM runs here" in said
    assert "export KUBECONFIG" not in said  # it would name a file that is gone
    assert world.is_empty()


@pytest.mark.parametrize("program", ["etcd", "devcluster.hub", "mistral-operator run"])
def test_ctrl_c_leaves_nothing(world: World, program: str) -> None:
    """Whatever has been started when it comes."""
    with Demo(world) as demo:
        world.until(f"{program} to run", lambda: world.runs(program))
        demo.send(signal.SIGINT)
        code, said = demo.end()
    assert code == 130, said
    assert "nothing is left" in said
    assert "Traceback" not in said
    assert world.is_empty()


@pytest.mark.parametrize("program", ["leash_process.py", "kube-apiserver", "mistral-operator run"])
def test_kill_9_leaves_nothing(world: World, program: str) -> None:
    """What is on the leash ends without anybody to end it."""
    with Demo(world) as demo:
        world.until(f"{program} to run", lambda: world.runs(program))
        demo.send(signal.SIGKILL)
        world.until("everything to be gone", world.is_empty)


def test_a_kept_demo_goes_on_until_it_is_stopped(world: World) -> None:
    """A second one says where it is; stopping it leaves nothing."""
    with Demo(world, KEEP="1") as demo:
        code, said = demo.end()
    assert code == 0, said
    kubeconfig = re.search(r"export KUBECONFIG=(\S+)", said)
    assert kubeconfig is not None
    assert world.runs("mistral-operator run")
    with Demo(world) as second:
        code, said = second.end()
    assert code == 1
    assert kubeconfig[1] in said
    assert "make demo-stop" in said
    with Demo(world, "stop") as stop:
        code, said = stop.end()
    assert (code, said) == (0, "The demo is stopped, and nothing is left of it.\n")
    world.until("everything to be gone", world.is_empty)
    assert not list(world.cache.rglob("*.json"))
    with Demo(world, "stop") as stop:
        assert stop.end() == (0, "No demo is running in the background.\n")


def test_a_dead_operator_ends_the_demo_with_its_log(world: World) -> None:
    """The sentence is the operator's own."""
    with Demo(world, LOG_LEVEL="LOUD") as demo:
        code, said = demo.end()
    assert code == 1
    assert "operator ended with code 2" in said
    assert "--log-level is DEBUG" in said
    assert "Traceback" not in said
    assert world.is_empty()


def test_a_hub_out_of_reach_is_told_before_anything_starts(world: World) -> None:
    """With what to do about it."""
    with Demo(world, HF="1", HF_ENDPOINT="http://127.0.0.1:1") as demo:
        code, said = demo.end()
    assert code == 1
    assert said.startswith("Error: HF=1 reads the models from http://127.0.0.1:1")
    assert "leave out HF=1" in said


def test_a_gated_model_of_the_real_hub_is_told(world: World) -> None:
    """The operator's own words, and how to give the demo a token."""
    with HubServer() as hub:
        hub.faults["mistralai/Mistral-7B-v0.1"] = Fault(Kind.GATED, tokens=frozenset({"hf_granted"}))
        with Demo(world, HF="1", HF_ENDPOINT=hub.url) as demo:
            code, said = demo.end()
        assert code == 1
        assert "mistral-7b is not Ready (Gated)" in said
        assert "HF_TOKEN=hf_" in said
        with Demo(world, HF="1", HF_ENDPOINT=hub.url, HF_TOKEN="hf_granted") as demo:  # noqa: S106 - of this test's hub
            code, said = demo.end()
    assert code == 0, said
    assert "hf_granted" not in said


def test_settings_that_do_not_go_together_are_refused(world: World) -> None:
    """In one sentence."""
    with Demo(world, KEEP="1", DEMO_CONTEXT="kind") as demo:
        code, said = demo.end()
    assert code == 1
    assert said.count("\n") == 1
    assert "KEEP=1" in said
