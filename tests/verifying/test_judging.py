"""When two values agree."""

import numpy as np
import pytest

from tracr_lite.craft.bases import BasisDirection
from tracr_lite.transformer.encoder import CategoricalEncoder, NumericalEncoder
from tracr_lite.verifying.judging import Judge

LISTED = Judge(CategoricalEncoder([BasisDirection("x", v) for v in (1, 2, "a", None)]))
FREE = Judge(NumericalEncoder())
SNAPPED = Judge(NumericalEncoder([100_000.0, 100_001.0], tolerance=0.2))


@pytest.mark.parametrize(
    ("expected", "found", "agree"),
    [
        (None, None, True),
        (None, 0, False),
        (0, None, False),
        (False, None, False),
        ("", None, False),
        (1, True, True),
        (1.0, 1, True),
        (np.float64(0.5), 0.5, True),
        (np.int64(3), 3, True),
        (np.bool_(True), 1, True),
        ("1", 1, False),
        (1, "1", False),
        ((1, "a"), (1.0, "a"), True),
        ((1, "a"), (1, "b"), False),
        ((1,), 1, False),
        ([1], (1,), False),
        (float("nan"), None, False),
        (float("nan"), 0.0, False),
        (float("inf"), 1e30, False),
        (10**400, 1.0, False),
        (10**400, 10**400, True),
        (1e-300, 0.0, False),
        (0, 1e-12, False),
        (np.zeros(2), 0.0, False),
    ],
)
@pytest.mark.parametrize("judge", [LISTED, FREE, SNAPPED])
def test_values(judge, expected, found, agree):
    assert judge.agree(expected, found) is agree
    assert judge.differing([expected], [found]) == (() if agree else (0,))


def test_numbers_that_are_read_as_they_are_may_be_off_by_a_hundred_thousandth():
    assert FREE.agree(3.0, 3.0 * (1 + 9e-6))
    assert not FREE.agree(3.0, 3.0 * (1 + 1.1e-5))
    assert not FREE.agree(1.0, -1.0)


@pytest.mark.parametrize("judge", [LISTED, SNAPPED])
def test_known_numbers_must_be_the_right_ones(judge):
    assert not judge.agree(100_001, 100_000.0), "though only 1e-5 apart"
    assert judge.agree(100_000.0 * (1 + 1e-10), 100_000.0)


def test_whole_numbers_are_counted_not_rounded():
    """Two counts that a list knows are two answers, however large they are."""
    for one, two in ((2**53, 2**53 + 1), (10**10 + 1, 10**10), (10**10 + 1, 1e10)):
        assert not LISTED.agree(one, two)
        assert LISTED.differing([one, two], [two, two]) == (0,)
    assert LISTED.agree(0.1 + 0.2, 0.3)
    assert LISTED.agree(3, 3.0000000000000004)
    assert FREE.agree(10**10 + 1, 1e10), "read as it is"


def test_a_number_that_was_not_snapped_is_free():
    assert SNAPPED.agree(7.0, 7.00001)


def test_positions_that_differ_are_listed():
    assert LISTED.differing([1, "a", None, 2], [1, "b", 0, 2]) == (1, 2)
