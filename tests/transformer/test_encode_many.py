"""Whole batches are encoded and decoded as one sequence is."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracr_lite.craft.bases import BasisDirection
from tracr_lite.errors import InputError
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
@given(batch=st.lists(sequences, max_size=4))
def test_ids_and_errors_are_those_of_the_encoder(encoder, batch):
    expected, problem = [], None
    for number, sequence in enumerate(batch):
        try:
            expected += list(sequence) if encoder is None else encoder.encode(sequence)
        except InputError as error:
            problem = f"sequence {number} of the batch: {error}"
            break
    many = ManyEncoder(encoder)
    if problem is not None:
        with pytest.raises(InputError) as found:
            many.encode(batch, range(len(batch)))
        assert str(found.value) == problem
    elif encoder is not None:
        assert many.encode(batch, range(len(batch))).tolist() == expected


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
    rows = [[0, 1, 99], [2, 99, 99]]
    assert ManyDecoder(FREE).decode(np.array(rows), [2, 1]) == [["bos", "pad"], ["a"]]
    assert ManyDecoder(Doubling()).decode(np.array(rows), [2, 1], "x") == [["x", "<1>"], ["x"]]
    assert ManyDecoder(None).decode(np.array(rows), [2, 0], "x") == [["x", 1], []]


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
    row=st.lists(numbers, min_size=1, max_size=6),
)
def test_numbers_snap_as_one_by_one(known, row, tolerance):
    encoder = NumericalEncoder(known, tolerance)
    answers = np.array([row], np.float32)
    (found,) = ManyDecoder(encoder).decode(answers)
    expected = encoder.decode(answers[0].tolist())
    assert found == expected
    assert list(map(type, found)) == list(map(type, expected))
