"""The demo from curtain to curtain."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from devcluster.demo.errors import DemoError
from devcluster.demo.farewell import how_to_go_on
from devcluster.demo.hubs import real_hub, start_local_hub
from devcluster.demo.kept import find_kept, kept_file
from devcluster.demo.layout import excerpt, fold_table, wrap
from devcluster.demo.places import Place, guest_place, own_place
from devcluster.demo.screen import Screen
from devcluster.demo.settings import Settings
from devcluster.demo.watching import Seen, watch_until_ready
from devcluster.operator import Operator

_EXAMPLES: Final = Path(__file__).parents[3] / "examples"
_NAMES: Final = ("mistral-7b", "mistral-nemo")
_READY_SECONDS: Final = 60.0
_GUEST_READY_SECONDS: Final = 30.0  # pods that need GPUs and images may never be
_TOKEN: Final = {"name": "hf-token", "key": "token"}


def play(screen: Screen, settings: Settings, environment: Mapping[str, str]) -> None:
    """Play it; return when a person has ended it or, without a terminal, when all is shown.

    Raises
    ------
    DemoError
        When it cannot go on.
    """
    kept_path = kept_file(environment)
    if settings.context is None and (kept := find_kept(kept_path)) is not None:
        raise DemoError(
            f"A demo is running in the background (KUBECONFIG={kept.folder / 'admin.kubeconfig'}). "
            "make demo-stop ends it."
        )
    endpoint = real_hub(environment) if settings.real_hub else None
    with own_place(screen) if settings.context is None else guest_place(screen, settings.context) as place:
        if endpoint is None:
            with screen.step("a hub on this machine, with the models' own configs"):
                operator = place.operator(start_local_hub(place.cluster))
        else:
            operator = place.operator(None)  # it knows the real hub, or the mirror that HF_ENDPOINT names
        try:
            _start(screen, operator)
            _apply(screen, place, settings)
            seen = _wait(screen, place, operator)
            _show(screen, place)
            if place.is_own and not all(one.is_ready for one in seen):
                raise DemoError(_why(seen, endpoint, settings))
            if settings.keep:
                place.cluster.keep(kept_path)
            stays = screen.is_terminal and not settings.keep
            for line in how_to_go_on(place, operator, stays=stays, kept=settings.keep):
                screen.say(line)
            if stays:
                _stay(screen, place, operator)
        finally:
            operator.stop()


def _start(screen: Screen, operator: Operator) -> None:
    with screen.step("the operator: CRD, rights, itself under its own ServiceAccount"):
        operator.install()
        operator.start()
        operator.wait_ready()


def _apply(screen: Screen, place: Place, settings: Settings) -> None:
    paths = [_EXAMPLES / f"{name}.yaml" for name in _NAMES]
    with screen.step(f"applied: {' and '.join(f'examples/{path.name}' for path in paths)}"):
        manifests = [manifest for path in paths for manifest in yaml.safe_load_all(path.read_text(encoding="utf-8"))]
        if settings.real_hub and settings.token is not None:
            manifests = _with_token(manifests, settings.token)
        place.cluster.kubectl("apply", f"--namespace={place.namespace}", "-f", "-", stdin=yaml.safe_dump_all(manifests))


def _with_token(manifests: Sequence[dict[str, Any]], token: str) -> list[dict[str, Any]]:
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": _TOKEN["name"]},
        "stringData": {_TOKEN["key"]: token},
    }
    return [secret, *({**one, "spec": {**one["spec"], "hfTokenSecretRef": _TOKEN}} for one in manifests)]


def _wait(screen: Screen, place: Place, operator: Operator) -> Sequence[Seen]:
    def look() -> Sequence[Seen]:
        place.cluster.check()
        operator.check()
        found = place.cluster.get("mdep", f"--namespace={place.namespace}")
        return [Seen.of(body) for body in found["items"]]

    with screen.step("waiting for Ready") as step:
        return watch_until_ready(look, step.say, seconds=_READY_SECONDS if place.is_own else _GUEST_READY_SECONDS)


def _show(screen: Screen, place: Place) -> None:
    """Show what kubectl says, below the command that makes it say so."""

    def said(words: str, remark: str = "") -> str:
        screen.say()
        screen.say(f"$ {place.kubectl} {words}{remark}", style="bold")
        return place.cluster.kubectl(f"--namespace={place.namespace}", *words.split())

    table = said("get mdep -o wide").rstrip()
    screen.show(table if screen.width is None else fold_table(table, screen.width))
    description = said(f"describe mdep {_NAMES[0]}", "   # from Status on, less Resolved")
    shown = excerpt(description, "Status", without=("Resolved",))
    screen.show(shown if screen.width is None else wrap(shown, screen.width))


def _why(seen: Sequence[Seen], endpoint: str | None, settings: Settings) -> str:
    told = [f"{one.name} is not Ready ({one.reason}): {one.message}" for one in seen if not one.is_ready]
    if endpoint is not None and settings.token is None:
        told.append(f"HF=1 reads {endpoint} without a token: gated models need HF_TOKEN=hf_… in the environment.")
    return "\n".join(told)


def _stay(screen: Screen, place: Place, operator: Operator) -> None:
    """Stay until Ctrl-C, as long as all goes on."""
    try:
        while True:
            time.sleep(1)
            place.cluster.check()
            operator.check()
    except KeyboardInterrupt:
        screen.say()
        if place.is_own:
            screen.say("Stopped, and nothing is left.")
