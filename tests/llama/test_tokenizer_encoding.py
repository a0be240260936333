"""Encoding: run.c's golden tokens, a plain reference on anything, the rules, the growth."""

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.llama.vocabularies import BYTES, FILES, LETTERS, golden, make, small
from tracr_lite.llama.errors import TokenizerError
from tracr_lite.llama.tokenizer import Tokenizer, Vocabulary, merging

# Golden


@pytest.mark.parametrize("name", FILES)
def test_the_golden_texts_get_the_golden_tokens(name):
    tokenizer, expected = golden(name)
    assert len(expected["cases"]) >= 42
    for case in expected["cases"]:
        text = bytes.fromhex(case["hex"])
        assert tokenizer.encode(text) == case["ids_bos"], text
        assert tokenizer.encode(text, bos=False, eos=True) == case["ids_eos_only"], text
        if case["text"] is not None:
            assert tokenizer.encode(case["text"]) == case["ids_bos"], text


# A reference in O(n**2), step by step as the format is described


def find(vocabulary, text):
    """The answer of a binary search in the stably sorted table, as glibc does it."""
    order = sorted(range(len(vocabulary)), key=lambda i: vocabulary.texts[i])
    low, high = 0, len(order)
    while low < high:
        middle = (low + high) // 2
        here = vocabulary.texts[order[middle]]
        if here == text:
            return order[middle]
        low, high = (low, middle) if text < here else (middle + 1, high)
    return -1


def units(text):
    """A byte and what continues it, four at most."""
    start = 0
    for end in range(1, len(text) + 1):
        if end == len(text) or text[end] & 0xC0 != 0x80 or end - start == 4:
            yield text[start:end]
            start = end


def reference(vocabulary, text, bos):
    ids = [1] if bos else []
    ids += [find(vocabulary, b" ")] if text else []
    for unit in units(text):
        token = find(vocabulary, unit)
        ids += [token] if token >= 0 else [byte + 3 for byte in unit]
    while True:
        best, score = None, np.float32(-1e10)
        for i in range(len(ids) - 1):
            both = vocabulary.texts[ids[i]] + vocabulary.texts[ids[i + 1]]
            token = find(vocabulary, both)
            if token >= 0 and vocabulary.scores[token] > score:
                best, score = (i, token), vocabulary.scores[token]
        if best is None:
            return ids
        ids[best[0] : best[0] + 2] = [best[1]]


ALPHABET = st.sampled_from([b" ", b"a", b"b", b"<0x41>", b"\xc3", b"\xa9", b"\x80", b"\n<s>\n"])
TEXTS = st.lists(ALPHABET, max_size=14).map(b"".join)
SCORES = st.one_of(
    st.sampled_from([0.0, -0.0, -1.0, -1e10, -2e10, -9.9e9, math.nan, math.inf, -math.inf]),
    st.floats(-30, 5, width=32),
)
EXTRA = st.lists(
    st.tuples(st.lists(ALPHABET, min_size=1, max_size=4).map(b"".join), SCORES), max_size=14
)


@settings(max_examples=200, deadline=None)
@given(EXTRA, st.lists(TEXTS, min_size=1, max_size=3), st.booleans())
def test_tokens_are_those_of_the_plain_reference(extra, texts, bos):
    pieces, scores = (
        [b" ", *(text for text, _ in extra)],
        [-5.0, *(score for _, score in extra)],
    )
    vocabulary = make(*pieces, scores=scores)  # twins, any score, bytes and BOS inside pieces
    tokenizer = Tokenizer(vocabulary)
    for text in texts:
        assert tokenizer.encode(text, bos=bos) == reference(vocabulary, text, bos)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=40).map(lambda text: text.replace(b"\0", b"")))
def test_any_bytes_are_encoded_as_the_reference_does(text):
    assert Tokenizer(small()).encode(text) == reference(small(), text, True)


def test_long_parts_are_merged_as_short_ones_are():
    text = bytes(random.Random(0).choices(b"ab", k=3 * merging.WORD))
    vocabulary = make(b"ab", b"ba", b"aba", b"aa", b" ", b"a", b"b")
    assert Tokenizer(vocabulary).encode(text) == reference(vocabulary, text, True)


# Rules, on a vocabulary of the tests' own; 259 is its first extra token


def encode(extra, text, **options):
    scores = options.pop("scores", None)
    return Tokenizer(make(*extra, scores=scores)).encode(text, **options)


def test_empty_text_is_bos_alone():
    assert encode([b" "], "") == [1]
    assert encode([b" "], "", bos=False) == []
    assert encode([b" "], "", eos=True) == [1, 2]


def test_every_text_gets_a_space_in_front():
    assert encode([b" ", b"a"], "a") == [1, 259, 260]
    assert encode([b" ", b"a"], " a") == [1, 259, 259, 260]


def test_the_leftmost_of_equal_scores_merges_first():
    assert encode([b" ", b"a", b"aa"], "aaa")[1:] == [259, 261, 260]
    assert encode([b" ", b"ab", b"bc", b"a", b"b", b"c"], "abc", scores=[-1.0] * 6)[2] == 260


def test_the_higher_score_merges_before_what_is_further_left():
    assert encode([b" ", b"bc", b"ab", b"a", b"b", b"c"], "abc")[2:] == [262, 260]


@pytest.mark.parametrize("score", [-1e10, -2e10, math.nan, -math.inf])
def test_scores_from_minus_1e10_down_never_merge(score):
    assert encode([b" ", b"a", b"aa"], "aa", scores=[0, 0, score]) == [1, 259, 260, 260]
    assert encode([b" ", b"a", b"aa"], "aa", scores=[0, 0, -9.9e9]) == [1, 259, 261]


