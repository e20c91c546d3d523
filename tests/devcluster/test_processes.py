"""Processes on a leash: whatever happens to the one that holds it, nothing is left."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from devcluster.processes import Leash, Process, StartError
from devcluster.waiting import wait_until

BOUND_SECONDS = 20.0
# says a dot after each step, so that it can be killed after any of them
HOLDER = """
import sys
from pathlib import Path
from devcluster.processes import Leash, Process
folder = Path(sys.argv[1])
print(".", flush=True)
leash = Leash(folder)
print(".", flush=True)
for number in range(4):
    Process(f"sleeper-{number}", ("sleep", "3600"), folder, leash)
    print(".", flush=True)
sys.stdin.read()
"""


def left(folder: Path) -> list[str]:
    """Return the processes that have to do with a folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(folder) or str(folder) in process.cmdline():
                found.append(process.name())
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
    return found


def until_nothing_is_left(folder: Path) -> None:
    """Wait until neither process nor file is left."""
    wait_until("nothing to be left", lambda: not folder.exists() and not left(folder), seconds=BOUND_SECONDS)


def test_closing_ends_processes_and_removes_the_folder(tmp_path: Path) -> None:
    """Also those that nobody ended before."""
    folder = tmp_path / "held"
    with Leash(folder) as leash:
        process = Process("sleeper", ("sleep", "3600"), folder, leash)
        wait_until("it to run", lambda: psutil.Process(process.pid).name() == "sleep", seconds=BOUND_SECONDS)
    assert not folder.exists()
    wait_until("it to end", lambda: process.exit_code == -signal.SIGKILL, seconds=BOUND_SECONDS)


@pytest.mark.parametrize("steps", range(7))
def test_kill_9_leaves_nothing(tmp_path: Path, steps: int) -> None:
    """After any step, and before the process has settled."""
    folder = tmp_path / "held"
    with subprocess.Popen(  # noqa: S603
        (sys.executable, "-c", HOLDER, str(folder)), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.read(2 * steps) == b".\n" * steps
        holder.kill()
    until_nothing_is_left(folder)


def test_a_whole_group_is_ended(tmp_path: Path) -> None:
    """What a process has started goes with it."""
    folder = tmp_path / "held"
    with Leash(folder) as leash:
        Process("shell", ("sh", "-c", "sleep 3600 & sleep 3600"), folder, leash)
        wait_until("both to run", lambda: left(folder).count("sleep") == 2, seconds=BOUND_SECONDS)
    until_nothing_is_left(folder)


def test_control_groups_are_removed_the_innermost_first(tmp_path: Path) -> None:
    """As folders are that have no files of their own; one that is not there is no trouble."""
    top = tmp_path / "group"
    with Leash(tmp_path / "held") as leash:
        leash.hold_cgroup(top)
        leash.hold_cgroup(tmp_path / "never made")
        (top / "pods" / "pod").mkdir(parents=True)
        (top / "pods-more").mkdir()
    assert not top.exists()


def test_what_is_kept_goes_on_until_sigterm(tmp_path: Path) -> None:
    """The file says whom to send it to, and is locked as long."""
    folder, file = tmp_path / "held", tmp_path / "deep" / "kept.json"
    leash = Leash(folder)
    process = Process("sleeper", ("sleep", "3600"), folder, leash)
    wait_until("it to run", lambda: "sleep" in left(folder), seconds=BOUND_SECONDS)
    leash.keep(file)
    process.end()
    assert process.exit_code is None
    content = json.loads(file.read_text())
    assert content["folder"] == str(folder)
    other = Leash(tmp_path / "other")
    with pytest.raises(StartError, match="cannot be taken"):
        other.keep(file)
    other.close()
    os.kill(content["pid"], signal.SIGTERM)
    wait_until("it to end", lambda: process.exit_code == -signal.SIGKILL, seconds=BOUND_SECONDS)
    until_nothing_is_left(folder)
    wait_until("the file to go", lambda: not file.exists(), seconds=BOUND_SECONDS)
    leash.close()


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """With the system's own reason."""
    with pytest.raises(StartError, match="No such file or directory"):
        Leash(tmp_path / "missing" / "held")


def test_a_process_that_has_ended_is_told_with_its_log(tmp_path: Path) -> None:
    """Its last words say why."""
    folder = tmp_path / "held"
    with Leash(folder) as leash:
        process = Process("failing", ("sh", "-c", "echo no such luck; exit 3"), folder, leash)
        assert process.wait() == 3
        with pytest.raises(StartError, match="failing ended with code 3:\nno such luck"):
            process.check()


def test_temporary_files_go_with_the_rest(tmp_path: Path) -> None:
    """A process that is killed does not remove its own."""
    folder = tmp_path / "held"
    with Leash(folder) as leash:
        process = Process("asking", ("sh", "-c", 'echo "$TMPDIR"; pwd'), folder, leash)
        process.wait()
        assert process.end_of_log().splitlines() == [str(folder), str(folder)]
