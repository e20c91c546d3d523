"""A pod may run as any number, and no image has an entry of /etc/passwd for each."""

import os
import subprocess
import urllib.request
from typing import Final

import pytest

from cluster.live import Live
from devcluster.controlplane.ports import free_ports
from devcluster.operator import COMMAND, NAMESPACE, SERVICE_ACCOUNT, Operator

# a user namespace in which this process is another number, and reads the same files
AS_A_NUMBER: Final = ("unshare", "--user", "--map-user=65532")
NAMES: Final = ("LOGNAME", "USER", "LNAME", "USERNAME")


def there_are_user_namespaces() -> bool:
    """Whether this machine lets us be another number."""
    try:
        return subprocess.run((*AS_A_NUMBER, "true"), capture_output=True, check=False).returncode == 0  # noqa: S603
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not there_are_user_namespaces(), reason="needs Linux with user namespaces")
def test_it_watches_as_a_user_without_a_name(bare: Live) -> None:
    """Nothing that the operator is made of asks for the name of its user in vain."""
    Operator(bare.plane, None).install()
    kubeconfig = bare.plane.kubeconfig_for_service_account(NAMESPACE, SERVICE_ACCOUNT)
    environment = {name: value for name, value in os.environ.items() if name not in NAMES}
    (port,) = free_ports(1)
    command = (*AS_A_NUMBER, str(COMMAND), "run", "--http-host=127.0.0.1", f"--http-port={port}")
    name = "operator-without-a-name"
    process = bare.plane.run(name, command, {**environment, "KUBECONFIG": str(kubeconfig)})

    def is_ready() -> bool:
        process.check()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    try:
        bare.until("the operator to be ready", is_ready)
    finally:
        process.end(grace_seconds=10)
    assert process.exit_code == 0
    assert "watching has ended" not in (bare.plane.folder / f"{name}.log").read_text(encoding="utf-8")
