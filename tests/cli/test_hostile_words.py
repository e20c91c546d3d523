"""``plan`` of folders and files whose words are escape sequences: as a process, under encodings of every kind."""

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from cli.written import deployment
from devcluster.hub import HubServer

CONFIG = Path("devcluster/devcluster/hub/models/mistralai__Mistral-7B-v0.1/config.json")
HOSTILE = "\x1b]0;pwn\x07\x9b31m\u202e\r\n\x00\ud800🚀"
COMMAND = Path(sys.executable).with_name("mistral-operator")


def folder(root: Path, **over: object) -> Path:
    """Make a model's folder with some of its config replaced."""
    header = json.dumps({"w": {"dtype": "BF16", "shape": [16], "data_offsets": [0, 32]}}).encode()
    root.mkdir()
    (root / "config.json").write_text(json.dumps({**json.loads(CONFIG.read_text()), **over}))
    (root / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + b"\0" * 32)
    return root


def run(*arguments: object, encoding: str) -> subprocess.CompletedProcess[bytes]:
    """Run the command."""
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "LC_ALL": "C", "PYTHONUTF8": "0", "COLUMNS": "300"}
    return subprocess.run([COMMAND, *map(str, arguments)], capture_output=True, env=environment, check=False)  # noqa: S603


@pytest.mark.parametrize(
    ("output", "encoding"), [("text", "utf-8"), ("text", "latin-1"), ("json", "ascii"), ("yaml", "latin-1")]
)
@pytest.mark.parametrize(
    "over",
    [{"architectures": [HOSTILE]}, {"quantization_config": {"quant_method": HOSTILE}}, {"torch_dtype": HOSTILE}],
    ids=["architecture", "quantization", "dtype"],
)
def test_a_folder(over: dict[str, object], output: str, encoding: str, tmp_path: Path) -> None:
    """Planned or refused, nothing acts on the terminal, and what is for machines can be read by them."""
    ended = run("plan", folder(tmp_path / "m", **over), "-o", output, encoding=encoding)
    told = ended.stdout + ended.stderr
    assert b"Traceback" not in told
    assert ended.returncode in (0, 3, 4)
    text = told.decode(encoding if encoding != "ascii" else "utf-8")
    assert not {"\x1b", "\x07", "\x9b", "\u202e", "\r", "\x00"} & set(text)
    if ended.returncode == 0 and output != "text":
        read = json.loads if output == "json" else yaml.safe_load
        assert read(ended.stdout)["model"]["source"] == "config.json"


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
def test_a_name(encoding: str, tmp_path: Path) -> None:
    """Of a file that is not there, with bytes that are no text."""
    ended = run("plan", "-f", tmp_path / "a\x1b[31m\udcff", encoding=encoding)
    assert (ended.returncode, ended.stdout) == (2, b"")
    assert b"Traceback" not in ended.stderr
    assert rb"a\x1b[31m\udcff cannot be read" in ended.stderr


@pytest.mark.parametrize("output", ["text", "json", "yaml", "manifests"])
def test_a_file(output: str, clean: HubServer, tmp_path: Path) -> None:
    """Every word of a spec: printed as what a shell, or a parser, reads back."""
    body = deployment()
    words = HOSTILE.replace("\ud800", "")
    body["spec"] |= {"env": [{"name": "A", "value": words}], "extraArgs": [words], "podAnnotations": {"a": words}}
    file = tmp_path / "m.json"
    file.write_text(json.dumps(body))
    ended = run("plan", "-f", file, "-o", output, "--hf-endpoint", clean.url, encoding="utf-8")
    assert (ended.returncode, b"Traceback" in ended.stderr) == (0, False), ended.stderr
    assert not {0x1B, 0x07, 0x00} & set(ended.stdout + ended.stderr)
    if output == "manifests":
        found = next(one for one in yaml.safe_load_all(ended.stdout) if one["kind"] == "Deployment")
        assert words in found["spec"]["template"]["spec"]["containers"][0]["args"]


def test_a_surrogate_in_a_file(tmp_path: Path) -> None:
    """No text can hold it, so the field is named."""
    body = deployment()
    body["spec"]["extraArgs"] = [HOSTILE]
    file = tmp_path / "m.json"
    file.write_text(json.dumps(body))
    ended = run("plan", "-f", file, encoding="utf-8")
    assert ended.returncode == 2
    assert b"spec.extraArgs.0: " in ended.stderr
