"""The values that inference finds: none is missing, and where it matters none is too many."""

import math
from collections import Counter
from fractions import Fraction
from itertools import combinations_with_replacement, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.compiler.checking import inputs, interpreted
from tests.compiler.constructs import MIXED, NUMBERS, ON_MIXED, ON_NUMBERS
from tracr_lite.compiler import lib
from tracr_lite.compiler.tracing import trace
from tracr_lite.compiler.values import (
    counting,
    means,
    pointwise,
    relations,
    selection,
)
from tracr_lite.compiler.values.domain import ERR, Domain, checked, is_number, typed_key
from tracr_lite.compiler.values.frames import Frame, Keyed, Keys, build_frame, spread
from tracr_lite.compiler.values.infer import infer
from tracr_lite.compiler.values.means import means_of
from tracr_lite.compiler.values.pointwise import Table, reduce_leaves
from tracr_lite.compiler.values.selection import (
    Logic,
    class_logic,
    histogram,
    reachable_pairs,
)
from tracr_lite.craft.arrays import unique_rows
from tracr_lite.craft.memo import Memo
from tracr_lite.rasp import rasp
from tracr_lite.rasp.rasp import Aggregate, Comparison, Map, Select, SelectorWidth, SequenceMap

T, I = rasp.tokens, rasp.indices


def inferred(program, vocab, n, causal=False):
    graph = trace(program)
    lengths = [k for k in range(1, n + 1) if graph.lengths is None or k in graph.lengths]
    return graph, infer(graph, list(vocab), lengths, causal)


def values_of(program, vocab, n, causal=False):
    graph, values = inferred(program, vocab, n, causal)
    return values.info[graph.root].values


def values_at(values, node, row, position):
    """What is known about a node at one length and position."""
    keyed = values.keyed(node)
    at = int(keyed.at(np.array([row]), np.array([position]))[0])
    return {typed_key(values.info[node].values[i]) for i in np.flatnonzero(keyed.member[at])}


# Soundness: what the evaluator produces has been inferred


def assert_known(values, node, row, found):
    info = values.info[node]
    for position, value in enumerate(found):
        if info.span is not None and is_number(value):
            assert info.span[0] - 1e-9 <= value <= info.span[1] + 1e-9
        else:
            assert typed_key(value) in values_at(values, node, row, position)


def assert_bounded(values, node, row, found):
    widths = counting.analyse(values, node).widths
    mine = slice(*values.keys.runs[row])
    low, high = widths.low[mine], widths.high[mine]
    assert len(low) == len(high) == len(found)
    for position, chosen in enumerate(found):
        assert low[position] <= sum(chosen) <= high[position]


def assert_sound(program, vocab, n, causal):
    graph, values = inferred(program, vocab, n, causal)
    row_of = {int(length): row for row, length in enumerate(values.keys.lengths)}
    for xs in inputs(vocab, n, limit=64):
        if len(xs) not in row_of or interpreted(program, xs, causal) is None:
            continue
        for expr in graph.exprs:
            node, found = graph.node_of[id(expr)], interpreted(expr, xs, causal)
            check = assert_known if isinstance(expr, rasp.SOp) else assert_bounded
            check(values, node, row_of[len(xs)], found)


LIBRARY = {
    "reverse": lib.make_reverse(T),
    "hist": lib.make_hist(),
    "sort": lib.make_sort(T, T, max_seq_len=4, min_key=1),
    "sort_unique": lib.make_sort_unique(T, T),
    "sort_freq": lib.make_sort_freq(4),
    "frac_prevs": lib.make_frac_prevs(T == 1),
    "count_less_freq": lib.make_count_less_freq(2),
    "detect_pattern": lib.detect_pattern(T, [1, 2]),
    "balance": lib.make_pair_balance(T, 1, 2),
    "shift_back": lib.shift_by(-2, T),
    "length_left": rasp.length - I,
    "means_of_means": Aggregate(
        Select(I, I, Comparison.LEQ), Aggregate(Select(T, T, Comparison.LT), I, default=-1)
    ),
}
both_masks = pytest.mark.parametrize("causal", [False, True], ids=["full", "causal"])


@both_masks
@pytest.mark.parametrize("name", [*ON_NUMBERS, *LIBRARY])
def test_every_value_and_width_of_the_evaluator_was_inferred(name, causal):
    assert_sound({**ON_NUMBERS, **LIBRARY}[name], NUMBERS, 4, causal)


