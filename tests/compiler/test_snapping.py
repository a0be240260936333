"""Answers that are numbers: exact where they can be told apart, else right to 1e-5."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tracr_lite
from tracr_lite import certify, compile_rasp_to_model, verify
from tracr_lite.compiler.lowering.snapping import PROMISE, small_ones
from tracr_lite.rasp import rasp
from tracr_lite.transformer.encoder import NumericalEncoder

DENSE = {0, 1, 2, 3}  # sums of two means of these lie too close to be told apart, from 17 on


def two_means():
    """The mean of all tokens up to mine by size, and of all up to me by position."""
    smaller = rasp.Select(rasp.tokens, rasp.tokens, rasp.Comparison.LEQ)
    earlier = rasp.Select(rasp.indices, rasp.indices, rasp.Comparison.LEQ)
    means = [
        rasp.numerical(rasp.Aggregate(who, rasp.numerical(rasp.Map(scaled, rasp.tokens)), 0))
        for who, scaled in ((smaller, lambda x: x * 0.37), (earlier, lambda x: x * 0.13))
    ]
    return rasp.LinearSequenceMap(*means, 1, 1)


@pytest.fixture(scope="module")
def dense():
    return compile_rasp_to_model(two_means(), DENSE, 18)


def answers_of(model, sequence):
    return model.apply(["compiler_bos", *sequence]).decoded[1:]


def assert_right(got, wanted):
    for one, other in zip(got, wanted, strict=True):
        assert abs(one - other) <= PROMISE * abs(other)


def test_numbers_too_close_to_snap_are_right_to_the_promise(dense):
    rng = np.random.default_rng(0)
    inputs = [rng.integers(0, 4, rng.integers(1, 19)).tolist() for _ in range(60)]
    inputs += [[value] * n for value in DENSE for n in (1, 17, 18)]
    for sequence in inputs:
        assert_right(answers_of(dense, sequence), two_means()(sequence))
    assert 0 in answers_of(dense, [0, 0, 3]), "zero has no relative error; it is exact"


def test_it_is_certified_and_verified(dense):
    certificate = certify(dense)
    assert certificate.holds, certificate.why_not()
    assert verify(dense, samples=300).agrees


def test_numbers_that_can_be_told_apart_stay_exact():
    model = compile_rasp_to_model(two_means(), DENSE, 5)
    for sequence in ([0, 3, 1, 2, 2], [1], [3, 3, 3, 3, 3], [0, 0]):
        assert answers_of(model, sequence) == pytest.approx(two_means()(sequence), rel=1e-15)


def test_a_saved_model_snaps_the_same(dense, tmp_path):
    dense.save(tmp_path / "model")
    again = tracr_lite.load(tmp_path / "model")
    sequence = [0, 3, 1, 2] * 4
    assert answers_of(again, sequence) == answers_of(dense, sequence)


steps = st.integers(0, 40).map(lambda at: 0.5 + at * 3e-6)  # some closer than 1e-5
sizes = steps | st.floats(1e-6, 1e6) | st.floats(-1e6, -1e-6) | st.just(0.0)


@given(st.lists(sizes, min_size=1, max_size=30, unique=True), st.floats(0.0, 0.99))
def test_small_ones_snap_to_themselves_and_larger_ones_to_none_of_them(numbers, part):
    ordered = np.array(sorted(numbers))
    known, tolerance = small_ones(ordered, {x: x for x in numbers})
    encoder = NumericalEncoder(known, tolerance)
    apart = len(known) == len(numbers)
    largest = max((abs(x) for x in known), default=0.0)
    error = part * (min(tolerance, 1e6) if apart else PROMISE * largest)
    for number in numbers:
        for read in (number - error, number + error):
            (answer,) = encoder.decode([read])
            if number in known:
                assert answer == number
            else:
                assert abs(answer - number) <= 1.001 * PROMISE * abs(number)
