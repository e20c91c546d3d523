"""Findings as JSON values: what ``-o json`` prints."""

from collections.abc import Iterable

from mistral_operator.api.plain_text import without_secrets
from mistral_operator.cli.doctor.finding import Finding


def findings_document(findings: Iterable[Finding]) -> list[dict[str, str]]:
    """Return one object for each finding, in their order; ``next`` is empty where there is nothing to do.

    No text ends with a full stop: others' sentences do or do not.
    """
    return [
        {
            "check": str(one.check),
            "status": str(one.level),
            "object": one.object,
            "reason": one.reason,
            "message": without_secrets(one.message).rstrip("."),
            "next": without_secrets(one.next_step).rstrip("."),
        }
        for one in findings
    ]