@both_masks
@pytest.mark.parametrize("name", ON_MIXED)
def test_every_value_of_mixed_type_was_inferred(name, causal):
    assert_sound(ON_MIXED[name], MIXED, 2, causal)


# Precision: nothing that cannot occur


PRECISE = {  # program, vocabulary, max_seq_len, its values
    "tokens_are_the_vocabulary": (T, "ab", 3, {"a", "b"}),
    "indices_stop_before_max_seq_len": (I, "ab", 3, {0, 1, 2}),
    "length_starts_at_one": (rasp.length, "ab", 3, {1, 2, 3}),
    "length_minus_index_stays_inside": (rasp.length - I - 1, "ab", 4, {0, 1, 2, 3}),
    "one_node_read_twice_has_one_value": (T - T, NUMBERS, 3, {0}),
    "functions_of_one_node_are_joint": (
        SequenceMap(lambda a, b: (a, b), T, Map(lambda x: x * x, T)),
        NUMBERS,
        3,
        {(1, 1), (2, 4), (3, 9)},
    ),
    "own_position_is_always_selected": (
        SelectorWidth(Select(T, T, Comparison.EQ)),
        "ab",
        3,
        {1, 2, 3},
    ),
    "mean_of_bits_is_every_k_over_n": (
        Aggregate(Select(I, I, Comparison.TRUE), T),
        (0, 1),
        3,
        {0, 1 / 3, 1 / 2, 2 / 3, 1},
    ),
    "copy_of_one_key_is_no_mean": (lib.make_reverse(T), NUMBERS, 4, {1, 2, 3}),
    "rank_counts_the_others": (
        SelectorWidth(Select(T, T, Comparison.LT)),
        NUMBERS,
        4,
        {0, 1, 2, 3},
    ),
    "default_of_a_full_selection_is_unreached": (
        Aggregate(Select(I, I, Comparison.LEQ), T == 1, default="never"),
        NUMBERS,
        2,
        {0, 1 / 2, 1},
    ),
    "default_of_an_empty_one_is_all_there_is": (
        Aggregate(Select(I, I, Comparison.FALSE), T, default="always"),
        NUMBERS,
        2,
        {"always"},
    ),
    "functions_see_reached_values_only": (
        Map(lambda x: 6 / (x - 4), T),
        NUMBERS,
        2,
        {-2, -3, -6},
    ),
    "none_passes_by": (Map(lambda x: x + 1, lib.shift_by(1, T)), (1,), 2, {None, 2}),
}


@pytest.mark.parametrize("name", PRECISE)
def test_values_are_exactly(name):
    program, vocab, n, expected = PRECISE[name]
    assert set(values_of(program, vocab, n)) == expected


def test_a_value_known_by_length_and_position_is_single_there():
    graph, values = inferred(rasp.length - I - 1, "ab", 5)
    for row, length in enumerate(values.keys.lengths.tolist()):
        for position in range(length):
            found = values_at(values, graph.root, row, position)
            assert found == {typed_key(length - position - 1)}


def test_a_causal_width_is_bounded_by_the_prefix():
    program = SelectorWidth(Select(T, T, Comparison.TRUE))
    graph, values = inferred(program, "ab", 4, causal=True)
    for position in range(4):
        assert values_at(values, graph.root, 3, position) == {typed_key(position + 1)}


def test_functions_are_called_on_reachable_values_only():
    called = Counter()
    values_of(SequenceMap(lambda a, b: called.update([(a, b)]), T, Map(abs, T)), (-1, 2), 3)
    assert called == Counter({(-1, 1): 1, (2, 2): 1})


def test_values_that_are_equal_but_of_different_type_are_kept_apart():
    program = Map(lambda x: {1: True, 2: 1, 3: 1.0}[x], T)
    assert sorted(type(v).__name__ for v in values_of(program, NUMBERS, 2)) == [
        "bool",
        "float",
        "int",
    ]


# Means


def evaluator_mean(numbers):
    return Aggregate(Select(I, I, Comparison.TRUE), T)(list(numbers))[0]


NUMBER_LISTS = st.lists(
    st.one_of(
        st.integers(-5, 5).map(float),
        st.sampled_from([0.5, 0.1, -0.3, 1e-3, 2.0**40, 1 / 3, 1e10]),
    ),
    min_size=1,
    max_size=4,
    unique=True,
)


