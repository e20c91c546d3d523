"""The container's first process: output, signals and exit codes pass through it, and it writes down why vLLM failed."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from devcluster.waiting import wait_until
from mistral_vllm.telling.root_cause import LIMIT_BYTES

_BOUND_SECONDS = 30.0
_LOGS = Path(__file__).parent / "vllm_logs"
_FAILS = """
import sys
print("INFO starting")
raise ValueError("the model is too large: lower max_model_len")
"""


class Pod:
    """A container with a stand-in for vLLM on its path."""

    def __init__(self, folder: Path, program: str) -> None:
        self.log = folder / "termination-log"
        self.log.write_text("", encoding="utf-8")  # as the kubelet does
        script = folder / "bin" / "vllm"
        script.parent.mkdir()
        script.write_text(f"#!{sys.executable}\n{program}")
        script.chmod(0o755)
        self.environment = {
            **os.environ,
            "PATH": f"{script.parent}:{os.environ['PATH']}",
            "MISTRAL_VLLM_TERMINATION_LOG": str(self.log),
            "PYTHONUNBUFFERED": "1",
        }

    @contextmanager
    def started(self, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
        """Start it, and leave nothing of it behind."""
        command = [sys.executable, "-m", "mistral_vllm.telling.entrypoint", *arguments]
        with subprocess.Popen(  # noqa: S603 - this test's own
            command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        ) as process:
            try:
                yield process
            finally:
                for one in (*psutil.Process(process.pid).children(recursive=True),) if process.poll() is None else ():
                    one.kill()
                process.kill()

    def run(self, *arguments: str) -> tuple[int, bytes, bytes]:
        """Run it to its end; return the exit code and what it said on both streams."""
        with self.started(*arguments) as process:
            out, err = process.communicate(timeout=_BOUND_SECONDS)
            return process.returncode, out, err


def until_says(process: subprocess.Popen[bytes], word: bytes) -> None:
    """Wait for a line that the stand-in writes."""
    assert process.stdout is not None
    assert process.stdout.readline().strip() == word


def test_everything_passes_through_unchanged(tmp_path: Path) -> None:
    """Arguments arrive as given, each stream as written, bytes that are no text among it, and the exit code."""
    program = r"""
import sys
sys.stdout.buffer.write(b"\xff\x00out " + " ".join(sys.argv[1:]).encode() + b"\rno newline")
sys.stderr.buffer.write(b"err\x1b[31m\n")
"""
    pod = Pod(tmp_path, program)
    assert pod.run("serve", "a model", "--flag=x") == (
        0,
        b"\xff\x00out serve a model --flag=x\rno newline",
        b"err\x1b[31m\n",
    )
    assert pod.log.read_text() == ""


def test_much_output_arrives_whole(tmp_path: Path) -> None:
    """More than a pipe or the tail holds, on both streams at once."""
    pod = Pod(tmp_path, 'import sys\nfor i in range(40000):\n    print(f"{i:050}")\n    print(i, file=sys.stderr)\n')
    code, out, err = pod.run()
    assert code == 0
    assert out.splitlines() == [f"{i:050}".encode() for i in range(40000)]
    assert err.splitlines() == [str(i).encode() for i in range(40000)]


def test_a_failure_is_written_down(tmp_path: Path) -> None:
    """The root cause stands in the termination log, and once more where the log ends."""
    pod = Pod(tmp_path, _FAILS)
    code, out, err = pod.run("serve")
    assert (code, out) == (1, b"INFO starting\n")
    cause = "ValueError: the model is too large: lower max_model_len"
    assert pod.log.read_text() == cause
    assert err.endswith(f"mistral-vllm: {cause}\n".encode())


def test_the_log_of_a_real_failure(tmp_path: Path) -> None:
    """What vLLM printed, in pieces of a few bytes, leads to the same words."""
    program = f"""
import sys
said = open({str(_LOGS / "kv_cache_too_small.log")!r}, "rb").read()
for start in range(0, len(said), 100):
    sys.stdout.buffer.write(said[start:start + 100])
    sys.stdout.flush()
sys.exit(1)
"""
    pod = Pod(tmp_path, program)
    assert pod.run()[0] == 1
    assert pod.log.read_text().startswith("ValueError: To serve at least one request with the model's max seq len")
    assert pod.log.stat().st_size <= LIMIT_BYTES


@pytest.mark.parametrize(("exit_code", "written"), [(0, ""), (3, "vLLM ended with exit code 3 and said nothing")])
def test_exit_codes(tmp_path: Path, exit_code: int, written: str) -> None:
    """They are vLLM's; a clean end leaves no message."""
    pod = Pod(tmp_path, f"raise SystemExit({exit_code})")
    assert pod.run()[0] == exit_code
    assert pod.log.read_text() == written


def test_an_engine_that_died(tmp_path: Path) -> None:
    """The API server says good-bye and ends with 0; that is no clean end."""
    pod = Pod(tmp_path, f"print(open({str(_LOGS / 'engine_core_killed.log')!r}).read())")
    assert pod.run()[0] == 1
    assert pod.log.read_text().startswith("the engine core ended without a word: killed, out of memory?")


def test_a_death_by_signal(tmp_path: Path) -> None:
    """The exit code is a shell's, and the message says what it may mean."""
    pod = Pod(tmp_path, "import os\nos.kill(os.getpid(), 9)")
    assert pod.run()[0] == 128 + signal.SIGKILL
    assert pod.log.read_text() == "vLLM was killed by SIGKILL: out of memory?"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_asked_to_end(tmp_path: Path, number: signal.Signals) -> None:
    """The signal reaches vLLM, its own exit code counts, and an end that was asked for is no failure."""
    program = f"""
import signal, sys
def end(number, frame):
    print("ending")
    sys.exit(7)
signal.signal({int(number)}, end)
print("ready")
while True:
    signal.pause()
"""
    pod = Pod(tmp_path, program)
    with pod.started() as process:
        until_says(process, b"ready")
        process.send_signal(number)
        out, _ = process.communicate(timeout=_BOUND_SECONDS)
        assert (process.returncode, out) == (7, b"ending\n")
    assert pod.log.read_text() == ""


