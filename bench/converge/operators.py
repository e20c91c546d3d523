"""What is to be measured: an operator, how it starts, and the objects it is given."""

from pathlib import Path
from typing import Any, Final, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from bench.converge.errors import BenchmarkError
from bench.converge.status import StatusWish

DEFAULT_ACCOUNT: Final = "operator/operator"
_ADMINISTRATOR: Final = "cluster-admin"


class Operator(BaseModel):
    """One operator; the fields of an operator file. Paths in a file are relative to it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    label: str = Field(min_length=1)
    """Its name in tables and results."""
    command: tuple[str, ...] = Field(min_length=1)
    """Program and arguments; it finds the API server by KUBECONFIG."""
    environment: dict[str, str] = {}
    """Further environment variables."""
    manifests: tuple[Path, ...] = ()
    """Files or folders applied before it starts: its CustomResourceDefinitions, and its rights if they are given."""
    service_account: str | None = Field(None, pattern=r"^[a-z0-9-]+/[a-z0-9.-]+$")
    """NAMESPACE/NAME of a ServiceAccount in the manifests to run under; without it, one that may do everything."""
    template: Path
    """The object, as YAML or JSON; it is given a name of its own each time."""
    status: tuple[str, ...] = ()
    """PATH or PATH=VALUE of what an object must have to count as converged, beside its Deployment."""
    status_patch: dict[str, Any] | None = None
    """Merged into the status of each new object, in place of a part that would write it and does not run."""

    @field_validator("status")
    @classmethod
    def _paths(cls, wishes: tuple[str, ...]) -> tuple[str, ...]:
        for wish in wishes:
            StatusWish.parse(wish)
        return wishes

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read an operator file.

        Raises
        ------
        BenchmarkError
            When it cannot be read, naming the field.
        """
        try:
            operator = cls.model_validate(yaml.safe_load(path.read_text()))
        except (OSError, yaml.YAMLError) as error:
            raise BenchmarkError(f"operator file {path} cannot be read: {error}") from error
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(map(str, first["loc"])) or "the file"
            raise BenchmarkError(f"operator file {path}: {field}: {first['msg']}") from error
        folder = path.parent
        return operator.model_copy(
            update={
                "manifests": tuple(folder / manifest for manifest in operator.manifests),
                "template": folder / operator.template,
            }
        )

    @property
    def account(self) -> tuple[str, str]:
        """Namespace and name of the ServiceAccount it runs under."""
        namespace, _, name = (self.service_account or DEFAULT_ACCOUNT).partition("/")
        return namespace, name

    @property
    def user(self) -> str:
        """Its name in the audit log."""
        return "system:serviceaccount:" + ":".join(self.account)

    @property
    def wishes(self) -> tuple[StatusWish, ...]:
        """What an object must have to count as converged."""
        return tuple(StatusWish.parse(wish) for wish in self.status)

    def object(self) -> dict[str, Any]:
        """Read the template.

        Raises
        ------
        BenchmarkError
            When it is no object.
        """
        try:
            body = yaml.safe_load(self.template.read_text())
        except (OSError, yaml.YAMLError) as error:
            raise BenchmarkError(f"template {self.template} of {self.label} cannot be read: {error}") from error
        if not isinstance(body, dict) or not {"apiVersion", "kind"} <= body.keys():
            raise BenchmarkError(f"template {self.template} of {self.label} is no object: it needs apiVersion and kind")
        return body


def unlimited_account(namespace: str, name: str) -> list[dict[str, Any]]:
    """Return a ServiceAccount that may do everything, for an operator whose rights are not given."""
    group = "rbac.authorization.k8s.io"
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": namespace}},
        {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": f"{namespace}-{name}"},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": _ADMINISTRATOR},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
        },
    ]
