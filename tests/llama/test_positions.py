"""A seq_len that no size of a file gives away."""

import struct
import tracemalloc

import numpy as np
import pytest

from tests.llama.by_the_book import WRITERS
from tests.llama.running import MHA, gentle_weights
from tracr_lite.llama import LlamaConfig, load_checkpoint
from tracr_lite.llama.errors import LlamaError
from tracr_lite.llama.formats.rope import angles, check_positions, rope_tables
from tracr_lite.llama.runtime import load


@pytest.mark.parametrize("seq_len", [1 << 30, (1 << 31) - 1, (1 << 24) + 1])
def test_a_damaged_seq_len_is_an_error_before_anything_is_allocated(tmp_path, seq_len):
    path = tmp_path / "model.bin"
    data = bytearray(WRITERS["v1"](MHA, gentle_weights(MHA)))
    data[32:36] = struct.pack("<i", seq_len)
    path.write_bytes(data)
    assert load_checkpoint(path).config.seq_len == seq_len
    tracemalloc.start()
    with pytest.raises(LlamaError, match=f"seq_len is {seq_len}: .*Is that number damaged"):
        load(path)
    assert tracemalloc.get_traced_memory()[1] < 1 << 24
    tracemalloc.stop()


def test_long_contexts_of_real_models_are_let_through():
    check_positions(LlamaConfig(4096, 64, 1, 32, 8, 100, 1 << 20, True))
    check_positions(LlamaConfig(2, 1, 1, 1, 1, 1, 1 << 24, True))
    with pytest.raises(LlamaError, match="2147483648 bytes"):
        check_positions(LlamaConfig(4096, 64, 1, 32, 8, 100, 1 << 22, True))


def test_tables_made_in_pieces_are_the_tables(monkeypatch):
    config = LlamaConfig(24, 32, 2, 6, 2, 40, 1000, True)
    whole = angles(config, 0, 1000).astype(np.float64)
    monkeypatch.setattr("tracr_lite.llama.formats.rope.BLOCK", 28)
    for start, stop in ((0, 1000), (3, 18), (7, 7)):
        cos, sin = rope_tables(config, start, stop)
        assert np.array_equal(cos, np.cos(whole[start:stop]).astype(np.float32))
        assert np.array_equal(sin, np.sin(whole[start:stop]).astype(np.float32))
