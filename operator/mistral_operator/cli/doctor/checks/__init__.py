"""Every check, in the order in which findings are told: pure functions of what was read."""

from collections.abc import Iterator

from mistral_operator.cli.doctor.checks.api_server import check_api_server
from mistral_operator.cli.doctor.checks.definition import check_definition
from mistral_operator.cli.doctor.checks.deployments import check_deployments
from mistral_operator.cli.doctor.checks.hub import check_hub
from mistral_operator.cli.doctor.checks.images import check_images
from mistral_operator.cli.doctor.checks.nodes import check_nodes
from mistral_operator.cli.doctor.checks.operator import check_operator
from mistral_operator.cli.doctor.checks.rights import check_rights
from mistral_operator.cli.doctor.facts import Facts
from mistral_operator.cli.doctor.finding import Finding

__all__ = ["examine"]


def examine(facts: Facts) -> Iterator[Finding]:
    """Yield all findings about a cluster, at least one of each check."""
    yield from check_api_server(facts.server)
    yield from check_definition(facts.definition)
    yield from check_rights(facts.rights)
    yield from check_operator(facts.lease)
    yield from check_nodes(facts.nodes)
    yield from check_hub(facts.hub, facts.deployments)
    yield from check_images(facts.pods, facts.pull_secrets)
    yield from check_deployments(facts.deployments, facts.hub, running=facts.lease.held)
