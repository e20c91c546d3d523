"""``python -m devcluster.hub``: serve a hub until it is interrupted or terminated."""

import argparse
import logging
import signal
import sys
from pathlib import Path

from devcluster.hub.faults import EVERY_REPOSITORY, Fault, Kind
from devcluster.hub.server import HubServer

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def main(argv: list[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM.

    Parameters
    ----------
    argv
        Arguments without the program's name; None for those of the process.

    Returns
    -------
    int
        Exit status: 0 after a signal, 1 when the hub could not start. Wrong arguments exit with status 2.
    """
    arguments = _parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO if arguments.verbose else logging.WARNING, format="%(message)s")
    # Blocked before any thread starts, and so in all of them: signals stay pending until sigwait takes one.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
    try:
        with HubServer(arguments.models, host=arguments.host, port=arguments.port) as hub:
            hub.faults.update(arguments.fault)
            _check_faults(hub)
            sys.stdout.write(f"{len(hub.repo_ids)} repositories at {hub.url} (export HF_ENDPOINT={hub.url})\n")
            sys.stdout.flush()
            signal.sigwait(_STOP_SIGNALS)
    except (OSError, OverflowError, ValueError) as error:
        sys.stderr.write(f"devcluster-hub: {error}\n")
        return 1
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="devcluster-hub",
        description="Serve model configs the way the Hugging Face Hub does, with faults on demand.",
        epilog=f"Kinds of fault: {', '.join(Kind)}. While running: PUT and DELETE /_faults/REPO, GET /_faults.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8080, help="port; 0 picks a free one (default: %(default)s)")
    parser.add_argument("--models", type=Path, metavar="DIR", help="folder of repositories (default: packaged)")
    parser.add_argument(
        "--fault",
        type=_fault,
        action="append",
        default=[],
        metavar="REPO=KIND[:ARG]",
        help="start with a fault; REPO '*' is every repository; ARG is seconds, or tokens with access",
    )
    parser.add_argument("--verbose", action="store_true", help="log each request to standard error")
    return parser


def _check_faults(hub: HubServer) -> None:
    if unknown := hub.faults.keys() - {EVERY_REPOSITORY, *hub.repo_ids}:
        raise ValueError(f"no such repository: {', '.join(sorted(unknown))}; there are {', '.join(hub.repo_ids)}")


def _fault(text: str) -> tuple[str, Fault]:
    repo_id, separator, fault = text.partition("=")
    if not (repo_id and separator):
        raise argparse.ArgumentTypeError(f"{text!r} is not REPO=KIND[:ARG]")
    try:
        return repo_id, Fault.parse(fault)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


if __name__ == "__main__":
    sys.exit(main())
