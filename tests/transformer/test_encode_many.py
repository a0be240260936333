"""Whole batches are encoded and decoded as one sequence is."""

import math
import pickle
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracr_lite.craft.bases import BasisDirection
from tracr_lite.errors import InputError
from tracr_lite.transformer import decode_many, encode_many
from tracr_lite.transformer.decode_many import ManyDecoder
from tracr_lite.transformer.encode_many import ManyEncoder
from tracr_lite.transformer.encoder import CategoricalEncoder, Encoder, NumericalEncoder

VALUES = ["bos", "pad", "a", 1, 2.5, True + 1, None, (1, "a")]
BASIS = [BasisDirection("tokens", v) for v in VALUES]
EXACT = CategoricalEncoder(
    BASIS, enforce_bos=True, bos_token="bos", pad_token="pad", max_seq_len=6, exact_types=True
)
LOOSE = CategoricalEncoder(BASIS, enforce_bos=True, bos_token="bos", pad_token="pad")
FREE = CategoricalEncoder(BASIS)

tokens = st.sampled_from([*VALUES[2:], 1.0, True, np.int64(1), "1", "zz", "bos", "pad", [1]])
sequences = st.lists(tokens, max_size=8).flatmap(
    lambda rest: st.sampled_from([["bos", *rest], rest])
)


@pytest.mark.parametrize(
    "encoder", [EXACT, LOOSE, FREE, None], ids=["exact", "loose", "free", "none"]
)
@given(batch=st.lists(sequences, max_size=4), few=st.sampled_from([0, 2048]))
def test_ids_and_errors_are_those_of_the_encoder(encoder, batch, few):
    """Also where a small batch has a table of addresses."""
    expected, problem = [], None
    for number, sequence in enumerate(batch):
        try:
            expected += list(sequence) if encoder is None else encoder.encode(sequence)
        except InputError as error:
            problem = f"sequence {number} of the batch: {error}"
            break
    many = ManyEncoder(encoder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encode_many, "FEW", few)
        if problem is not None:
            with pytest.raises(InputError) as found:
                many.encode(batch, range(len(batch)))
            assert str(found.value) == problem
        elif encoder is not None:
            assert many.encode(batch, range(len(batch))).tolist() == expected


def made_anew(value):
    """An equal object of the same type, another one where Python allows it."""
    return (value + " ")[:-1] if isinstance(value, str) else pickle.loads(pickle.dumps(value))


WORDS = ["bos", "alpha", "beta", 1000, 2.5, (1, "a")]
BY_WORD = CategoricalEncoder(
    [BasisDirection("tokens", made_anew(v)) for v in WORDS],
    enforce_bos=True,
    bos_token="bos",
    exact_types=True,
)


@pytest.mark.parametrize("fresh", [0.0, 0.1, 0.9, 1.0])
def test_tokens_that_are_equal_but_other_objects_are_known(fresh):
    """Texts and numbers read from files are; the encoder's own may be, too."""
    rng, many = random.Random(0), ManyEncoder(BY_WORD)
    for _ in range(3):
        batch = [["bos", *rng.choices(WORDS[1:], k=99)] for _ in range(40)]
        batch = [[made_anew(v) if rng.random() < fresh else v for v in row] for row in batch]
        expected = [i for row in batch for i in BY_WORD.encode(row)]
        assert many.encode(batch, range(40)).tolist() == expected


@pytest.mark.parametrize("bad", [True, 1.0, 2.5, "x", [1], None])
def test_one_token_of_another_type_among_many_is_named(bad):
    """So many that they are looked up by address."""
    encoder = CategoricalEncoder(
        [BasisDirection("tokens", v) for v in ("bos", 1, 2)],
        enforce_bos=True,
        bos_token="bos",
        exact_types=True,
    )
    batch = [["bos", *[1, 2] * 20] for _ in range(100)]
    batch[70][3] = bad
    with pytest.raises(InputError, match=r"sequence 170 of the batch: .* at position 3"):
        ManyEncoder(encoder).encode(batch, range(100, 200))
    batch[70][3] = 1
    assert ManyEncoder(encoder).encode(batch, range(100)).tolist() == [0, *[1, 2] * 20] * 100


class Doubling(Encoder):
    """Two ids per token."""

    def encode(self, inputs):
        return [i for i in inputs for _ in range(2)]

    def decode(self, encodings):
        return [f"<{e}>" for e in encodings]


def test_an_encoder_of_ones_own_is_called_for_each_sequence():
    assert ManyDecoder(Doubling()).decode(np.array([[1, 2]])) == [["<1>", "<2>"]]


