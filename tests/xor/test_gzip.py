"""Our gzip: hardly larger than level 9, far faster, and one file to every reader."""

import gzip
import time
import zlib
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.xor.trees import grow, nearly, noise, read, script
from tracr_lite.xor import decode, encode, gzipping
from tracr_lite.xor.gzipping import GzipWriter, share_of_ways

# how two models may differ: kind of number, relative size of the change, share of the weights
CHANGES = [
    ("bf16", 1e-3, 1.0),
    ("bf16", 3e-4, 1.0),
    ("bf16", 1e-5, 1.0),
    ("bf16", 1e-3, 0.1),
    ("fp16", 1e-4, 1.0),
    ("fp32", 1e-3, 1.0),
    ("fp32", 1e-7, 1.0),
]


def bits(values, kind):
    if kind == "bf16":
        return (values.view(np.uint32) >> 16).astype(np.uint16).view(np.uint8)
    return values.astype({"fp16": np.float16, "fp32": np.float32}[kind]).view(np.uint8)


def difference(size, kind, change, share):
    """The XOR of random weights with the same, changed."""
    rng = np.random.default_rng(3)
    weights = rng.standard_normal(size // (4 if kind == "fp32" else 2), dtype=np.float32) / 50
    step = rng.standard_normal(weights.size, dtype=np.float32) * np.float32(change / 50)
    step *= rng.random(weights.size) < share
    return (bits(weights, kind) ^ bits(weights + step, kind)).tobytes()


def packed(data, chunk=1 << 18):
    writer = GzipWriter(len(data), lambda offset, length: data[offset : offset + length])
    view = memoryview(data)
    parts = [writer.compress(view[at : at + chunk]) for at in range(0, len(data), chunk)]
    return b"".join(parts) + writer.flush()


def level_9(data):
    return len(gzip.compress(data, 9))


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_payloads_are_at_most_a_twentieth_larger_than_by_level_9(change):
    data = difference(gzipping.SMALL + 400_000, *change)
    small = packed(data)
    assert gzip.decompress(small) == data
    assert len(small) <= 1.05 * level_9(data)


def test_small_payloads_are_those_of_level_9():
    data = difference(90_000, "bf16", 1e-3, 1.0)
    assert packed(data)[10:] == gzip.compress(data, 9, mtime=0)[10:]


@pytest.mark.heavy
@pytest.mark.parametrize("change", [("fp32", 1e-3, 1.0), ("bf16", 1e-3, 1.0)], ids=str)
def test_writing_takes_a_tenth_of_the_time_of_level_9(change):
    data = difference(24_000_000, *change)

    def seconds(work, data):
        start = time.process_time()
        work(data)
        return (time.process_time() - start) / len(data)

    assert seconds(packed, data) < 0.1 * seconds(level_9, data[:6_000_000])


def test_ways_are_mixed_where_no_fast_one_is_small_enough():
    way, share = share_of_ways(difference(200_000, "bf16", 3e-4, 1.0))
    assert way is gzipping._runs
    assert 0.2 < share < 0.5
    assert share_of_ways(difference(200_000, "fp32", 1e-3, 1.0)) == (gzipping._runs, 0.0)
    assert share_of_ways(b"") == (gzipping._runs, 0.0)


def shorten(patch):
    """Members of a few hundred bytes, so that small files have many."""
    for name, value in (("SMALL", 100), ("SEGMENT", 1000), ("WORTH", 50), ("PIECE", (8, 40))):
        patch.setattr(gzipping, name, value)


@pytest.fixture
def short(monkeypatch):
    shorten(monkeypatch)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 5000), st.integers(1, 700), st.integers(0, 9))
def test_members_of_any_length_are_one_file(size, chunk, seed):
    with pytest.MonkeyPatch.context() as patch:
        shorten(patch)
        data = nearly(bytes(size), seed, 0.3)
        assert gzip.decompress(packed(data, chunk)) == data


@pytest.mark.parametrize("size", [999, 1000, 1001, 1016, 2000, 7919])
@pytest.mark.parametrize("more", [-500, 0, 500])
def test_many_members_are_read_by_us_and_by_the_script(tmp_path, short, size, more):
    base = grow(tmp_path / "b", {"m": noise(size + more)})
    target = {"m": nearly(noise(size), share=0.3), "added_tokens.json": b"{}"}
    grow(tmp_path / "t", target)
    encode(tmp_path / "r", tmp_path / "t", base)
    assert (tmp_path / "r/m").read_bytes().count(b"\x1f\x8b\x08\0\0\0\0\0") >= size // 1000
    decode(tmp_path / "d", tmp_path / "r", base)
    assert read(tmp_path / "d") == target
    script(tmp_path / "s", tmp_path / "r", base, compress=True)
    assert read(tmp_path / "s") == target


def test_a_file_that_grows_meanwhile_is_written_whole(short):
    data = nearly(bytes(5000), 1, 0.3)
    writer = GzipWriter(1500, lambda offset, length: data[offset:1500][:length])
    assert gzip.decompress(writer.compress(memoryview(data)) + writer.flush()) == data


def test_the_check_of_sizes_can_fail():
    data = difference(gzipping.SMALL + 400_000, "bf16", 3e-4, 1.0)
    runs = partial(zlib.compressobj, 1, zlib.DEFLATED, 31, 9, zlib.Z_RLE)()
    assert len(runs.compress(data) + runs.flush()) > 1.05 * level_9(data)
