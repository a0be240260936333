"""Truth tables: the predicate on each pair that can meet, however it is made and computed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracr_lite.compiler.values import predicates
from tracr_lite.compiler.values.keyed import Keyed
from tracr_lite.compiler.values.predicates import truth_table
from tracr_lite.compiler.values.selection import class_logic
from tracr_lite.rasp.functions import AllOf, AnyOf, Negated, conjoin, disjoin, negate
from tracr_lite.rasp.rasp import Comparison

PLAIN = st.one_of(st.integers(-3, 3), st.booleans(), st.sampled_from([0.5, -2.0]))
VALUES = st.one_of(
    st.lists(PLAIN, min_size=1, max_size=4),
    st.lists(st.sampled_from(["a", "b", ""]), min_size=1, max_size=3),
    st.lists(st.one_of(PLAIN, st.none(), st.just("a")), min_size=1, max_size=4),
    st.lists(st.one_of(PLAIN, st.just((1, 2))), min_size=1, max_size=4),
)


def odd_sum(key, query):
    return (key + query) % 2  # raises on None and on texts


COMPARED = st.sampled_from([*Comparison, odd_sum])
PREDICATES = st.recursive(
    COMPARED,
    lambda inner: st.one_of(
        inner.map(negate),
        inner.map(Negated),
        st.tuples(inner, inner).map(lambda pair: conjoin(*pair)),
        st.tuples(inner, inner).map(lambda pair: disjoin(*pair)),
    ),
    max_leaves=5,
)


def truth(predicate, key, query):
    try:
        return int(bool(predicate(key, query)))
    except (TypeError, ValueError):
        return -1


@given(PREDICATES, VALUES, VALUES, st.data())
def test_a_truth_table_is_the_predicate_on_pairs_that_can_meet(predicate, keys, queries, data):
    cells = st.lists(st.booleans(), min_size=len(queries), max_size=len(queries))
    reachable = np.array([data.draw(cells) for _ in keys])
    expected = [[truth(predicate, k, q) for q in queries] for k in keys]
    for few in (10**6, -1):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(predicates, "FEW_PAIRS", few)
            found = truth_table(predicate, keys, queries, reachable)
        assert found.dtype == np.int8
        np.testing.assert_array_equal(found, np.where(reachable, expected, -1))


@pytest.mark.parametrize("join", [lambda p: p, Negated, lambda p: AllOf((p, p))])
def test_predicates_are_not_asked_about_pairs_that_cannot_meet(join):
    asked = []

    def ask(key, query):
        asked.append((key, query))
        return True

    truth_table(join(ask), [1, 2], [3, 4], np.eye(2, dtype=bool))
    assert set(asked) == {(1, 3), (2, 4)}


def test_large_comparisons_that_are_joined_are_not_made_pair_by_pair(monkeypatch):
    """Some selectors compare thousands of values with thousands."""
    monkeypatch.setattr(Comparison, "__call__", lambda *_: pytest.fail("asked pair by pair"))
    near = Negated(AnyOf((Comparison.LT, AllOf((Comparison.GT, Comparison.NEQ)))))
    values = list(range(500))
    found = truth_table(near, values, values, np.ones((500, 500), bool))
    np.testing.assert_array_equal(found, np.eye(500))


def test_what_lies_beside_numbers_in_memory_raises_no_warning():
    """Some kernels of BLAS compute on the stack beside vectors of 5, here signalling NaNs."""
    noise = np.full(400, 0x7F800001, np.uint32).view(np.float32)
    keys, queries = (
        Keyed(np.zeros((1, 1), np.int64), np.ones(shape, bool)) for shape in [(1, 2), (7, 5)]
    )
    for rows, columns in [(8, 200), (64, 64)]:
        with np.errstate(all="ignore"):  # copied to the stack, as there are gaps between them
            np.ones((rows, columns), np.float32) @ noise[: 2 * columns : 2]
        with np.errstate(all="raise"):
            logic = class_logic(keys, queries, np.ones((2, 5), np.int8))
        assert logic.must.all()
