"""What the doctor has read: facts, and where they could not be had, the reason. No tokens, and no Secrets' contents."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mistral_operator.api.spec import MistralDeploymentSpec
from mistral_operator.cluster.access import Right

Body = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Unread:
    """Something that may not be read; ``why`` is the API server's sentence."""

    why: str


@dataclass(frozen=True, slots=True)
class Server:
    """The API server."""

    url: str
    version: str | Unread  # gitVersion, such as v1.37.2


@dataclass(frozen=True, slots=True)
class Definition:
    """The CustomResourceDefinition that the cluster has."""

    body: Body | Unread | None  # None: there is none
    served: bool  # whether the API server serves this operator's version of it


@dataclass(frozen=True, slots=True)
class LeaseSeen:
    """The Lease of the operator."""

    namespace: str
    name: str
    lease: Body | Unread | None
    alive: bool = False  # whether it was renewed lately, or while it was looked at

    @property
    def holder(self) -> str:
        """Who holds it; empty where nobody does."""
        return str(self._spec.get("holderIdentity") or "")

    @property
    def renewed(self) -> str:
        """When its holder last renewed it, by the holder's clock."""
        return str(self._spec.get("renewTime") or "ever")

    @property
    def held(self) -> bool | None:
        """Whether an operator runs; None where that cannot be told."""
        return None if isinstance(self.lease, Unread) else bool(self.holder) and self.alive

    @property
    def _spec(self) -> Body:
        return self.lease.get("spec") or {} if isinstance(self.lease, Mapping) else {}


@dataclass(frozen=True, slots=True)
class Rights:
    """What the operator's ServiceAccount may not do although the operator does it."""

    namespace: str
    account: str
    lease: str
    watched: tuple[str, ...]  # namespaces that were asked about; empty: all of them
    there: bool | None  # None: cannot be told
    asked: int
    missing: tuple[Right, ...] | Unread


@dataclass(frozen=True, slots=True)
class ModelRead:
    """How reading a MistralDeployment's model came out, as the operator would read it. No reason: it could be read."""

    reason: str | None = None
    message: str = ""
    next_step: str = ""
    asked: bool = True  # False: there was no token to ask with
    token_not_readable: bool = False  # by the doctor's user; the operator may well
    hub_away: bool = False  # nothing is known of the model then


@dataclass(frozen=True, slots=True)
class Hub:
    """The hub, as seen from here."""

    endpoint: str  # without credentials
    models: Mapping[str, ModelRead] = field(default_factory=dict)  # by the object's name, as Deployment.about says it
    probe: ModelRead | None = None  # where there is no model to read


@dataclass(frozen=True, slots=True)
class Deployment:
    """One MistralDeployment."""

    body: Body
    spec: MistralDeploymentSpec | str  # or why it cannot be understood

    @property
    def namespace(self) -> str:
        """Its namespace."""
        return str(self.body["metadata"]["namespace"])

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.body["metadata"]["name"])

    @property
    def about(self) -> str:
        """Kind and name, as findings name it."""
        return f"MistralDeployment {self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Deployments:
    """The MistralDeployments that were looked at."""

    found: tuple[Deployment, ...]
    namespaces: tuple[str, ...]  # empty: all of them
    limited: Unread | None = None  # why only those, where all were wanted
    not_readable: Mapping[str, Unread] = field(default_factory=dict)  # by namespace


@dataclass(frozen=True, slots=True)
class PullSecret:
    """A Secret that MistralDeployments pull their image with; ``kind`` is its type, None where there is none."""

    namespace: str
    name: str
    kind: str | Unread | None
    wanted_by: tuple[str, ...]  # names of MistralDeployments


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything."""

    server: Server
    definition: Definition
    lease: LeaseSeen
    rights: Rights
    nodes: Sequence[Body] | Unread
    hub: Hub
    pods: Sequence[Body] | Unread
    pull_secrets: Sequence[PullSecret]
    deployments: Deployments
