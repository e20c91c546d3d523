"""The API server's own count of requests, by everybody: holds the audit log to account."""

from collections import Counter
from typing import Final

from prometheus_client.parser import text_string_to_metric_families

from bench.converge.tally import Call, Tally

_METRIC: Final = "apiserver_request_total"
# what the API server asks of itself: it registers an address for each Service
_OF_ITSELF: Final = frozenset({"ipaddresses"})


def tally_of(text: str) -> Tally:
    """Count the requests in what ``/metrics`` answers; those for no resource, such as discovery, are left out."""
    lines = [line for line in text.splitlines() if line.startswith(f"{_METRIC}{{")]
    counts: Counter[Call] = Counter()
    for family in text_string_to_metric_families("\n".join(lines) + "\n"):
        for sample in family.samples:
            labels = sample.labels
            resource = "/".join(filter(None, (labels.get("resource"), labels.get("subresource"))))
            if labels.get("resource") and labels["resource"] not in _OF_ITSELF:
                counts[Call(labels["verb"].lower(), resource)] += int(sample.value)
    return Tally.of(counts)
