"""Decoding: golden pieces, byte texts, streams, what run.c prints, the round trip."""

import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.llama.vocabularies import FILES, GOLDEN, WHY, golden, make, small
from tracr_lite.llama.errors import LlamaError, TokenizerError
from tracr_lite.llama.tokenizer import Tokenizer, Vocabulary, load_tokenizer
from tracr_lite.llama.tokenizer.pieces import printed, scan_byte

needs_golden = pytest.mark.skipif(not GOLDEN.is_dir(), reason=WHY)
IDS = st.lists(st.integers(0, len(small()) - 1), max_size=40)

# Golden


@pytest.mark.parametrize("name", FILES)
def test_the_golden_pieces(name):
    tokenizer, expected = golden(name)
    for case in expected["cases"]:
        ids = case["ids_bos"]
        pieces = [tokenizer.piece(a, b) for a, b in pairwise(ids)]
        assert [each.hex() for each in pieces] == case["decoded_pieces_hex"]
    for name, previous in (("after_bos", 1), ("after_other", 5)):
        table = (expected["decode_table"] or {}).get(name, [])
        assert [tokenizer.piece(previous, i).hex() for i in range(len(table))] == table


@pytest.mark.parametrize("name", [name for name in FILES if "crafted" not in name])
def test_the_golden_texts_come_back(name):
    tokenizer, expected = golden(name)
    assert tokenizer.round_trip_problems() == []
    for case in expected["cases"]:
        text = bytes.fromhex(case["hex"])
        assert tokenizer.decode(tokenizer.encode(text)) == text


@needs_golden
def test_the_golden_stories_are_printed_as_by_run_c():
    models = json.loads((GOLDEN / "manifest.json").read_text())["models"]
    for model, facts in models.items():
        tokenizer = load_tokenizer(GOLDEN / facts["tokenizer"])
        for case in json.loads((GOLDEN / f"models/{model}/expected_generate.json").read_text()):
            assert tokenizer.encode(bytes.fromhex(case["prompt_hex"])) == case["prompt_ids"]
            ids = case["next_ids"]
            ids = ids[: ids.index(1)] if 1 in ids else ids
            assert (tokenizer.printed([1, *ids]) + b"\n").hex() == case["stdout_hex"]


# Bytes

SCANS = [  # checked with the sscanf of glibc 2.36
    (b"<0x41>", 0x41),
    (b"<0x41", 0x41),
    (b"<0x4", 0x04),
    (b"<0x4>", 0x04),
    (b"<0x414", 0x41),
    (b"<0xfF tail", 0xFF),
    (b"<0x 7", 0x07),
    (b"<0x\t\n\v\f\r7f", 0x7F),
    (b"<0x+7f", 0x07),
    (b"<0x-1", 0xFF),
    (b"<0x-a", 0xF6),
    (b"<0x-0", 0),
    (b"<0x0x41", 0),
    (b"<0x00>", 0),
    (b"<0xZZ>", None),
    (b"<0x", None),
    (b"<0x>", None),
    (b"<0x+ 7", None),
    (b"<0x--7", None),
    (b"<0x\x857", None),
    (b"<0X41>", None),
    (b" <0x41>", None),
    (b"0x41", None),
    (b"", None),
]


@pytest.mark.parametrize(("text", "byte"), SCANS)
def test_byte_texts_are_scanned_as_sscanf_does(text, byte):
    assert scan_byte(text) == byte


def test_after_bos_one_space_is_dropped_and_then_scanned():
    tokenizer = Tokenizer(make(b" ", b"  ", b" <0x42>", b"a b"))
    assert [tokenizer.piece(1, i) for i in range(259, 263)] == [b"", b" ", b"B", b"a b"]
    assert [tokenizer.piece(0, i) for i in range(259, 263)] == [b" ", b"  ", b" <0x42>", b"a b"]
    assert tokenizer.piece(None, 259) == b" "


def test_the_byte_zero_is_there_only_when_asked_for():
    tokenizer = Tokenizer(small())
    assert tokenizer.piece(0, 3) == b""
    assert tokenizer.piece(0, 3, keep_nul=True) == b"\0"
    assert tokenizer.decode([3, 68, 3]) == b"A"
    assert tokenizer.decode([3, 68, 3], keep_nul=True) == b"\0A\0"


def test_bos_in_front_is_left_out_and_others_are_as_run_c_has_them():
    tokenizer = Tokenizer(make(b" a"))
    assert tokenizer.decode([1, 259, 2]) == b"a\n</s>\n"
    assert tokenizer.decode([259, 1, 259]) == b" a\n<s>\na"
    assert tokenizer.decode([]) == tokenizer.decode([1]) == b""


@pytest.mark.parametrize("token", [-1, 259])
def test_tokens_outside_the_vocabulary_are_refused(token):
    tokenizer = Tokenizer(make(b" ", scores=[0.0]))
    with pytest.raises(TokenizerError, match="not in the vocabulary, which has 260"):
        tokenizer.decode([259, token if token < 0 else 260])


# Text


def test_bytes_that_are_not_utf8_become_what_errors_says():
    tokenizer = Tokenizer(small())
    assert tokenizer.decode_text([0xFF + 3]) == "\ufffd"
    assert tokenizer.decode_text([0xFF + 3], "surrogateescape") == "\udcff"
    with pytest.raises(UnicodeDecodeError):
        tokenizer.decode_text([0xFF + 3], "strict")


