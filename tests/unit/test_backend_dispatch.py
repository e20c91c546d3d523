"""Which kernel decodes, by batch size; and where tables of such choices come from and go to."""

import json
from pathlib import Path

import pytest

from mistral_vllm.backend.dispatch import (
    Choice,
    DecodeTable,
    LaunchParameters,
    Source,
    as_json,
    candidates,
    flash_attn_table,
    from_json,
    pinned_table,
    rule,
    rule_table,
    sizes_to_measure,
)
from mistral_vllm.backend.settings import DecodeSetting, Mode, SettingError, read_setting
from mistral_vllm.backend.tuning_cache import Shape, TuningCache, shape_of, shipped_table

EIGHT_FOUR_TWO = LaunchParameters(8, 4, 2)
FLASH = Choice(None)
PAGES = 65  # of a window of 4,096 tokens on pages of 64


@pytest.mark.parametrize(
    ("batch", "kv_heads", "pages", "expected"),
    [
        # measured best on an H200: 32 query and 8 KV heads, head size 128, window 4,096
        pytest.param(1, 8, PAGES, (32, 4, 2), id="1"),
        pytest.param(4, 8, PAGES, (16, 4, 2), id="4"),
        pytest.param(8, 8, PAGES, (8, 4, 2), id="8"),
        pytest.param(16, 8, PAGES, (4, 4, 2), id="16"),
        pytest.param(32, 8, PAGES, (2, 4, 2), id="32"),
        pytest.param(64, 8, PAGES, (1, 2, 2), id="64"),
        pytest.param(100_000, 8, PAGES, (1, 2, 2), id="more than there are programs"),
        pytest.param(1, 8, 2, (2, 4, 2), id="no more splits than pages"),
        pytest.param(8, 1, PAGES, (32, 4, 2), id="one KV head under tensor parallelism"),
    ],
)
def test_rule(batch: int, kv_heads: int, pages: int, expected: tuple[int, int, int]) -> None:
    """The rule of thumb is what was measured best."""
    assert rule(batch, kv_heads, pages) == expected


@pytest.mark.parametrize(
    ("batch", "chosen"), [(1, 1), (2, 1), (3, 4), (5, 4), (7, 4), (9, 16), (16, 16), (1000, 16), (0, 1)]
)
def test_the_nearest_batch_size_counts(batch: int, chosen: int) -> None:
    """By ratio, and of two as near the smaller one."""
    table = DecodeTable({size: Choice(LaunchParameters(size, 4, 2)) for size in (1, 4, 16)}, Source.MEASURED)
    assert table.choose(batch) == Choice(LaunchParameters(chosen, 4, 2))


def test_candidates_stay_within_the_window() -> None:
    """Every batch has some, each once, and none splits more than there are pages."""
    for batch in (1, 2, 8, 64, 512):
        for pages in (1, 2, 3, PAGES):
            found = list(candidates(batch, 8, pages))
            assert found
            assert len(set(found)) == len(found)
            assert all(1 <= parameters.split_k <= pages for parameters in found)
            assert rule(batch, 8, pages).split_k in {parameters.split_k for parameters in found}


@pytest.mark.parametrize(
    ("captured", "most", "sizes"),
    [
        ((1, 2, 4, 8, 16, 24, 32), 32, (1, 2, 4, 8, 16, 32)),
        ((1, 2, 4, 8, 16, 24), 1000, (1, 2, 4, 8, 16, 24)),
        ((1, 2, 4, 8, 16, 24), 10, (1, 2, 4, 8)),
        ((), 5, (1, 2, 4, 5)),
    ],
)
def test_sizes_that_are_measured(captured: tuple[int, ...], most: int, sizes: tuple[int, ...]) -> None:
    """Powers of two and the largest that a graph is captured for."""
    assert sizes_to_measure(captured, most) == sizes


def test_a_table_survives_json() -> None:
    """Written down and read back it is the same, but for where it comes from."""
    table = DecodeTable({1: Choice(EIGHT_FOUR_TWO), 8: FLASH}, Source.MEASURED)
    read = from_json(json.loads(json.dumps(as_json(table))), Source.CACHED)
    assert read == DecodeTable(table.choices, Source.CACHED)
    assert as_json(table)[0] == {
        "batch": 1, "kernel": "xformers_splitk", "splitK": 8, "numWarps": 4, "numStages": 2
    }  # fmt: skip


