"""Runs one operator under one load, on a control plane of its own."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from bench.converge.errors import BenchmarkError
from bench.converge.figures import Figures, figures_of
from bench.converge.load import Load
from bench.converge.measure import measure
from bench.converge.operators import Operator
from bench.converge.preparing import prepare
from bench.converge.processes import OperatorProcess
from devcluster.binaries.progress import Progress
from devcluster.controlplane import ControlPlane


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to look on, and to wait, in seconds."""

    idle_seconds: float = 60.0
    timeout_seconds: float = 600.0


def run(operator: Operator, load: Load, patience: Patience, say: Callable[[str], None]) -> Figures:
    """Measure and return the figures.

    Raises
    ------
    BenchmarkError
        With the end of the operator's log, when the objects do not converge.
    BinariesError, StartError
        When there is no control plane to be had.
    """
    template = operator.object()  # a mistake in it is told before anything is started
    with ControlPlane(Progress(), controllers=False, audited=[operator.user]) as plane:
        prepare(plane, operator)
        kubeconfig = plane.kubeconfig_for_service_account(*operator.account)
        environment = {**operator.environment, "KUBECONFIG": str(kubeconfig)}
        with OperatorProcess(plane, operator.label, operator.command, environment) as process:
            try:
                seen = asyncio.run(
                    measure(
                        operator,
                        template,
                        load,
                        plane,
                        process,
                        idle_seconds=0 if load.one_at_a_time else patience.idle_seconds,
                        timeout_seconds=patience.timeout_seconds,
                        say=lambda text: say(f"{operator.label}: {text}"),
                    )
                )
            except BenchmarkError as error:
                raise BenchmarkError(f"{operator.label}: {error}\n{process.end_of_log()}".rstrip()) from error
    return figures_of(operator.label, load, seen)
