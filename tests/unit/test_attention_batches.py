"""Batches that attention is checked on: pages, prefixes in common, what the window has left behind."""

import random

import pytest

from bench.attention.scheduling import NULL_PAGE, Request, block_tables, decodes, random_requests, shared_tokens

WINDOW, PAGE = 100, 64


def tables(requests: list[Request], window: int | None = WINDOW, pages: int = 200) -> list[list[int]]:
    """Return block tables, always the same for the same requests."""
    return block_tables(requests, window, pages=pages, page_tokens=PAGE, rng=random.Random(0))  # noqa: S311


@pytest.mark.parametrize(
    ("request_", "first", "columns"),
    [
        (Request(1, 1), 0, 1),
        (Request(1, 64), 0, 1),
        (Request(1, 65), 0, 2),
        (Request(1, 163), 0, 3),  # the last token attends to 63 at the earliest, in the first page
        (Request(1, 164), 1, 3),
        (Request(65, 228), 1, 4),  # the first of 65 new tokens is the one at 163
        (Request(228, 228), 0, 4),
    ],
)
def test_pages_that_no_new_token_attends_to_are_gone(request_: Request, first: int, columns: int) -> None:
    """What the window left behind is the null page; every other page is the request's own."""
    (table,) = tables([request_])
    assert len(table) == columns
    assert table[:first] == [NULL_PAGE] * first
    assert NULL_PAGE not in table[first:]
    assert len(set(table[first:])) == columns - first


def test_without_a_window_every_page_is_kept() -> None:
    """Full attention attends to everything."""
    assert all(NULL_PAGE not in table for table in tables(decodes(1, 64, 300), window=None))


def test_whole_pages_of_cached_context_are_shared() -> None:
    """A hit in the prefix cache is whole pages, and never what a request computes itself."""
    requests = [Request(1, 200), Request(10, 180, prefix_of=0), Request(180, 180, prefix_of=0)]
    assert [shared_tokens(requests, index, PAGE) for index in range(3)] == [0, 128, 0]
    first, second, third = tables(requests, window=None)
    assert first[:2] == second[:2]
    assert len({*first, *second, *third}) == 4 + 3 + 3 - 2


def test_a_page_that_the_other_has_left_behind_is_not_shared() -> None:
    """The shorter request still needs it, and has it elsewhere."""
    first, second = tables([Request(1, 400), Request(1, 193, prefix_of=0)])
    assert first[0] == NULL_PAGE
    assert second[1] != NULL_PAGE
    assert second[1] != first[1]


def test_too_few_pages_are_an_error() -> None:
    """No page is ever given twice."""
    with pytest.raises(ValueError, match="5 pages are too few for request 1 of 2"):
        tables(decodes(150, 150), window=None, pages=5)


@pytest.mark.parametrize(("new", "tokens"), [(0, 5), (6, 5)])
def test_a_request_has_new_tokens(new: int, tokens: int) -> None:
    """At least one, at most all."""
    with pytest.raises(ValueError, match="between 1 and all"):
        Request(new, tokens)


def test_random_batches_have_every_kind_of_request() -> None:
    """Decodes, whole prompts, chunks over context and prefixes in common, below and above the window."""
    rng = random.Random(0)  # noqa: S311
    requests = [request for _ in range(50) for request in random_requests(rng, window=WINDOW, longest=2000)]
    assert max(request.tokens for request in requests) <= 2000
    for kind in (
        lambda r: r.new == 1 and r.tokens > WINDOW,
        lambda r: r.new == r.tokens > WINDOW,
        lambda r: 1 < r.new < r.tokens,
        lambda r: r.prefix_of is not None and r.cached > PAGE,
        lambda r: r.tokens in (WINDOW, WINDOW + 1),
    ):
        assert sum(map(kind, requests)) > 2