@pytest.mark.parametrize(
    "raw",
    [
        [],
        {},
        None,
        [{"batch": 1}],
        [{"batch": 0, "kernel": "flash_attn"}],
        [{"batch": 1, "kernel": "other"}],
        [{"batch": 1, "kernel": "xformers_splitk", "splitK": 0, "numWarps": 4, "numStages": 2}],
        [{"batch": 1, "kernel": "xformers_splitk", "splitK": 8, "numWarps": 3, "numStages": 2}],
        [{"batch": "x", "kernel": "flash_attn"}],
        [{"batch": float("inf"), "kernel": "flash_attn"}],
    ],
)
def test_what_is_no_table(raw: object) -> None:
    """It is refused, whatever it is."""
    with pytest.raises(ValueError, match=r"table|invalid literal"):
        from_json(raw, Source.CACHED)


def test_launches_that_a_gpu_cannot_make() -> None:
    """FlashAttention takes their place, and it is told."""
    table = rule_table((1, 8, 64), 8, PAGES).without([rule(8, 8, PAGES)], "no shared memory for it")
    assert [choice.kernel for choice in table.choices.values()] == ["xformers_splitk", "flash_attn", "xformers_splitk"]
    assert table.warnings == ("no shared memory for it",)
    assert flash_attn_table().distinct() == ()
    assert (flash_attn_table().source, flash_attn_table("no xFormers").source) == (Source.PINNED, Source.FALLBACK)


@pytest.mark.parametrize("kv_heads", [1, 2, 8])
@pytest.mark.parametrize("max_batch", [1, 3, 48, 513])
def test_the_workspace_has_room_for_every_batch(kv_heads: int, max_batch: int) -> None:
    """Also for those between two sizes, up to 1.41 times the one that counts for them."""
    sizes = sizes_to_measure((), max_batch)
    tables = (
        rule_table(sizes, kv_heads, PAGES),
        pinned_table(LaunchParameters(64, 4, 2), sizes, kv_heads, PAGES),
        DecodeTable({1: Choice(EIGHT_FOUR_TWO)}, Source.CACHED),
        DecodeTable({1: FLASH, 4096: Choice(EIGHT_FOUR_TWO)}, Source.CACHED),  # of a larger server
        flash_attn_table(),
    )
    for table in tables:
        most = table.most_splits(max_batch)
        assert all(launch.split_k <= most for launch in table.distinct())  # compiled on one sequence
        for batch in range(1, max_batch + 1):
            launch = table.choose(batch).split_k
            assert launch is None or batch * launch.split_k <= most


def test_a_launch_of_the_users_own() -> None:
    """One for every batch, but never more splits than pages, nor more programs than the workspace may hold."""
    table = pinned_table(LaunchParameters(64, 4, 2), (1, 64, 4096), 8, PAGES)
    assert [choice.split_k for choice in table.choices.values()] == [(64, 4, 2), (16, 4, 2), (1, 4, 2)]
    assert pinned_table(LaunchParameters(64, 4, 2), (1,), 8, 2).choose(1) == Choice(LaunchParameters(2, 4, 2))


def test_a_table_of_a_smaller_server() -> None:
    """Its own choices stay; larger batches go by the rule."""
    small = DecodeTable({1: FLASH, 8: FLASH}, Source.CACHED, ("said",))
    extended = small.extended(rule_table((1, 4, 8, 16, 64), 8, PAGES))
    assert [choice.kernel for choice in extended.choices.values()] == [*["flash_attn"] * 2, *["xformers_splitk"] * 2]
    assert list(extended.choices) == [1, 8, 16, 64]
    assert (extended.source, extended.warnings) == (Source.CACHED, ("said",))


@pytest.mark.parametrize(
    ("value", "setting"),
    [
        (None, DecodeSetting(Mode.AUTO)),
        ("", DecodeSetting(Mode.AUTO)),
        ("AUTO", DecodeSetting(Mode.AUTO)),
        ("rule", DecodeSetting(Mode.RULE)),
        ("flash_attn", DecodeSetting(Mode.PINNED, FLASH)),
        ("8,4,2", DecodeSetting(Mode.PINNED, Choice(EIGHT_FOUR_TWO))),
    ],
)
def test_setting(value: str | None, setting: DecodeSetting) -> None:
    """One variable says all."""
    assert read_setting({} if value is None else {"MISTRAL_VLLM_DECODE": value}) == setting