def test_unknown_characters_become_their_bytes():
    assert encode([b" "], "é") == [1, 259, 0xC3 + 3, 0xA9 + 3]
    assert encode([b" ", "é".encode()], "é") == [1, 259, 260]


def test_a_unit_has_four_bytes_at_most():
    assert encode([b" ", b"\x80" * 4, b"\x80"], b"\x80" * 5) == [1, 259, 260, 261]
    five = b"\xf8" + b"\x80" * 4
    assert encode([b" ", five, five[:4], b"\x80"], five)[1:] == [259, 260]


def test_byte_tokens_merge_by_their_text():
    assert encode([b" ", BYTES[0xE2] + BYTES[0x82]], b"\xe2\x82") == [1, 259, 260]
    assert encode([b" ", b"A", b" <0x42>"], b"B") == [1, 261]


def test_bos_can_be_merged_away():
    assert encode([b" ", b"\n<s>\n "], "x") == [260, ord("x") + 3]
    assert encode([b" ", b"\n<s>\n "], "x", bos=False) == [259, ord("x") + 3]


def test_special_texts_are_ordinary_characters():
    tokens = encode([b" "], "<s></s><0x0A>", bos=False)
    assert tokens == [259, *(byte + 3 for byte in b"<s></s><0x0A>")]


def test_a_nul_ends_the_text_unless_it_is_to_be_kept():
    tokenizer = Tokenizer(small())
    assert tokenizer.encode(b"ab\0abc") == tokenizer.encode(b"ab")
    assert tokenizer.encode(b"\0") == [1]
    kept = tokenizer.encode(b"ab\0c", keep_nul=True)
    assert kept == [*tokenizer.encode(b"ab"), 3, tokenizer.vocabulary.find(b"c")]


def test_a_piece_counts_up_to_its_nul():
    assert encode([b" ", b"a\0b", b"b"], "ab") == [1, 259, 260, 261]


def test_twins_are_found_as_bsearch_finds_them():
    vocabulary = make(b" ", *[b"a"] * 5)
    token = Tokenizer(vocabulary).encode("a")[2]
    assert token == find(vocabulary, b"a") != 260  # not simply the first one
    assert vocabulary.twins() == [b"a"]


def test_a_string_is_its_utf8():
    assert Tokenizer(small()).encode("aé€😀") == Tokenizer(small()).encode("aé€😀".encode())
    with pytest.raises(TokenizerError, match=r"character 1 .* half of a surrogate"):
        Tokenizer(small()).encode("a\udcff")


def test_other_types_are_no_texts():
    assert Tokenizer(small()).encode(bytearray(b"ab")) == Tokenizer(small()).encode("ab")
    for wrong in (5, None, [97, 98]):
        with pytest.raises(TypeError):
            Tokenizer(small()).encode(wrong)


# Refusals: where run.c reads outside its arrays


def test_a_vocabulary_without_a_space_cannot_encode():
    tokenizer = Tokenizer(make(b"a"))
    assert tokenizer.encode("") == [1]
    with pytest.raises(TokenizerError, match="no token for one space"):
        tokenizer.encode("a")


def test_bytes_without_tokens_are_refused():
    tokenizer = Tokenizer(Vocabulary([b"<unk>", b"<s>", b"</s>", b" "], [0.0] * 4))
    assert tokenizer.encode(b"\x00 ", keep_nul=True) == [1, 3, 3, 3]
    with pytest.raises(TokenizerError, match=r"b'a' has no token.*only 4"):
        tokenizer.encode("a")


def test_bos_and_eos_must_be_in_the_vocabulary():
    tokenizer = Tokenizer(Vocabulary([b" "], [0.0]))
    assert tokenizer.encode(" ", bos=False) == [0, 0]
    for options in ({"bos": True}, {"bos": False, "eos": True}):
        with pytest.raises(TokenizerError, match="not in the vocabulary"):
            tokenizer.encode(" ", **options)


# Growth


def pops(monkeypatch, text):
    """How often the heap gives out a pair while `text` is encoded."""
    count = 0
    real = merging.heappop

    def counting(heap):
        nonlocal count
        count += 1
        return real(heap)

    monkeypatch.setattr(merging, "heappop", counting)
    tokenizer = Tokenizer(make(*[b"ab" * 2**i for i in range(4)], b"ba", b"aa", *LETTERS))
    assert tokenizer.decode(tokenizer.encode(text)) == text
    return count


@pytest.mark.parametrize("pattern", [b"a", b"ab", b"aab"])
def test_merging_takes_steps_in_proportion_to_the_text(monkeypatch, pattern):
    short, long = (pops(monkeypatch, (pattern * n)[:n]) for n in (2_000, 64_000))
    assert 1_000 < short <= 3 * 2_000  # n - 1 pairs at first, and two more for each merge
    assert short < long <= 3 * 64_000


def test_a_megabyte_is_encoded_and_decoded():
    text = ("Once upon a time abc aé€😀 " * 40_000).encode()[:1_000_000]
    tokenizer = Tokenizer(small())
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_what_is_remembered_has_a_limit(monkeypatch):
    monkeypatch.setattr(merging, "KEPT_WORDS", 3)
    monkeypatch.setattr(merging, "KEPT_PAIRS", 3)
    tokenizer, texts = Tokenizer(small()), ["abc ab", "ba ca", "aab bca", "abcabc", "abc ab"]
    assert [tokenizer.encode(t) for t in texts] == [Tokenizer(small()).encode(t) for t in texts]
    merger = tokenizer._merger
    assert 0 < len(merger._words) <= 3
    assert 0 < len(merger._pairs) <= 3
