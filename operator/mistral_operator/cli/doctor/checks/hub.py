"""Whether the hub answers from here, and lets every MistralDeployment's model be read with its own token."""

from collections.abc import Iterator

from mistral_operator.cli.doctor.facts import Body, Deployment, Deployments, Hub, ModelRead
from mistral_operator.cli.doctor.finding import Check, Finding, ok, problem, warning
from mistral_operator.cli.doctor.reasons import DoctorReason
from mistral_operator.hub.remote import endpoint_of, without_credentials


def check_hub(hub: Hub, deployments: Deployments) -> Iterator[Finding]:
    """Yield what the hub itself is like from here, then each model that it does not let be read."""
    about = f"hub {hub.endpoint}"
    reads = [*hub.models.values(), *([hub.probe] if hub.probe else [])]
    asked = [read for read in reads if read.asked]
    away = bool(asked) and all(read.hub_away for read in asked)
    if away:
        step = f"{asked[0].next_step.rstrip('.')}; what the operator sees stands in each object's ModelResolved"
        yield warning(Check.HUB, about, asked[0].reason or "", f"from here: {asked[0].message}", step)
    elif asked:
        could = [read for read in asked if read.reason is None]
        models = f"; {len(could)} of {len(hub.models)} MistralDeployments have a model that can be read there"
        yield ok(Check.HUB, about, DoctorReason.HUB_ANSWERS, f"answers from here{models if hub.models else ''}")
    else:
        step = "Do what the lines below say"
        yield warning(Check.HUB, about, DoctorReason.HUB_NOT_CHECKED, "not asked: no token could be read", step)
    yield from _others(hub, deployments)
    for deployment in deployments.found:
        read = hub.models.get(deployment.about)
        if read is not None and read.reason is not None and not (away and read.hub_away):
            yield _of_model(deployment, read)


def _of_model(deployment: Deployment, read: ModelRead) -> Finding:
    if read.token_not_readable:
        reason = DoctorReason.TOKEN_NOT_CHECKED
        message = f"model and token were not checked: {read.message}"
        return warning(Check.HUB, deployment.about, reason, message, read.next_step)
    tell = warning if read.hub_away else problem
    return tell(Check.HUB, deployment.about, read.reason or "", read.message, read.next_step)


def _others(hub: Hub, deployments: Deployments) -> Iterator[Finding]:
    """Yield hubs that the operator reads and that were not asked."""
    others: dict[str, list[Deployment]] = {}
    for deployment in deployments.found:
        endpoint = _endpoint_of(deployment.body)
        if endpoint is not None and endpoint != hub.endpoint:
            others.setdefault(endpoint, []).append(deployment)
    for endpoint, planned in others.items():
        more = f" and {len(planned) - 1} more" if len(planned) > 1 else ""
        message = f"the operator reads it for {planned[0].about}{more}, and it was not asked from here"
        step = f"Run this command with --hf-endpoint {endpoint}, where that can be reached from here"
        yield warning(Check.HUB, f"hub {endpoint}", DoctorReason.OTHER_HUB, message, step)


def _endpoint_of(body: Body) -> str | None:
    """Return the hub that a frozen plan gives its pods: the operator's own."""
    environment = ((body.get("status") or {}).get("resolved") or {}).get("env") or {}
    endpoint = environment.get("HF_ENDPOINT")
    return without_credentials(endpoint_of(endpoint)) if endpoint else None