def test_an_encoder_that_changes_the_length_is_refused():
    with pytest.raises(InputError, match=r"sequence 7 .* 4 ids of 2 tokens"):
        ManyEncoder(Doubling()).encode([[1, 2]], [7])


def test_what_follows_a_sequence_is_not_decoded():
    rows = [[0, 1, 99], [2, 99, 99], [99, 99, 99]]
    rows = np.array(rows)
    assert ManyDecoder(FREE).decode(rows, [2, 1, 0]) == [["bos", "pad"], ["a"], []]
    assert ManyDecoder(FREE).decode(rows, [2, 1, 0], "x") == [["x", "pad"], ["x"], []]
    assert ManyDecoder(Doubling()).decode(rows[:2], [2, 1], "x") == [["x", "<1>"], ["x"]]
    assert ManyDecoder(None).decode(rows, [2, 0, 1], "x") == [["x", 1], [], ["x"]]


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (2, 0)])
def test_no_answers_are_no_values(shape):
    for encoder in (FREE, None, NumericalEncoder([1, 2]), Doubling()):
        assert ManyDecoder(encoder).decode(np.zeros(shape, np.int32)) == [[]] * shape[0]
    for encoder in (FREE, None, NumericalEncoder([1, 2])):
        empty = np.zeros(shape, np.int32)
        assert ManyDecoder(encoder).decode(empty, None, "x") == [[]] * shape[0]


def test_a_large_vocabulary_is_known_whole():
    """Thousands of tokens share slots: those are looked up by value."""
    rng, words = random.Random(0), [f"word{n}" for n in range(6000)]
    basis = [BasisDirection("tokens", v) for v in ("bos", *words)]
    encoder = CategoricalEncoder(basis, enforce_bos=True, bos_token="bos", exact_types=True)
    batch = [["bos", *rng.choices(words, k=99)] for _ in range(100)]
    expected = [i for row in batch for i in encoder.encode(row)]
    assert ManyEncoder(encoder).encode(batch, range(100)).tolist() == expected


@pytest.mark.parametrize("ids", [[1.5], ["a"], [None]])
def test_ids_that_are_no_whole_numbers_are_refused(ids):
    with pytest.raises(InputError, match="ids must be whole numbers"):
        ManyEncoder(None).encode([ids], [0])


@given(st.lists(st.lists(st.integers(0, len(VALUES) - 1), min_size=3, max_size=3), min_size=1))
def test_ids_become_the_values_themselves(ids):
    assert ManyDecoder(FREE).decode(np.array(ids, np.int32)) == [FREE.decode(r) for r in ids]


@pytest.mark.parametrize("bad", [-1, len(VALUES)])
def test_an_id_out_of_range_is_refused(bad):
    with pytest.raises(InputError, match=f"no value has id {bad}"):
        ManyDecoder(FREE).decode(np.array([[0, bad]]))


odd = st.sampled_from([math.nan, math.inf, -math.inf])
numbers = st.one_of(st.floats(-10, 10, width=32), odd, st.integers(-3, 3))


@pytest.mark.parametrize("tolerance", [0.0, 0.2, math.inf])
@given(
    known=st.lists(st.one_of(st.integers(-9, 9), st.floats(-9, 9, width=16)), max_size=6),
    rows=st.lists(st.lists(numbers, min_size=1, max_size=6), min_size=1, max_size=4),
    most=st.sampled_from([1, 5, 4096]),
    kind=st.sampled_from([np.float32, np.float64]),
)
def test_numbers_snap_as_one_by_one(known, rows, tolerance, most, kind):
    """The same decoder for all rows, so some numbers are remembered."""
    encoder = NumericalEncoder(known, tolerance)
    decoder = ManyDecoder(encoder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decode_many, "MOST_SEEN", most)
        for row in rows:
            answers = np.array([row], kind)
            (found,) = decoder.decode(answers)
            expected = encoder.decode(answers[0].tolist())
            assert found == expected
            assert list(map(type, found)) == list(map(type, expected))


def test_numbers_that_are_remembered_are_told_apart_by_every_bit():
    """Thousands of them share slots: those are computed again."""
    encoder = NumericalEncoder([0.0, 1.0], tolerance=0.25)
    decoder, start = ManyDecoder(encoder), np.float32(0.2).view(np.uint32)
    bits = start + np.arange(4000, dtype=np.uint32) * 7000  # 0.2 to 3.1
    odd = np.array([0x7FC00000, 0x7FC00001, 0xFFC00000, 0x80000000, 0], np.uint32)
    for part in (bits[:9], bits[::2], odd, bits[::-1], bits[500:]):
        answers = part.view(np.float32)[None]
        assert decoder.decode(answers) == [encoder.decode(answers[0].tolist())]
