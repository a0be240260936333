"""The reference interpreter: None rules, means, constants, subclasses, and large programs."""

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracr_lite.rasp import rasp

EQ, LT, LEQ, TRUE = (rasp.Comparison[name] for name in ("EQ", "LT", "LEQ", "TRUE"))
ALL = rasp.Select(rasp.indices, rasp.indices, TRUE)
NOTHING = rasp.Select(rasp.indices, rasp.indices, rasp.Comparison.FALSE)
BEFORE = rasp.Select(rasp.indices, rasp.indices, LT)

PROGRAMS = [
    pytest.param(rasp.tokens, "ab", ["a", "b"], id="tokens"),
    pytest.param(rasp.indices, "ab", [0, 1], id="indices"),
    pytest.param(rasp.length, "ab", [2, 2], id="length"),
    pytest.param(rasp.Full(None), "ab", [None, None], id="full"),
    pytest.param(rasp.ConstantSOp([5, 6]), "ab", [5, 6], id="constant"),
    pytest.param(rasp.ConstantSOp([5, 6, 7], False), "ab", [5, 6], id="constant_is_cut"),
    pytest.param(
        rasp.LinearSequenceMap(rasp.tokens, rasp.indices, 2, -1), [5, 6], [10, 11], id="linear"
    ),
    pytest.param(BEFORE, "abc", [[0, 0, 0], [1, 0, 0], [1, 1, 0]], id="rows_are_queries"),
    pytest.param(rasp.SelectorWidth(BEFORE), "abc", [0, 1, 2], id="width"),
    pytest.param(rasp.Aggregate(BEFORE, rasp.tokens), [4, 1, 7], [None, 4, 2.5], id="mean"),
    pytest.param(rasp.Aggregate(NOTHING, rasp.tokens, 9), "ab", [9, 9], id="default"),
    pytest.param(rasp.Aggregate(ALL, rasp.tokens), "aa", ["a", "a"], id="equal_strings"),
    pytest.param(rasp.Aggregate(ALL, rasp.tokens), [None, None], [None, None], id="only_none"),
    pytest.param(rasp.Aggregate(ALL, rasp.tokens), [(1, "a")], [(1, "a")], id="one_tuple"),
    pytest.param(
        rasp.Aggregate(ALL, rasp.tokens), [True, False, 1], [2 / 3] * 3, id="bools_are_numbers"
    ),
    pytest.param(
        rasp.ConstantSelector([[1, 0, 1], [0, 0, 0], [1, 1, 1]], check_length=False),
        "ab",
        [[True, False], [False, False]],
        id="constant_selector_is_cut",
    ),
]


@pytest.mark.parametrize(("program", "xs", "expected"), PROGRAMS)
def test_value(program, xs, expected):
    assert program(xs) == rasp.evaluate(program, xs) == expected


@pytest.mark.parametrize("program", [ALL, BEFORE & ALL, rasp.SelectorWidth(ALL), rasp.tokens])
def test_no_tokens_no_values(program):
    assert program([]) == []


def test_mean_of_one_number_is_a_float():
    (value,) = rasp.Aggregate(ALL, rasp.tokens)([3])
    assert isinstance(value, float)


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=20), st.randoms())
def test_mean_does_not_depend_on_order(xs, random):
    mean = rasp.Aggregate(ALL, rasp.tokens)
    shuffled = random.sample(xs, len(xs))
    assert mean(xs)[0] == mean(shuffled)[0]


def test_mean_of_large_integers_is_exact():
    big = 2**60
    assert rasp.Aggregate(ALL, rasp.tokens)([big + 1, 1 - big, 1]) == [1.0] * 3


@pytest.mark.parametrize("xs", [["a", "b"], ["a", 1], [1, None]])
def test_mean_of_different_things_is_refused_by_value(xs):
    with pytest.raises(ValueError, match=f"no mean.*{xs[0]!r}, {xs[1]!r}"):
        rasp.Aggregate(ALL, rasp.tokens)(xs)


def _refuse(*values):
    raise AssertionError(f"called with {values}")


