"""The facts of all ranks become one report, and whatever differs between them is named."""

import json

import pytest

from mistral_vllm.telling.facts import LayerFacts, RankFacts, UntoldRank
from mistral_vllm.telling.report import Untold, is_pending, report
from unit.telling_facts import FULL, TABLE, kernels, layer, rank


def test_the_whole_report() -> None:
    """Every field, for a model whose layers all slide."""
    assert report([rank(0, layer(), layer())]) == {
        "versions": {"vllm": "0.26.0", "torch": "2.11.0+cu130", "xformers": "0.0.35", "plugin": "0.1.0"},
        "xformers": "Available",
        "slidingWindow": 4096,
        "layers": {"sliding": 2, "full": 0},
        "backends": {"sliding_attention": "XFORMERS"},
        "kinds": [
            {
                "kind": "sliding_attention",
                "layers": 2,
                "slidingWindow": 4096,
                "backend": "XFORMERS",
                "headSize": 128,
                "queryHeads": 32,
                "kvHeads": 8,
                "kernels": {
                    "prefillKernel": "flash_attn",
                    "decodeKernel": "xformers_splitk",
                    "decodeTable": TABLE,
                    "decodeTableSource": "Measured",
                },
            }
        ],
        "ranks": 1,
        "ranksAgree": True,
        "warnings": [],
    }


@pytest.mark.parametrize(
    ("layers", "window", "counts", "backends"),
    [
        pytest.param([FULL, layer()], 4096, (1, 1), ["XFORMERS", "FLASH_ATTN"], id="interleaved"),
        pytest.param([FULL, FULL], None, (0, 2), [None, "FLASH_ATTN"], id="no window"),
        pytest.param([layer(16, "CPU_ATTN")], 16, (1, 0), ["CPU_ATTN", None], id="a backend that tells nothing"),
    ],
)
def test_kinds_of_layers(
    layers: list[LayerFacts], window: int | None, counts: tuple[int, int], backends: list[str | None]
) -> None:
    """A layer is of the kind that its own window says, and backends have people's names."""
    found = report([rank(0, *layers)])
    assert found["slidingWindow"] == window
    assert (found["layers"]["sliding"], found["layers"]["full"]) == counts
    assert [found["backends"].get(kind) for kind in ("sliding_attention", "full_attention")] == backends
    assert [kind["kernels"] is None for kind in found["kinds"]] == [
        kind["backend"] != "XFORMERS" for kind in found["kinds"]
    ]
    assert found["warnings"] == []
    json.dumps(found)


def test_warnings_of_layers() -> None:
    """Each is said once, however many layers and ranks say it; it makes no layer another kind."""
    one, two = layer(told=kernels(warnings=("HND layout: FlashAttention decodes",))), layer()
    found = report([rank(0, one, two), rank(1, one, two)])
    assert found["warnings"] == ["HND layout: FlashAttention decodes"]
    assert [kind["layers"] for kind in found["kinds"]] == [2]
    assert found["ranksAgree"]


def test_layers_of_one_kind_that_differ() -> None:
    """The short form names what most layers have, and a warning says that there is more."""
    found = report([rank(0, layer(512), layer(), layer(), layer(4096, "TRITON_ATTN"), FULL)])
    assert (found["slidingWindow"], found["backends"]["sliding_attention"]) == (4096, "XFORMERS")
    assert [(kind["kind"], kind["slidingWindow"], kind["layers"]) for kind in found["kinds"]] == [
        ("sliding_attention", 4096, 2),
        ("sliding_attention", 512, 1),
        ("sliding_attention", 4096, 1),
        ("full_attention", None, 1),
    ]
    assert found["warnings"] == [
        "sliding layers have more than one window: 4096 tokens in 3 layers, 512 tokens in 1 layer",
        "layers of sliding_attention have more than one backend: XFORMERS in 3 layers, TRITON_ATTN in 1 layer",
    ]
    assert found["ranksAgree"]


def test_stages_of_a_pipeline() -> None:
    """They hold different layers, which add up; only ranks of one stage are compared."""
    found = report([rank(0, FULL, layer()), rank(1, layer(), first=2, stage=1)])
    assert found["layers"] == {"sliding": 2, "full": 1}
    assert (found["ranks"], found["ranksAgree"], found["warnings"]) == (2, True, [])


