"""How a command ends that cannot read the cluster it was sent to."""

from collections.abc import Iterator
from contextlib import contextmanager

from mistral_operator.cli.ending import ExitCode, Refused
from mistral_operator.cluster.connection import NoClusterError
from mistral_operator.cluster.errors import ClusterError, ForbiddenError


@contextmanager
def cluster_refusals(context: str | None, if_forbidden: str | None = None) -> Iterator[None]:
    """Turn what connecting and reading raise into :class:`Refused`.

    Parameters
    ----------
    context : str, optional
        The context of the kubeconfig; None is the current one.
    if_forbidden : str, optional
        The next step where the cluster answers and the user lacks a right, if that is another one.
    """
    where = "the current context" if context is None else f"--context {context}"
    try:
        yield
    except NoClusterError as error:
        step = "Name a context that `kubectl config get-contexts` shows"
        raise Refused(ExitCode.USAGE, f"{where} leads to no cluster: {error}", step) from error
    except ClusterError as error:
        step = "Check that the cluster is up, that the context is the right one and that its credentials are valid"
        if if_forbidden is not None and isinstance(error, ForbiddenError):
            step = if_forbidden
        raise Refused(ExitCode.USAGE, f"the cluster of {where} cannot be read: {error}", step) from error
