"""What reading a local folder gives and says when it fails; no hub is involved."""

import json
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mistral_operator.hub import HubError, HubReason, read_folder, read_model
from mistral_operator.hub.cache import FactsCache
from mistral_operator.hub.safetensors_header import MAX_HEADER_BYTES
from mistral_operator.planning.facts import ModelFacts, WeightFormat


def safetensors(*tensors: tuple[str, tuple[int, ...]], item_bytes: int = 2) -> bytes:
    """Return a whole safetensors file of zeros: for each tensor a dtype and a shape."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for number, (dtype, shape) in enumerate(tensors):
        size = item_bytes
        for length in shape:
            size *= length
        header[f"tensor.{number}"] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    return with_header(json.dumps(header).encode()) + bytes(offset)


def with_header(content: bytes) -> bytes:
    """Return a header's bytes behind their length."""
    return len(content).to_bytes(8, "little") + content


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder that holds a config.json and nothing else."""
    (tmp_path / "config.json").write_text('{"model_type": "mistral"}')
    return tmp_path


def reason(path: Path) -> HubReason:
    """Return why a folder cannot be read, having seen that the error names it."""
    with pytest.raises(HubError) as caught:
        read_folder(path)
    assert str(path) in caught.value.message
    assert caught.value.next_step
    assert not caught.value.transient
    return caught.value.reason


def test_a_folder_gives_the_facts_a_hub_would(folder: Path) -> None:
    """Configs, weights per format, tokenizers and foreign weights are those of the files."""
    (folder / "params.json").write_text('{"n_layers": 2}')
    (folder / "model-00001-of-00002.safetensors").write_bytes(safetensors(("BF16", (4, 8)), ("BF16", ())))
    (folder / "model-00002-of-00002.safetensors").write_bytes(safetensors(("F16", (3,))))
    (folder / "consolidated.safetensors").write_bytes(safetensors(("BF16", (36,))))
    (folder / "pytorch_model.bin").write_bytes(bytes(1000))
    for name in ("tekken.json", "tokenizer.model.v3", "tokenizer_config.json", "model-q4.gguf", "README.md"):
        (folder / name).touch()
    facts = read_folder(folder)
    assert (facts.id, facts.revision, facts.commit) == (str(folder), "local", None)
    assert (facts.config, facts.params) == ({"model_type": "mistral"}, {"n_layers": 2})
    assert [(weights.format, weights.size_bytes, weights.parameters) for weights in facts.weights] == [
        (WeightFormat.HF, 72, 36),
        (WeightFormat.MISTRAL, 72, 36),
    ]
    assert facts.weights[0].dtypes == {"BF16": 33, "F16": 3}
    assert facts.tokenizer_files == {"tekken.json", "tokenizer.model.v3", "tokenizer_config.json"}
    assert facts.other_weights == {"model-q4.gguf"}


def test_pickled_weights_count_where_there_are_no_others(folder: Path) -> None:
    """pytorch_model*.bin files are sized as files, since they cannot be looked into."""
    (folder / "pytorch_model-00001-of-00001.bin").write_bytes(bytes(1000))
    (folder / "training_args.bin").write_bytes(bytes(10))
    [weights] = read_folder(folder).weights
    assert (weights.format, weights.size_bytes, weights.parameters) == (WeightFormat.HF, 1000, None)
    assert weights.files == ("pytorch_model-00001-of-00001.bin",)


def test_a_quantisation_that_has_a_file_of_its_own(folder: Path, tmp_path: Path) -> None:
    """ModelOpt once wrote no word of it into config.json; what is read is kept like the rest."""
    assert read_folder(folder).quantization is None
    written = {"producer": {"name": "modelopt"}, "quantization": {"quant_algo": "FP8", "kv_cache_quant_algo": "FP8"}}
    (folder / "hf_quant_config.json").write_text(json.dumps(written))
    facts = replace(read_folder(folder), commit="c" * 40)
    assert facts.quantization == written
    cache = FactsCache(tmp_path / "cache", "http://hub.example", facts.id)
    cache.store(facts)
    assert cache.load("c" * 40, facts.revision) == facts


def test_a_branch_that_moves_for_years_fills_no_disk(folder: Path, tmp_path: Path) -> None:
    """The commits that were stored last are kept, and each model's for itself."""
    facts = read_folder(folder)
    commits = [f"{number:040x}" for number in range(70)]
    others = FactsCache(tmp_path, "http://hub.example", "another/model")
    others.store(replace(facts, commit=commits[0]))
    cache = FactsCache(tmp_path, "http://hub.example", facts.id)
    for commit in commits:
        cache.store(replace(facts, commit=commit))
    kept = [commit for commit in commits if cache.load(commit, "main") is not None]
    assert kept == commits[-64:]
    assert others.load(commits[0], "main") is not None


