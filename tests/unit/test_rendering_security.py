"""Security contexts, held against every rule of the *restricted* Pod Security level."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from unit.rendering_from_specs import container, pod

Pod = Mapping[str, Any]
_VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
_SECCOMP = ({"type": "RuntimeDefault"}, {"type": "Localhost"})


def _contexts(found: Pod) -> list[Mapping[str, Any]]:
    return [found["securityContext"], *(one["securityContext"] for one in found["containers"])]


def _said(found: Pod, name: str) -> list[Any]:
    """Return what each container has by its own word, else by the pod's."""
    return [one["securityContext"].get(name, found["securityContext"].get(name)) for one in found["containers"]]


# https://kubernetes.io/docs/concepts/security/pod-security-standards/ — baseline first, then what restricted adds
RULES: dict[str, Callable[[Pod], bool]] = {
    "no HostProcess": lambda found: all("windowsOptions" not in context for context in _contexts(found)),
    "no host namespaces": lambda found: not {"hostNetwork", "hostPID", "hostIPC"} & found.keys(),
    "not privileged": lambda found: _said(found, "privileged") == [False],  # sent: only then is it restored
    "only capabilities that may be added": lambda found: all(
        set(one["securityContext"]["capabilities"].get("add", ())) <= {"NET_BIND_SERVICE"}
        for one in found["containers"]
    ),
    "no host path": lambda found: all("hostPath" not in volume for volume in found["volumes"]),
    "no host port": lambda found: all("hostPort" not in port for one in found["containers"] for port in one["ports"]),
    "no host in probes": lambda found: all(
        "host" not in one[probe]["httpGet"]
        for one in found["containers"]
        for probe in ("startupProbe", "readinessProbe", "livenessProbe")
    ),
    "no profile of AppArmor, SELinux or /proc of its own": lambda found: (
        not any({"appArmorProfile", "seLinuxOptions", "procMount"} & context.keys() for context in _contexts(found))
    ),
    "no sysctl": lambda found: "sysctls" not in found["securityContext"],
    "only volumes of the cluster": lambda found: all(
        (volume.keys() - {"name"}) <= _VOLUMES for volume in found["volumes"]
    ),
    "no privilege escalation": lambda found: _said(found, "allowPrivilegeEscalation") == [False],
    "not root by its word": lambda found: _said(found, "runAsNonRoot") == [True],
    "not root by its number": lambda found: all(user not in (None, 0) for user in _said(found, "runAsUser")),
    "seccomp": lambda found: all(profile in _SECCOMP for profile in _said(found, "seccompProfile")),
    "all capabilities dropped": lambda found: all(
        "ALL" in one["securityContext"]["capabilities"]["drop"] for one in found["containers"]
    ),
}


@pytest.mark.parametrize("fields", [{}, {"storage": {"pvc": {"create": {"size": "1Gi"}}}}, {"replicas": 0}])
@pytest.mark.parametrize("rule", RULES)
def test_the_restricted_level(rule: str, fields: dict[str, Any]) -> None:
    """Pods are admitted to a namespace that enforces it."""
    assert RULES[rule](pod(**fields))


def test_the_images_user() -> None:
    """The image has user 2000 in /etc/passwd, and volumes are given to its group without a walk each time."""
    context = pod()["securityContext"]
    assert [context[name] for name in ("runAsUser", "runAsGroup", "fsGroup")] == [2000, 2000, 2000]
    assert context["fsGroupChangePolicy"] == "OnRootMismatch"


def test_the_root_filesystem_is_read_only() -> None:
    """What a pod writes lands on volumes."""
    assert container()["securityContext"]["readOnlyRootFilesystem"] is True


@pytest.mark.parametrize(
    ("mine", "name", "value"),
    [
        pytest.param({"runAsUser": 1000}, "runAsUser", 1000, id="another user"),
        pytest.param({"fsGroup": 5}, "runAsUser", 2000, id="what is not said stays"),
        pytest.param({"supplementalGroups": [44]}, "supplementalGroups", [44], id="what we do not say"),
        pytest.param(
            {"seccompProfile": {"type": "Localhost", "localhostProfile": "p.json"}},
            "seccompProfile",
            {"type": "Localhost", "localhostProfile": "p.json"},
            id="another profile",
        ),
        pytest.param(
            {"seccompProfile": {"type": "Unconfined"}},
            "seccompProfile",
            {"type": "Unconfined"},
            id="none",
        ),
        pytest.param({"seLinuxOptions": {"level": "s0"}}, "seLinuxOptions", {"level": "s0"}, id="a mapping of theirs"),
    ],
)
def test_the_users_pod_context(mine: dict[str, Any], name: str, value: Any) -> None:
    """It is merged over ours, field by field."""
    assert pod(podSecurityContext=mine)["securityContext"][name] == value


@pytest.mark.parametrize(
    ("mine", "name", "value"),
    [
        pytest.param({"readOnlyRootFilesystem": False}, "readOnlyRootFilesystem", False, id="a field"),
        pytest.param(
            {"capabilities": {"add": ["IPC_LOCK"]}},
            "capabilities",
            {"drop": ["ALL"], "add": ["IPC_LOCK"]},
            id="one capability for RDMA, all others stay dropped",
        ),
        pytest.param(
            {"capabilities": {"drop": ["NET_RAW"]}}, "capabilities", {"drop": ["NET_RAW"]}, id="their own drop"
        ),
    ],
)
def test_the_users_container_context(mine: dict[str, Any], name: str, value: Any) -> None:
    """It is merged over ours, capabilities by add and drop."""
    assert container(securityContext=mine)["securityContext"][name] == value


def test_contexts_of_one_object_do_not_leak_into_another() -> None:
    """Merging changes nothing that is shared."""
    container(securityContext={"capabilities": {"add": ["SYS_ADMIN"]}})
    assert container()["securityContext"]["capabilities"] == {"drop": ["ALL"]}
