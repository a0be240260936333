"""SentencePiece models: the same vocabulary, the same tokens, and refusals by name."""

import io
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.llama.vocabularies import FILES, field, golden, make, sentencepiece_model, small
from tracr_lite.llama.errors import TokenizerError
from tracr_lite.llama.tokenizer import Tokenizer, Vocabulary, load_tokenizer
from tracr_lite.llama.tokenizer.binary import parse_tokenizer_bin, tokenizer_bin
from tracr_lite.llama.tokenizer.sentencepiece import parse_sentencepiece
from tracr_lite.llama.tokenizer.wire import Message, fields

CORPUS = """Once upon a time, in a land far away, there lived a small fox who ran and ran.
The small fox ran over the hill and under the tree; the old tree said: 12 + 30 = 42!
Every day the fox went to the river, and every night it came back to the same old tree.
"""


@pytest.mark.parametrize("name", FILES)
def test_models_of_golden_vocabularies_become_the_same_files(name):
    vocabulary = golden(name)[0].vocabulary
    ignore = "special_pieces" if "crafted" in name else ()
    found = parse_sentencepiece(sentencepiece_model(vocabulary), ignore)
    assert tokenizer_bin(found) == tokenizer_bin(vocabulary)


def test_pieces_get_the_texts_of_llama2_c(tmp_path):
    (tmp_path / "tokenizer.model").write_bytes(sentencepiece_model(small()))
    found = load_tokenizer(tmp_path).vocabulary
    assert tokenizer_bin(found) == tokenizer_bin(small())
    assert found.pieces[:3] == (b"<unk>", b"\n<s>\n", b"\n</s>\n")


# Against the real program


def trained(**options):
    sentencepiece = pytest.importorskip("sentencepiece", reason="pip install '.[clients]'")
    model, lines = io.BytesIO(), CORPUS.splitlines() * 3
    options = {
        "model_type": "bpe",
        "vocab_size": 330,
        "byte_fallback": True,
        "normalization_rule_name": "identity",
        "remove_extra_whitespaces": False,
        "allow_whitespace_only_pieces": True,
        "hard_vocab_limit": False,
    } | options
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=model, minloglevel=2, **options
    )
    return model.getvalue(), sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())


TEXT = st.text(st.sampled_from("thefox ran  12.é😀\n<0x41>"), max_size=40)


def test_tokens_are_those_of_sentencepiece():
    data, processor = trained()
    tokenizer = Tokenizer(parse_sentencepiece(data))
    assert tokenizer.round_trip_problems() == []

    @settings(max_examples=300, deadline=None)
    @given(
        st.one_of(TEXT, st.text(st.characters(codec="utf-8", exclude_characters="\0\u2581")))
    )
    def check(text):
        assert tokenizer.encode(text, bos=False) == processor.encode(text)

    check()


def test_our_models_are_read_by_sentencepiece():
    sentencepiece = pytest.importorskip("sentencepiece", reason="pip install '.[clients]'")
    model = sentencepiece_model(small())
    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    for text in ["abc  aé€😀", "", " ", "bcbc aaaaa"]:
        assert processor.encode(text) == Tokenizer(small()).encode(text, bos=False)


REFUSED = [
    ({"model_type": "unigram"}, "its model type is 1"),
    ({"byte_fallback": False}, "trained without byte_fallback"),
    ({"normalization_rule_name": "nmt_nfkc"}, "ignore='normalizer'"),
    ({"remove_extra_whitespaces": True}, "ignore='remove_extra_whitespaces'"),
    ({"add_dummy_prefix": False}, "ignore='dummy_prefix'"),
    ({"user_defined_symbols": ["fox"]}, "'fox' is user-defined"),
    ({"treat_whitespace_as_suffix": True}, "has treat_whitespace_as_suffix"),
    ({"pad_id": 3}, "'<pad>' is of kind 3; the bytes must be pieces 3 to 258"),
    ({"bos_id": 2, "eos_id": 1}, r"have the ids \(0, 2, 1\)"),
]


@pytest.mark.parametrize(("options", "message"), REFUSED)
def test_models_with_more_than_tokenizer_bin_holds_are_refused(options, message):
    with pytest.raises(TokenizerError, match=message):
        parse_sentencepiece(trained(**options)[0])


# The same on models of the tests' own

ODD = [
    ({"trainer": {3: 1}}, None, "its model type is 1"),
    ({"trainer": {35: 0}}, None, "trained without byte_fallback"),
    ({"trainer": {24: 1}}, None, "treat_whitespace_as_suffix"),
    ({"trainer": {41: -1}}, None, r"ids \(0, -1, 2\)"),
    ({"normalizer": {2: b"map"}}, "normalizer", "normalizer 'identity'"),
    ({"normalizer": {3: 0}}, "dummy_prefix", "add_dummy_prefix is off"),
    ({"normalizer": {4: 1}}, "remove_extra_whitespaces", "removes extra spaces"),
    ({"normalizer": {5: 0}}, None, "escape_whitespaces is off"),
    ({"more": field(5, field(2, b"map"))}, "decoder", "a denormalizer"),
    ({"kinds": {260: 4}}, "special_pieces", "piece 260, 'bc' is user-defined"),
    ({"kinds": {260: 5}}, "special_pieces", "piece 260, 'bc' is unused"),
    ({"kinds": {260: 3}}, "special_pieces", "run.c would merge piece 260, b'bc'"),
    ({"kinds": {260: 2}}, None, "another unknown piece"),
    ({"kinds": {260: 6}}, None, "is of kind 6; the bytes must be pieces 3 to 258"),
    ({"kinds": {40: 1}}, None, "piece 40, '<0x25>' is of kind 1"),
    ({"kinds": {260: 9}}, None, "unknown kind 9"),
    ({"more": field(11, b"x")}, None, r"its parts have fields \[11\]"),
    ({"normalizer": {7: 1}}, None, r"the normalizer settings have fields \[7\]"),
    ({"more": field(1, field(1, b"x") + field(9, 1))}, None, r"piece 276 has fields \[9\]"),
]


