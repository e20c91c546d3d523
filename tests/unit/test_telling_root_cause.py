"""The root cause of a failed start is found in what vLLM printed: real logs of vLLM 0.26.0, and the odd ones by hand.

``vllm_logs`` holds what it printed word for word, but for the folders. ``out_of_memory`` comes from an H200 that was
asked for a KV cache of 400 GB; the out-of-memory logs of workers from a CPU whose worker raised PyTorch's own error;
``old_driver`` from the build for CUDA 13 with the plugin, on a machine without a GPU whose libcuda.so.1 told CUDA 12.2
and whose NVML told of an H100; ``cuda_error`` from an engine without a server on two H100 with NVLink multicast
switched off, less the traceback of the program that had started it.
"""

from pathlib import Path

import pytest

from mistral_vllm.telling.root_cause import LIMIT_BYTES, engine_died, root_cause

_LOGS = Path(__file__).parent / "vllm_logs"

WORKER = "(Worker_TP0 pid=31) "
OTHER_WORKER = "(Worker_TP1 pid=32) "
CORE = "(EngineCore pid=20) "
SERVER = "(APIServer pid=1) "
AT = "ERROR 11-25 01:02:03 [core.py:1163] "
BLAMES_CORE = "RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {%s}"
BLAMES_WORKER = (
    "Exception: WorkerProc initialization failed due to an exception in a background process. "
    "See stack trace for root cause."
)
NOT_VALID = (
    "ValueError: Selected backend AttentionBackendEnum.CUSTOM is not valid for this configuration. "
    "Reason: ['kv_cache_dtype not supported']"
)
SEE_ABOVE = ", please check the stack trace above for the root cause"


def traceback(*exceptions: str, prefix: str = "") -> str:
    """Return a traceback as Python prints it, exceptions that caused each other first."""
    between = ["", "The above exception was the direct cause of the following exception:", ""]
    lines: list[str] = []
    for exception in exceptions:
        lines += between if lines else []
        lines += ["Traceback (most recent call last):", '  File "a.py", line 1, in f', "    g()", "    ^^^", exception]
    return "".join(f"{prefix}{line}\n" for text in lines for line in text.split("\n"))


def blame(core: str = "'EngineCore': 1") -> str:
    """Return the API server's last words."""
    return traceback(BLAMES_CORE % core, prefix=SERVER)


