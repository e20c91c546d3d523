"""Where the demo happens: on a control plane of its own, or in a namespace of a cluster that exists."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from devcluster.binaries import KUBERNETES_VERSION
from devcluster.binaries.progress import Progress
from devcluster.cluster import Cluster
from devcluster.controlplane import A100_80GB, CPU_ONLY, H200, L4, T4, ControlPlane
from devcluster.definitions import delete_definition
from devcluster.demo.errors import DemoError
from devcluster.demo.screen import Screen
from devcluster.existing import ExistingCluster
from devcluster.operator import NAMESPACE as OPERATOR_NAMESPACE
from devcluster.operator import Operator

_GUEST_NAMESPACE: Final = "mistral-operator-demo"
_CRD: Final = "mistraldeployments.mistral-operator.io"
_NODES: Final = {
    "h200-a": H200, "h200-b": H200, "a100-a": A100_80GB, "l4-a": L4, "t4-a": T4, "cpu-a": CPU_ONLY,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Place:
    """A cluster, and where in it.

    Parameters
    ----------
    kubectl
        What a person types to look at it.
    is_own
        Whether it is the demo's own control plane, where kwok sees to it that pods run.
    """

    cluster: Cluster
    namespace: str
    operator_namespace: str
    kubectl: str
    is_own: bool

    def operator(self, hub_url: str | None) -> Operator:
        """Return the operator, not yet started; it looks after this namespace alone where others share the cluster."""
        alone = () if self.is_own else (f"--namespace={self.namespace}",)
        return Operator(self.cluster, hub_url, arguments=alone, namespace=self.operator_namespace)


@contextmanager
def own_place(screen: Screen) -> Iterator[Place]:
    """Bring up a control plane, and stop it at the end."""
    plane = ControlPlane(Progress(screen.console))
    try:
        with screen.step(f"Kubernetes {KUBERNETES_VERSION} on this machine, with kwok in place of kubelets"):
            plane.start()
        with screen.step("6 nodes that do not exist: H200, A100, L4, T4, one without a GPU"):
            plane.add_nodes(_NODES)
            (plane.folder / "bin").mkdir()
            (plane.folder / "bin" / "kubectl").symlink_to(plane.kubectl_path)
        yield Place(plane, "default", OPERATOR_NAMESPACE, "kubectl", is_own=True)
    finally:
        plane.stop()


@contextmanager
def guest_place(screen: Screen, context: str) -> Iterator[Place]:
    """Make a namespace in an existing cluster, and take away at the end what was made there.

    Raises
    ------
    DemoError
        When the cluster has MistralDeployments already: its own operator would look after the demo's too.
    """
    cluster = ExistingCluster(context, Progress(screen.console))
    try:
        with screen.step(f"context {context}") as step:
            cluster.start()
            step.say(f"context {context}: Kubernetes {cluster.version}")
            _refuse_a_taken_cluster(cluster)
        try:
            kubectl = f"kubectl --context={context} -n {_GUEST_NAMESPACE}"
            yield Place(cluster, _GUEST_NAMESPACE, _GUEST_NAMESPACE, kubectl, is_own=False)
        finally:
            with screen.step(f"removing what the demo made in context {context}"):
                try:
                    _remove_from(cluster)
                except KeyboardInterrupt:
                    raise DemoError(f"Interrupted before all of it was removed. {_demo_stop(context)}") from None
    finally:
        cluster.stop()


def clean_up_guest_place(screen: Screen, context: str) -> bool:
    """Remove what a demo left in a cluster when it was killed; tell whether there was anything."""
    with ExistingCluster(context, Progress(screen.console)) as cluster:
        if cluster.get("namespace", _GUEST_NAMESPACE) is None:
            return False
        with screen.step(f"removing what the demo made in context {context}"):
            _remove_from(cluster)
    return True


def _refuse_a_taken_cluster(cluster: ExistingCluster) -> None:
    if cluster.get("namespace", _GUEST_NAMESPACE) is not None:
        raise DemoError(
            f"The cluster of context {cluster.context} has a namespace {_GUEST_NAMESPACE}: a demo runs there, or was "
            f"killed. {_demo_stop(cluster.context)}"
        )
    if cluster.get("crd", _CRD) is not None:
        raise DemoError(
            f"The cluster of context {cluster.context} has the CustomResourceDefinition {_CRD} already, so an operator "
            "may be at work there: the demo keeps away from it. Name another context, or none."
        )


def _remove_from(cluster: ExistingCluster) -> None:
    """Remove all of it, but the CustomResourceDefinition if others have come to use it.

    The namespace goes last: as long as it is there, :func:`clean_up_guest_place` finds that something is left.
    """
    if cluster.get("crd", _CRD) is not None:
        cluster.kubectl("delete", _CRD, "--all", f"--namespace={_GUEST_NAMESPACE}", "--timeout=50s")
        if cluster.get(_CRD, "--all-namespaces") is None:
            delete_definition(cluster, _CRD)
    Operator(cluster, None, namespace=_GUEST_NAMESPACE).uninstall()


def _demo_stop(context: str) -> str:
    return f"make demo-stop DEMO_CONTEXT={context} removes it."