def test_an_adapter_is_not_the_model(folder: Path) -> None:
    """Safetensors files of other names are listed and not counted."""
    (folder / "adapter_model.safetensors").write_bytes(safetensors(("BF16", (4,))))
    facts = read_folder(folder)
    assert facts.weights == ()
    assert facts.other_weights == {"adapter_model.safetensors"}


@pytest.mark.parametrize("indexed", [True, False])
def test_a_single_file_beside_shards_is_counted_once(folder: Path, indexed: bool) -> None:
    """With an index the shards are the checkpoint, without one the single file is."""
    (folder / "model.safetensors").write_bytes(safetensors(("BF16", (1,))))
    (folder / "model-00001-of-00001.safetensors").write_bytes(safetensors(("BF16", (2,))))
    if indexed:
        (folder / "model.safetensors.index.json").write_text("{}")
    [weights] = read_folder(folder).weights
    assert weights.size_bytes == (4 if indexed else 2)


def test_a_header_longer_than_the_first_read_is_read_whole(folder: Path) -> None:
    """Headers beyond 100 kB, as of models with many experts, are followed to their end."""
    (folder / "model.safetensors").write_bytes(safetensors(*[("BF16", (2,))] * 3000))
    [weights] = read_folder(folder).weights
    assert weights.parameters == 6000


def test_a_header_that_would_fill_the_memory_is_not_read(folder: Path) -> None:
    """Whoever may name a model may name one with two million tensors, and the operator has to live through it."""
    with (folder / "model.safetensors").open("wb") as file:
        file.write((MAX_HEADER_BYTES + 1).to_bytes(8, "little"))
        file.truncate(2 * MAX_HEADER_BYTES)
    with pytest.raises(HubError, match=r"^model\.safetensors of .* has a header of 8,388,609 bytes, and is read up to"):
        read_folder(folder)
    assert reason(folder) is HubReason.TORN_WEIGHTS


WHOLE = safetensors(("BF16", (8,)))


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(WHOLE[:5], id="ends in its length"),
        pytest.param(WHOLE[:40], id="ends in its header"),
        pytest.param(WHOLE[:-1], id="ends in its last tensor"),
        pytest.param(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", id="git-lfs pointer"),
        pytest.param(with_header(b"{"), id="no JSON"),
        pytest.param(with_header(b"\xff"), id="no UTF-8"),
        pytest.param(with_header(b"[]"), id="no object"),
        pytest.param(with_header(b"[" * 50_000), id="nested"),
        pytest.param(with_header(b'{"a": 1}'), id="no tensor"),
        pytest.param(with_header(b'{"a": {"dtype": "F8", "shape": [-1], "data_offsets": [0, 0]}}'), id="negative"),
        pytest.param(with_header(b'{"a": {"dtype": "F8", "shape": [], "data_offsets": [2, 1]}}'), id="backwards"),
    ],
)
def test_torn_weights_are_named(folder: Path, content: bytes) -> None:
    """A weight file that is cut short or is none names the file and what is wrong."""
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(HubError, match=r"^model\.safetensors of .* is (cut short|not a safetensors file): "):
        read_folder(folder)
    assert reason(folder) is HubReason.TORN_WEIGHTS


