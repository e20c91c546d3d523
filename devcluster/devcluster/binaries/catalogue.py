"""What is built, from which package of which Go module, and with which flags.

One go.mod per family, or their dependencies clash.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

KUBERNETES_VERSION: Final = "1.37.2"
_STAMP: Final = "k8s.io/component-base/version"
_MODULES: Final = Path(__file__).parent / "go"


@dataclass(frozen=True, slots=True)
class Family:
    """Binaries that are built from one go.mod."""

    name: str
    version: str
    stamp: str = ""  # what the linker writes into them; without it clients see v0.0.0
    tags: str = ""  # of the build, separated by commas

    @property
    def folder(self) -> Path:
        """Where go.mod and go.sum are."""
        return _MODULES / self.name

    @property
    def linker_flags(self) -> str:
        """What ``go build -ldflags`` gets."""
        return f"-s -w {self.stamp}".strip()

    def digest(self) -> str:
        """Return what a build depends on, in one word."""
        sources = sorted(path.name for path in self.folder.glob("*.go"))
        content = b"\0".join((self.folder / name).read_bytes() for name in ("go.mod", "go.sum", *sources))
        return hashlib.sha256(content + self.linker_flags.encode() + self.tags.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Binary:
    """One program."""

    name: str
    family: Family
    package: str
    minutes: float  # to build on two cores, the first time


_MAJOR, _MINOR, _ = KUBERNETES_VERSION.split(".")
KUBE: Final = Family(
    "kube",
    KUBERNETES_VERSION,
    f"-X {_STAMP}.gitVersion=v{KUBERNETES_VERSION} -X {_STAMP}.gitMajor={_MAJOR} -X {_STAMP}.gitMinor={_MINOR}",
)
_KUBE_PROXY: Final = Family("kube-proxy", KUBERNETES_VERSION, KUBE.stamp)  # one more tool would build all of KUBE anew
_ETCD: Final = Family("etcd", "3.6.8")
_KWOK: Final = Family("kwok", "0.8.0")
_HELM: Final = Family("helm", "4.2.4")
# clouds' ways to find what is scraped are most of its code, and nothing here is found that way
_PROMETHEUS: Final = Family("prometheus", "3.16.0", tags="remove_all_sd")
_PROMETHEUS_COMMANDS: Final = "github.com/prometheus/prometheus/cmd"
_CONTAINERD: Final = Family(
    "containerd",
    "2.4.2",
    "-X github.com/containerd/containerd/v2/version.Version=2.4.2",
    "no_btrfs,no_devmapper,no_zfs,netgo,osusergo",
)
_CONTAINERD_COMMANDS: Final = "github.com/containerd/containerd/v2/cmd"
_COREDNS: Final = Family("coredns", "1.15.0")

BINARIES: Final = {
    binary.name: binary
    for binary in (
        Binary("kube-apiserver", KUBE, "k8s.io/kubernetes/cmd/kube-apiserver", 3.5),
        Binary("kube-controller-manager", KUBE, "k8s.io/kubernetes/cmd/kube-controller-manager", 0.6),
        Binary("kube-scheduler", KUBE, "k8s.io/kubernetes/cmd/kube-scheduler", 0.3),
        Binary("kubectl", KUBE, "k8s.io/kubernetes/cmd/kubectl", 0.4),
        Binary("etcd", _ETCD, "go.etcd.io/etcd/server/v3", 0.4),
        Binary("kwok", _KWOK, "sigs.k8s.io/kwok/cmd/kwok", 1.0),
        Binary("helm", _HELM, "helm.sh/helm/v4/cmd/helm", 1.0),
        Binary("promtool", _PROMETHEUS, f"{_PROMETHEUS_COMMANDS}/promtool", 2.5),
        Binary("prometheus", _PROMETHEUS, f"{_PROMETHEUS_COMMANDS}/prometheus", 0.9),
        Binary("kubelet", KUBE, "k8s.io/kubernetes/cmd/kubelet", 1.5),
        Binary("kube-proxy", _KUBE_PROXY, "k8s.io/kubernetes/cmd/kube-proxy", 0.5),
        Binary("containerd", _CONTAINERD, f"{_CONTAINERD_COMMANDS}/containerd", 1.0),
        Binary("containerd-shim-runc-v2", _CONTAINERD, f"{_CONTAINERD_COMMANDS}/containerd-shim-runc-v2", 0.3),
        Binary("ctr", _CONTAINERD, f"{_CONTAINERD_COMMANDS}/ctr", 0.3),
        Binary("coredns", _COREDNS, ".", 1.0),
    )
}

API_SERVER: Final = ("etcd", "kube-apiserver", "kubectl")
CONTROLLERS: Final = ("kube-controller-manager", "kube-scheduler")
CONTROL_PLANE: Final = (*API_SERVER, *CONTROLLERS, "kwok")
NODE: Final = ("kubelet", "kube-proxy", "containerd", "containerd-shim-runc-v2", "ctr", "coredns")
