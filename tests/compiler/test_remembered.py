"""Small tables and scores are remembered: a program compiles to the same model whatever was
compiled before it, and what is kept does not grow."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracr_lite.compiler.compiling import compile_once
from tracr_lite.compiler.lowering import mlp_neurons
from tracr_lite.compiler.lowering.match import classes_of
from tracr_lite.compiler.lowering.mlp_inputs import Inputs
from tracr_lite.compiler.lowering.mlp_neurons import MADE
from tracr_lite.compiler.lowering.proved import EXACT, Errors, NumberErrors
from tracr_lite.compiler.lowering.proved_steps import Read, _nearly_open
from tracr_lite.compiler.lowering.remembered import Memory
from tracr_lite.compiler.lowering.scores import WEIGHTS
from tracr_lite.compiler.values.counting import BOUNDS
from tracr_lite.craft.entries import Entries
from tracr_lite.errors import CompileError
from tracr_lite.rasp import rasp
from tracr_lite.sampling import sample_program


def forget():
    MADE.forget()
    WEIGHTS.forget()
    BOUNDS.forget()


def compiled(seed):
    """All weights and labels of a random program, or its refusal."""
    sample = sample_program(seed, nodes=(4, 9), max_seq_len=4, vocab_size=3)
    try:
        model = compile_once(sample.program, sample.vocab, 4, causal=sample.causal, sparse=True)
    except CompileError as error:
        return str(error)
    params = model.params
    return model.residual_labels, params.positions.tolist(), params.values.tobytes()


def test_what_was_compiled_before_makes_no_difference():
    alone = []
    for seed in range(60):
        forget()
        alone.append(compiled(seed))
    forget()
    assert [compiled(seed) for seed in range(60)] == alone
    assert [compiled(seed) for seed in reversed(range(60))] == alone[::-1]
    assert len(MADE) > 10 < len(WEIGHTS)
    assert len(BOUNDS) > 10


def test_tables_that_come_again_are_not_computed_again(monkeypatch):
    forget()
    made = []

    def table(*args):
        made.append(args)
        return of_table(*args)

    of_table = mlp_neurons._table
    monkeypatch.setattr(mlp_neurons, "_table", table)
    for name in ("first", "second"):
        step = rasp.Map(lambda x: (x + 1) % 3, rasp.tokens).named(name)
        pair = rasp.SequenceMap(lambda x, i: x * i, step, rasp.indices)
        compile_once(pair, {0, 1, 2}, 3)
    assert len(made) == 1


def test_what_is_remembered_cannot_be_changed():
    forget()
    program = rasp.SequenceMap(lambda x, i: x * i, rasp.tokens, rasp.indices)
    model = compile_once(program, {0, 1, 2}, 3)
    (block,) = model.trace.layers.blocks.blocks
    with pytest.raises(ValueError, match="read-only"):
        block.snd.entries.values[:] = 7.0
    block.snd.matrix[:] = 7.0  # an array of its own
    again = compile_once(program, {0, 1, 2}, 3)
    for module, group in again.params.items():
        for name, array in group.items():
            np.testing.assert_array_equal(array, model.params[module][name])


def test_what_programs_share_of_their_values_cannot_be_changed():
    forget()
    same = rasp.Select(rasp.tokens, rasp.tokens, rasp.Comparison.EQ)
    count = rasp.SelectorWidth(same)
    values = compile_once(count, {"a", "b"}, 3).trace.values
    (selected,) = values.selected.values()
    tokens = values.keyed(values.labels.index("tokens"))
    shared = [selected.widths.low, selected.widths.high, tokens.classes, tokens.member]
    for array in [*shared, values.keys.lengths, *values.keys.all_pairs]:
        with pytest.raises(ValueError, match="read-only"):
            array[:] = 1
    again = compile_once(count, {"x", "y"}, 3)
    assert again.trace.values.info[values.graph.root].values == [1, 2, 3]


def test_a_memory_keeps_the_latest_results():
    memory = Memory(10)
    calls = []

    def compute(key):
        calls.append(key)
        return [key]

    for key in range(100):
        assert memory.of(key, lambda key=key: compute(key)) == [key]
        assert memory.of(0, lambda: compute(0)) == [0]  # asked for all the time
        assert len(memory) <= 10
    assert calls == list(range(100))
    memory.forget()
    assert len(memory) == 0


def test_a_memory_keeps_no_errors():
    memory = Memory(10)

    def fails():
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        memory.of(1, fails)
    assert memory.of(1, lambda: "yes") == "yes"


def arguments():
    """Inputs of a table, and each of them changed a little."""
    cells = np.array([[0, 2], [1, 2], [0, 3]])
    output, dirs = np.array([0, 1, 1]), [None] * 4
    base = {"dirs": dirs, "at_bos": np.zeros(4), "cells": cells, "x": None, "output": output}
    base |= {"number": None, "noise": 0.01, "slot": 0, "has": Errors(0.1, 0.1, 0.1, 0.0)}
    yield base
    yield {**base, "dirs": [None] * 5, "at_bos": np.zeros(5)}
    yield {**base, "at_bos": np.array([0.0, 1.0, 0.0, 0.0])}
    yield {**base, "cells": cells[:, ::-1].copy()}
    yield {**base, "output": np.array([1, 0, 1])}
    yield {**base, "noise": 0.02}
    yield {**base, "has": Errors(0.1, 0.1, 0.2, 0.0)}


def test_all_that_neurons_depend_on_is_in_their_key():
    keys = [mlp_neurons._key(Inputs(**a), None, Entries.eye(2), True) for a in arguments()]
    assert len(set(keys)) == len(keys)
    (first, *_) = arguments()
    codes = [Entries.of(np.array(code)) for code in ([[1.0], [2.0]], [[1.0], [3.0]])]
    others = {mlp_neurons._key(Inputs(**first), None, code, False) for code in codes}
    assert len(others) == 2


@st.composite
def truths(draw):
    rows, cols = draw(st.integers(1, 12)), draw(st.integers(1, 11))
    cells = st.lists(st.sampled_from([-1, -1, 0, 1]), min_size=cols, max_size=cols)
    return np.array(draw(st.lists(cells, min_size=rows, max_size=rows)), np.int64)


@given(truths())
def test_classes_agree_wherever_truth_is_known(truth):
    classes, rows = classes_of(truth)
    of_each = rows[classes]
    assert ((truth < 0) | (of_each == truth)).all()
    known = [(truth[classes == at] >= 0).any(axis=0) for at in range(len(rows))]
    assert ((rows >= 0) == np.array(known)).all()
    assert len(rows) <= len(np.unique(truth, axis=0))


@given(st.data())
def test_closed_gates_write_no_more_than_their_bound(data):
    """Against all gates, with errors that add up to what is said of them."""
    sizes = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))
    every = list(itertools.product(*map(range, sizes)))
    gates = data.draw(st.lists(st.sampled_from(every), min_size=1, unique=True))
    starts = np.cumsum([0, *sizes])
    cells = np.array(gates) + starts[:-1]
    count, k = int(starts[-1]), len(sizes)
    some = st.lists(st.floats(-0.05, 0.05), min_size=count, max_size=count)
    error = np.array(data.draw(some))
    size = np.abs(error)
    has = Errors(float(size.max()), float(size.sum()), float(size.sum()), 0.0)
    none = np.zeros(count)
    inputs = Inputs([None] * count, none, cells, None, none, None, 0.0, 0, has)
    read = Read(inputs, NumberErrors(0.0, 0.0, 0.0, 0.0, 1.0), none, none, has, 0)
    bound = _nearly_open(read, 0.0)
    for hot in cells:
        x = error.copy()
        x[hot] += 1.0
        found = sum(max(x[g].sum() - (k - 1), 0.0) for g in cells if (g != hot).any())
        assert found <= bound + 1e-12
    assert bound <= 2 * k * len(gates) * has.total  # it says something


def test_gates_without_errors_stay_closed():
    cells = np.array([[0, 2], [1, 2], [0, 3]])
    inputs = Inputs([None] * 4, np.zeros(4), cells, None, np.zeros(3), None, 0.0, 0, EXACT)
    number = NumberErrors(0.0, 0.0, 0.0, 0.0, 1.0)
    assert _nearly_open(Read(inputs, number, np.zeros(4), np.zeros(4), EXACT, 0), 0.0) == 0.0