def test_names_of_files_and_tensors_are_told_plainly(folder: Path) -> None:
    """They stand in a status and on a terminal, and anybody may have chosen them."""
    header = {"a\x1b[31m\u202e\ud800": {"dtype": "BF16", "shape": [3], "data_offsets": [0, 2]}}
    (folder / "model.safetensors").write_bytes(with_header(json.dumps(header).encode()) + bytes(2))
    with pytest.raises(HubError) as caught:
        read_folder(folder)
    assert caught.value.message.isprintable()
    (folder / "model.safetensors").unlink()
    (folder / "consolidated\x1b[31m\x07\udcff.safetensors").write_bytes(b"")
    with pytest.raises(HubError) as caught:
        read_folder(folder)
    assert caught.value.message.isprintable()
    caught.value.message.encode()


def test_a_missing_shard_is_named(folder: Path) -> None:
    """Two shards of three do not pass for a smaller model."""
    for number in (1, 3):
        (folder / f"model-0000{number}-of-00003.safetensors").write_bytes(WHOLE)
    with pytest.raises(HubError, match=r"^model-00002-of-00003\.safetensors of .* is missing"):
        read_folder(folder)


def test_shards_may_be_counted_from_zero(folder: Path) -> None:
    """Some converters number shards from 00000."""
    for number in (0, 1):
        (folder / f"model-0000{number}-of-00002.safetensors").write_bytes(WHOLE)
    assert read_folder(folder).weights[0].size_bytes == 32


