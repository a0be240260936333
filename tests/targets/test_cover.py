"""Covers of truth tables by rectangles: everything forbidden, nothing that is selected."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracr_lite.targets.cover import rectangles


def forbidden(truth):
    found = np.zeros(truth.shape, bool)
    for keys, queries in rectangles(truth):
        found |= np.outer(keys, queries)
    return found


@settings(deadline=None, max_examples=200)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_rectangles_forbid_all_zeros_and_no_ones(keys, queries, seed):
    truth = np.random.default_rng(seed).integers(-1, 2, (keys, queries))
    found = forbidden(truth)
    assert found[truth == 0].all()
    assert not found[truth == 1].any()
    assert len(rectangles(truth)) <= min(keys, queries)


@pytest.mark.parametrize(("values", "bits"), [(2, 2), (6, 4), (20, 6), (64, 8), (256, 11)])
def test_equality_takes_a_code_of_equal_weights(values, bits):
    truth = np.eye(values, dtype=int)
    assert len(rectangles(truth)) == bits
    assert (forbidden(truth) == (truth == 0)).all()


def test_equality_between_sets_that_overlap_in_part():
    truth = (np.arange(9)[:, None] == np.arange(4, 16)[None, :]).astype(int)
    assert len(rectangles(truth)) < 9
    assert (forbidden(truth) == (truth == 0)).all()


def test_an_order_takes_a_rectangle_per_threshold():
    at = np.arange(10)
    assert len(rectangles((at[:, None] <= at[None, :]).astype(int))) == 9


def test_what_forbids_nothing_is_free_and_one_sided_tables_cost_one():
    assert rectangles(np.ones((4, 5), int)) == []
    assert rectangles(-np.ones((4, 5), int)) == []
    keys_only = np.repeat(np.array([[1], [0], [1]]), 4, axis=1)
    assert len(rectangles(keys_only)) == 1


def test_windows_share_rectangles_where_it_does_not_matter():
    at = np.arange(40)
    back = at[None, :] - at[:, None]
    truth = np.where(back < 0, -1, back < 3)
    assert (forbidden(truth) >= (truth == 0)).all()
    assert not forbidden(truth)[truth == 1].any()
    assert len(rectangles(truth)) < 20
