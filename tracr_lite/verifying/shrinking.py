"""Makes a failing input smaller: fewer tokens, and earlier ones of the vocabulary."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Container, Iterator, Sequence
from typing import Any

from tracr_lite.verifying.report import Failure

Test = Callable[[list[list[Any]]], list[Failure | None]]

AT_ONCE = 16  # candidates that run together
LIMIT = 4000  # candidates in all


def shrink(
    failure: Failure, vocab: Sequence[Any], lengths: Container[int], test: Test
) -> tuple[Failure, bool]:
    """A failure from which no token can be left out or made simpler.

    **Arguments:** `vocab`: simplest token first; `lengths`: those that an input may have;
    `test`: what is wrong with each of some inputs, None if nothing.
    **Returns:** the failure, and whether it is as small as that: past `LIMIT` candidates the
    search ends.
    """
    tried = 0
    while True:
        for batch in _batches(_candidates(failure.tokens, vocab, lengths)):
            tried += len(batch)
            found = next((each for each in test(batch) if each is not None), None)
            if found is not None:
                failure = found
                break
            if tried >= LIMIT:
                return failure, False
        else:
            return failure, True


def _batches(candidates: Iterator[list[Any]]) -> Iterator[list[list[Any]]]:
    while batch := list(itertools.islice(candidates, AT_ONCE)):
        yield batch


def _candidates(
    tokens: Sequence[Any], vocab: Sequence[Any], lengths: Container[int]
) -> Iterator[list[Any]]:
    for xs in itertools.chain(_shorter(tokens), _simpler(tokens, vocab)):
        if len(xs) in lengths:
            yield xs


def _shorter(tokens: Sequence[Any]) -> Iterator[list[Any]]:
    """The input without a part: without large parts first."""
    size = len(tokens) // 2
    while size:
        for start in range(0, len(tokens) - size + 1, max(size // 2, 1)):
            yield [*tokens[:start], *tokens[start + size :]]
        size //= 2


def _simpler(tokens: Sequence[Any], vocab: Sequence[Any]) -> Iterator[list[Any]]:
    """The input with earlier tokens of the vocabulary: everywhere, then at one position."""
    equal: dict[Any, int] = {token: at for at, token in enumerate(vocab)}
    same: dict[Any, int] = {(type(token), token): at for at, token in enumerate(vocab)}
    numbers = [same.get((type(token), token), equal[token]) for token in tokens]
    for most in range(max(numbers, default=0)):
        yield [vocab[min(most, own)] for own in numbers]
    for at, own in enumerate(numbers):
        for lower in range(own):
            yield [*tokens[:at], vocab[lower], *tokens[at + 1 :]]