@pytest.mark.parametrize("name", ["config.json", "params.json"])
@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "it is empty"),
        (b'{"a": 1', "at line 1, column 8"),
        (b"[1]", "it holds an array"),
        (b"null", "it holds null"),
        (b"\xef\xbb\xbf{}", "BOM"),
        (b'{"a": "\xff"}', "byte 7 is not UTF-8"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b'{"a": ' + b"1" * 5000 + b"}", "too many digits"),
    ],
)
def test_a_torn_config_is_named(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    """The error names the file, the model and the place or kind of the damage."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(HubError, match=says) as caught:
        read_folder(tmp_path)
    assert caught.value.message.startswith(f"{name} of {tmp_path} ")
    assert reason(tmp_path) is HubReason.TORN_CONFIG


def test_what_python_takes_for_json_is_taken(tmp_path: Path) -> None:
    """NaN and Infinity are accepted, as transformers accepts them."""
    (tmp_path / "config.json").write_text('{"rope_theta": Infinity}')
    assert read_folder(tmp_path).config == {"rope_theta": float("inf")}


def test_a_huge_config_is_refused_before_it_is_parsed(tmp_path: Path) -> None:
    """One MiB is more than any config, and less than what hurts."""
    (tmp_path / "config.json").write_bytes(b'{"a": "' + b"x" * (1 << 20) + b'"}')
    assert reason(tmp_path) is HubReason.CONFIG_TOO_LARGE


def test_a_folder_without_configs_is_no_model(tmp_path: Path) -> None:
    """Weights alone cannot be planned for."""
    (tmp_path / "model.safetensors").write_bytes(WHOLE)
    (tmp_path / "config.json").mkdir()
    assert reason(tmp_path) is HubReason.NO_CONFIG


def test_what_is_no_folder_is_refused(folder: Path) -> None:
    """A missing path and a file are told as such."""
    assert reason(folder / "missing") is HubReason.NOT_A_FOLDER
    assert reason(folder / "config.json") is HubReason.NOT_A_FOLDER
    assert reason(folder / "null\x00byte") is HubReason.NOT_A_FOLDER


def test_what_the_system_refuses_names_the_cause(folder: Path) -> None:
    """A path that cannot be looked at is unreadable, in the operating system's own words."""
    loop = folder / "loop"
    loop.symlink_to(loop)
    with pytest.raises(HubError, match="too many levels of symbolic links"):
        read_folder(loop)
    assert reason(loop) is HubReason.UNREADABLE
    assert reason(folder / ("x" * 300)) is HubReason.UNREADABLE


def test_files_behind_links_are_files(folder: Path) -> None:
    """Snapshots in the cache of huggingface_hub are made of links; one that dangles is no file."""
    snapshot = folder / "snapshot"
    snapshot.mkdir()
    (snapshot / "config.json").symlink_to(folder / "config.json")
    (snapshot / "params.json").symlink_to(folder / "missing")
    facts = read_folder(snapshot)
    assert (facts.config, facts.params) == ({"model_type": "mistral"}, None)


@pytest.mark.parametrize("written", ["./sub/model", "sub/model", "../{here}/sub/model", "~/sub/model", "{absolute}"])
def test_paths_keep_the_form_they_were_written_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    """A folder is known by the user's own words for it."""
    model = tmp_path / "sub" / "model"
    model.mkdir(parents=True)
    (model / "config.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    written = written.format(here=tmp_path.name, absolute=model)
    assert read_model(written).id == written


def test_what_is_written_as_a_path_is_never_looked_for_on_a_hub(tmp_path: Path) -> None:
    """A mistyped path is reported as such."""
    for written in (str(tmp_path / "missing"), "./missing", "~nobody-of-this-name/model"):
        with pytest.raises(HubError) as caught:
            read_model(written)
        assert caught.value.reason is HubReason.NOT_A_FOLDER
        assert written in caught.value.message


def test_a_folder_is_read_without_loading_a_hub_client(folder: Path) -> None:
    """Planning for a local folder starts at once, and needs no network code."""
    script = """
import sys
from mistral_operator.hub import read_model
read_model(sys.argv[1])
print(sorted({"huggingface_hub", "httpx", "httpx2", "requests"} & sys.modules.keys()))
"""
    command = [sys.executable, "-c", script, str(folder)]
    told = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - our own script
    assert told.stdout.strip() == "[]"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda values: st.lists(values) | st.dictionaries(st.text(), values),
    max_leaves=8,
)
CONTENTS = st.binary() | JSON.map(lambda value: json.dumps(value).encode())
TENSOR = st.fixed_dictionaries({}, optional={"dtype": JSON, "shape": JSON, "data_offsets": JSON})
HEADERS = st.dictionaries(st.text(), TENSOR | JSON).map(lambda header: with_header(json.dumps(header).encode()))


def read_files(**files: bytes | None) -> ModelFacts | HubReason:
    """Read a folder of these files; the names' underscores stand for dots."""
    with tempfile.TemporaryDirectory() as path:
        for name, content in files.items():
            if content is not None:
                (Path(path) / name.replace("_", ".")).write_bytes(content)
        try:
            return read_folder(Path(path))
        except HubError as error:
            return error.reason


@given(config=st.none() | CONTENTS, params=st.none() | CONTENTS)
def test_any_bytes_as_configs_give_facts_or_an_error_of_ours(config: bytes | None, params: bytes | None) -> None:
    """Nothing in config.json and params.json makes reading fail in a way that has no name."""
    told = read_files(config_json=config, params_json=params)
    if isinstance(told, ModelFacts):
        assert told.config is not None or told.params is not None
    else:
        assert told in {HubReason.NO_CONFIG, HubReason.TORN_CONFIG}


@given(weights=st.binary() | HEADERS)
def test_any_bytes_as_weights_give_sizes_or_an_error_of_ours(weights: bytes) -> None:
    """Nothing in a weight file makes reading fail in a way that has no name, nor gives a negative size."""
    told = read_files(config_json=b"{}", model_safetensors=weights)
    if isinstance(told, ModelFacts):
        assert told.weights[0].size_bytes >= 0
    else:
        assert told is HubReason.TORN_WEIGHTS
