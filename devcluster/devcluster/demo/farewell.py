"""How to go on: what to type, where to look, how to stop."""

from collections.abc import Iterator
from typing import Final

from devcluster.demo.places import Place
from devcluster.operator import Operator

_TRIES: Final = (
    ("three replicas", "scale mdep mistral-7b --replicas=3"),
    ("other arguments roll the pods", "patch mdep mistral-7b --type=merge -p 'spec: {extraArgs: [--seed=1]}'"),
    ("refused, with what to do instead", "patch mdep mistral-7b --type=merge -p 'spec: {extraArgs: [--port=80]}'"),
    ("every field explains itself", "explain mdep.spec.engine"),
)


def how_to_go_on(place: Place, operator: Operator, *, stays: bool, kept: bool) -> Iterator[str]:
    """Return lines of at most 80 characters, apart from long paths."""
    yield ""
    if place.is_own:
        yield "No GPU and no vLLM runs here: kwok says that pods run, and nobody tells what"
        yield "they run, so AttentionVerified stays Unknown. The rest is real."
    else:
        yield "The operator runs on this machine; pods need GPUs and images that your cluster can get."
    if not (stays or kept):
        yield "This is no terminal, so it ends now." + (" KEEP=1 keeps it in the background." if place.is_own else "")
        return
    folder = place.cluster.folder
    yield "To go on" + (", in another terminal:" if stays else ":")
    if place.is_own:
        yield f"  export KUBECONFIG={folder / 'admin.kubeconfig'}"
        yield f"  export PATH={folder / 'bin'}:$PATH      # kubectl"
    for why, command in _TRIES:
        yield f"  # {why}"
        yield f"  {place.kubectl} {command}"
    yield f"The operator's log: {operator.log_path}"
    yield "make demo-stop ends it and leaves nothing." if kept else "Ctrl-C ends it and leaves nothing."
