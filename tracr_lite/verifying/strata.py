"""Families of inputs on which models and programs are likely to part.

Each family is a stream of inputs, as numbers of tokens; it may be endless. It goes through the
lengths again and again, in the order given. Repetitions are dropped by the caller.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Sequence

Input = tuple[int, ...]  # numbers of tokens in the vocabulary
Stratum = Callable[[random.Random, int, Sequence[int]], Iterator[Input]]

FEW = 3  # tokens in inputs that repeat them often


def spread(lengths: Sequence[int]) -> list[int]:
    """The lengths so that each beginning of the list covers all of them evenly, ends first.

    spread([1, 2, 3, 4, 5])  ->  [5, 1, 3, 2, 4]
    """
    ordered = sorted(set(lengths))
    found = dict.fromkeys([ordered[-1], ordered[0]])
    gaps = [(0, len(ordered) - 1)]
    for low, high in gaps:
        middle = (low + high) // 2
        if low < middle < high:
            found[ordered[middle]] = None
            gaps += [(low, middle), (middle, high)]
    return list(found)


def equal(rng: random.Random, size: int, lengths: Sequence[int]) -> Iterator[Input]:
    """One token only, each at each length."""
    for token in rng.sample(range(size), size):
        for n in lengths:
            yield (token,) * n


def counts(rng: random.Random, size: int, lengths: Sequence[int]) -> Iterator[Input]:
    """0, 1, 2, half, all but one or all of one token; in front, at the end or anywhere."""
    while size > 1:
        for n in lengths:
            for count in sorted({0, 1, 2, n // 2, n - 1, n}):
                token, other = rng.sample(range(size), 2)
                others = [other] * (n - min(count, n))
                if rng.random() < 0.5:
                    others = [_other(rng, size, token) for _ in others]
                yield _arranged(rng, [token] * min(count, n), others)


def _other(rng: random.Random, size: int, token: int) -> int:
    found = rng.randrange(size - 1)
    return found + (found >= token)


def _arranged(rng: random.Random, one: list[int], others: list[int]) -> Input:
    both = [*one, *others] if rng.random() < 0.5 else [*others, *one]
    if rng.random() < 0.5:
        rng.shuffle(both)
    return tuple(both)


def repeated(rng: random.Random, size: int, lengths: Sequence[int]) -> Iterator[Input]:
    """A pattern again and again, or forth and back; sometimes with one token changed."""
    while True:
        for n in lengths:
            period = rng.choice([2, 3, 4, max(n // 2, 1), (n + 1) // 2])
            pattern = [rng.randrange(size) for _ in range(period)]
            if rng.random() < 0.3:
                pattern += reversed(pattern)
            found = list(itertools.islice(itertools.cycle(pattern), n))
            if rng.random() < 0.3:
                found[rng.randrange(n)] = rng.randrange(size)
            yield tuple(found)


def ordered(rng: random.Random, size: int, lengths: Sequence[int]) -> Iterator[Input]:
    """Ascending, descending, or as many different tokens as there is room for."""
    while True:
        for n in lengths:
            way = rng.randrange(4)
            if way < 2:
                yield tuple(sorted((rng.randrange(size) for _ in range(n)), reverse=bool(way)))
                continue
            start, step = rng.randrange(size), 1 if way == 2 else size - 1
            different = [(start + step * at) % size for at in range(size)]
            if rng.random() < 0.5:
                rng.shuffle(different)
            yield tuple(itertools.islice(itertools.cycle(different), n))


def few(rng: random.Random, size: int, lengths: Sequence[int]) -> Iterator[Input]:
    """Few different tokens, so that they repeat however large the vocabulary is."""
    while True:
        for n in lengths:
            some = rng.sample(range(size), min(rng.randint(2, FEW), size))
            yield tuple(rng.choice(some) for _ in range(n))


def uniform(rng: random.Random, size: int, lengths: Sequence[int]) -> Iterator[Input]:
    """Every token as likely as any other."""
    while True:
        for n in lengths:
            yield tuple(rng.randrange(size) for _ in range(n))


STRATA: dict[str, Stratum] = {
    "all equal": equal,
    "counts": counts,
    "repeated": repeated,
    "ordered": ordered,
    "few tokens": few,
}
