"""Where benchmarks print."""

import sys
from typing import Final

from rich.console import Console

_UNBOUNDED_COLUMNS: Final = 1000


def console(*, stderr: bool = False) -> Console:
    """Return a console whose tables keep their whole width where they go to a file or a pipe.

    Rich takes 80 columns for anything that is no terminal, and cuts the names of what was measured.
    """
    to_terminal = (sys.stderr if stderr else sys.stdout).isatty()
    return Console(stderr=stderr, highlight=False, width=None if to_terminal else _UNBOUNDED_COLUMNS)
