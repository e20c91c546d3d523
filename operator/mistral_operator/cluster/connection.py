"""How to reach the API server: the pod's own ServiceAccount, else a kubeconfig."""

from dataclasses import dataclass, field
from typing import Final, TypeAlias
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import yaml
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config import ConfigException, load_incluster_config, load_kube_config

_READ_BUFFER_BYTES: Final = 2**16  # of each connection; long lines are put together by whoever reads them
Connection: TypeAlias = ApiClient
"""What :func:`connect` returns: only this package looks inside."""


class NoClusterError(Exception):
    """Neither a ServiceAccount nor a usable kubeconfig; ``str()`` says what to do."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What another client needs in order to talk to the same API server as the same user."""

    server: str
    ca_file: str | None
    verify: bool
    authorization: str | None = field(repr=False)  # the whole header
    certificate_file: str | None
    key_file: str | None
    proxy: str | None = field(repr=False)  # may hold a password


async def credentials_of(connection: Connection) -> Credentials:
    """Return the credentials as they are now: a mounted token is renewed while the process runs."""
    configuration = connection.configuration
    bearer = (await configuration.auth_settings()).get("BearerToken", {})
    return Credentials(
        server=configuration.host,
        ca_file=configuration.ssl_ca_cert,
        verify=configuration.verify_ssl,
        authorization=bearer.get("value") or None,
        certificate_file=configuration.cert_file,
        key_file=configuration.key_file,
        proxy=configuration.proxy,
    )


async def connect(context: str | None = None) -> Connection:
    """Return a connection; the caller closes it.

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
        if configuration.host:
            return _client(configuration)
    except (ConfigException, OSError, yaml.YAMLError) as error:
        raise _no_cluster(" ".join(str(error).split())) from error
    except (AttributeError, TypeError, ValueError) as error:  # YAML of another shape
        raise _no_cluster("the kubeconfig is none") from error
    raise _no_cluster("the context's cluster has no server")


def _no_cluster(why: str) -> NoClusterError:
    return NoClusterError(f"No cluster to talk to: {why}. Set KUBECONFIG, name a context of it, or run in a pod.")


def _load_service_account(configuration: Configuration) -> bool:
    try:
        load_incluster_config(client_configuration=configuration)
    except ConfigException:
        return False
    return True


def _client(configuration: Configuration) -> Connection:
    configuration.connection_pool_maxsize = 0  # no limit: each watch holds a connection, and workers are bounded
    if configuration.proxy is None:
        configuration.proxy = _proxy_of_environment(configuration.host)
    # else aiohttp looks for a proxy and for a .netrc before every request, each in a thread
    configuration.client_session_kwargs = {"trust_env": False, "read_bufsize": _READ_BUFFER_BYTES}
    client = ApiClient(configuration)
    client.user_agent = "mistral-operator"
    return client


def _proxy_of_environment(server: str) -> str | None:
    """Return what HTTPS_PROXY and NO_PROXY say about a server."""
    url = urlsplit(server)
    return None if proxy_bypass(url.netloc) else getproxies().get(url.scheme)
