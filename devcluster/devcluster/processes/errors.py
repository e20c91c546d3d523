"""What goes wrong with processes."""


class StartError(Exception):
    """A process does not start or does not go on; ``str()`` names it and shows the end of its log."""