def test_a_signal_that_comes_too_late() -> None:
    """It may come after the system has forgotten vLLM and before that is noted: nothing is left to pass it on to."""
    program = """
import os, signal
from mistral_vllm.telling.entrypoint import Vllm
vllm = Vllm(["/bin/true"])
os.waitpid(-1, 0)
signal.raise_signal(signal.SIGTERM)
print(vllm.asked_to_end)
"""
    done = subprocess.run(  # noqa: S603 - this test's own
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=_BOUND_SECONDS, check=False
    )
    assert (done.stdout, done.stderr) == ("True\n", "")


def test_a_signal_of_a_terminal_arrives_once(tmp_path: Path) -> None:
    """Ctrl-C goes to the whole foreground group; vLLM would take a second one for impatience."""
    program = """
import signal, sys
times = 0
def count(number, frame):
    global times
    times += 1
    print("interrupted", times)
signal.signal(signal.SIGINT, count)
signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
print("ready")
while True:
    signal.pause()
"""
    pod = Pod(tmp_path, program)
    with pod.started() as process:
        until_says(process, b"ready")
        os.killpg(process.pid, signal.SIGINT)
        until_says(process, b"interrupted 1")
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=_BOUND_SECONDS)
        assert (process.returncode, out) == (0, b"")


def test_it_does_not_wait_for_what_vllm_left_behind(tmp_path: Path) -> None:
    """A worker that outlives vLLM keeps its output open; the container ends all the same."""
    program = """
import subprocess, sys
left = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
print(left.pid)
sys.exit(4)
"""
    pod = Pod(tmp_path, program)
    with pod.started() as process:
        assert process.stdout is not None
        left = psutil.Process(int(process.stdout.readline()))
        try:
            assert process.wait(_BOUND_SECONDS) == 4
            assert left.is_running()
        finally:
            left.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can make a process inherit orphans, as process 1 does")
def test_it_reaps_orphans(tmp_path: Path) -> None:
    """As process 1 it inherits children of others; none stays a zombie."""
    program = """
import os, signal, sys
if os.fork() == 0:
    if os.fork() == 0:
        print(os.getpid())
        signal.pause()
    os._exit(0)
os.wait()
signal.pause()
"""
    pod = Pod(tmp_path, program)
    adopt = "import ctypes, runpy; ctypes.CDLL(None).prctl(36, 1, 0, 0, 0); "  # PR_SET_CHILD_SUBREAPER
    command = [sys.executable, "-c", adopt + "runpy.run_module('mistral_vllm.telling.entrypoint', run_name='__main__')"]
    with subprocess.Popen(command, env=pod.environment, stdout=subprocess.PIPE) as process:  # noqa: S603 - as above
        assert process.stdout is not None
        orphan = psutil.Process(int(process.stdout.readline()))
        wait_until("the orphan to be inherited", lambda: orphan.ppid() == process.pid, seconds=_BOUND_SECONDS)
        orphan.kill()
        wait_until("the orphan to be reaped", lambda: not orphan.is_running(), seconds=_BOUND_SECONDS)
        process.send_signal(signal.SIGTERM)
        assert process.wait(_BOUND_SECONDS) == 128 + signal.SIGTERM


def test_a_termination_log_that_cannot_be_written(tmp_path: Path) -> None:
    """It is not made: outside Kubernetes there is none. It says so, and vLLM's exit code stands."""
    pod = Pod(tmp_path, _FAILS)
    pod.environment["MISTRAL_VLLM_TERMINATION_LOG"] = str(tmp_path / "nowhere")
    code, _, err = pod.run()
    assert code == 1
    last = err.decode().splitlines()[-1]
    assert last == (
        f"mistral-vllm: cannot write that to the termination log {tmp_path}/nowhere: No such file or directory"
    )
    assert not (tmp_path / "nowhere").exists()


def test_a_vllm_that_cannot_be_started(tmp_path: Path) -> None:
    """One sentence, no traceback, in the termination log too."""
    pod = Pod(tmp_path, "")
    script = tmp_path / "bin" / "vllm"
    script.write_text("#!/nowhere/python\n")
    code, _, err = pod.run("serve")
    assert code == 127
    assert err.decode() == f"mistral-vllm: vLLM cannot be started: [Errno 2] No such file or directory: '{script}'\n"
    assert pod.log.read_text() == f"vLLM cannot be started: [Errno 2] No such file or directory: '{script}'"


def test_without_a_console_script(tmp_path: Path) -> None:
    """The module is run in its place; where there is none, its absence is the cause."""
    pod = Pod(tmp_path, "")
    pod.environment["PATH"] = str(tmp_path)
    assert pod.run("serve")[0] == 1
    assert "No module named 'vllm'" in pod.log.read_text()


def test_it_is_light(tmp_path: Path) -> None:
    """It stands beside vLLM for weeks: what vLLM said long ago takes no memory."""
    program = """
import signal
for _ in range(200):
    print("x" * 200_000)
print("ready")
signal.pause()
"""
    pod = Pod(tmp_path, program)
    with pod.started() as process:
        assert process.stdout is not None
        while process.stdout.readline() != b"ready\n":
            pass
        parent = psutil.Process(process.pid)
        assert parent.memory_info().rss < 40 * 2**20
