"""Compiles a program once, and compares it with the evaluator on many inputs."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

from tracr_lite.compiler import compile_rasp_to_model
from tracr_lite.rasp import causal_eval, rasp

BOS = "compiler_bos"


@lru_cache(maxsize=64)
def compiled(program: Any, vocab: tuple[Any, ...], n: int, causal: bool = False) -> Any:
    return compile_rasp_to_model(program, vocab, n, causal=causal)


def inputs(vocab: Sequence[Any], n: int, limit: int = 400) -> Iterator[list[Any]]:
    """All inputs of the lengths that have at most `limit`; else equal tokens, some random."""
    rng = random.Random(0)
    for size in range(1, n + 1):
        if len(vocab) ** size <= limit:
            yield from map(list, itertools.product(vocab, repeat=size))
        else:
            yield from ([token] * size for token in vocab)
            yield from ([rng.choice(vocab) for _ in range(size)] for _ in range(limit // 10))


def interpreted(program: Any, xs: Sequence[Any], causal: bool = False) -> list[Any] | None:
    """What the evaluator says; None if it raises."""
    try:
        return list((causal_eval.evaluate if causal else rasp.evaluate)(program, xs))
    except Exception:
        return None


def same(expected: Any, found: Any) -> bool:
    """None only with None; numbers equal or within 1e-5, relative; others equal."""
    if expected is None or found is None:
        return expected is found
    if isinstance(expected, int | float) and isinstance(found, int | float):
        return expected == found or math.isclose(expected, found, rel_tol=1e-5)
    return expected == found


def run(model: Any, batch: Sequence[Sequence[Any]]) -> list[list[Any]]:
    bos = model.input_encoder.bos_token
    return [answer[1:] for answer in model.apply_batch([[bos, *xs] for xs in batch])]


def check(
    program: Any,
    vocab: Sequence[Any],
    n: int,
    *,
    causal: bool = False,
    given: Sequence[Sequence[Any]] | None = None,
) -> int:
    """Asserts that model and evaluator agree; returns how many inputs were compared."""
    model = compiled(program, tuple(vocab), n, causal)
    batch = list(inputs(tuple(vocab), n)) if given is None else list(given)
    pairs = [(xs, interpreted(program, xs, causal)) for xs in batch]
    cases = [(xs, expected) for xs, expected in pairs if expected is not None]
    for (xs, expected), found in zip(cases, run(model, [xs for xs, _ in cases]), strict=True):
        assert len(found) == len(expected)
        assert all(map(same, expected, found)), f"{xs}: not {expected} but {found}"
    return len(cases)
