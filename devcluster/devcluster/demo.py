"""The demo: plan three models against a hub of this machine, with a window everywhere, in part, and nowhere.

With ``HF=1`` in the environment it reads the real hub instead.
"""

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from devcluster.hub import HubServer

_PLANS = (
    ("A window in every layer", ("mistralai/Mistral-7B-v0.1",)),
    (
        "A window in three layers of four, which bites beyond 32k tokens",
        ("mistralai/Ministral-8B-Instruct-2410", "--revision", "with-layer_types", "--max-model-len", "131072"),
    ),
    ("No window", ("mistralai/Mistral-Nemo-Instruct-2407",)),
)
_LOCAL_ONLY = ("--revision", "with-layer_types")  # the local hub keeps both published revisions under names of its own


def main() -> int:
    """Run the demo and return the exit code of the first plan that failed, or 0."""
    command = Path(sys.executable).with_name("mistral-operator")
    on_real_hub = os.environ.get("HF", "") not in ("", "0")
    with ExitStack() as stack:
        environment = dict(os.environ)
        if not on_real_hub:
            environment["HF_ENDPOINT"] = stack.enter_context(HubServer()).url
        for title, arguments in _PLANS:
            told = [argument for argument in arguments if not (on_real_hub and argument in _LOCAL_ONLY)]
            print(f"\n=== {title}\n$ mistral-operator plan {' '.join(told)}\n", flush=True)  # noqa: T201
            code = subprocess.run([command, "plan", *told], env=environment, check=False).returncode  # noqa: S603
            if code:
                return code
    print("\nTry your own: .venv/bin/mistral-operator plan MODEL, or a folder; --help tells the rest.")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