@given(NUMBER_LISTS, st.integers(1, 3), st.integers(0, 2))
def test_means_are_those_of_all_multisets(numbers, low, more):
    found = means_of(sorted(numbers), range(low, low + more + 1))
    assert found is not None
    for count, ids in zip(found.counts, found.of_count, strict=True):
        multisets = combinations_with_replacement(numbers, count)
        expected = np.array(sorted({evaluator_mean(m) for m in multisets}))
        listed = found.values[ids]
        assert np.isin(expected, listed).all()
        # nothing else is listed, save what rounding makes of a sum of equal numbers
        nearest = np.abs(listed[:, None] - expected[None, :]).min(axis=1)
        assert (nearest <= 1e-15 * np.abs(listed)).all()
    assert found.counts == range(low, low + more + 1)
    assert (found.of_counts(low, low + more) == found.of_count.any(axis=0)).all()
    assert (found.of_counts(0, low) == found.of_count[0]).all()
    assert not found.of_counts(0, low - 1).any()
    assert (np.diff(found.values) > 0).all()


WIDE_NUMBERS = st.lists(
    st.one_of(
        st.integers(-(2**60), 2**60).map(float),
        st.floats(-1e3, 1e3, allow_subnormal=True),
        st.sampled_from([0.1, 1 / 3, 2 / 3, 5e-324, 1e-300, 1e300, 2.0**53, 2.0**53 + 2]),
    ),
    min_size=1,
    max_size=6,
    unique=True,
)


@given(WIDE_NUMBERS, st.integers(1, 2), st.integers(0, 3))
def test_sums_of_any_size_are_rounded_as_the_evaluator_rounds_them(numbers, low, more):
    counts = range(low, low + more + 1)
    exact = [Fraction(x) for x in numbers]
    found = means_of(sorted(numbers), counts)
    assert found is not None
    for count, ids in zip(counts, found.of_count, strict=True):
        sums = {sum(some) for some in combinations_with_replacement(exact, count)}
        whole = all(x.denominator == 1 for x in exact)
        means = {
            s.numerator / count if whole else s.numerator / s.denominator / count for s in sums
        }
        assert set(found.values[ids].tolist()) == means | (set() if whole else set(numbers))


@pytest.mark.parametrize("spread", [1, 40_000, 2.0**-40])
def test_sums_are_the_same_by_bits_and_as_a_set(spread, monkeypatch):
    numbers = sorted({spread * k * k for k in (0, 1, 3, 7, 12, 20)})
    found = means_of(numbers, range(1, 5))
    for budget in (-1, 2**60):
        monkeypatch.setattr(means, "BITSET_BUDGET", budget)
        monkeypatch.setattr(means, "SHORT", 2**60 if budget > 0 else 8)
        monkeypatch.setattr(means, "LATEST", Memo(1))
        again = means_of(numbers, range(1, 5))
        assert (again.values == found.values).all()
        assert (again.of_count == found.of_count).all()


def test_too_many_sums_are_noticed_before_they_are_listed(monkeypatch):
    numbers = [math.sqrt(k) for k in range(60)]
    listed = []
    keep = means.distinct_values
    monkeypatch.setattr(means, "LATEST", Memo(1))
    monkeypatch.setattr(
        means, "distinct_values", lambda sums: (listed.append(sums.size), keep(sums))[1]
    )
    assert means_of(numbers, range(1, 6)) is None
    assert max(listed) < means.SUMS_BUDGET / 10
    listed.clear()
    assert means_of(numbers, range(1, 4)) is not None  # the last sums are not too many
    assert max(listed) > means.SUMS_BUDGET / 10


def test_means_that_are_kept_are_those_of_the_same_numbers(monkeypatch):
    monkeypatch.setattr(means, "LATEST", Memo(2))
    cases = [([-0.0, 1.0], range(1, 3)), ([0.0, 1.0], range(1, 3)), ([0.0, 1.0], range(1, 4))]
    found = [means_of(*case) for case in cases]
    assert found[0] is not found[1]
    assert len(found[2].values) == 5
    assert means_of(*cases[2]) is found[2]
    assert means_of(*cases[0]) is not found[0]  # two are kept
    assert (
        means_of([math.sqrt(k) for k in range(40)], range(1, 4)).values.size > means.KEPT_MEANS
    )
    assert len(means.LATEST) == 2  # that is too large to be kept


