"""What can go wrong in a benchmark."""


class BenchmarkError(Exception):
    """A run gives no figures; ``str()`` names the object, the cause and the next step."""