@pytest.mark.parametrize(("parts", "name", "message"), ODD)
def test_each_difference_is_named_and_may_be_accepted(parts, name, message):
    model = sentencepiece_model(small(), **parts)
    with pytest.raises(TokenizerError, match=message) as error:
        parse_sentencepiece(model)
    assert (f"ignore={name!r}" in str(error.value)) == (name is not None)
    if name is not None:
        found = parse_sentencepiece(model, ignore=name)
        assert tokenizer_bin(found) == tokenizer_bin(small())


VOCABULARIES = [
    (make(b"a"), "no piece for one space"),
    (make(b" ", b"a", b"a"), "several pieces become b'a'"),
    (make(b" ", b"a\0"), "has a NUL"),
    (make(b" ", b"<0x4"), "run.c would mistake pieces: token 260"),
    (make(b" ", b"\n<s>\n "), "takes BOS up"),
    (Vocabulary(small().pieces[:200], small().scores[:200]), "not <0x00> to <0xFF>"),
]


@pytest.mark.parametrize(("vocabulary", "message"), VOCABULARIES)
def test_pieces_that_run_c_would_mistake_are_refused(vocabulary, message):
    with pytest.raises(TokenizerError, match=message):
        parse_sentencepiece(sentencepiece_model(vocabulary))


def test_a_control_piece_that_no_merge_makes_is_kept():
    vocabulary = make(*small().pieces[259:], b"<pad>")
    model = sentencepiece_model(vocabulary, kinds={len(vocabulary) - 1: 3})
    assert parse_sentencepiece(model).pieces == vocabulary.pieces


def test_all_that_is_wrong_is_listed_and_long_lists_are_cut():
    model = sentencepiece_model(small(), trainer={3: 1}, normalizer={4: 1})
    with pytest.raises(TokenizerError, match=r"(?s)model type.*extra spaces"):
        parse_sentencepiece(model)
    model = sentencepiece_model(small(), kinds=dict.fromkeys(range(3, 100), 1))
    with pytest.raises(TokenizerError, match="and 77 more"):
        parse_sentencepiece(model)


def test_names_that_cannot_be_ignored_are_refused():
    with pytest.raises(TokenizerError, match=r"nothing called 'all' can be ignored.*decoder"):
        parse_sentencepiece(sentencepiece_model(small()), ignore=["all"])


# The wire format

DAMAGED = {
    "field 0": (b"\0", "field of number 0"),
    "group": (b"\x0b", "unknown type 3"),
    "type 7": (b"\x0f", "unknown type 7"),
    "cut tag": (b"\x80", "ends inside a number"),
    "cut varint": (b"\x08\xff", "ends inside a number"),
    "no length": (b"\x0a", "ends inside a number"),
    "cut bytes": (b"\x0a\x05ab", "has 5 bytes, but only 2 are left"),
    "huge length": (b"\x0a\xff\xff\xff\xff\x0f", "only 0 are left"),
    "cut float": (b"\x15\0\0", "has 4 bytes, but only 2"),
    "endless varint": (b"\x08" + b"\xff" * 10 + b"\x01", "more than 64 bits"),
    "65 bits": (b"\x08" + b"\xff" * 9 + b"\x02", "more than 64 bits"),
    "pieces as numbers": (b"\x08\x01", "field 1 is of wire type 0, not 2"),
    "score as bytes": (field(1, field(2, b"x")), "piece 0 .* field 2 is of wire type 2, not 5"),
    "empty": (b"", "it has no pieces"),
    "text": (b"hello, this is no model", "the SentencePiece model"),
}


@pytest.mark.parametrize(("data", "message"), DAMAGED.values(), ids=DAMAGED)
def test_bytes_that_are_no_model_are_refused(data, message):
    with pytest.raises(TokenizerError, match=message):
        parse_sentencepiece(data)


@given(st.binary(max_size=50))
def test_any_bytes_are_fields_or_refused(data):
    with suppress(TokenizerError):
        for number, kind, value in fields(data, "it"):
            assert number > 0
            assert isinstance(value, int) == (kind == 0)


@settings(deadline=None)
@given(st.integers(0, 100), st.integers(0, 255))
def test_a_changed_byte_is_never_a_crash(place, byte):
    model = bytearray(sentencepiece_model(small()))
    model[-1 - place] = byte
    with suppress(TokenizerError):
        found = parse_sentencepiece(bytes(model))
        assert tokenizer_bin(parse_tokenizer_bin(tokenizer_bin(found))) == tokenizer_bin(found)


def test_repeated_fields_count_as_the_format_says():
    inner = field(1, 7) + field(2, b"old")
    message = Message(field(3, inner) + field(3, field(2, b"new") + field(4, -1)), "it")
    whole = message.message(3, "inner")
    assert (whole.integer(1, 0), whole.bytes(2), whole.integer(4, 0)) == (7, b"new", -1)
    assert (whole.integer(9, 5), whole.bytes(9), whole.float32(9, 0.5)) == (5, b"", 0.5)
    assert message.message(8, "none").integer(1, 3) == 3