def test_means_past_the_budget_are_not_listed():
    assert means_of([float(k * k) / 7 for k in range(200)], range(1, 60)) is None


# Where values occur


@st.composite
def keys_and_codes(draw):
    """Bounds that depend on both, on the length or the position alone, or on neither."""
    keys = Keys(np.array(sorted(draw(st.sets(st.integers(1, 6), min_size=1)))))
    rows, positions = keys.all_pairs
    by = draw(st.sampled_from([rows * 7 + positions, rows, positions, 0 * rows]))
    some = np.array(draw(st.lists(st.integers(0, 3), min_size=49, max_size=49)))
    return keys, some[by]


@given(keys_and_codes())
def test_few_bounds_have_the_classes_that_many_have(case):
    keys, code = case
    few, many = counting._few_classes(code, keys), counting._classes(code, keys)
    assert few[0].tolist() == many[0].tolist()
    assert few[1].tolist() == many[1].tolist()
    assert (few[0][Keyed(few[1], np.ones((9, 1), bool)).everywhere(keys)] == code).all()


@given(st.integers(1, 70), st.integers(0, 70), st.integers(1, 4), st.integers(0, 2**32))
def test_distinct_rows_are_the_same_for_few_and_many(count, width, kinds, seed):
    rng = np.random.default_rng(seed)
    member = (rng.random((kinds, width)) < 0.5)[rng.integers(0, kinds, count)]
    found, which = unique_rows(member)
    assert (found[which] == member).all()
    assert len({row.tobytes() for row in found}) == len(found)
    first = [which.tolist().index(at) for at in range(len(found))]
    assert first == sorted(first)
    assert which.dtype == np.int64


SMALL_TABLES = st.lists(st.integers(-1, 2), min_size=24, max_size=24)


@given(SMALL_TABLES, st.permutations([2, 3, 4]), st.booleans())
def test_leaves_are_dropped_alike_from_full_tables_and_others(ids, sizes, full):
    codes = np.arange(24) if full else np.arange(24)[np.array(ids) != 2]
    table = Table(Frame((3, 5, 8), tuple(sizes), codes), np.array(ids)[codes])
    found = reduce_leaves(table)
    kept = found.on(table.frame)
    assert ((table.ids == kept) | (table.ids == ERR)).all()
    for leaf in found.leaves:  # without it, some values could not be told apart
        rest = [i for i in found.leaves if i != leaf]
        columns = [found.frame.column(i).tolist() for i in rest]
        values_of = {}
        keys = zip(*columns, strict=True) if rest else [()] * len(found.ids)
        for key, at in zip(keys, found.ids.tolist(), strict=True):
            values_of.setdefault(key, set()).add(at)
        assert any(len(some - {ERR}) > 1 for some in values_of.values())


@given(SMALL_TABLES, SMALL_TABLES, st.booleans(), st.integers(1, 2))
def test_functions_are_called_alike_on_few_tuples_and_many(one, two, strict, inputs):
    domains = [["a", None, 5], [0, 2.5, True]][:inputs]
    columns = [np.array(one), np.array(two)][:inputs]
    calls = []

    def fn(*args):
        calls.append(args)
        return 1 / len(str(args[-1]).strip("0")) if args[0] != 5 else args

    found = []
    for few in (128, -1):
        calls.clear()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(pointwise, "FEW_TUPLES", few)
            domain, ids = pointwise.apply(fn, strict, columns, domains, 24)
        found.append((domain.values, ids.tolist(), list(calls)))
    assert repr(found[0]) == repr(found[1])
    assert len(set(calls)) == len(calls)


@st.composite
def keyed_leaves(draw, n=4):
    """Nodes with random values per length and position."""
    leaves, lengths = [], sorted(draw(st.sets(st.integers(1, n), min_size=1)))
    for _ in range(draw(st.integers(1, 3))):
        domain = draw(st.integers(1, 3))
        rows = len(lengths) if draw(st.booleans()) else 1
        columns = lengths[-1] if draw(st.booleans()) else 1
        some = st.sets(st.integers(0, domain - 1), min_size=1)
        known = [[draw(some) for _ in range(columns)] for _ in range(rows)]
        member = np.array([[i in cell for i in range(domain)] for row in known for cell in row])
        packed, classes = unique_rows(member)
        leaves.append(Keyed(classes.reshape(rows, columns), packed))
    return Keys(np.array(lengths)), leaves


