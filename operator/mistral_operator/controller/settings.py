"""Everything about a running operator that can be set, with its default."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mistral_operator.api.names import CONTAINER_PORT

if TYPE_CHECKING:  # the command line shows these defaults, and the models of the resource take long to import
    from mistral_operator.planning.wishes import Defaults


@dataclass(frozen=True)
class LeaseSettings:
    """Where leaders are elected, and how fast a dead one is replaced."""

    namespace: str = "mistral-operator-system"
    name: str = "mistral-operator"
    duration_seconds: float = 15
    renew_deadline_seconds: float = 10
    retry_seconds: float = 2


@dataclass(frozen=True)
class HubSettings:
    """How often a hub is asked, per model and token."""

    cache_dir: Path | None = None  # HF_ASSETS_CACHE
    timeout_seconds: float = 10
    parallel_reads: int = 8  # half of them at most for one namespace
    memory_bytes: int = 16 << 20  # for what is known of all models
    cache_bytes: int = 64 << 20  # for the same on disk; the chart's volume has four times that
    recheck_seconds: float = 3600  # whether a branch has moved
    retry_seconds: float = 5  # first wait after a hub that does not answer; doubles from there
    slow_retry_seconds: float = 300  # longest wait, and the wait where only a person can help
    token_seconds: float = 30  # how long a Secret's content is believed


@dataclass(frozen=True)
class VerificationSettings:
    """How pods are asked what they run."""

    port: int = CONTAINER_PORT
    timeout_seconds: float = 2
    parallel: int = 8
    retry_seconds: float = 5  # first wait after a pod that did not tell; doubles from there
    slow_retry_seconds: float = 600  # longest wait


@dataclass(frozen=True)
class Settings:
    """One operator."""

    defaults: "Defaults"
    namespaces: tuple[str, ...] = ()  # empty: all of them
    identity: str = "mistral-operator"
    workers: int = 16
    resync_seconds: float = 600
    http_host: str = "0.0.0.0"  # noqa: S104 - the kubelet's probes and Prometheus come from outside the pod
    http_port: int = 8080
    stuck_seconds: float = 120
    deaf_seconds: float = 300
    lease: LeaseSettings = field(default_factory=LeaseSettings)
    hub: HubSettings = field(default_factory=HubSettings)
    verification: VerificationSettings = field(default_factory=VerificationSettings)
