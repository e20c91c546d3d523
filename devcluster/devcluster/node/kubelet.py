"""What the kubelet is told."""

from pathlib import Path
from typing import Any

from devcluster.node.network import NODE_ADDRESS


def configuration(folder: Path, cgroup: str, client_ca: Path, socket: str) -> dict[str, Any]:
    """Return its configuration.

    Parameters
    ----------
    folder
        For what it writes.
    cgroup
        Name of the control group for all pods.
    client_ca
        The authority of those who may ask it.
    socket
        Where containerd listens.
    """
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "failCgroupV1": False,  # since 1.35 it refuses version 1 unless told not to
        "cgroupDriver": "cgroupfs",  # there may be no systemd
        "cgroupRoot": f"/{cgroup}",
        "containerRuntimeEndpoint": f"unix://{socket}",
        "address": NODE_ADDRESS,
        "healthzBindAddress": "127.0.0.1",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(client_ca)},
        },
        "authorization": {"mode": "Webhook"},
        "resolvConf": str(folder / "resolv.conf"),
        "clusterDNS": [NODE_ADDRESS],
        "clusterDomain": "cluster.local",
        "podLogsDir": str(folder / "pod-logs"),
        "volumePluginDir": str(folder / "volume-plugins"),
        "seccompDefault": True,
        "enforceNodeAllocatable": ["pods"],
        # a developer's disk is often nearly full, and images stay for the next node
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "nodeStatusUpdateFrequency": "2s",
        "syncFrequency": "10s",
    }


def flags(folder: Path, configuration: Path, kubeconfig: Path, name: str) -> tuple[str, ...]:
    """Return its flags; what a configuration cannot say."""
    return (
        f"--config={configuration}",
        f"--kubeconfig={kubeconfig}",
        f"--hostname-override={name}",
        f"--node-ip={NODE_ADDRESS}",
        f"--root-dir={folder / 'kubelet'}",
        f"--cert-dir={folder / 'kubelet-certificates'}",
    )
