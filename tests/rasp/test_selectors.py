"""Selector algebra: simplified forms mean the same, whole and causal; causal masking."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracr_lite.rasp import causal_eval, rasp

KEYS = rasp.tokens
SELECTS = [rasp.Select(KEYS, rasp.indices, c) for c in rasp.Comparison]
SELECTS += [rasp.Select(KEYS, rasp.indices, lambda k, q: (k + q) % 2)]
SELECTS += [rasp.Select(rasp.length, rasp.indices, rasp.Comparison.LT)]
SELECTS += [rasp.Select(rasp.indices, KEYS, rasp.Comparison.LEQ)]
CONSTANTS = [
    rasp.ConstantSelector([[(i * j + s) % 3 == 0 for i in range(4)] for j in range(4)], check)
    for s in range(2)
    for check in (True, False)
]

LEAVES = st.sampled_from(SELECTS + CONSTANTS)
TREES = st.recursive(
    LEAVES,
    lambda trees: st.one_of(
        st.tuples(st.sampled_from(["and", "or"]), trees, trees),
        st.tuples(st.just("not"), trees),
    ),
    max_leaves=6,
)
BUILD = {"and": rasp.selector_and, "or": rasp.selector_or, "not": rasp.selector_not}
NUMBERS = st.one_of(st.integers(-3, 3), st.just(math.nan))


def _build(tree: object, simplify: bool) -> rasp.Selector:
    if isinstance(tree, tuple):
        parts = [_build(part, simplify) for part in tree[1:]]
        return BUILD[tree[0]](*parts, simplify=simplify)
    return tree


@given(TREES, st.lists(NUMBERS, min_size=4, max_size=4))
@pytest.mark.parametrize("evaluate", [rasp.evaluate, causal_eval.evaluate])
def test_simplified_means_the_same(evaluate, tree, xs):
    expected = evaluate(_build(tree, simplify=False), xs)
    assert evaluate(_build(tree, simplify=True), xs) == expected


@pytest.mark.parametrize(
    ("selector", "kind"),
    [
        (SELECTS[0] & SELECTS[1], rasp.Select),
        (SELECTS[0] | SELECTS[1], rasp.Select),
        (~SELECTS[1], rasp.Select),
        (CONSTANTS[0] & CONSTANTS[2], rasp.ConstantSelector),
        (CONSTANTS[0] | CONSTANTS[2], rasp.ConstantSelector),
        (~CONSTANTS[0], rasp.ConstantSelector),
        (SELECTS[0] & SELECTS[-1], rasp.SelectorAnd),
        (SELECTS[0] | SELECTS[-1], rasp.SelectorOr),
        (CONSTANTS[0] & CONSTANTS[1], rasp.SelectorAnd),  # one is cut, the other is not
        (~(SELECTS[0] & SELECTS[-1]), rasp.SelectorNot),
        (rasp.selector_not(SELECTS[0], simplify=False), rasp.SelectorNot),
        (rasp.selector_and(SELECTS[0], SELECTS[1], simplify=False), rasp.SelectorAnd),
        (rasp.selector_or(SELECTS[0], SELECTS[1], simplify=False), rasp.SelectorOr),
    ],
)
def test_kind_after_simplification(selector, kind):
    assert type(selector) is kind


def test_double_negation_is_removed():
    both = SELECTS[0] & SELECTS[-1]
    assert ~~both is both
    custom = SELECTS[-2]
    assert (~~custom).predicate is custom.predicate
    assert (~SELECTS[0]).predicate is rasp.Comparison.NEQ


def test_equal_combinations_have_equal_predicates():
    assert (SELECTS[0] & SELECTS[1]).predicate == (SELECTS[0] & SELECTS[1]).predicate
    assert (SELECTS[0] & SELECTS[1]).predicate != (SELECTS[0] | SELECTS[1]).predicate
    assert (~SELECTS[1]).predicate == (~SELECTS[1]).predicate


def test_truth_tables():
    fst = rasp.ConstantSelector([[0, 0], [1, 1]])
    snd = rasp.ConstantSelector([[0, 1], [0, 1]])
    for simplify in (True, False):
        assert rasp.selector_and(fst, snd, simplify)("ab") == [[False, False], [False, True]]
        assert rasp.selector_or(fst, snd, simplify)("ab") == [[False, True], [True, True]]
        assert rasp.selector_not(fst, simplify)("ab") == [[True, True], [False, False]]


ALL = rasp.Select(rasp.indices, rasp.indices, rasp.Comparison.TRUE)
NOTHING = rasp.Select(rasp.indices, rasp.indices, rasp.Comparison.FALSE)
PREFIX = [[True, False, False], [True, True, False], [True, True, True]]

CAUSAL = [
    pytest.param(ALL, PREFIX, id="select"),
    pytest.param(rasp.ConstantSelector([[1, 1, 1]] * 3), PREFIX, id="constant"),
    pytest.param(rasp.SelectorNot(NOTHING), PREFIX, id="not"),
    pytest.param(rasp.SelectorOr(NOTHING, ALL), PREFIX, id="or"),
    pytest.param(rasp.SelectorAnd(ALL, ALL), PREFIX, id="and"),
    pytest.param(rasp.SelectorNot(ALL), [[False] * 3] * 3, id="not_all"),
    pytest.param(rasp.SelectorWidth(ALL), [1, 2, 3], id="width_counts_the_prefix"),
    pytest.param(rasp.length, [3, 3, 3], id="length_is_whole"),
    pytest.param(rasp.Aggregate(ALL, rasp.tokens), [4.0, 3.0, 4.0], id="mean_so_far"),
    pytest.param(rasp.tokens, [4, 2, 6], id="tokens"),
]


@pytest.mark.parametrize(("program", "expected"), CAUSAL)
def test_causal_value(program, expected):
    assert causal_eval.evaluate(program, [4, 2, 6]) == expected
    assert causal_eval.CausalEvaluator().evaluate(program, [4, 2, 6]) == expected


@given(TREES, st.lists(st.integers(-3, 3), min_size=4, max_size=4))
def test_causal_rows_never_look_ahead(tree, xs):
    rows = causal_eval.evaluate(_build(tree, simplify=False), xs)
    assert not any(on for q, row in enumerate(rows) for k, on in enumerate(row) if k > q)
