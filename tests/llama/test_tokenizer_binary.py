"""tokenizer.bin: read, written, and refused where it is damaged."""

import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.llama.vocabularies import FILES, GOLDEN, WHY, golden, make, small
from tracr_lite.errors import TracrLiteError
from tracr_lite.llama.errors import LlamaError, TokenizerError
from tracr_lite.llama.tokenizer import Tokenizer, Vocabulary, load_tokenizer, save_tokenizer
from tracr_lite.llama.tokenizer.binary import parse_tokenizer_bin, tokenizer_bin
from tracr_lite.llama.tokenizer.files import parse_tokenizer

needs_golden = pytest.mark.skipif(not GOLDEN.is_dir(), reason=WHY)


def file_of(*entries, longest=9):
    """A file with (score, length, text) for each token, right or wrong."""
    parts = [struct.pack("<fi", score, length) + text for score, length, text in entries]
    return struct.pack("<I", longest) + b"".join(parts)


GOOD = file_of((-1.5, 2, b"ab"), (0.0, 1, b"c"))

# Right files


def test_the_layout_is_the_stated_one():
    vocabulary = parse_tokenizer_bin(GOOD)
    assert vocabulary.pieces == (b"ab", b"c")
    assert vocabulary.scores.tolist() == [-1.5, 0.0]
    assert vocabulary.max_token_length == 9
    assert tokenizer_bin(vocabulary) == GOOD


@needs_golden
@pytest.mark.parametrize("name", FILES)
def test_golden_files_are_written_as_they_were_read(name):
    tokenizer, expected = golden(name)
    data = (GOLDEN / "tokenizer" / expected["tokenizer"]).read_bytes()
    assert tokenizer_bin(tokenizer.vocabulary) == data
    assert len(tokenizer) == expected["vocab_size"]


PIECES = st.lists(st.binary(min_size=1, max_size=12), min_size=1, max_size=30)


@given(PIECES, st.data())
def test_reading_gives_what_was_written_to_the_last_bit(pieces, data):
    count = len(pieces)
    bits = data.draw(st.lists(st.integers(0, 2**32 - 1), min_size=count, max_size=count))
    scores = np.array(bits, np.uint32).view(np.float32)  # NaN of any kind, infinity, -0.0
    written = tokenizer_bin(Vocabulary(pieces, scores))
    found = parse_tokenizer_bin(written)
    assert found.pieces == tuple(pieces)
    assert found.scores.view(np.uint32).tolist() == bits
    assert found.max_token_length == max(map(len, pieces))
    assert tokenizer_bin(found) == written


def test_the_longest_length_is_made_from_the_pieces():
    assert tokenizer_bin(make(b"seventeen letters"))[:4] == struct.pack("<I", 17)


def test_files_are_saved_and_loaded(tmp_path):
    save_tokenizer(tmp_path / "t.bin", Tokenizer(small()))
    assert (tmp_path / "t.bin").read_bytes() == tokenizer_bin(small())
    assert load_tokenizer(tmp_path / "t.bin").vocabulary.pieces == small().pieces
    assert [each.name for each in tmp_path.iterdir()] == ["t.bin"]


def test_files_that_cannot_be_written_are_said_so(tmp_path):
    with pytest.raises(LlamaError, match="no folder"):
        save_tokenizer(tmp_path / "absent/t.bin", Tokenizer(small()))
    (tmp_path / "folder").mkdir()
    with pytest.raises(LlamaError, match=r"cannot write .*folder"):
        save_tokenizer(tmp_path / "folder", Tokenizer(small()))
    assert [each.name for each in tmp_path.iterdir()] == ["folder"]


def test_a_folder_stands_for_the_tokenizer_in_it(tmp_path):
    with pytest.raises(TokenizerError, match=r"has none of tokenizer\.bin, tokenizer\.json"):
        load_tokenizer(tmp_path)
    (tmp_path / "tokenizer.bin").write_bytes(GOOD)
    assert len(load_tokenizer(tmp_path)) == 2


# The size of the model


def test_a_longer_file_gives_the_first_tokens():
    assert parse_tokenizer_bin(GOOD, 1).pieces == (b"ab",)
    assert parse_tokenizer_bin(GOOD, 2).pieces == (b"ab", b"c")


@pytest.mark.parametrize("size", [3, 0, -1])
def test_other_sizes_are_refused(size):
    with pytest.raises(TokenizerError, match=rf"2 token\(s\), not the {size} of the model"):
        parse_tokenizer_bin(GOOD, size)


# Damage

