"""``mistral-operator run``: the operator itself, as it stands in a pod or on a developer's machine."""

import asyncio
import os
import secrets
import signal
import socket
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from mistral_operator.api.names import DEFAULT_IMAGE_REPOSITORY
from mistral_operator.cli.terminal import tell
from mistral_operator.controller.settings import HubSettings, LeaseSettings, Settings
from mistral_vllm.runtimes import DEFAULT_VERSION, RuntimeName, UnknownRuntime, get_runtime

_SWITCH_SECONDS: Final = 0.0005  # after which a thread lets another one run


def run(
    *,
    context: Annotated[
        str | None, typer.Option(help="Context of the kubeconfig.", show_default="the pod's, else the current one")
    ] = None,
    namespace: Annotated[
        list[str] | None,
        typer.Option(help="Namespace to watch; may be repeated.", envvar="WATCH_NAMESPACES", show_default="all"),
    ] = None,
    image_repository: Annotated[
        str, typer.Option(help="vLLM image where a spec names none.", envvar="IMAGE_REPOSITORY")
    ] = DEFAULT_IMAGE_REPOSITORY,
    image_tag: Annotated[str, typer.Option(help="Its tag.", envvar="IMAGE_TAG")] = DEFAULT_VERSION,
    runtime: Annotated[
        RuntimeName, typer.Option(help="What that image contains.", envvar="RUNTIME_NAME")
    ] = RuntimeName.MISTRAL_VLLM,
    vllm: Annotated[str, typer.Option(help="The vLLM release in it.", envvar="RUNTIME_VERSION")] = DEFAULT_VERSION,
    hf_endpoint: Annotated[
        str | None,
        typer.Option(help="Hub or mirror, for the operator and its pods.", envvar="HF_ENDPOINT", show_default="hub"),
    ] = None,
    hub_cache: Annotated[
        Path | None,
        typer.Option(help="Folder for what the hub sent.", envvar="HUB_CACHE", show_default="HF_ASSETS_CACHE"),
    ] = None,
    hub_recheck: Annotated[
        float, typer.Option(min=1, help="Seconds until a branch is looked at again.", envvar="HUB_RECHECK")
    ] = HubSettings.recheck_seconds,
    hub_retry: Annotated[
        float, typer.Option(min=0.1, help="Seconds until a hub that fails is asked again, at first.")
    ] = HubSettings.retry_seconds,
    hub_slow_retry: Annotated[
        float, typer.Option(min=0.1, help="Seconds between questions that only a person can help.")
    ] = HubSettings.slow_retry_seconds,
    hub_timeout: Annotated[
        float, typer.Option(min=0.1, help="Seconds that one request to the hub may take.", envvar="HUB_TIMEOUT")
    ] = HubSettings.timeout_seconds,
    token_seconds: Annotated[
        float, typer.Option(min=0, help="Seconds for which a token read from a Secret is believed.")
    ] = HubSettings.token_seconds,
    workers: Annotated[int, typer.Option(min=1, max=256, help="Objects worked on at once.")] = Settings.workers,
    resync: Annotated[
        float, typer.Option(min=1, help="Seconds between whole lists.", envvar="RESYNC")
    ] = Settings.resync_seconds,
    http_host: Annotated[
        str, typer.Option(help="Address of /healthz, /readyz and /metrics.", envvar="HTTP_HOST")
    ] = Settings.http_host,
    http_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Its port.", envvar="HTTP_PORT")
    ] = Settings.http_port,
    lease_namespace: Annotated[
        str, typer.Option(help="Namespace of the Lease.", envvar="POD_NAMESPACE")
    ] = LeaseSettings.namespace,
    lease_name: Annotated[str, typer.Option(help="Name of the Lease.", envvar="LEASE_NAME")] = LeaseSettings.name,
    lease_duration: Annotated[
        float, typer.Option(min=1, help="Seconds after which a silent leader is replaced.")
    ] = LeaseSettings.duration_seconds,
    log_level: Annotated[str, typer.Option(help="DEBUG, INFO, WARNING or ERROR.", envvar="LOG_LEVEL")] = "INFO",
    log_format: Annotated[str, typer.Option(help="json or text.", envvar="LOG_FORMAT")] = "json",
) -> None:
    """Run the operator: watch MistralDeployments, plan them, and keep their pods as planned."""
    if log_level not in ("DEBUG", "INFO", "WARNING", "ERROR") or log_format not in ("json", "text"):
        raise typer.BadParameter("--log-level is DEBUG, INFO, WARNING or ERROR; --log-format is json or text")
    # while it loads: the first process of a container is not ended by a signal that it does not handle
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    from mistral_operator.api.spec import RuntimeSpec  # noqa: PLC0415 - nobody who only plans should wait for it
    from mistral_operator.planning.wishes import Defaults  # noqa: PLC0415

    try:
        get_runtime(runtime, vllm)
    except UnknownRuntime as error:
        raise typer.BadParameter(str(error)) from error
    settings = Settings(
        defaults=Defaults(
            image_repository=image_repository,
            image_tag=image_tag,
            runtime=RuntimeSpec(name=runtime, version=vllm),
            hf_endpoint=hf_endpoint,
        ),
        namespaces=tuple(sorted(set(namespace or ()))),
        identity=f"{socket.gethostname()}_{os.getpid()}_{secrets.token_hex(3)}",
        workers=workers,
        resync_seconds=resync,
        http_host=http_host,
        http_port=http_port,
        lease=LeaseSettings(
            namespace=lease_namespace,
            name=lease_name,
            duration_seconds=lease_duration,
            renew_deadline_seconds=lease_duration * 2 / 3,
            retry_seconds=max(0.2, lease_duration / 7.5),
        ),
        hub=HubSettings(
            cache_dir=hub_cache,
            timeout_seconds=hub_timeout,
            recheck_seconds=hub_recheck,
            retry_seconds=hub_retry,
            slow_retry_seconds=hub_slow_retry,
            token_seconds=token_seconds,
        ),
    )
    import uvloop  # noqa: PLC0415 - as in _run

    # readers of the hub parse what tenants name: with Python's 5 ms each, four of them keep the event loop for 20 ms
    # each time that it has waited for anything
    sys.setswitchinterval(_SWITCH_SECONDS)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sys.exit(runner.run(_run(settings, context, log_level, json=log_format == "json")))


async def _run(settings: Settings, context: str | None, log_level: str, *, json: bool) -> int:
    # the client takes a second to import, and nobody who only plans should wait for it
    from mistral_operator.cli.logs import set_up_logs  # noqa: PLC0415
    from mistral_operator.cluster.connection import NoClusterError, connect  # noqa: PLC0415
    from mistral_operator.controller.app import run  # noqa: PLC0415
    from mistral_operator.controller.health import NoPortError  # noqa: PLC0415

    log = set_up_logs(log_level, json=json)
    try:
        client = await connect(context)
    except NoClusterError as error:
        tell(f"Error: {error}")
        return 2
    async with client:
        try:
            await run(settings, client, log)
        except NoPortError as error:
            tell(f"Error: {error}")
            return 2
    return 0