OTHER_TABLE = [TABLE[0], {"batch": 8, "kernel": "flash_attn"}]


@pytest.mark.parametrize(
    ("other", "difference"),
    [
        pytest.param(rank(1, layer(), layer(8192)), "layer model.layers.1.self_attn.attn has window 8192, not 4096"),
        pytest.param(rank(1, layer(), layer(None)), "layer model.layers.1.self_attn.attn has window none, not 4096"),
        pytest.param(
            rank(1, layer(), layer(backend="FLASH_ATTN", told=kernels())),
            "layer model.layers.1.self_attn.attn has backend FLASH_ATTN, not CUSTOM",
        ),
        pytest.param(rank(1, layer()), "layer model.layers.1.self_attn.attn is missing"),
        pytest.param(rank(1, layer(), layer(), FULL), "layer model.layers.2.self_attn.attn is there as well"),
        pytest.param(
            rank(1, layer(), layer(told=kernels(decodeTable=OTHER_TABLE))),
            "layer model.layers.1.self_attn.attn has in its decode table flash_attn at batch 8, not xformers_splitk "
            "splitK=8 numWarps=4 numStages=2",
        ),
        pytest.param(
            rank(1, layer(), layer(told=kernels(decodeTable=TABLE[:1]))),
            "layer model.layers.1.self_attn.attn has in its decode table nothing at batch 8, not xformers_splitk "
            "splitK=8 numWarps=4 numStages=2",
        ),
        pytest.param(
            rank(1, layer(), layer(told=kernels(decodeTableSource="Rule"))),
            "layer model.layers.1.self_attn.attn has decodeTableSource Rule, not Measured",
        ),
        pytest.param(
            rank(1, layer(8192), layer(8192)),
            "layer model.layers.0.self_attn.attn has window 8192, not 4096, and 1 more",
        ),
        pytest.param(
            rank(1, layer(), layer(), xformers="xFormers is not installed"),
            "xFormers is 'xFormers is not installed', not 'Available'",
        ),
    ],
)
def test_ranks_that_differ(other: RankFacts, difference: str) -> None:
    """The warning names the rank, the layer and both values; the report is the first rank's."""
    found = report([other, rank(0, layer(), layer())])
    assert not found["ranksAgree"]
    assert found["warnings"] == [f"rank 1 differs from rank 0: {difference}"]
    assert found["layers"] == {"sliding": 2, "full": 0}


def test_a_rank_of_another_release() -> None:
    """Pods of several hosts may run different images."""
    other = rank(1, layer())
    other["versions"]["torch"] = "2.10.0"
    assert report([rank(0, layer()), other])["warnings"] == [
        "rank 1 differs from rank 0: torch is 2.10.0, not 2.11.0+cu130"
    ]


def test_a_rank_that_cannot_tell() -> None:
    """The others speak for it, and the ranks are not said to agree."""
    silent: UntoldRank = {"rank": 1, "error": "AttributeError: no layers"}
    found = report([rank(0, layer()), silent])
    assert (found["ranks"], found["ranksAgree"]) == (2, False)
    assert found["warnings"] == ["rank 1 could not tell of its layers: AttributeError: no layers"]


@pytest.mark.parametrize(
    ("ranks", "sentence"),
    [
        (
            [{"rank": 0, "error": "AttributeError: no layers"}],
            "no rank could tell of its layers: AttributeError: no layers",
        ),
        ([rank(0)], "no rank has an attention layer"),
        ([], "no rank has an attention layer"),
    ],
)
def test_nothing_to_report(ranks: list[RankFacts | UntoldRank], sentence: str) -> None:
    """One sentence says why."""
    with pytest.raises(Untold) as error:
        report(ranks)
    assert str(error.value) == sentence


@pytest.mark.parametrize(
    ("layers", "pending"),
    [
        ([layer()], False),
        ([FULL], False),
        ([FULL, layer(told=kernels(decodeTable=[], decodeTableSource="Pending"))], True),
    ],
)
def test_a_table_that_is_still_to_come(layers: list[LayerFacts], pending: bool) -> None:
    """Before a layer's first step nothing is known of its table."""
    assert is_pending(report([rank(0, *layers)])) is pending
