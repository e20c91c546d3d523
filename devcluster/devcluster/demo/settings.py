"""What is asked for, by variables of the environment: ``make demo HF=1`` sets them too."""

from collections.abc import Mapping
from dataclasses import dataclass

from devcluster.demo.errors import DemoError


@dataclass(frozen=True, slots=True)
class Settings:
    """One demo.

    Parameters
    ----------
    real_hub
        ``HF=1``: read the models from the real hub.
    keep
        ``KEEP=1``: go on in the background.
    context
        ``DEMO_CONTEXT``: context of an existing cluster to run in; None for a control plane of its own.
    token
        ``HF_TOKEN``: what the real hub is asked with.
    """

    real_hub: bool = False
    keep: bool = False
    context: str | None = None
    token: str | None = None

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> "Settings":
        """Read them.

        Raises
        ------
        DemoError
            When they do not go together.
        """
        context = environment.get("DEMO_CONTEXT") or None
        keep = _is_on(environment.get("KEEP", ""))
        if keep and context is not None:
            raise DemoError("KEEP=1 keeps the local control plane, and DEMO_CONTEXT asks for another one: drop either.")
        real_hub = _is_on(environment.get("HF", ""))
        return cls(real_hub, keep, context, environment.get("HF_TOKEN") or None)


def _is_on(value: str) -> bool:
    return value.lower() not in ("", "0", "no", "false")