@pytest.mark.parametrize(
    ("log", "exit_code", "cause"),
    [
        ("unknown_argument", 2, "vllm: error: unrecognized arguments: --foo-bar 3"),
        (
            "invalid_choice",
            2,
            "vllm serve: error: argument --dtype: invalid choice: 'bogus' (choose from 'auto', 'bfloat16', 'float', ",
        ),
        ("no_gpu", 1, "RuntimeError: Failed to infer device type, please set the environment variable `VLLM_LOGGING_"),
        (
            "max_model_len",
            1,
            "ValidationError: 1 validation error for ModelConfig\n  Value error, User-specified max_model_len (",
        ),
        ("unknown_backend", 1, "ValueError: Unknown attention backend: 'XFORMERS'. Valid options are: FLASH_ATTN, "),
        ("hub_unreachable", 1, "LocalEntryNotFoundError: Cannot find an appropriate cached snapshot folder for the "),
        ("out_of_memory", 1, "OutOfMemoryError: CUDA out of memory. Tried to allocate 11.64 GiB. GPU 0 has a total "),
        (
            "only_worker_out_of_memory",
            1,
            "OutOfMemoryError: CUDA out of memory. Tried to allocate 112.00 MiB. GPU 0 ",
        ),
        (
            "worker_killed",
            1,
            "a worker ended without a word: killed, out of memory?\nException: Worker",
        ),
        (
            "kv_cache_too_small",
            1,
            "ValueError: To serve at least one request with the model's max seq len (4000000), (",
        ),
        (
            "no_such_repository",
            1,
            "OSError: mistralai/Nope-7B is not a local folder and is not a valid model identifier",
        ),
        ("engine_core_killed", 0, "the engine core ended without a word: killed, out of memory?\nEngineDeadError: "),
        ("worker_killed_while_serving", 0, "VllmWorker-0 ended without a word: killed, out of memory?"),
        ("gated", 1, "OSError: You are trying to access a gated repo.\nMake sure to have access to it at https://"),
        ("no_weights", 1, "RuntimeError: Cannot find any model weights with `empty`"),
        ("cuda_error", 1, "AcceleratorError: CUDA error: an illegal memory access was encountered\nSearch for `cuda"),
        ("old_driver", 1, "RuntimeError: The NVIDIA driver on your system is too old (found version 12020). Pleas"),
        ("port_in_use", 1, "OSError: [Errno 98] Address already in use"),
        (
            "second_worker_out_of_memory",
            1,
            "OutOfMemoryError: CUDA out of memory. Tried to allocate 112.00 MiB. GPU 0 ",
        ),
        (
            "wrong_release",
            1,
            "PluginError: mistral_vllm cannot do its work, and MISTRAL_VLLM_REQUIRED=1 forbids its fallback: vLLM ",
        ),
    ],
)
def test_real_logs(log: str, exit_code: int, cause: str) -> None:
    """The sentence that matters stands at the beginning."""
    with (_LOGS / f"{log}.log").open(encoding="utf-8", newline="") as file:
        said = root_cause(file.read(), exit_code)
    assert said.startswith(cause)
    assert len(said.encode()) <= LIMIT_BYTES
    assert "input_value" not in said


@pytest.mark.parametrize(
    ("log", "died"),
    [("engine_core_killed", True), ("worker_killed_while_serving", True), ("kv_cache_too_small", False)],
)
def test_an_engine_that_dies_while_it_serves(log: str, died: bool) -> None:
    """VLLM ends with exit code 0 then, so its words have to tell."""
    assert engine_died((_LOGS / f"{log}.log").read_text(encoding="utf-8")) is died


def test_every_real_log_is_tested() -> None:
    """None lies there unread."""
    (marks,) = test_real_logs.pytestmark  # type: ignore[attr-defined]
    assert sorted(path.stem for path in _LOGS.iterdir()) == sorted(log for log, *_ in marks.args[1])


