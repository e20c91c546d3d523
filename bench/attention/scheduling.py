"""Batches as a scheduler makes them: which tokens are new, which pages hold the others, which pages are gone."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

NULL_PAGE: Final = 0  # what vLLM writes into a block table where a page has left the window and was freed


@dataclass(frozen=True, slots=True)
class Request:
    """One sequence of a batch.

    ``new`` tokens at the end of ``tokens`` in all; the others are in the cache. ``prefix_of`` names an earlier request
    of the batch whose pages it shares as far as both have full pages of context: a hit in the prefix cache.
    """

    new: int
    tokens: int
    prefix_of: int | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.new <= self.tokens:
            raise ValueError(f"a request has between 1 and all of its {self.tokens} tokens new, not {self.new}")

    @property
    def cached(self) -> int:
        """Tokens whose keys and values are in the cache before the step."""
        return self.tokens - self.new

    def first_needed(self, window: int | None) -> int:
        """Position of the first token that any new token attends to."""
        return 0 if window is None else max(0, self.cached - window + 1)


def decodes(*tokens: int) -> list[Request]:
    """Return requests with one new token each."""
    return [Request(1, count) for count in tokens]


def shared_tokens(requests: Sequence[Request], index: int, page_tokens: int) -> int:
    """How many leading tokens a request has in common with the one whose prefix it shares: whole pages only."""
    request = requests[index]
    if request.prefix_of is None:
        return 0
    return min(request.cached, requests[request.prefix_of].cached) // page_tokens * page_tokens


def block_tables(
    requests: Sequence[Request], window: int | None, *, pages: int, page_tokens: int, rng: random.Random
) -> list[list[int]]:
    """Give every request its pages, in random order; NULL_PAGE where the window has left a page behind.

    Raises
    ------
    ValueError
        When the cache has too few pages.
    """
    free = rng.sample(range(1, pages), pages - 1)
    tables: list[list[int]] = []
    for index, request in enumerate(requests):
        source = tables[request.prefix_of] if request.prefix_of is not None else []
        common = shared_tokens(requests, index, page_tokens) // page_tokens
        first = request.first_needed(window) // page_tokens
        # a page that the other request has left behind may be gone: this one then has the same tokens in another
        held = {column: source[column] for column in range(first, common) if source[column] != NULL_PAGE}
        columns = -(-request.tokens // page_tokens)
        if columns - first - len(held) > len(free):
            raise ValueError(f"{pages} pages are too few for request {index} of {len(requests)}")
        kept = [held[column] if column in held else free.pop() for column in range(first, columns)]
        tables.append([NULL_PAGE] * first + kept)
    return tables


def random_requests(rng: random.Random, *, window: int, longest: int) -> list[Request]:
    """Make a mixed batch: decodes, whole prompts, chunks over cached context, prefixes shared; often near an edge."""
    requests: list[Request] = []
    for index in range(rng.randint(1, 12)):
        edge = rng.choice((1, 16, 64, 128, window, window + 64, 2 * window))
        tokens = rng.choice((rng.randint(1, longest), edge + rng.randint(-2, 2)))
        tokens = min(max(tokens, 1), longest)
        new = rng.choice((1, 1, 1, tokens, rng.randint(1, min(tokens, 300))))
        prefix_of = rng.randrange(index) if index and rng.random() < 0.3 else None
        requests.append(Request(new, tokens, prefix_of))
    return requests