def test_map_and_sequence_map_pass_none_on_without_a_call():
    assert rasp.Map(_refuse, rasp.tokens)([None]) == [None]
    assert rasp.SequenceMap(_refuse, rasp.tokens, rasp.indices)([None]) == [None]
    assert rasp.SequenceMap(_refuse, rasp.indices, rasp.tokens)([None]) == [None]


def test_map_may_return_none():
    odd = rasp.Map(lambda x: x if x % 2 else None, rasp.tokens)
    assert odd([1, 2]) == [1, None]


@pytest.mark.parametrize("simplify", [True, False])
def test_composed_map_stops_at_none(simplify):
    nothing = rasp.Map(lambda x: None, rasp.tokens)
    assert rasp.Map(_refuse, nothing, simplify)([1, 2]) == [None, None]
    assert rasp.Map(_refuse, rasp.Map(str, nothing, simplify), simplify)([1]) == [None]


TABLES = st.dictionaries(st.integers(0, 3), st.integers(0, 3))  # a missing key yields None


@given(st.lists(TABLES, min_size=1, max_size=4), st.lists(st.integers(0, 3)))
def test_fused_maps_equal_maps_in_a_row(tables, xs):
    fused = plain = rasp.tokens
    for table in tables:
        fused = rasp.Map(table.get, fused)
        plain = rasp.Map(table.get, plain, simplify=False)
    assert fused.inner is rasp.tokens
    assert fused(xs) == plain(xs)


def test_predicates_are_called_with_none_and_only_their_truth_counts():
    select = rasp.Select(rasp.tokens, rasp.tokens, lambda key, query: "yes" * (key is None))
    assert select([None, 1]) == [[True, False], [True, False]]


@pytest.mark.parametrize("comparison", list(rasp.Comparison))
def test_comparisons_refuse_none(comparison):
    for pair in ((None, 1), (1, None)):
        with pytest.raises(ValueError, match="is None"):
            comparison(*pair)


@pytest.mark.parametrize(
    ("name", "expected"),  # on the pairs (1, 2), (2, 2), (3, 2)
    [
        ("EQ", [0, 1, 0]),
        ("NEQ", [1, 0, 1]),
        ("LT", [1, 0, 0]),
        ("LEQ", [1, 1, 0]),
        ("GT", [0, 0, 1]),
        ("GEQ", [0, 1, 1]),
        ("TRUE", [1, 1, 1]),
        ("FALSE", [0, 0, 0]),
    ],
)
def test_comparison_is_key_against_query(name, expected):
    assert [rasp.Comparison[name](key, 2) for key in (1, 2, 3)] == expected


@pytest.mark.parametrize(
    ("constant", "xs"),
    [
        (rasp.ConstantSOp([1, 2]), "a"),
        (rasp.ConstantSOp([1, 2]), "abc"),
        (rasp.ConstantSOp([1, 2], check_length=False), "abc"),
        (rasp.ConstantSelector([[1, 0], [0, 1]]), "a"),
        (rasp.ConstantSelector([[1, 0], [0, 1]]), "abc"),
        (rasp.ConstantSelector([[1, 0], [0, 1]], check_length=False), "abc"),
        (rasp.ConstantSelector([[1, 0, 0], [0, 1]]), "ab"),
    ],
)
def test_constants_of_another_length(constant, xs):
    with pytest.raises(ValueError, match=r"Constant len \d doesn't match input len \d\."):
        constant(xs)


def test_unknown_kind_of_expression_is_named():
    class Strange(rasp.SOp):
        children = ()

    with pytest.raises(NotImplementedError, match="Strange is unknown to DefaultRASP"):
        Strange()("a")


def _chain(length: int) -> rasp.SOp:
    sop = rasp.tokens
    for _ in range(length):
        sop = rasp.Map(lambda x: x + 1, sop, simplify=False)
    return sop


def _fused_chain(length: int) -> rasp.SOp:
    sop = rasp.tokens
    for _ in range(length):
        sop = sop + 1
    return sop


def _diamond(depth: int) -> rasp.SOp:
    sop = rasp.tokens
    for _ in range(depth):
        sop = rasp.SequenceMap(lambda x, y: (x + y) % 7, sop, sop)
    return sop