@pytest.mark.parametrize(
    ("log", "cause"),
    [
        pytest.param(
            traceback(NOT_VALID, prefix=CORE + AT) + traceback(NOT_VALID, prefix=CORE) + blame(),
            NOT_VALID,
            id="the engine core, logged and printed",
        ),
        pytest.param(
            traceback("torch.OutOfMemoryError: CUDA out of memory. Tried", prefix=WORKER + AT)
            + traceback(BLAMES_WORKER, prefix=CORE)
            + blame(),
            "OutOfMemoryError: CUDA out of memory. Tried",
            id="a worker",
        ),
        pytest.param(
            traceback("ValueError: first", prefix=OTHER_WORKER + AT)
            + traceback("RuntimeError: the other rank is gone", prefix=WORKER + AT)
            + traceback(BLAMES_WORKER, prefix=CORE)
            + blame(),
            "ValueError: first",
            id="the first of several workers",
        ),
        pytest.param(
            "".join(
                f"{one}\n{two}\n"
                for one, two in zip(
                    traceback("ValueError: first", prefix=OTHER_WORKER + AT).splitlines(),
                    traceback("RuntimeError: second", prefix=WORKER + AT).splitlines(),
                    strict=True,
                )
            )
            + traceback(BLAMES_WORKER, prefix=CORE)
            + blame(),
            "ValueError: first",
            id="two workers at once, line by line",
        ),
        pytest.param(
            traceback("OSError: survived", prefix=WORKER + AT)
            + traceback("ValueError: KV", prefix=CORE + AT)
            + blame(),
            "ValueError: KV",
            id="a worker that is not blamed",
        ),
        pytest.param(
            traceback("OSError: survived", prefix=SERVER + AT)
            + traceback("ValueError: KV", prefix=CORE + AT)
            + blame(),
            "ValueError: KV",
            id="an error that the API server survived",
        ),
        pytest.param(
            traceback("ImportError: optional", prefix=f"{CORE}WARNING 11-25 01:02:03 [a.py:1] ")
            + blame("'EngineCore': -9"),
            "EngineCore was killed by SIGKILL: out of memory?",
            id="a warning's traceback is no cause",
        ),
        pytest.param(
            f"{CORE}{AT}Worker proc VllmWorker-1 died unexpectedly (exit code: -9), shutting down executor.\n"
            + traceback("RuntimeError: cancelled", prefix=CORE)
            + blame(),
            "VllmWorker-1 was killed by SIGKILL: out of memory?",
            id="a worker that was killed",
        ),
        pytest.param(
            blame("'EngineCore_DP0': 0, 'EngineCore_DP1': None, 'EngineCore_DP2': -9, 'EngineCore_DP3': -15"),
            "EngineCore_DP2 was killed by SIGKILL: out of memory?",
            id="one of several engine cores was killed",
        ),
        pytest.param(
            "terminate called after throwing an instance of 'c10::Error'\n  what():  CUDA error: no kernel image\n"
            + blame("'EngineCore': -6"),
            "EngineCore was killed by SIGABRT\nterminate called after throwing an instance of 'c10::Error'\n"
            "what():  CUDA error: no kernel image",
            id="native code gave up",
        ),
        pytest.param(
            traceback("OSError: no such template", prefix="(ApiServer_1 pid=41) ")
            + traceback("RuntimeError: Process ApiServer_1 (PID: 41) died with exit code 1", prefix=SERVER + AT),
            "OSError: no such template",
            id="one of several API servers",
        ),
        pytest.param(
            blame("") + "/usr/lib/resource_tracker.py:254: UserWarning: leaked\n",
            "the engine core ended without a word: killed, out of memory?\nRuntimeError: Engine core "
            "initialization failed. See root cause above. Failed core proc(s): {}",
            id="an engine core that said nothing",
        ),
        pytest.param(
            traceback(f"RuntimeError: Worker failed with error 'no room'{SEE_ABOVE}", prefix=CORE) + blame(),
            "RuntimeError: Worker failed with error 'no room'",
            id="nothing but blame",
        ),
    ],
)
def test_who_is_to_blame(log: str, cause: str) -> None:
    """From the API server to the engine core, from there to the worker that failed first."""
    assert root_cause(log, 1).split("\nCaused by")[0].startswith(cause)


def test_what_caused_it() -> None:
    """Exceptions that led to the last one follow it, one line each, nearest first; twice the same is said once."""
    log = traceback(
        "torch.OutOfMemoryError: CUDA out of memory.\nTried to allocate",
        "KeyError: 'x'",
        "torch.OutOfMemoryError: CUDA out of memory.",
        "RuntimeError: CUDA out of memory occurred when warming up sampler",
        prefix=CORE + AT,
    )
    assert root_cause(log + blame(), 1) == (
        "RuntimeError: CUDA out of memory occurred when warming up sampler\n"
        "Caused by OutOfMemoryError: CUDA out of memory.\n"
        "Caused by KeyError: 'x'"
    )


def test_messages_of_several_lines() -> None:
    """They are whole, and what a process prints of its own accord afterwards is not part of them."""
    log = traceback("OSError: You are trying to access a gated repo.\nMake sure to have access.\n\nCannot access.")
    log += "[W1125 01:02:03.4 ProcessGroup.cpp:1] Warning: destroy_process_group() was not called\n"
    assert root_cause(log, 1) == (
        "OSError: You are trying to access a gated repo.\nMake sure to have access.\n\nCannot access."
    )


