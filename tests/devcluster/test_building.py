"""Building binaries, with a Go that only pretends."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from devcluster.waiting import wait_until

BOUND_SECONDS = 20.0
BUILD = "from devcluster.binaries.__main__ import main; raise SystemExit(main())"
ENDLESS_GO = '#!/bin/sh\ntouch "$TMPDIR/go-work" "{started}"\nsleep 3600 & wait\n'
FAILING_GO = "#!/bin/sh\necho 'no required module provides package'\nexit 1\n"


@contextmanager
def started_build(tmp_path: Path, go: str) -> Iterator[subprocess.Popen[str]]:
    """Start a build of everything with an empty cache; a test that fails does not wait for its end."""
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "go"
    script.write_text(go.format(started=tmp_path / "started"))
    script.chmod(0o755)
    with subprocess.Popen(  # noqa: S603
        (sys.executable, "-c", BUILD),
        env={"PATH": f"{script.parent}:/usr/bin:/bin", "XDG_CACHE_HOME": str(tmp_path / "cache")},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as build:
        try:
            yield build
        finally:
            build.kill()


def files_below(folder: Path) -> list[str]:
    """Return the names of all files; a folder that goes meanwhile has none."""
    return [name for _, _, names in os.walk(folder) for name in names]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_build_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    """No process goes on, and no folder of its work stays."""
    with started_build(tmp_path, ENDLESS_GO) as build:
        wait_until("the build to begin", (tmp_path / "started").exists, seconds=BOUND_SECONDS)
        assert "go-work" in files_below(tmp_path)
        build.send_signal(number)
        build.communicate(timeout=BOUND_SECONDS)
    wait_until("its work to go", lambda: files_below(tmp_path / "cache") == ["lock"], seconds=BOUND_SECONDS)


def test_a_build_that_fails_says_why(tmp_path: Path) -> None:
    """In Go's own words, without a traceback."""
    with started_build(tmp_path, FAILING_GO) as build:
        said, _ = build.communicate(timeout=BOUND_SECONDS)
    assert build.returncode == 1
    assert "no required module provides package" in said
    assert "Traceback" not in said
