"""Craft blocks: exact on their values, and within the tolerances that they state."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracr_lite.craft.blocks import U
from tracr_lite.craft.blocks.neurons import Neurons
from tracr_lite.craft.blocks.select_head import (
    Literal,
    literal_scores,
    sharpness,
    weight_error,
)
from tracr_lite.craft.blocks.step_mlp import Steps, TooClose, ramps_of, step_mlp
from tracr_lite.craft.blocks.table_mlp import table_mlp
from tracr_lite.craft.entries import Entries

CODES = st.sampled_from([-3.0, -1.0, 0.0, 0.5, 1.0, 7.0])


def codes(draw, rows, columns):
    return np.array([[draw(CODES) for _ in range(columns)] for _ in range(rows)])


def in_float32(neurons, x):
    weights = (neurons.w_in, neurons.bias, neurons.w_out)
    w_in, bias, w_out = (w.astype(np.float32) for w in weights)
    return np.maximum(x.astype(np.float32) @ w_in + bias, np.float32(0)) @ w_out


# Tables


@st.composite
def tables(draw):
    """Sizes of one-hot inputs; some of the tuples of their columns; the rows they write."""
    sizes = draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))
    starts = np.cumsum([0, *sizes[:-1]])
    everything = list(product(*(range(a, a + s) for a, s in zip(starts, sizes, strict=True))))
    cells = draw(st.lists(st.sampled_from(everything), min_size=1, unique=True))
    code = codes(draw, draw(st.integers(1, 4)), draw(st.integers(1, 3)))
    outputs = np.array([draw(st.integers(0, len(code) - 1)) for _ in cells])
    return sum(sizes), everything, np.array(cells), outputs, code


def one_hots(everything, n_in):
    x = np.zeros((len(everything), n_in))
    for row, columns in zip(x, everything, strict=True):
        row[list(columns)] = 1.0
    return x


def answers(everything, cells, outputs, code):
    known = {tuple(c): code[o] for c, o in zip(cells.tolist(), outputs, strict=True)}
    return np.array([known.get(tuple(c), np.zeros(code.shape[1])) for c in everything])


@given(tables())
def test_table_writes_the_row_of_each_tuple_and_nothing_for_others(table):
    n_in, everything, cells, outputs, code = table
    neurons = table_mlp(cells, outputs, code, n_in)
    x = one_hots(everything, n_in)
    np.testing.assert_array_equal(neurons(x), answers(everything, cells, outputs, code))
    np.testing.assert_array_equal(in_float32(neurons, x), neurons(x))


@given(tables(), st.floats(0.01, 0.99), st.integers(0, 99))
def test_table_hands_on_no_noise_below_its_tolerance(table, share, seed):
    n_in, everything, cells, outputs, code = table
    noise = share * 0.25  # of the sum over all columns
    neurons = table_mlp(cells, outputs, code, n_in, noise=noise)
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], (len(everything), n_in))
    found = neurons(one_hots(everything, n_in) + noise / n_in * signs)
    expected = answers(everything, cells, outputs, code)
    np.testing.assert_allclose(found, expected, atol=neurons.error + 1e-12)


@given(tables(), st.floats(1e-7, 1e-3))
def test_a_tables_error_bounds_what_float32_does(table, noise):
    n_in, everything, cells, outputs, code = table
    neurons = table_mlp(cells, outputs, code / 3, n_in, noise=noise)
    found = in_float32(neurons, one_hots(everything, n_in) * (1 - noise / 4))
    expected = answers(everything, cells, outputs, code / 3)
    assert (np.abs(found - expected) <= neurons.errors + 1e-12).all()
    assert np.abs(found - expected).sum(axis=1).max() <= neurons.spread + 1e-12


def test_table_keeps_negative_outputs():
    neurons = table_mlp(np.arange(3)[:, None], np.arange(3), np.array([[-1.0], [-2], [-3]]), 3)
    np.testing.assert_array_equal(neurons(np.eye(3)), [[-1], [-2], [-3]])


def test_table_shares_a_neuron_where_an_input_does_not_matter():
    cells = np.array(list(product(range(5), range(5, 8))))
    neurons = table_mlp(cells, cells[:, 1] - 5, np.eye(3), 8)
    assert neurons.hidden == 3


def test_table_writes_nothing_where_no_input_is_hot():
    cells = np.array(list(product(range(2), range(2, 4))))
    neurons = table_mlp(cells, np.zeros(4, int), np.ones((1, 1)), 4)
    np.testing.assert_array_equal(neurons(np.zeros((1, 4))), [[0]])


@pytest.mark.parametrize("k", [1, 2, 3])
def test_table_refuses_noise_past_its_tolerance(k):
    cells = np.arange(k)[None, :]
    with pytest.raises(ValueError, match="cannot be told apart"):
        table_mlp(cells, np.zeros(1, int), np.ones((1, 1)), k, noise=0.25)


# Steps


@st.composite
def steps(draw):
    """Values per gate and the row each writes; the code; how many gates."""
    rows = []
    n_gates = draw(st.integers(1, 3))
    code = codes(draw, draw(st.integers(1, 4)), draw(st.integers(1, 2)))
    scale = draw(st.sampled_from([1.0, 0.01, 1000.0]))
    for gate in range(n_gates):
        xs = draw(st.sets(st.integers(-20, 20), min_size=1, max_size=6))
        rows += [(gate, x * scale, draw(st.integers(0, len(code) - 1))) for x in sorted(xs)]
    gate, x, output = map(np.array, zip(*rows, strict=True))
    return gate, x.astype(float), output, code, n_gates


def gated(case, error):
    """The block for input columns [number, gate 0, gate 1, ...]; one gate is always open."""
    gate, x, output, code, n_gates = case
    number = np.eye(1 + n_gates)[0]
    gates = np.zeros((n_gates, 2 + n_gates))
    gates[np.arange(n_gates), 1 + np.arange(n_gates)] = 1.0
    valid = np.append(np.zeros(1 + n_gates), 1.0)
    block = Steps(gate, x, output, np.full(len(x), error))
    neurons = step_mlp(block, code, number, gates, valid)
    return neurons, np.concatenate([x[:, None], np.eye(n_gates)[gate]], axis=1)


def gap_of(case):
    gate, x, output, *_ = case
    change = np.flatnonzero((np.diff(gate) == 0) & (np.diff(output) != 0))
    return float(np.diff(x)[change].min(initial=np.inf))


@given(steps())
def test_steps_are_exact_on_their_values_under_each_gate(case):
    neurons, inputs = gated(case, 0.0)
    expected = case[3][case[2]]
    np.testing.assert_allclose(neurons(inputs), expected, atol=1e-9)
    found = in_float32(neurons, inputs)
    assert (np.abs(found - expected) <= neurons.errors + 1e-12).all()


@given(steps(), st.floats(0.0, 0.24), st.sampled_from([-1.0, 1.0]))
def test_steps_tolerate_almost_a_quarter_of_the_gap(case, share, sign):
    """The ramps between outputs that differ leave room for it on both sides."""
    error = share * min(gap_of(case), 1.0)
    neurons, inputs = gated(case, error)
    inputs[:, 0] += sign * error
    np.testing.assert_allclose(neurons(inputs), case[3][case[2]], atol=1e-6)


@given(steps())
def test_a_closed_gate_writes_nothing(case):
    neurons, inputs = gated(case, 0.0)
    inputs[:, 1:] = 0.0
    np.testing.assert_allclose(neurons(inputs), 0.0, atol=1e-9)


@given(steps())
def test_steps_need_two_neurons_per_change_and_one_per_gate(case):
    gate, _, output, _, n_gates = case
    changes = np.count_nonzero((np.diff(gate) == 0) & (np.diff(output) != 0))
    assert gated(case, 0.0)[0].hidden <= 2 * changes + n_gates


@pytest.mark.parametrize("n", [8, 64, 512])
def test_steps_read_every_width_up_to_n(n):
    """The values 1/(1+w) are 1/n**2 apart at the end: float32 with its rounding must do."""
    x = 1 / (1 + np.arange(n, -1, -1.0))
    case = (np.zeros(n + 1, int), x, np.arange(n + 1), np.arange(n + 1.0)[:, None], 1)
    neurons, inputs = gated(case, 1e-9)
    found = in_float32(neurons, inputs)[:, 0]
    assert np.abs(found - np.arange(n + 1)).max() <= neurons.error + 1e-9
    assert np.abs(found - np.arange(n + 1)).max() < 0.25


@pytest.mark.parametrize("error", [0.6, 0.5])
def test_steps_refuse_values_that_the_error_confuses(error):
    case = (np.zeros(2, int), np.array([1.0, 2.0]), np.arange(2), np.eye(2), 1)
    with pytest.raises(TooClose, match=r"1.0 and 2.0"):
        gated(case, error)


def test_steps_do_not_mind_close_values_with_one_output():
    case = (
        np.zeros(3, int),
        np.array([1.0, 1.0 + 1e-12, 2.0]),
        np.array([0, 0, 1]),
        np.eye(2),
        1,
    )
    neurons, inputs = gated(case, 1e-6)
    np.testing.assert_allclose(neurons(inputs), np.eye(2)[[0, 0, 1]], atol=1e-6)


def test_steps_refuse_close_values_in_float32():
    x = np.array([1.0, 1.0 + 1e-8])
    with pytest.raises(TooClose):
        ramps_of(Steps(np.zeros(2, int), x, np.arange(2), np.zeros(2)))


# Selections


TABLES = (
    st.integers(1, 6)
    .flatmap(
        lambda width: st.lists(
            st.lists(st.sampled_from([0, 1, -1]), min_size=width, max_size=width),
            min_size=1,
            max_size=6,
        )
    )
    .map(np.array)
)


@given(TABLES)
def test_selected_keys_score_total_and_all_others_one_less(table):
    scores = literal_scores(Literal(table))
    found = scores.query @ scores.key.T  # query, key
    total = np.broadcast_to(scores.total[:, None], found.shape)
    np.testing.assert_array_equal(found[table.T == 1], total[table.T == 1])
    np.testing.assert_array_equal(found[table.T == 0], total[table.T == 0] - 1)


@given(TABLES)
def test_pairs_that_never_meet_score_no_more_than_selected_ones(table):
    scores = literal_scores(Literal(table))
    found = scores.query @ scores.key.T
    assert (found <= scores.total[:, None]).all()


@given(TABLES)
def test_the_rank_of_scores_is_no_more_than_keys_or_queries(table):
    assert literal_scores(Literal(table)).query.shape[1] <= min(table.shape)


LOW_RANK = {  # table, rank
    "nothing": (np.zeros((5, 7), int), 0),
    "everything": (np.ones((5, 7), int), 0),
    "all_but_one_each": (1 - np.eye(5, dtype=int), 5),
    "by_parity": (np.arange(8)[:, None] % 2 * np.ones((1, 8), int), 1),
    "query_alone": (np.ones((8, 1), int) * (np.arange(8) < 3), 0),
}


@pytest.mark.parametrize("name", LOW_RANK)
def test_scores_have_the_rank_of_what_they_say(name):
    table, rank = LOW_RANK[name]
    assert literal_scores(Literal(table)).query.shape[1] == rank


@pytest.mark.parametrize("halved", [False, True])
@pytest.mark.parametrize("n", [1, 10, 100, 10_000])
def test_sharpness_leaves_less_than_a_ten_billionth_to_all_unselected_keys(n, halved):
    c = sharpness(n, halved=halved)
    assert c == int(c)
    assert n * np.exp(-(c / 2 if halved else c)) < 1e-10


@given(st.integers(1, 300), st.data())
def test_weights_are_within_their_error_in_float32(n, data):
    w = data.draw(st.integers(1, n))
    gap = sharpness(n, halved=False)
    scores = np.full(n, -gap, np.float32)
    scores[:w] = 0.0
    weights = np.exp(scores)
    weights = weights / weights.sum(dtype=np.float32)
    bound = weight_error(n, gap, 0.0)
    assert abs(weights[0] * w - 1) <= bound
    assert weights[w:].sum() <= bound


# Sums of blocks


def test_blocks_side_by_side_add_up_and_so_do_their_errors():
    one, two = (
        Neurons(
            Entries.of(np.full((2, 3), s)),
            np.zeros(3),
            Entries.of(np.full((3, 1), s)),
            np.full(1, 0.1 * s),
            s,
        )
        for s in (1.0, 2.0)
    )
    both, x = Neurons.concatenate([one, two]), np.array([[1.0, -0.5]])
    np.testing.assert_allclose(both(x), one(x) + two(x))
    assert both.hidden == 6
    assert both.error == pytest.approx(0.3)
    assert both.spread == 3.0


def test_the_unit_roundoff_is_that_of_float32():
    assert np.finfo(np.float32).eps == 2 * U