DAMAGED = {
    "empty": (b"", "0 byte"),
    "three bytes": (b"\0\0\0", "3 byte"),
    "no token": (struct.pack("<I", 3), "max_token_length is 3, more than|not at least one"),
    "nothing but zero": (bytes(4), r"0 token\(s\), not at least one"),
    "cut in the text": (GOOD[:-1], "token 1 at byte 14 has length 1, but only 0"),
    "cut in the length": (GOOD[:-2], "token 1 at byte 14: only 7"),
    "something appended": (GOOD + b"\0\0\0", "token 2 at byte 23: only 3"),
    "zeros appended": (GOOD + bytes(8), "token 2 at byte 23 has length 0"),
    "length zero": (file_of((0.0, 0, b"")), "token 0 at byte 4 has length 0"),
    "length negative": (file_of((0.0, -1, b"abc")), "token 0 at byte 4 has length -1"),
    "length huge": (file_of((0.0, 2_000_000_000, b"abc")), "length 2000000000, above max"),
    "longer than said": (file_of((0.0, 3, b"abc"), longest=2), "3, above max_token_length 2"),
    "impossible maximum": (
        file_of((0.0, 1, b"a"), longest=1 << 31),
        "more than the whole file",
    ),
    "big-endian": (struct.pack(">IfI", 3, 0, 3) + b"abc", "more than the whole file"),
}


@pytest.mark.parametrize(("data", "message"), DAMAGED.values(), ids=DAMAGED)
def test_damaged_files_are_refused(data, message):
    with pytest.raises(TokenizerError, match=message):
        parse_tokenizer_bin(data)


@needs_golden
@pytest.mark.parametrize("value", [None, -1, 2_000_000_000])
def test_the_golden_damages_are_refused_without_allocating(value):
    data = bytearray((GOLDEN / "tokenizer/tok320.bin").read_bytes())
    if value is None:
        data.pop()
    else:
        data[8:12] = struct.pack("<i", value)
    tracemalloc.start()
    with pytest.raises(TracrLiteError):
        parse_tokenizer_bin(bytes(data), 320)
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


@given(st.binary(max_size=60))
def test_any_bytes_are_a_vocabulary_or_refused(data):
    try:
        found = parse_tokenizer_bin(data)
    except TokenizerError:
        return
    assert tokenizer_bin(found) == data


@given(st.integers(0, len(tokenizer_bin(small())) - 1))
def test_no_cut_file_is_taken_for_the_whole(length):
    try:
        found = parse_tokenizer_bin(tokenizer_bin(small())[:length])
    except TokenizerError:
        return  # a cut between two tokens is seen only with the size of the model
    assert len(found) < len(small())
    with pytest.raises(TokenizerError, match="of the model"):
        parse_tokenizer_bin(tokenizer_bin(small())[:length], len(small()))


def test_the_message_names_the_file(tmp_path):
    (tmp_path / "bad.bin").write_bytes(GOOD[:-1])
    with pytest.raises(TokenizerError, match=r"bad\.bin': token 1"):
        load_tokenizer(tmp_path / "bad.bin")
    with pytest.raises(TokenizerError, match=r"absent\.bin': No such file"):
        load_tokenizer(tmp_path / "absent.bin")


@pytest.mark.parametrize("longest", [0x0A, 0x0A0A, ord("{"), ord("["), 70_000])
def test_no_length_in_front_makes_it_another_kind_of_file(longest):
    data = file_of(*[(0.0, 1, b"a")] * 8000, longest=longest)
    assert len(parse_tokenizer(data)) == 8000


@pytest.mark.parametrize("data", [b"hello, world", b"\x7fELF\2\1\1", b"PK\3\4zip"])
def test_other_files_are_refused_by_their_first_bytes(data):
    with pytest.raises(TokenizerError, match=r"neither tokenizer\.bin nor tokenizer\.json"):
        parse_tokenizer(data)


def test_a_file_too_large_to_be_one_is_not_read_whole(tmp_path):
    with (tmp_path / "model.bin").open("wb") as file:
        file.truncate(1 << 32)
    tracemalloc.start()
    with pytest.raises(TokenizerError, match="no tokenizer"):
        load_tokenizer(tmp_path / "model.bin")
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


# Vocabularies that no file can hold

WRONG = [
    ([], [], None, "at least one token"),
    ([b"a", b""], [0, 0], None, "token 1 is empty"),
    ([b"a"], [0, 1], None, r"1 pieces have scores of shape \(2,\)"),
    ([b"abc"], [0], 2, "max_token_length is 2"),
    ([b"abc"], [0], 1 << 31, "max_token_length is 2147483648"),
]


@pytest.mark.parametrize(("pieces", "scores", "longest", "message"), WRONG)
def test_vocabularies_that_fit_no_file_are_refused(pieces, scores, longest, message):
    with pytest.raises(TokenizerError, match=message):
        Vocabulary(pieces, scores, longest)
