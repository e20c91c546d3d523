"""What ends a demo early."""


class DemoError(Exception):
    """The demo cannot go on; ``str()`` says why and what to do."""
