"""What ``kubectl describe mdep`` says of why nobody answers, without what differs from one run to the next."""

import re
from typing import Final

_CONDITION: Final = re.compile(r"(?m)^    Last Transition Time:.*?(?=^    Last Transition Time:|^  \S)", re.DOTALL)
_TELLING: Final = ("Available", "Ready", "UpToDate")
_MASKS: Final = (
    (re.compile(r"(?m)^    (Last Transition Time|Observed Generation):.*\n"), ""),
    (re.compile(r"\bpod ([a-z-]+)-[a-z0-9]{6,10}-[a-z0-9]{5}\b"), r"pod \1-…"),
    (re.compile(r"(?m)^(  \w+ +\w+ +)\S+( +mistral-operator.io/mistral-operator)"), r"\1…\2"),
)


def told(description: str, namespace: str) -> str:
    """Return phase, the conditions that tell of pods, and Events."""
    phase = re.search(r"(?m)^  Phase:.*$", description)
    events = description[description.index("\nEvents:") + 1 :]
    conditions = [
        one
        for one in _CONDITION.findall(description)
        if re.search(r"    Type: +(\w+)", one)[1] in _TELLING  # type: ignore[index]
    ]
    text = "".join(["Status:\n", phase[0] if phase else "", "\n  Conditions:\n", *conditions, events])
    for moving, instead in _MASKS:
        text = moving.sub(instead, text)
    before, _, events = text.replace(namespace, "NAMESPACE").partition("Events:")
    return f"{before}Events:{re.sub(' {2,}', '  ', events)}"  # columns are as wide as the age is long