@given(IDS, st.sampled_from(["replace", "ignore", "backslashreplace", "surrogateescape"]))
def test_a_stream_gives_the_whole_text(ids, errors):
    tokenizer = Tokenizer(small())
    stream = tokenizer.stream(errors=errors)
    parts = [stream.push(token) for token in ids]
    assert "".join([*parts, stream.finish()]) == tokenizer.decode_text(ids, errors)


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_a_stream_never_gives_half_a_character(text):
    tokenizer, given_out = Tokenizer(small()), ""
    stream = tokenizer.stream(errors="strict")
    for token in tokenizer.encode(text):
        given_out += stream.push(token)
        assert text.startswith(given_out)
    assert given_out == text
    assert stream.finish() == ""


@given(IDS, st.integers(0, 40))
def test_a_stream_goes_on_after_any_token(ids, cut):
    tokenizer = Tokenizer(small())
    before, after = ids[:cut], ids[cut:]
    if before:
        stream = tokenizer.stream(previous=before[-1], errors="surrogateescape")
        found = "".join(map(stream.push, after)) + stream.finish()
        whole = tokenizer.decode(before) + found.encode(errors="surrogateescape")
        assert whole == tokenizer.decode(ids)


def test_a_stream_ends_before_a_stop_that_spans_tokens():
    tokenizer = Tokenizer(small())
    stream = tokenizer.stream(stops=["é€", "zz"])
    found = [stream.push(token) for token in tokenizer.encode("abc é€ ab")]
    assert ("".join(found), stream.stopped) == ("abc ", True)
    assert stream.finish() == ""
    with pytest.raises(LlamaError, match="empty"):
        tokenizer.stream(stops=[""])


# What run.c prints


@pytest.mark.parametrize("byte", range(256))
def test_lonely_bytes_are_printed_if_c_prints_them(byte):
    shown = 0x20 <= byte < 0x7F or byte in b"\t\n\v\f\r"
    assert printed(bytes([byte])) == (bytes([byte]) if shown else b"")


def test_only_lonely_bytes_are_left_out():
    tokenizer = Tokenizer(make(b" ", "é".encode(), b"\x07\x07"))
    assert tokenizer.printed(tokenizer.encode("é")) == "é".encode()
    assert tokenizer.printed(tokenizer.encode("x😀y\x01")) == b"xy"
    assert tokenizer.printed([1, 261]) == b"\x07\x07"


# The round trip


@settings(max_examples=300)
@given(st.binary(max_size=60))
def test_decoding_undoes_encoding(data):
    tokenizer = Tokenizer(small())
    assert tokenizer.round_trip_problems() == []
    text = data.replace(b"\0", b"")
    assert tokenizer.decode(tokenizer.encode(text)) == text
    kept = tokenizer.encode(data, keep_nul=True)
    assert tokenizer.decode(kept, keep_nul=True) == data


PARTS = st.lists(st.sampled_from([b"<", b"0x", b"4", b"41", b">", b" ", b"\n", b"<s>", b"a"]))
EXTRA = st.lists(PARTS.map(b"".join).filter(bool), max_size=8)


@settings(max_examples=300, deadline=None)
@given(EXTRA, st.lists(PARTS.map(b"".join), max_size=5))
def test_the_promise_is_kept_by_any_vocabulary_that_makes_it(extra, texts):
    tokenizer = Tokenizer(make(b" ", *extra))
    if tokenizer.round_trip_problems():
        return
    for text in texts:
        assert tokenizer.decode(tokenizer.encode(text)) == text


CHARACTERS = [b" ", b"<", b"0", b"x", b"4", b"1", b">", b"\n", b"s"]
BROKEN = [  # pieces beside these, a text that does not come back, the reason that is given
    ([b"<0", b"<0x", b"<0x4"], b"<0x4", "read as a byte"),
    ([b" <0", b" <", b" <0x", b" <0x4"], b"<0x4", "read as a byte"),
    ([b"<0xE2><0x82>"], b"\xe2\x82", "read as a byte"),
    ([b"x<0x41>"], b"xA", "made of a byte"),
    ([b"\n<s>\n ", b"\n<s>\n x"], b"x", "takes BOS up"),
    ([b"<0", b"<0x", b"1>", b"41>"], b"<0x41>", "merged from the characters"),
    ([b"\n<", b"s>", b"s>\n"], b"x\n<s>\n 1", "can come from a text"),
]


@pytest.mark.parametrize(("pieces", "text", "message"), BROKEN)
def test_the_promise_is_not_made_where_it_would_be_broken(pieces, text, message):
    tokenizer = Tokenizer(make(*pieces, *CHARACTERS))
    assert tokenizer.decode(tokenizer.encode(text)) != text
    assert any(message in each for each in tokenizer.round_trip_problems())


def test_without_a_space_there_is_no_promise():
    assert "no token for one space" in Tokenizer(make(b"x")).round_trip_problems()[0]


def test_without_byte_pieces_there_is_no_promise():
    tokenizer = Tokenizer(Vocabulary([b"<unk>", b"<s>", b"</s>", b" ", b"a"], [0.0] * 5))
    assert "not <0x00> to <0xFF>" in tokenizer.round_trip_problems()[0]
