"""Reads the models of MistralDeployments as the operator would: the same hub reader, each with its own Secret's token.

Nothing is taken from what an earlier read has left on this machine, and nothing is left there. Tokens go to the hub
and nowhere else.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from mistral_operator.api.conditions import Reason
from mistral_operator.cli.doctor.facts import Deployment, Hub, ModelRead
from mistral_operator.cluster.access import may
from mistral_operator.cluster.client import Cluster
from mistral_operator.cluster.resources import SECRETS
from mistral_operator.controller.tokens import HUB_TOKEN, TokenError, Tokens
from mistral_operator.hub import HubError, HubReason
from mistral_operator.hub.remote import HubReader, endpoint_of, without_credentials
from mistral_operator.hub.wire import Deadline

_PROBE: Final = "mistralai/Mistral-7B-v0.1"  # where no object names a model; whether a mirror has it does not matter
_PARALLEL: Final = 8
_LONGEST_SECONDS: Final = 60.0  # of one read
_AWAY: Final = frozenset(
    {
        HubReason.HUB_UNREACHABLE,
        HubReason.UNEXPECTED_ANSWER,
        HubReason.RATE_LIMITED,
        HubReason.OFFLINE,
        HubReason.INVALID_ENDPOINT,
    }
)

_Question = tuple[str, str, str | None]  # model, revision, token


async def read_models(cluster: Cluster, tokens: Tokens, deployments: Sequence[Deployment], endpoint: str | None) -> Hub:
    """Read each model once per token, or one that is known where there is none to read.

    Raises
    ------
    ClusterError
        When the API server could not be asked for a token.
    """
    results: dict[str, ModelRead] = {}
    questions: dict[str, _Question] = {}
    for one in deployments:
        if isinstance(one.spec, str):
            continue
        token = await _token(cluster, tokens, one)
        if isinstance(token, ModelRead):
            results[one.about] = token
        else:
            questions[one.about] = (one.spec.model.id, one.spec.model.revision, token)
    shown = without_credentials(endpoint_of(endpoint))
    bound = asyncio.Semaphore(_PARALLEL)

    async def ask(question: _Question) -> ModelRead:
        async with bound:
            deadline = Deadline(_LONGEST_SECONDS)
            try:
                return await asyncio.to_thread(_read, question, endpoint, deadline)
            finally:
                deadline.cancel()  # a thread outlives whoever waited for it no longer

    if not questions and not results:
        return Hub(shown, probe=await ask((_PROBE, "main", None)))
    different = [*dict.fromkeys(questions.values())]
    answers = await asyncio.gather(*map(ask, different))
    answer_to = dict(zip(different, answers, strict=True))
    return Hub(shown, results | {about: answer_to[question] for about, question in questions.items()})


async def _token(cluster: Cluster, tokens: Tokens, one: Deployment) -> str | ModelRead | None:
    """Return the token that the operator would send; or why there is none to ask with."""
    reference = None if isinstance(one.spec, str) else one.spec.hf_token_secret_ref
    if reference is None:
        return None
    try:
        return await tokens.read(one.namespace, reference)
    except TokenError as error:
        unreadable = error.reason is Reason.TOKEN_SECRET_UNREADABLE
        forbidden = unreadable and not await may(cluster, "get", SECRETS, one.namespace)
        return ModelRead(str(error.reason), error.message, error.next_step, asked=False, token_not_readable=forbidden)


def _read(question: _Question, endpoint: str | None, deadline: Deadline) -> ModelRead:
    model, revision, token = question
    sent: str | bool = False if token is None else token  # this machine's own token is not the operator's
    reader = HubReader(endpoint, sent, cached=False, access_advice=f"set {HUB_TOKEN.field}")
    try:
        reader.read(model, revision, deadline=deadline)
    except HubError as error:
        return ModelRead(str(error.reason), error.message, error.next_step, hub_away=error.reason in _AWAY)
    return ModelRead()
