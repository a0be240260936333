"""Single rows in the native engine: the greatest score, one query's attention, large pages."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.llama.models import ROOT
from tests.llama.running import make_model
from tracr_lite.llama import LlamaConfig, cache
from tracr_lite.llama.arena import LARGE, Arena
from tracr_lite.llama.engines import choose_engine
from tracr_lite.llama.errors import LlamaError
from tracr_lite.llama.sampler_settings import SamplerSettings

pytest.importorskip("numba", reason="the native engine needs numba")
from tracr_lite.llama.native.edge import compiled
from tracr_lite.llama.native.greatest import NO_TOKEN, greatest_of_block
from tracr_lite.llama.native.lookback import look_alone

SMAPS = Path("/proc/self/smaps_rollup")


@compiled
def greatest(scores, first, last, best, where):
    greatest_of_block(scores[first:], first, last, best, where, 0, 0)


def chosen(row, first=0, block=20):
    x = np.array(row, np.float32)
    best, where = np.full((1, 1), -np.inf, np.float32), np.full((1, 1), first)
    for begin in range(first, len(x), block):
        greatest(x, begin, min(begin + block, len(x)), best, where)
    return int(where[0, 0])


def test_the_greatest_score_is_that_of_argmax():
    random = np.random.default_rng(0)
    for turn in range(400):
        row = random.standard_normal(random.integers(1, 90)).astype(np.float32)
        if turn % 3 == 0:  # many that are equal, zeros of both signs
            row = np.round(row) * random.choice(np.array([0.0, -0.0, 1.0], np.float32))
        if turn % 5 == 0:
            row[random.integers(len(row))] = random.choice([np.inf, -np.inf, 0.0, -0.0])
        if turn % 4 == 0:
            row = -np.abs(row)
        first = int(random.integers(len(row)))
        assert chosen(row, first) == first + int(row[first:].argmax())
    assert chosen([-np.inf] * 7) == 0


@pytest.mark.parametrize("bits", [0x7FC00000, 0xFFC00001, 0x7F800001])
def test_a_score_that_is_nan_is_no_token(bits):
    row = np.zeros(40, np.float32)
    row.view(np.uint32)[17] = bits
    assert chosen(row) == NO_TOKEN
    assert chosen(row, 18) == 18


@compiled
def look(keys, values, query, length, weights, out, far):
    look_alone(keys, values, query, length, len(query), weights, out, far)


@pytest.mark.parametrize("size", [16, 48, 128])
def test_one_query_looks_at_so_many_places_and_no_more(size):
    random = np.random.default_rng(size)
    for length in (1, 3, 4, 5, 16, 17, 33, 70):
        keys, values = random.standard_normal((2, 80, size)).astype(np.float32)
        keys[length:] = values[length:] = np.nan
        query = random.standard_normal(size).astype(np.float32)
        out = np.zeros(size, np.float32)
        far = 4 * size * (length % 3)  # what is fetched early changes nothing
        look(keys, values, query, length, np.full(80, np.nan, np.float32), out, far)
        scores = keys[:length].astype(np.float64) @ query / np.sqrt(size)
        powers = np.exp(scores - scores.max())
        np.testing.assert_allclose(out, powers / powers.sum() @ values[:length], atol=2e-6)


@pytest.mark.parametrize("engine", ["native", "jax"])
def test_a_cache_that_no_memory_holds_is_refused_with_the_numbers(engine, monkeypatch):
    config = LlamaConfig(64, 160, 2, 4, 2, 41, 4096, True)
    runner = choose_engine(engine, make_model(config).params, config)
    how = (4096, SamplerSettings(0.0), range(1, 4), [])
    monkeypatch.setattr(cache, "_memory", lambda: 6_000_000)
    runner.batch([1, 1], *how[:2], [1, 2], [])  # 2 * 2 layers * 2 texts * 32 * 4096 * 4 bytes
    words = r"3 text\(s\) of 4096 tokens need 0.0 GB, but this machine has 0.0 GB.*smaller n"
    with pytest.raises(LlamaError, match=words):
        runner.batch([1, 1, 1], *how)


def test_arrays_begin_in_large_pages():
    arena = Arena()
    first = arena.empty((3, 5), np.dtype(np.float32))
    assert first.ctypes.data % LARGE == 0
    second = arena.empty((7,), np.dtype(np.int8))
    assert second.ctypes.data - first.ctypes.data == 64
    first[:], second[:] = 1, 2
    assert (first.sum(), second.sum()) == (15, 14)


HUGE = """
import mmap
import numpy as np
from tracr_lite.llama.arena import Arena

def pages():
    lines = open("/proc/self/smaps_rollup").read().splitlines()
    return next(int(each.split()[1]) for each in lines if each.startswith("AnonHugePages"))

before = pages()
other = mmap.mmap(-1, 1 << 26, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
other.madvise(mmap.MADV_HUGEPAGE)
np.frombuffer(other, np.uint8)[:] = 1
between = pages()
found = Arena().empty((1 << 24,), np.dtype(np.float32))
found[:] = 1
print(between - before, pages() - between)
"""


@pytest.mark.skipif(not SMAPS.exists(), reason="this system does not tell its large pages")
def test_weights_lie_in_large_pages():
    run = subprocess.run(
        [sys.executable, "-c", HUGE], cwd=ROOT, capture_output=True, text=True, check=True
    )
    given, found = (int(each) for each in run.stdout.split())
    if not given:
        pytest.skip("this system gives no large pages")
    assert found > given / 2
