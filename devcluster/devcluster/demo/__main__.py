"""``python -m devcluster.demo``: play the demo; ``python -m devcluster.demo stop``: end one that is kept."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence

from rich.console import Console

from devcluster.binaries import BinariesError
from devcluster.demo.errors import DemoError
from devcluster.demo.kept import find_kept, kept_file
from devcluster.demo.places import clean_up_guest_place
from devcluster.demo.proxies import past_proxies
from devcluster.demo.scenes import play
from devcluster.demo.screen import Screen
from devcluster.demo.settings import Settings
from devcluster.processes import StartError

_INTERRUPTED = 130  # as shells count it


def main(arguments: Sequence[str]) -> int:
    """Return 0 when all went well, 1 after an error, 130 when it was interrupted before it had shown everything."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    os.environ.update(past_proxies(os.environ))  # for what is started too
    screen = Screen(Console(highlight=False))
    try:
        settings = Settings.read(os.environ)
        if arguments == ["stop"]:
            _stop(screen, settings)
        else:
            play(screen, settings, os.environ)
    except KeyboardInterrupt:
        screen.say("Interrupted: everything is stopped, and nothing is left.")
        return _INTERRUPTED
    except (DemoError, BinariesError, StartError, TimeoutError) as error:
        return _fail(str(error))
    except subprocess.CalledProcessError as error:
        command = " ".join(map(str, error.cmd[:6]))
        return _fail(f"{command} … failed with code {error.returncode}:\n{str(error.stderr).strip()}")
    except subprocess.TimeoutExpired as error:
        return _fail(f"{' '.join(map(str, error.cmd[:6]))} … did not answer within {error.timeout:g} s.")
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        return _fail(f"{error.strerror or error}{where}")
    return 0


def _stop(screen: Screen, settings: Settings) -> None:
    if settings.context is not None:
        found = clean_up_guest_place(screen, settings.context)
        screen.say("Removed." if found else f"Nothing of a demo is in the cluster of context {settings.context}.")
        return
    kept = find_kept(kept_file(os.environ))
    if kept is None:
        screen.say("No demo is running in the background.")
        return
    kept.stop()
    screen.say("The demo is stopped, and nothing is left of it.")


def _fail(sentence: str) -> int:
    Console(stderr=True, highlight=False).print(f"Error: {sentence}", markup=False, soft_wrap=True)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
