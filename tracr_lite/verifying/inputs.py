"""Which inputs are tried: all of them, or a sample from every stratum.

Space(vocab, lengths).every()           all inputs, shortest first
Space(vocab, lengths).sampled(1000, 0)  1000 different ones, the same for the same seed
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tracr_lite.verifying.strata import STRATA, Input, spread, uniform

ALL, SHORT, RANDOM, GIVEN = "all", "short", "random", "given"
NAMES = (ALL, GIVEN, SHORT, *STRATA, RANDOM)  # in the order of reports
STALE = 200  # duplicates in a row after which a stratum counts as used up
PAIRS = 2**25  # query-key pairs of a default sample: what evaluating a selector costs
MOST = 20_000  # inputs of a default sample

Drawn = tuple[str, list[Any]]  # stratum, tokens


@dataclass(frozen=True)
class Space:
    """All inputs over `vocab` whose length is one of `lengths`, ascending."""

    vocab: tuple[Any, ...]
    lengths: tuple[int, ...]

    @cached_property
    def size(self) -> int:
        """How many inputs there are."""
        return sum(len(self.vocab) ** n for n in self.lengths)

    @cached_property
    def default_samples(self) -> int:
        """How many to draw: as many as keep evaluating bounded, but two of each length."""
        pairs = sum(n * n for n in self.lengths) // len(self.lengths)
        return max(2 * len(self.lengths), min(MOST, PAIRS // max(pairs, 1)))

    def every(self) -> Iterator[Drawn]:
        """All inputs: by length, then in the order of the vocabulary."""
        for n in self.lengths:
            for tokens in itertools.product(self.vocab, repeat=n):
                yield ALL, list(tokens)

    def sampled(self, count: int, seed: int) -> Iterator[Drawn]:
        """`count` different inputs, or all if there are no more.

        First one of each length; up to a quarter are all inputs of the shortest lengths; then
        comes each stratum in turn.
        """
        seen: set[Input] = set()
        for name, numbers in itertools.chain(
            self._lengthwise(seed), self._short(count // 4), self._drawn(count, seed)
        ):
            if len(seen) == min(count, self.size):
                return
            if numbers not in seen:
                seen.add(numbers)
                yield name, [self.vocab[i] for i in numbers]

    def _lengthwise(self, seed: int) -> Iterator[tuple[str, Input]]:
        """One input of each length, of changing strata."""
        rng, size = random.Random(f"{seed} lengths"), len(self.vocab)
        kinds = itertools.cycle([(RANDOM, uniform), *STRATA.items()])
        for n, (name, stratum) in zip(spread(self.lengths), kinds, strict=False):
            numbers = next(stratum(rng, size, [n]), None)  # some need two tokens
            if numbers is not None:
                yield name, numbers

    def _short(self, limit: int) -> Iterator[tuple[str, Input]]:
        """All inputs of the first lengths, as long as these are not more than `limit`."""
        used = 0
        for n in self.lengths:
            used += len(self.vocab) ** n
            if used > limit:
                return
            for numbers in itertools.product(range(len(self.vocab)), repeat=n):
                yield SHORT, numbers

    def _drawn(self, count: int, seed: int) -> Iterator[tuple[str, Input]]:
        """One input of each stratum in turn."""
        lengths, size = spread(self.lengths), len(self.vocab)
        streams = {
            name: _fresh(stratum(random.Random(f"{seed} {name}"), size, lengths))
            for name, stratum in STRATA.items()
        }
        rng = random.Random(f"{seed} {RANDOM}")
        scarce = self.size <= 4 * count  # then drawing would mostly find what was there before
        streams[RANDOM] = self._shuffled(rng) if scarce else uniform(rng, size, lengths)
        while streams:
            for name, stream in list(streams.items()):
                numbers = next(stream, None)
                if numbers is None:
                    del streams[name]
                else:
                    yield name, numbers

    def _shuffled(self, rng: random.Random) -> Iterator[Input]:
        """All inputs in random order."""
        size = len(self.vocab)
        for code in rng.sample(range(self.size), self.size):
            for n in self.lengths:
                if code < size**n:
                    yield tuple(code // size**at % size for at in range(n))
                    break
                code -= size**n


def _fresh(stream: Iterator[Input]) -> Iterator[Input]:
    """The stream without repetitions; ends where nothing new has come for long."""
    seen: set[Input] = set()
    stale = 0
    for numbers in stream:
        stale = stale + 1 if numbers in seen else 0
        if stale > STALE:
            return
        if not stale:
            seen.add(numbers)
            yield numbers