@pytest.mark.parametrize("value", ["fast", "8", "8,4", "8,3,2", "0,4,2", "8,4,0", "8,4,2,1", "-8,4,2", "8.0,4,2"])
def test_settings_that_mean_nothing(value: str) -> None:
    """The error names the variable, the value, and what may stand there."""
    with pytest.raises(SettingError, match=f"MISTRAL_VLLM_DECODE='{value}' is none of auto, rule, flash_attn"):
        read_setting({"MISTRAL_VLLM_DECODE": value})


def shape(gpu: str = "NVIDIA H200") -> Shape:
    """Return the key of a table."""
    return shape_of(
        gpu=gpu,
        heads=32,
        kv_heads=8,
        head_size=128,
        dtype="bfloat16",
        window_tokens=4096,
        page_tokens=64,
        versions={"torch": "2.11.0", "triton": "3.6.0", "xformers": "0.0.35"},
    )


def cache_in(folder: Path, vllm: str = "0.26.0", plugin: str = "0.1.0") -> TuningCache:
    """Return the cache of one release of the engine and of the package."""
    return TuningCache(folder, {"vllm": vllm, "plugin": plugin})


def test_a_kept_table_is_found_again(tmp_path: Path) -> None:
    """For the same shape alone, and by any process."""
    folder = tmp_path / "not" / "there"
    table = DecodeTable({1: Choice(EIGHT_FOUR_TWO)}, Source.MEASURED)
    assert cache_in(folder).read(shape()) is None
    assert cache_in(folder).keep(shape(), table) is None
    assert cache_in(folder).read(shape()) == DecodeTable(table.choices, Source.CACHED)
    assert cache_in(folder).read(shape("NVIDIA L4")) is None
    assert [path.suffix for path in folder.iterdir()] == [".json"]  # nothing half-written stays


@pytest.mark.parametrize("other", [{"vllm": "0.26.1"}, {"plugin": "0.2.0"}])
def test_a_table_of_another_release_counts_as_none(tmp_path: Path, other: dict[str, str]) -> None:
    """Its kernels may be others; each release keeps its own, so going back finds it again."""
    cache_in(tmp_path).keep(shape(), flash_attn_table())
    assert cache_in(tmp_path, **other).read(shape()) is None
    cache_in(tmp_path, **other).keep(shape(), DecodeTable({1: Choice(EIGHT_FOUR_TWO)}, Source.MEASURED))
    assert cache_in(tmp_path).read(shape()) == DecodeTable(flash_attn_table().choices, Source.CACHED)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"key": {}, "table": []}', b"\xff"])
def test_a_torn_file_counts_as_none(tmp_path: Path, content: bytes) -> None:
    """It is measured again, and overwritten."""
    cache = cache_in(tmp_path)
    cache.keep(shape(), flash_attn_table())
    (file,) = tmp_path.iterdir()
    file.write_bytes(content)
    assert cache.read(shape()) is None
    assert cache.keep(shape(), flash_attn_table()) is None
    assert cache.read(shape()) is not None


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """It is said, and nothing else happens: the next start measures again."""
    (tmp_path / "file").write_text("")
    trouble = cache_in(tmp_path / "file" / "under").keep(shape(), flash_attn_table())
    assert trouble is not None
    assert "cannot be kept" in trouble


def test_a_table_that_cannot_be_put_in_its_place(tmp_path: Path) -> None:
    """Nothing half-written stays, or a full disk would fill further with each start."""
    cache = cache_in(tmp_path)
    cache.keep(shape(), flash_attn_table())
    (file,) = tmp_path.iterdir()
    file.unlink()
    file.mkdir()
    trouble = cache.keep(shape(), flash_attn_table())
    assert trouble is not None
    assert trouble.endswith("Is a directory")
    assert list(tmp_path.iterdir()) == [file]


def test_tables_that_ship() -> None:
    """Measured ones, for exactly the shape they were measured on; a shape that nobody measured has none."""
    for gpu, largest in {"NVIDIA H200": 256, "NVIDIA H100 80GB HBM3": 128}.items():
        table = shipped_table(shape(gpu))
        assert table is not None
        assert table.source is Source.SHIPPED
        assert (min(table.choices), max(table.choices)) == (1, largest)
        assert all(choice.kernel == "xformers_splitk" for choice in table.choices.values())
    assert shipped_table(shape("a GPU that nobody has")) is None
