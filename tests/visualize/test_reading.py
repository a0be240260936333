"""What pictures are made from: activations, selectors, values, formulas."""

import numpy as np
import pytest

from tests.visualize.models import by_hand, longest, model_of, odd, reading_of
from tracr_lite import catalog, load
from tracr_lite.compiler import compile_rasp_to_model
from tracr_lite.compiler.circuits.errors import CircuitError
from tracr_lite.errors import InputError
from tracr_lite.rasp import causal_eval, rasp
from tracr_lite.visualize import VisualizeError
from tracr_lite.visualize.comparing import answers_agree, compared
from tracr_lite.visualize.formulas import formulas, neurons_of
from tracr_lite.visualize.page_data import page_data
from tracr_lite.visualize.parts import heads_of, owners_of, parts_of, selectors_of
from tracr_lite.visualize.reading import read
from tracr_lite.visualize.rows import fold, groups_of

SOME = ("reverse", "histogram_with_bos", "most_frequent", "running_mean", "shuffle_dyck3")
some_programs = pytest.mark.parametrize("name", SOME)


@some_programs
def test_neurons_write_what_the_model_added(name):
    reading = reading_of(name)
    for layer in range(reading.layers):
        group = reading.model.params[f"transformer/layer_{layer}/mlp/linear_2"]
        added = reading.hidden(layer) @ group["w"] + group["b"]
        change = reading.stream[2 * layer + 2] - reading.stream[2 * layer + 1]
        np.testing.assert_allclose(added, change, atol=1e-4)


@some_programs
def test_selectors_are_those_of_the_evaluator(name):
    reading, entry = reading_of(name), catalog.load(name)
    evaluate = causal_eval.evaluate if entry.causal else rasp.evaluate
    trace = reading.trace
    for expr in trace.graph.exprs:
        if isinstance(expr, rasp.Selector):
            found = reading.selected(trace.graph.node_of[id(expr)])
            assert found.tolist() == evaluate(expr, list(longest(name)))


@some_programs
def test_heads_attend_to_what_their_selectors_select(name):
    """And to BOS; never to a key that is not selected."""
    reading = reading_of(name)
    for (layer, head), selector in selectors_of(reading).items():
        weights = reading.attention[layer, head][1:, 1:]
        assert weights[~reading.selected(selector)].max(initial=0.0) < 1e-3


@some_programs
def test_model_and_interpreter_agree_at_every_node(name):
    reading = reading_of(name)
    assert all(each.agrees for each in compared(reading).values())
    assert all(answers_agree(reading))
    with_columns = [part for part in parts_of(reading).values() if part.place.columns]
    assert all(compared(reading)[part.label].model is not None for part in with_columns)


@some_programs
def test_each_column_is_in_exactly_one_row(name):
    reading = reading_of(name)
    for limit in (1000, 30, 5):
        groups = fold(reading, groups_of(reading), limit)
        columns = sorted(i for group in groups for row in group.rows for i in row.columns)
        assert columns == list(range(len(reading.model.residual_labels)))


@some_programs
def test_parts_stand_after_what_they_read(name):
    parts = parts_of(reading_of(name))
    for part in parts.values():
        for below in part.reads:
            assert parts[below].slot <= part.slot
            assert parts[below].fused or part.fused or parts[below].slot < part.slot


def test_formulas_of_neurons():
    reading, minus = read(by_hand(), [0, 1]), "\N{MINUS SIGN}"
    (group,) = neurons_of(reading, 0)
    assert (group.node, group.numbers, group.active) == ("out", (0,), (0,))
    assert neurons_of(read(by_hand(), [1, 1]), 0)[0].active == ()
    reads, writes = formulas(reading, 0, 0)
    assert reads == f"2 tokens:a {minus} 0.5"
    assert writes == f"{minus}3 out:1 + out:0"


@some_programs
def test_neurons_belong_to_their_nodes(name):
    reading = reading_of(name)
    for part in parts_of(reading).values():
        for layer, span in part.place.neurons:
            own = {i: g.node for g in neurons_of(reading, layer) for i in g.numbers}
            assert {own[i] for i in span if i in own} <= {part.label}


def test_each_column_has_an_owner_that_is_named():
    reading = reading_of("histogram_with_bos")
    assert set(owners_of(reading)) <= {*parts_of(reading), "one"}


def test_values_of_all_kinds_are_compared():
    model, xs = odd()
    assert all(each.agrees for each in compared(read(model, xs)).values())


def test_loaded_models_have_heads_and_parts(tmp_path):
    loaded = load(model_of("reverse").save(tmp_path / "it"))
    reading = read(loaded, ["a", "b"])
    assert reading.decoded == ("b", "a")
    assert heads_of(reading) == [(0, 0), (1, 0)]
    assert parts_of(reading)["opp_idx_3"].fused
    assert compared(reading) == {}


def strings(data):
    """All strings in plain data."""
    if isinstance(data, str):
        return [data]
    inner = data.values() if isinstance(data, dict) else data if isinstance(data, list) else ()
    return [text for each in inner for text in strings(each)]


def test_all_text_of_the_page_can_be_seen():
    program = rasp.Map(lambda x: x, rasp.tokens).named("\u202etxet")
    model = compile_rasp_to_model(program, {"\u202eabc", "a\nb"}, 2)
    found = strings(page_data(read(model, ["\u202eabc", "a\nb"])))
    assert all(text.isprintable() for text in found)
    assert "\\u202etxet_1" in found


def test_the_column_of_the_token_none_is_called_so():
    model = compile_rasp_to_model(rasp.tokens, {None, "None", "a"}, 2)
    labels = [label for label in model.residual_labels if label.startswith("tokens")]
    assert {"tokens:None", "tokens:'None'", "tokens:a"} < set(labels)
    assert "tokens" not in labels
    (group,) = [g for g in groups_of(read(model, [None, "a"])) if g.name == "tokens"]
    assert "None" in [row.label for row in group.rows]


def test_bad_inputs_are_refused():
    with pytest.raises(VisualizeError, match="without BOS here; leave out the 'compiler_bos'"):
        read(model_of("reverse"), ["compiler_bos", "a"])
    with pytest.raises(InputError, match="'z'"):
        read(model_of("reverse"), ["z"])
    program = rasp.Map(lambda x: [][x], rasp.tokens)
    raising = compile_rasp_to_model(program, {0, 1}, 3)
    with pytest.raises(CircuitError, match="the program itself raises"):
        compared(read(raising, [0]))
