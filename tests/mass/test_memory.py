"""Memory does not grow with the number of programs, neither here nor in the workers."""

import itertools
import mmap
import os
import statistics

import numpy as np
import pytest

from tests.mass.programs import children, memory
from tracr_lite.compiler import compile_many
from tracr_lite.rasp import rasp
from tracr_lite.sampling import sample_program
from tracr_lite.transformer.sparse_params import LARGE, SparseParams, zeros

MB = 1 << 20
SMALL = [
    sample_program(f"0/{draw}/0", nodes=(6, 10), max_seq_len=5, vocab_size=5, causal=False)
    for draw in (0, 2, 3, 4, 5, 7)
]
HOARD = []  # of the worker which runs `hoards`


def hoards(x):
    """A function that keeps memory each time it is called."""
    HOARD.append(bytearray(20_000))
    return x


def requests(wrap=lambda sop: sop):
    for sample in itertools.cycle(SMALL):
        yield wrap(sample.program), sample.vocab, sample.max_seq_len


def growth(items, start, stop):
    """By how many bytes this process, and the workers, grow between two items."""
    before = None
    for item in items:
        assert item.error is None
        if item.index == start:
            before = memory(os.getpid()), sum(map(memory, children()))
        if item.index == stop:
            after = memory(os.getpid()), sum(map(memory, children()))
            return tuple(b - a for a, b in zip(before, after, strict=True))
    raise AssertionError("too few items")


@pytest.mark.parametrize("workers", [0, 1])
def test_nothing_grows_over_hundreds_of_programs(workers):
    items = compile_many(requests(), workers=workers)
    ours, theirs = growth(items, 80, 330)
    items.close()
    assert ours < 2 * MB
    assert theirs < 2 * MB


def test_the_measure_sees_a_leak_in_the_worker():
    items = compile_many(requests(lambda sop: rasp.Map(hoards, sop)), workers=1)
    _, theirs = growth(items, 80, 330)
    items.close()
    assert theirs > 4 * MB


def test_the_measure_sees_a_leak_here():
    kept = []

    def leak():  # into pages of its own: what tests before this one freed may be used again
        kept.append(mmap.mmap(-1, 400_000))
        kept[-1].write(b"x" * 400_000)

    items = compile_many(requests(), workers=1)
    ours, _ = growth((leak() or item for item in items), 80, 330)
    items.close()
    assert ours > 4 * MB


@pytest.mark.skipif(not hasattr(mmap, "MADV_NOHUGEPAGE"), reason="no huge pages to avoid")
def test_few_weights_of_many_take_little_memory():
    size, places = 100_000_000, np.arange(0, 100_000_000, 1_000_000)
    sparse = SparseParams({"m": {"w": (size // 8, 8)}}, places, np.ones(100, np.float32))
    before = memory(os.getpid())
    weights = sparse.dense()["m"]["w"]
    assert memory(os.getpid()) - before < 8 * MB  # huge pages would be 200 MB
    assert weights.shape == (size // 8, 8)
    assert not weights.flags.writeable
    assert not weights.base.flags.writeable
    assert weights.ravel()[places].tolist() == [1.0] * 100
    assert not weights[1:1000].any()
    del weights
    assert memory(os.getpid()) - before < 8 * MB


@pytest.mark.parametrize("size", [10, LARGE])
@pytest.mark.parametrize("filled", [0, 3, 10**6])
def test_zeros_are_zeros_of_any_size(size, filled):
    vector = zeros(size, filled)
    assert (vector.dtype, vector.shape) == (np.float32, (size,))
    assert not vector.any()
    vector[::3] = 1.0
    assert vector.sum() == len(range(0, size, 3))


@pytest.mark.heavy
@pytest.mark.parametrize("workers", [0, 2])
def test_nothing_grows_over_10_000_random_programs(workers):
    """Large models come and go, so medians are compared."""
    samples = (
        sample_program(f"1/{draw}", nodes=(4, 7), max_seq_len=4, vocab_size=3, causal=False)
        for draw in range(10_000)
    )
    seen = []
    for item in compile_many(((s.program, s.vocab, 4) for s in samples), workers=workers):
        if item.index % 50 == 0:
            seen.append((memory(os.getpid()), sum(map(memory, children()))))
    assert len(seen) == 200
    for side in zip(*seen, strict=True):
        early, late = statistics.median(side[40:90]), statistics.median(side[-50:])
        assert late - early < 30 * MB