def all_keys(keys):
    for row, length in enumerate(keys.lengths.tolist()):
        yield from ((row, position) for position in range(length))


def ids_at(keyed, row, position):
    at = keyed.at(np.array([row]), np.array([position]))[0]
    return np.flatnonzero(keyed.member[at]).tolist()


def tuples_by_key(keys, leaves):
    return {
        key: set(product(*(ids_at(leaf, *key) for leaf in leaves))) for key in all_keys(keys)
    }


@given(keyed_leaves())
def test_a_frame_holds_the_tuples_that_some_position_makes_possible(case):
    keys, leaves = case
    sizes = [leaf.member.shape[1] for leaf in leaves]
    frame = build_frame(tuple(range(len(leaves))), leaves, sizes, keys)
    found = set(zip(*(frame.column(i).tolist() for i in range(len(leaves))), strict=True))
    assert found == set.union(*tuples_by_key(keys, leaves).values())


@given(keyed_leaves(), st.integers(1, 4))
def test_values_of_tuples_are_spread_to_where_the_tuples_occur(case, size):
    keys, leaves = case
    sizes = [leaf.member.shape[1] for leaf in leaves]
    frame = build_frame(tuple(range(len(leaves))), leaves, sizes, keys)
    columns = [frame.column(i) for i in range(len(leaves))]
    ids = np.sum(columns, axis=0) % (size + 1) - 1  # -1: the evaluator raises there
    keyed = spread(leaves, sizes, {"codes": frame.codes, "values": ids}, size, keys)
    for key, tuples in tuples_by_key(keys, leaves).items():
        assert set(ids_at(keyed, *key)) == {sum(t) % (size + 1) - 1 for t in tuples} - {-1}


@given(keyed_leaves())
def test_keys_and_queries_can_meet_where_one_length_has_both(case):
    keys, leaves = case
    k, q = leaves[0], leaves[-1]
    met = np.zeros((k.member.shape[1], q.member.shape[1]), bool)
    for (row, a), (other, b) in product(all_keys(keys), repeat=2):
        if row == other:
            met[np.ix_(ids_at(k, row, a), ids_at(q, row, b))] = True
    np.testing.assert_array_equal(reachable_pairs(k, q, keys), met)


@given(keyed_leaves())
def test_a_histogram_counts_the_positions_of_each_class(case):
    keys, leaves = case
    counts = histogram(leaves[0], keys)
    for row in range(len(keys.lengths)):
        positions = np.arange(keys.lengths[row])
        classes = leaves[0].at(np.full_like(positions, row), positions)
        expected = np.bincount(classes, minlength=len(leaves[0].member))
        np.testing.assert_array_equal(counts[row], expected)


# Truth


def test_values_that_are_alike_are_merged_without_a_difference(monkeypatch):
    rng = np.random.default_rng(0)
    keys = Keys(np.array([2, 3, 5]))
    for sizes in ((40, 30), (7, 200), (120, 1)):
        k, q = (
            Keyed(rng.integers(0, 4, (3, 5)), rng.random((4, size)) < chance)
            for size, chance in zip(sizes, rng.choice([0.1, 0.5, 0.9], 2), strict=True)
        )
        table = rng.integers(-1, 2, sizes, np.int8)
        found = {}
        for few in (10**6, 0):
            monkeypatch.setattr(selection, "FEW_PAIRS", few)
            logic = class_logic(k, q, table)
            found[few] = [reachable_pairs(k, q, keys), logic.may, logic.must]
        for one, other in zip(*found.values(), strict=True):
            assert np.array_equal(one, other)


TYPED = st.recursive(
    st.sampled_from([0, 0.0, -0.0, False, 1, 1.0, True, None, "", "1", 2.5]),
    lambda inner: st.lists(inner, max_size=3).map(tuple),
    max_leaves=4,
)


@given(st.lists(TYPED, max_size=8))
def test_values_have_one_key_if_no_function_tells_them_apart(values):
    for a, b in product(values, values):
        assert (typed_key(a) == typed_key(b)) == (repr(a) == repr(b))
    domain = Domain.of(values)
    assert [repr(v) for v in domain.values] == list(dict.fromkeys(map(repr, values)))
    called, ids = pointwise._called(lambda v: v, False, [(v,) for v in values])
    assert list(map(repr, called.values)) == list(map(repr, domain.values))
    assert [repr(called.values[i]) for i in ids] == list(map(repr, values))


