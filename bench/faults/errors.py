"""What ends a run."""


class HarnessError(Exception):
    """The harness itself cannot go on; ``str()`` says why, and what to do."""
