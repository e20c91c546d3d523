"""A cluster that is there already: kind, minikube, or a real one."""

import json
import shutil
import subprocess
from pathlib import Path

from devcluster.binaries import BINARIES, ensure
from devcluster.binaries.progress import Progress
from devcluster.cluster import Cluster, new_folder
from devcluster.processes import StartError


class ExistingCluster(Cluster):
    """The cluster of a context of the user's kubeconfig, reached with the user's own rights and kubectl."""

    def __init__(self, context: str, progress: Progress) -> None:
        found = shutil.which("kubectl")
        kubectl = Path(found) if found else ensure([BINARIES["kubectl"]], progress=progress)["kubectl"]
        super().__init__(new_folder(), kubectl, (f"--context={context}",))
        self.context = context
        self.version = ""

    def start(self) -> None:
        """Make the folder, and ask the cluster for its version.

        Raises
        ------
        StartError
            When it does not answer.
        """
        super().start()
        try:
            said = self.kubectl("get", "--raw", "/version", "--request-timeout=10s")
        except subprocess.CalledProcessError as error:
            why = str(error.stderr).strip().splitlines()[-1:] or [f"kubectl ended with code {error.returncode}"]
            raise StartError(
                f"the cluster of context {self.context} does not answer: {why[0]}\n"
                "kubectl config get-contexts lists the contexts there are."
            ) from error
        self.version = str(json.loads(said)["gitVersion"])
