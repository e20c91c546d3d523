"""What keeps a node from running on this machine."""

from typing import Final

SKIPPED: Final = 77
"""What a command ends with where no node can run, so that its caller can say that it was skipped."""


class NodeUnavailable(Exception):
    """No node can run on this machine; ``str()`` says why and what to do."""
