"""Each library program against a plain Python function of the tokens."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracr_lite.compiler import lib
from tracr_lite.rasp import causal_eval, rasp

WORDS = st.lists(st.sampled_from("abc"), max_size=9)
NUMBERS = st.lists(st.integers(-4, 4), max_size=9)


def _frac_prevs(xs):
    return [xs[: i + 1].count("a") / (i + 1) for i in range(len(xs))]


def _sort_freq(xs):
    counts = Counter(xs)
    return sorted(xs, key=lambda x: -counts[x])


def _count_less(n):
    return lambda xs: [sum(xs.count(x) <= n for x in xs)] * len(xs)


def _shift(k, xs):
    return [xs[i - k] if 0 <= i - k < len(xs) else None for i in range(len(xs))]


def _detect(pattern):
    def reference(xs):
        windows = [xs[i - len(pattern) + 1 : i + 1] for i in range(len(xs))]
        early = len(pattern) - 1
        return [None if i < early else w == list(pattern) for i, w in enumerate(windows)]

    return reference


ON_WORDS = [
    pytest.param(lib.length, lambda xs: [len(xs)] * len(xs), id="length"),
    pytest.param(lib.make_length(), lambda xs: [len(xs)] * len(xs), id="make_length"),
    pytest.param(lib.make_reverse(rasp.tokens), lambda xs: xs[::-1], id="reverse"),
    pytest.param(lib.make_hist(), lambda xs: [xs.count(x) for x in xs], id="hist"),
    pytest.param(lib.make_frac_prevs(rasp.tokens == "a"), _frac_prevs, id="frac_prevs"),
    pytest.param(lib.make_sort_freq(9), _sort_freq, id="sort_freq"),
    pytest.param(lib.make_count_less_freq(2), _count_less(2), id="count_less_freq"),
    pytest.param(
        lib.make_count(rasp.tokens, "a"), lambda xs: [xs.count("a")] * len(xs), id="count"
    ),
    *(
        pytest.param(
            lib.shift_by(k, rasp.tokens), lambda xs, k=k: _shift(k, xs), id=f"shift{k}"
        )
        for k in (0, 1, 2, -1, -3, 20)
    ),
    *(
        pytest.param(lib.detect_pattern(rasp.tokens, p), _detect(p), id=f"detect_{p}")
        for p in ("a", "ab", "aa", "abca")
    ),
]


@pytest.mark.parametrize(("program", "reference"), ON_WORDS)
@given(xs=WORDS)
def test_on_words(program, reference, xs):
    assert program(xs) == reference(xs)


@given(xs=NUMBERS)
def test_sort_is_stable(xs):
    order = lib.make_sort(rasp.indices, rasp.tokens, max_seq_len=9, min_key=1)
    assert order(xs) == sorted(range(len(xs)), key=lambda i: xs[i])


@given(xs=st.lists(st.floats(-5, 5), unique=True, max_size=9))
def test_sort_unique(xs):
    assert lib.make_sort_unique(rasp.tokens, rasp.tokens)(xs) == sorted(xs)


def _balances(xs, pair):
    steps = [(x == pair[0]) - (x == pair[1]) for x in xs]
    return [sum(steps[: i + 1]) for i in range(len(steps))]


def _shuffle_dyck(pairs, xs):
    balances = [_balances(xs, pair) for pair in pairs]
    ok = all(min(b) >= 0 and b[-1] == 0 for b in balances)
    return [ok] * len(xs)


@given(xs=st.lists(st.sampled_from("()x"), min_size=1, max_size=9))
def test_pair_balance(xs):
    got = lib.make_pair_balance(rasp.tokens, "(", ")")(xs)
    expected = [b / (i + 1) for i, b in enumerate(_balances(xs, "()"))]
    assert got == pytest.approx(expected)
    assert [g == 0 for g in got] == [e == 0 for e in expected]


@given(xs=st.lists(st.sampled_from("(){}"), min_size=1, max_size=8))
def test_shuffle_dyck_on_random_brackets(xs):
    assert lib.make_shuffle_dyck2()(xs) == _shuffle_dyck(["()", "{}"], xs)


@pytest.mark.parametrize(
    ("text", "ok"),
    [
        ("()", True),
        ("({)}", True),
        ("(()){}", True),
        (")(", False),
        ("(", False),
        ("({)", False),
    ],
)
def test_shuffle_dyck_on_chosen_brackets(text, ok):
    assert lib.make_shuffle_dyck2()(text) == [ok] * len(text)
    if "{" not in text:
        assert lib.make_shuffle_dyck(["()"])(text) == [ok] * len(text)


def test_frac_prevs_is_the_same_under_causal_attention():
    program = lib.make_frac_prevs(rasp.tokens == "a")
    assert causal_eval.evaluate(program, "abba") == program("abba")


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_nary_sequencemap_calls_f_with_one_value_per_sop(n):
    sops = [rasp.indices, rasp.tokens, rasp.length, rasp.Full(7), rasp.indices + 1][:n]
    program = lib.make_nary_sequencemap(lambda *args: args, *sops)
    assert program("ab") == [(0, "a", 2, 7, 1)[:n], (1, "b", 2, 7, 2)[:n]]


def test_nary_sequencemap_keeps_tuples_apart_and_passes_none_on():
    tuples = rasp.Map(lambda x: (x, x), rasp.tokens)
    program = lib.make_nary_sequencemap(lambda *args: args, tuples, tuples, rasp.tokens)
    assert program(["a", None]) == [(("a", "a"), ("a", "a"), "a"), None]


@pytest.mark.parametrize(
    ("sop", "name"),
    [
        (lib.length, "length"),
        (lib.make_reverse(rasp.tokens), "reverse"),
        (lib.make_pair_balance(rasp.tokens, "(", ")"), "pair_balance"),
        (lib.make_shuffle_dyck(["()"]), "shuffle_dyck"),
        (lib.make_shuffle_dyck2(), "shuffle_dyck2"),
        (lib.make_hist(), "hist"),
        (lib.make_sort_unique(rasp.tokens, rasp.tokens), "sort"),
        (lib.make_sort(rasp.tokens, rasp.tokens, max_seq_len=3, min_key=1), "sort"),
        (lib.make_sort_freq(3), "sort_freq"),
        (lib.make_frac_prevs(rasp.tokens == "a"), "frac_prevs"),
        (lib.shift_by(2, rasp.tokens), "shift_by(2)"),
        (lib.detect_pattern(rasp.tokens, "ab"), "detect_pattern(ab)"),
        (lib.make_count_less_freq(2), "count_less_freq"),
        (lib.make_count(rasp.tokens, "a"), "count_a"),
    ],
)
def test_names_and_encodings(sop, name):
    assert sop.name == name
    assert rasp.is_numerical(sop) == (name in ("frac_prevs", "pair_balance"))


def test_functions_of_equal_programs_are_equal():
    fst, snd = lib.shift_by(2, rasp.tokens), lib.shift_by(2, rasp.indices)
    assert fst.selector.predicate == snd.selector.predicate
    assert fst.selector.predicate != lib.shift_by(1, rasp.tokens).selector.predicate


@pytest.mark.parametrize(
    "make",
    [
        lambda: lib.detect_pattern(rasp.tokens, ""),
        lambda: lib.make_shuffle_dyck([]),
        lambda: lib.make_shuffle_dyck(["(]"[:1]]),
        lambda: lib.make_sort(rasp.tokens, rasp.tokens, max_seq_len=0, min_key=1),
        lambda: lib.make_nary_sequencemap(max),
    ],
)
def test_unusable_arguments(make):
    with pytest.raises(ValueError, match=r"must|needs"):
        make()


def test_shift_by_needs_an_integer():
    with pytest.raises((ValueError, TypeError)):  # a type checker at run time answers first
        lib.shift_by(0.5, rasp.tokens)