def _selectors(length: int) -> rasp.Selector:
    selector = ALL
    for _ in range(length):
        selector = selector & rasp.Select(rasp.indices, rasp.indices, LEQ)
    return selector


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        (_chain(5_000), [5_000]),
        (_fused_chain(5_000), [5_000]),
        (_diamond(200), [pow(2, 200, 7)]),
        (_selectors(2_000), [[True]]),
    ],
    ids=["chain", "fused_chain", "diamond", "selectors"],
)
def test_large_programs_evaluate_at_once(program, expected):
    xs = [1] if isinstance(program, rasp.SequenceMap) else [0]
    start = time.perf_counter()
    assert program(xs) == expected
    assert time.perf_counter() - start < 2


class Counter(rasp.DefaultRASPEvaluator):
    def __init__(self):
        self.labels = []

    def evaluate(self, expr, xs):
        self.labels.append(expr.name)
        return super().evaluate(expr, xs)


def test_an_overridden_evaluate_sees_each_expression_once_inputs_first():
    shared = (rasp.tokens + 1).named("shared")
    counter = Counter()
    assert counter.evaluate((shared * shared).named("top"), [1, 2]) == [4, 9]
    assert sorted(counter.labels) == ["shared", "tokens", "top"]
    counter.evaluate(shared, [1, 2])  # nothing is remembered from one call to the next
    assert sorted(counter.labels) == ["shared", "shared", "tokens", "tokens", "top"]


def test_an_overridden_evaluate_changes_what_later_expressions_read():
    class Doubled(rasp.DefaultRASPEvaluator):
        def evaluate(self, expr, xs):
            value = super().evaluate(expr, list(xs))  # another list with the same tokens
            return [2 * x for x in value] if isinstance(expr, rasp.SOp) else value

    program = rasp.Map(lambda x: x + 1, rasp.Map(lambda x: x + 1, rasp.tokens), simplify=False)
    assert Doubled().evaluate(program, [5]) == [((5 * 2 + 1) * 2 + 1) * 2]


def test_an_overridden_eval_method_may_evaluate_inputs_and_other_expressions():
    class Patched(Counter):
        def eval_map(self, sop, xs):
            values = self.evaluate(sop.inner, xs)
            elsewhere = self.evaluate(sop.inner, [100 for _ in xs])
            return [x + y for x, y in zip(values, elsewhere, strict=True)]

    program = rasp.Map(abs, rasp.Map(abs, rasp.tokens), simplify=False)
    # inner map: 1 + 100; on tokens 100 it is 100 + 100
    assert Patched().evaluate(program, [1]) == [101 + 200]


def test_eval_methods_can_be_called_alone():
    assert rasp.DefaultRASPEvaluator().eval_map(rasp.tokens + 1, [1, 2]) == [2, 3]


def test_a_program_may_evaluate_programs_and_an_error_leaves_no_trace():
    evaluator = rasp.DefaultRASPEvaluator()
    inner = rasp.Map(lambda x: 1 // x, rasp.tokens)
    outer = rasp.Map(lambda x: evaluator.evaluate(inner, [x])[0], rasp.tokens)
    with pytest.raises(ZeroDivisionError):
        evaluator.evaluate(outer, [0])
    assert evaluator.evaluate(outer, [1, 2]) == [1, 0]


def test_one_evaluator_serves_many_threads():
    evaluator, program, results = rasp.DefaultRASPEvaluator(), _chain(300), {}

    def work(k: int) -> None:
        results[k] = [evaluator.evaluate(program, [k]) for _ in range(5)]

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {k: [[k + 300]] * 5 for k in range(8)}


def test_evaluator_is_abstract():
    with pytest.raises(TypeError):
        rasp.RASPEvaluator()


def test_results_are_not_the_input_itself():
    xs = [1, 2]
    rasp.tokens(xs).append(3)
    assert xs == [1, 2]


def test_what_is_no_expression_or_no_sequence_is_refused_by_name():
    with pytest.raises(TypeError, match="an S-Op or a selector; got None"):
        rasp.evaluate(None, "a")
    with pytest.raises(TypeError, match="the tokens must be a sequence; got 5"):
        rasp.evaluate(rasp.tokens, 5)
    with pytest.raises(TypeError, match="the tokens must be a sequence; got None"):
        rasp.tokens(None)
