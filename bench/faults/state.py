"""What two runs of a scenario are compared by: everything that should not depend on what happened on the way."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from bench.faults.admin import Body
from bench.faults.history import History
from mistral_operator.api.names import INSTANCE_LABEL, KIND, MANAGER, PLAN_ANNOTATION
from mistral_operator.cluster.resources import CHILDREN, PODS

State = dict[str, Any]
_POD_NAME: Final = re.compile(r"\bm-[0-9a-z]{5,10}-[0-9a-z]{5}\b")
_UNLIKE: Final = frozenset(
    {
        "uid", "resourceVersion", "creationTimestamp", "generation", "managedFields",
        "lastTransitionTime", "verifiedAt", "finishedAt", "startedAt", "selfLink",
    }
)  # fmt: skip
_OF_CONTAINERS: Final = ("name", "image", "args", "env", "resources")
# what others decide, and which one they take depends on what else there is
_OF_OTHERS: Final = {
    "Deployment": frozenset({"deployment.kubernetes.io/revision"}),
    "Service": frozenset({"clusterIP", "clusterIPs", "nodePort", "healthCheckNodePort"}),
    "PersistentVolumeClaim": frozenset({"volumeName"}),
}


def state_of(history: History, namespace: str, survivors: Mapping[str, str] | None = None) -> State:
    """Return the objects of a namespace, without what differs from run to run.

    Parameters
    ----------
    survivors
        Uids of objects of before, as :func:`uids_of` returns them: whether each is still the same is part of the state.
    """
    objects = history.state(KIND)
    owners = {str(body["metadata"]["uid"]): f"uid of {name}" for name, body in objects.items()}
    names = {namespace: "NAMESPACE"}
    state: State = {}
    for name, body in objects.items():
        state[f"{KIND}/{name}"] = _alike(
            {**_described(body), "spec": body["spec"], "status": body.get("status") or {}}, frozenset(), names
        )
    for kind in CHILDREN:
        for name, body in history.state(kind).items():
            references = [
                {**one, "uid": owners.get(str(one["uid"]), "uid of somebody else")}
                for one in body["metadata"].get("ownerReferences") or ()
            ]
            shown = {
                **_alike({**_described(body), "spec": body["spec"]}, _OF_OTHERS.get(kind, frozenset()), names),
                "ownerReferences": [
                    {key: value for key, value in one.items() if key != "uid"} | {"owner": one["uid"]}
                    for one in references
                ],
                "fields of ours": _our_fields(body, owners),
            }
            state[f"{kind}/{name}"] = shown
    pods = (_pod(body) for body in history.state(PODS.kind).values())
    state["pods"] = sorted((pod for pod in pods if pod is not None), key=str)
    if survivors is not None:
        now = uids_of(history)
        state["the same as before"] = {name: now.get(name) == uid for name, uid in survivors.items()}
    return state


def uids_of(history: History, kinds: Iterable[str] = tuple(CHILDREN)) -> dict[str, str]:
    """Return the uids of the objects that there are, by default of the children."""
    return {
        f"{kind}/{name}": str(body["metadata"]["uid"]) for kind in kinds for name, body in history.state(kind).items()
    }


def differences(expected: Any, found: Any, path: str = "") -> Iterator[str]:
    """Yield where two states differ, each as one line."""
    if isinstance(expected, Mapping) and isinstance(found, Mapping):
        for key in sorted({*expected, *found}):
            where = f"{path}.{key}" if path else str(key)
            if key not in found:
                yield f"{where} is missing: {_short(expected[key])}"
            elif key not in expected:
                yield f"{where} should not be there: {_short(found[key])}"
            else:
                yield from differences(expected[key], found[key], where)
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        for number, (one, other) in enumerate(zip(expected, found, strict=True)):
            yield from differences(one, other, f"{path}[{_name_of(one, number)}]")
    elif expected != found:
        yield f"{path}: {_short(found)} instead of {_short(expected)}"


def _described(body: Body) -> Body:
    metadata = body["metadata"]
    return {name: metadata.get(name) or {} for name in ("labels", "annotations", "finalizers")}


def _alike(value: Any, left_out: frozenset[str], names: Mapping[str, str]) -> Any:
    if isinstance(value, Mapping):
        kept = {key: one for key, one in value.items() if key not in _UNLIKE and key not in left_out}
        return {key: _alike(one, left_out, names) for key, one in kept.items()}
    if isinstance(value, list):
        return [_alike(one, left_out, names) for one in value]
    if isinstance(value, str):
        for name, common in names.items():
            value = value.replace(name, common)
        return _POD_NAME.sub("POD", value)
    return value


def _our_fields(body: Body, owners: Mapping[str, str]) -> list[str]:
    """Return the fields that the operator owns: what server-side apply would take from an object, or leave on it."""
    entries = body["metadata"].get("managedFields") or ()
    texts = [json.dumps(one["fieldsV1"], sort_keys=True) for one in entries if _is_our_apply(one)]
    for uid, owner in owners.items():
        texts = [text.replace(uid, owner) for text in texts]
    return texts


def _is_our_apply(entry: Body) -> bool:
    return (entry["manager"], entry["operation"], entry.get("subresource")) == (MANAGER, "Apply", None)


def _pod(body: Body) -> Body | None:
    """Return what a pod is; None for one that is on its way out.

    Not the hash of its template: it is another one where a ReplicaSet of a Deployment before has that name still.
    """
    metadata = body["metadata"]
    if metadata.get("deletionTimestamp") is not None:
        return None
    conditions = body.get("status", {}).get("conditions") or ()
    ready = next((one["status"] for one in conditions if one["type"] == "Ready"), "Unknown")
    containers = [{name: one.get(name) for name in _OF_CONTAINERS} for one in body["spec"].get("containers") or ()]
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    plan = annotations.get(PLAN_ANNOTATION)
    return {"of": labels.get(INSTANCE_LABEL), "plan": plan, "containers": containers, "ready": ready}


def _name_of(value: Any, number: int) -> str:
    return str(value.get("type") or value.get("name") or number) if isinstance(value, Mapping) else str(number)


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 200 else f"{text[:200]}…"
