"""mistral-operator as the operator to measure: its own rights and no more, and a hub on this machine."""

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench.converge.errors import BenchmarkError
from bench.converge.operators import Operator
from bench.converge.status import StatusWish
from devcluster.hub import HubServer
from devcluster.operator import COMMAND, NAMESPACE, SERVICE_ACCOUNT

TEMPLATE: Final = Path(__file__).parent / "mistral_deployment.yaml"
_STATUS: Final = ("status.conditions.BackendSelected=True", "status.conditions.Ready")
WISHES: Final = tuple(StatusWish.parse(wish) for wish in _STATUS)
"""What an object's status has once it has converged."""


@contextmanager
def own_operator() -> Iterator[Operator]:
    """Describe it, while its hub runs.

    Raises
    ------
    BenchmarkError
        When the command does not print its manifests.
    """
    with HubServer() as hub, tempfile.TemporaryDirectory(prefix="mistral-operator-") as folder:
        files = {
            "namespace.yaml": f"{{apiVersion: v1, kind: Namespace, metadata: {{name: {NAMESPACE}}}}}\n",
            "crd.yaml": _printed("crd"),
            "rbac.yaml": _printed("rbac", f"--namespace={NAMESPACE}", f"--service-account={SERVICE_ACCOUNT}"),
        }
        for name, text in files.items():
            (Path(folder) / name).write_text(text)
        http = ("--http-host=127.0.0.1", "--http-port=0")
        yield Operator(
            label="mistral-operator",
            command=(str(COMMAND), "run", "--log-level=WARNING", f"--lease-namespace={NAMESPACE}", *http),
            environment={"HF_ENDPOINT": hub.url},
            manifests=tuple(Path(folder) / name for name in files),
            service_account=f"{NAMESPACE}/{SERVICE_ACCOUNT}",
            template=TEMPLATE,
            status=_STATUS,
        )


def _printed(*arguments: str) -> str:
    done = subprocess.run((COMMAND, *arguments), capture_output=True, text=True, check=False, timeout=60)  # noqa: S603
    if done.returncode != 0:
        last = done.stderr.strip().rpartition("\n")[2]
        raise BenchmarkError(f"mistral-operator {' '.join(arguments)} fails: {last}. Run make setup first.")
    return done.stdout