def test_a_terminal_s_decoration() -> None:
    """Colours, carriage returns and progress bars are none of the words."""
    coloured = "\x1b[0;36m(EngineCore pid=20)\x1b[0;0m \x1b[31mERROR\x1b[0m \x1b[90m11-25 01:02:03\x1b[0m [core.py:1] "
    log = "".join(f"{coloured}{line}\r\n" for line in traceback("ValueError: no room\nfor one sequence").splitlines())
    assert root_cause("Loading:  0%\rLoading: 100%\n" + log + blame(), 1) == "ValueError: no room\nfor one sequence"


def test_what_must_not_be_shown() -> None:
    """A termination message is read by more people than a Secret; request ids would change it at each restart."""
    log = traceback("OSError: 401 Client Error. (Request ID: Root=1-2;3) for token hf_abcdefghijklmnop")
    assert root_cause(log, 1) == "OSError: 401 Client Error. for token hf_…"


@pytest.mark.parametrize(
    ("log", "exit_code", "said"),
    [
        ("", 1, "vLLM ended with exit code 1 and said nothing"),
        ("a\n\nb\n", 3, "vLLM ended with exit code 3; the last it said:\na\nb"),
        (
            f"{SERVER}INFO 11-25 01:02:03 [a.py:1] starting\n{SERVER}ERROR 11-25 01:02:03 [a.py:2] no port\nbye\n",
            1,
            "vLLM ended with exit code 1; the last it said:\nno port",
        ),
        (traceback("ValueError: earlier"), -9, "vLLM was killed by SIGKILL: out of memory?"),
        (
            "Fatal Python error: Segmentation fault\n",
            -11,
            "vLLM was killed by SIGSEGV\nFatal Python error: Segmentation fault",
        ),
        ("usage: vllm\nvllm: error: a\nb\n", 2, "vllm: error: a\nb"),
        (
            traceback("ValueError: exit code 2 is not argparse's alone"),
            2,
            "ValueError: exit code 2 is not argparse's alone",
        ),
        (traceback("KeyboardInterrupt"), 1, "KeyboardInterrupt"),
    ],
)
def test_other_ends(log: str, exit_code: int, said: str) -> None:
    """Where nothing was raised, the last words stand for it."""
    assert root_cause(log, exit_code) == said


@pytest.mark.parametrize(
    "line",
    [
        "[rank0]: " * 100_000,
        "(A pid=1) " * 100_000,
        "Failed core proc(s): {'" * 50_000,
        f"Process p (PID: 1) died with exit code -{'9' * 5_000}",
        f"(A pid={'1' * 5_000}) ERROR",
        "\x1b[0" * 300_000,
    ],
)
def test_a_line_of_any_length(line: str) -> None:
    """Its beginning is read, numbers in it are as long as they please, and the cause beside it is found."""
    assert root_cause(f"{line}\n{traceback('ValueError: no room')}", 1) == "ValueError: no room"
    assert len(root_cause(line, 1)) <= LIMIT_BYTES


def test_a_message_that_begins_a_long_line() -> None:
    """What was raised is told although the line goes on for longer than anybody reads."""
    assert root_cause(traceback(f"ValueError: no room for {'x' * 1_000_000}"), 1).startswith("ValueError: no room")


@pytest.mark.parametrize("character", ["a", "é", "…", "😀"])
def test_what_fits(character: str) -> None:
    """Bytes of UTF-8 count, no character is cut in two, and what is cut ends in an ellipsis."""
    for length in range(LIMIT_BYTES // len(character.encode()) - 20, LIMIT_BYTES // len(character.encode()) + 20):
        whole = f"ValueError: {character * length}"
        said = root_cause(traceback(whole), 1)
        assert len(said.encode()) <= LIMIT_BYTES
        if len(whole.encode()) <= LIMIT_BYTES:
            assert said == whole
        else:
            assert said.endswith("…")
            assert whole.startswith(said[:-1])
            assert len(said.encode()) > LIMIT_BYTES - 8