@given(st.lists(st.sampled_from(["may", "must", "never"]), min_size=2, max_size=2))
def test_three_valued_logic_agrees_with_all_choices(kinds):
    def logic(kind):
        return Logic(np.array(kind != "never"), np.array(kind == "must"))

    def choices(kind):
        return {"may": [False, True], "must": [True], "never": [False]}[kind]

    x, y = map(logic, kinds)
    pairs = list(product(*map(choices, kinds)))
    for found, outcomes in (
        (x & y, [a and b for a, b in pairs]),
        (x | y, [a or b for a, b in pairs]),
        (~x, [not a for a, _ in pairs]),
    ):
        assert (bool(found.may), bool(found.must)) == (any(outcomes), all(outcomes))


# Relations between positions

RANK = SelectorWidth(Select(T, T, Comparison.LT))
KEYED = SequenceMap(lambda x, i: 10 * x + i, T, I)
DETERMINES = {  # key, value: do equal keys at two positions mean equal values?
    "tokens_their_maps": (T, Map(lambda x: x % 2, T), True),
    "tokens_not_the_index": (T, I, False),
    "index_everything": (I, T, True),
    "index_in_a_map": (KEYED, T, True),
    "rank_the_token": (RANK, T, True),
    "rank_of_unequal_ones_not": (SelectorWidth(Select(T, T, Comparison.NEQ)), T, False),
    "parity_not_the_token": (T % 2, T, False),
    "tokens_their_counts": (T, SelectorWidth(Select(T, T, Comparison.EQ)), True),
    "tokens_not_the_previous": (T, lib.shift_by(1, T), False),
    "tokens_the_length": (T, rasp.length, True),
    "a_reversible_map_the_token": (-T, T, True),
    "a_pair_both_parts": (SequenceMap(lambda x, y: (x, y), T, I), I, True),
}


@pytest.mark.parametrize("name", DETERMINES)
def test_it_is_known_whether_equal_keys_mean_equal_values(name):
    key, value, expected = DETERMINES[name]
    graph, values = inferred(SequenceMap(lambda a, b: (a, b), key, value), (1, 2, 4), 4)
    nodes = [graph.node_of[id(x)] for x in (key, value)]
    assert relations.determines(values, *nodes) is expected


@pytest.mark.parametrize("name", DETERMINES)
def test_what_is_said_to_determine_does_so_in_the_evaluator(name):
    key, value, expected = DETERMINES[name]
    clashes = 0
    for xs in inputs((1, 2, 4), 4):
        known = {}
        for k, v in zip(key(xs), value(xs), strict=True):
            clashes += known.setdefault(k, v) != v
    assert (clashes == 0) is expected


def test_equal_keys_say_nothing_about_a_causal_count():
    count = SelectorWidth(Select(T, T, Comparison.EQ))
    graph, values = inferred(SequenceMap(max, T, count), (1, 2), 3, causal=True)
    assert not relations.determines(values, *(graph.node_of[id(x)] for x in (T, count)))


def test_sorting_selects_exactly_one_key_at_each_position():
    graph, values = inferred(lib.make_sort(T, T, max_seq_len=4, min_key=1), NUMBERS, 4)
    (selector,) = graph.inputs(graph.root)[:1]
    widths = values.selected[selector].widths
    assert widths.high.max() == 1


# Single values


GOOD = [
    None,
    True,
    0,
    -1.5,
    "a",
    (1, ("b", None)),
    np.float32(0.5),
    np.int64(3),
    np.bool_(True),
]


@pytest.mark.parametrize("value", GOOD, ids=repr)
def test_plain_values_are_kept_and_numpy_scalars_become_plain(value):
    assert checked(value) == value
    assert type(checked(value)).__module__ == "builtins"


def test_a_domain_tells_equal_values_of_different_type_apart():
    some = [1, True, 1.0, 0.0, -0.0, (1,), (True,), "1", 1]
    domain = Domain.of(some)
    assert len(domain) == 8
    assert [domain.add(v) for v in some] == [0, 1, 2, 3, 4, 5, 6, 7, 0]
