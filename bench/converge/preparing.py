"""What a control plane has before an operator is started on it."""

import yaml

from bench.converge.creating import NAMESPACE
from bench.converge.errors import BenchmarkError
from bench.converge.operators import Operator, unlimited_account
from devcluster.controlplane import KINDS, ControlPlane
from devcluster.definitions import until_all_established


def prepare(plane: ControlPlane, operator: Operator) -> None:
    """Add nodes of several kinds, a namespace for the objects, and what the operator needs to start.

    Raises
    ------
    BenchmarkError
        When a definition among its manifests is not served.
    """
    plane.add_nodes({f"{kind.name}-0": kind for kind in KINDS})
    plane.kubectl("create", "namespace", NAMESPACE)
    if operator.service_account is None:
        stdin = yaml.safe_dump_all(unlimited_account(*operator.account))
        plane.kubectl("apply", "--server-side", "-f", "-", stdin=stdin)
    for manifest in operator.manifests:
        plane.kubectl("apply", "--server-side", "-f", str(manifest))
    try:
        until_all_established(plane)
    except TimeoutError as error:
        raise BenchmarkError(f"{operator.label}: {error}; look at the conditions of the definition") from error
