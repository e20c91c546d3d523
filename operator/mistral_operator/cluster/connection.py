"""How to reach the API server: the pod's own ServiceAccount, else a kubeconfig."""

from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config import ConfigException, load_incluster_config, load_kube_config


class NoClusterError(Exception):
    """Neither a ServiceAccount nor a usable kubeconfig; ``str()`` says what to do."""


async def connect(context: str | None = None) -> ApiClient:
    """Return a client; the caller closes it.

    Parameters
    ----------
    context : str, optional
        A context of the kubeconfig; with None, the pod's ServiceAccount is preferred where there is one.

    Raises
    ------
    NoClusterError
        When there is nothing to connect with.
    """
    configuration = Configuration()
    try:
        if context is None and _load_service_account(configuration):
            return _client(configuration)
        await load_kube_config(context=context, client_configuration=configuration)
    except (ConfigException, OSError) as error:
        raise NoClusterError(
            f"No cluster to talk to: {error}. Set KUBECONFIG, name a context of it, or run in a pod."
        ) from error
    return _client(configuration)


def _load_service_account(configuration: Configuration) -> bool:
    try:
        load_incluster_config(client_configuration=configuration)
    except ConfigException:
        return False
    return True


def _client(configuration: Configuration) -> ApiClient:
    configuration.connection_pool_maxsize = 64
    client = ApiClient(configuration)
    client.user_agent = "mistral-operator"
    return client
