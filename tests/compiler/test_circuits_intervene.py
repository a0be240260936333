"""model.intervene: the interpreter's answer under the same intervention, or a refusal."""

import random

import numpy as np
import pytest

import tracr_lite
from tests.compiler.checking import BOS, compiled, same
from tracr_lite.compiler import compile_rasp_to_model, lib
from tracr_lite.compiler.circuits.errors import CircuitError, InterventionError
from tracr_lite.compiler.circuits.node_values import node_values
from tracr_lite.errors import CompileError, InputError, TracrLiteError
from tracr_lite.rasp import causal_eval, rasp
from tracr_lite.rasp.base import topological
from tracr_lite.rasp.rasp import Aggregate, Comparison, Map, Select, SelectorWidth, SequenceMap
from tracr_lite.sampling import sample_program

T, I = rasp.tokens, rasp.indices
AB = ("a", "b")
SAME = Select(T, T, Comparison.EQ)
COUNT = SelectorWidth(SAME).named("count")
PREVIOUS = Aggregate(Select(I, I - 1, Comparison.EQ), T).named("previous")
REVERSE = lib.make_reverse(T)


def number_of(model, label):
    return model.trace.layers.blocks.labels.index(label)


def test_tokens_can_be_set_to_any_token():
    model = compiled(REVERSE, AB, 4)
    found = model.intervene({T: {1: "b"}})
    assert found.predict([BOS, "a", "a", "a"]) == ["a", "b", "a"]
    assert found.evaluate(["a", "a", "a"]) == ["a", "b", "a"]
    assert model.predict([BOS, "a", "a", "a"]) == ["a", "a", "a"], "the model is as before"


def test_a_node_is_given_by_expression_label_or_place():
    model = compiled(SequenceMap(lambda x, y: (x, y), PREVIOUS, T), AB, 4)
    label = model.trace.label_of(PREVIOUS)
    for key in (PREVIOUS, label, model.nodes[label], model.node(PREVIOUS)):
        found = model.intervene({key: {0: "b", 2: None}}).predict([BOS, "a", "a", "b"])
        assert found == [("b", "a"), ("a", "a"), None]


def test_a_node_is_given_by_its_name_if_only_one_has_it():
    program = SequenceMap(lambda x, y: (x, y), PREVIOUS, COUNT)
    found = compiled(program, AB, 3).intervene({"count": 2, "previous": {1: "b"}})
    assert found.predict([BOS, "a", "a", "b"]) == [None, ("b", 2), ("a", 2)]
    one, two = Map(lambda x: x + x, T).named("h"), PREVIOUS.named("h")
    model = compiled(SequenceMap(lambda x, y: (x, y), one, two), AB, 3)
    labels = [label for label in model.nodes if label.startswith("h_")]
    assert len(labels) == 2
    with pytest.raises(InterventionError, match=f"named 'h': {', '.join(labels)}; give the"):
        model.intervene({"h": "a"})
    with pytest.raises(InterventionError, match=r"count_\d is given twice"):
        compiled(program, AB, 3).intervene({"count": 2, COUNT: 1})


def test_tokens_and_positions_of_numpy_are_the_numbers_that_they_hold():
    program = SequenceMap(lambda x, y: (x, y), PREVIOUS, COUNT)
    found = compiled(program, (1, 2), 3).intervene({COUNT: {np.int64(1): np.int32(3)}})
    assert found.predict([BOS, *np.array([1, 2])]) == [None, (1, 3)]
    assert found.predict(iter([BOS, 1, 2])) == [None, (1, 3)]
    assert found.evaluate(np.array([1, 2])) == [None, (1, 3)]


def test_a_value_alone_is_set_at_every_position():
    model = compiled(SequenceMap(lambda x, y: (x, y), PREVIOUS, T), AB, 4)
    found = model.intervene({PREVIOUS: "b"}).predict([BOS, "a", "b"])
    assert found == [("b", "a"), ("b", "b")]


def test_several_nodes_at_once():
    program = SequenceMap(lambda x, y: (x, y), PREVIOUS, COUNT)
    model = compiled(program, AB, 3)
    found = model.intervene({PREVIOUS: {1: "b"}, COUNT: {1: 3, 2: 1}})
    assert found.predict([BOS, "a", "a", "a"]) == [None, ("b", 3), ("a", 1)]


def test_a_count_is_set_in_the_form_in_which_it_stands():
    program = Map(lambda x: f"{x} times", COUNT, simplify=False)
    model = compiled(program, AB, 4)
    found = model.intervene({COUNT: {0: 4, 1: 1}}).apply([BOS, "a", "b", "b"])
    assert found.decoded == [BOS, "4 times", "1 times", "2 times"]
    (column,) = model.node(COUNT).columns
    np.testing.assert_allclose(found.residuals[0][0, 1:3, column], [1 / 5, 1 / 2])


def test_a_mean_is_set_to_another_mean_or_to_none():
    mean = Aggregate(Select(I, I, Comparison.LT), T).named("mean")
    model = compiled(rasp.numerical(Map(lambda x: 2 * x, mean, simplify=False)), (1, 2), 4)
    found = model.intervene({mean: {1: 1.5, 2: None}}).predict([BOS, 1, 2, 1])
    assert found == [None, 3.0, None]


def test_a_mean_of_numbers_too_many_to_list_is_set_to_any_between_them():
    rng = random.Random(0)
    vocab = tuple(1 + rng.random() for _ in range(8))
    mean = Aggregate(Select(I, I, Comparison.LEQ), T).named("mean")
    model = compile_rasp_to_model(Aggregate(Select(I, I, Comparison.TRUE), mean), vocab, 40)
    assert model.trace.values.info[number_of(model, model.trace.label_of(mean))].span
    xs = list(vocab)[:3]
    found = model.intervene({mean: {0: 1.345, 2: min(vocab)}})
    for x, y in zip(found.evaluate(xs), found.predict([BOS, *xs]), strict=True):
        assert y == pytest.approx(x, rel=1e-5)
    with pytest.raises(InterventionError, match="numbers from 1"):
        model.intervene({mean: 7.0})


def test_every_form_of_a_node_is_set():
    """The count is read as a number by one part, and one-hot by another."""
    pairs = SequenceMap(lambda x, y: (x, y), COUNT, T)
    less = SelectorWidth(Select(COUNT, COUNT, Comparison.LT))
    program = SequenceMap(lambda x, y: (x, y), pairs, less)
    model = compiled(program, AB, 3)
    columns = model.node(COUNT).columns
    assert len(columns) > 1
    found = model.intervene({COUNT: {0: 1, 1: 2, 2: 2}})
    assert found.predict([BOS, "a", "a", "a"]) == found.evaluate(["a"] * 3) == [
        ((1, "a"), 0), ((2, "a"), 1), ((2, "a"), 1),
    ]  # fmt: skip


def test_activations_are_those_of_the_intervened_model():
    model = compiled(REVERSE, AB, 4)
    place = next(p for p in model.nodes.values() if p.label.startswith("opp_idx-1"))
    tokens = [BOS, "a", "b", "b"]
    before, out = model.apply(tokens), model.intervene({place: {0: 0}}).apply(tokens)
    assert out.decoded == [BOS, "a", "b", "a"]
    layer = place.neurons[0][0]
    columns = list(place.columns)
    for half, (x, y) in enumerate(zip(before.residuals, out.residuals, strict=True)):
        x, y = np.asarray(x)[0], np.asarray(y)[0]
        assert y.shape == x.shape == (4, len(model.residual_labels))
        if half < 2 * layer + 1:
            np.testing.assert_array_equal(x, y)
        else:
            np.testing.assert_allclose(y[1, columns], [1, 0, 0, 0], atol=1e-6)
            np.testing.assert_allclose(y[2, columns], x[2, columns], atol=1e-6)
    assert out.attn_logits[1][0, 0, 1].argmax() == 1, "position 0 looks at position 0"
    assert len(out.attn_logits) == len(before.attn_logits)
    assert out.unembedded.shape == (1, 4)


def test_setting_the_values_that_are_there_changes_nothing():
    model = compiled(REVERSE, AB, 4)
    xs = ["a", "b", "b"]
    values = node_values(model.trace, xs)
    for node, label in enumerate(model.trace.layers.blocks.labels):
        if model.nodes[label].columns:
            change = {label: dict(enumerate(values[node]))}
            assert model.intervene(change).predict([BOS, *xs]) == ["b", "b", "a"]


def test_no_change_at_all():
    assert compiled(REVERSE, AB, 4).intervene({}).predict([BOS, "a", "b"]) == ["b", "a"]


def test_a_causal_model():
    program = Map(lambda x: -x, COUNT, simplify=False)
    model = compiled(program, AB, 4, True)
    found = model.intervene({COUNT: {2: 1}})
    assert found.predict([BOS, "a", "a", "a"]) == found.evaluate(["a"] * 3) == [-1, -2, -1]


# What the weights do not follow


def test_a_node_that_is_computed_anew_elsewhere():
    """The sum is a key of a head, so it has columns; the pair is made from its parts again."""
    total = (COUNT + I).named("total")
    larger = SelectorWidth(Select(total, total, Comparison.LT))
    program = SequenceMap(lambda x, y: (x, y), larger, Map(lambda x: x * x, total, False))
    model = compiled(program, AB, 3)
    assert model.node(total).columns
    found = model.intervene({total: {0: 3}})
    with pytest.raises(InterventionError, match="do not follow") as error:
        found.apply([BOS, "a", "a", "b"])
    assert "strict=False" in str(error.value)
    out = found.apply([BOS, "a", "a", "b"], strict=False)
    assert out.outside == str(error.value)
    assert out.decoded[1:] != found.evaluate(["a", "a", "b"])


def test_values_that_do_not_occur_together():
    model = compiled(REVERSE, AB, 4)
    length = next(label for label in model.nodes if label.startswith("length"))
    assert model.intervene({length: {0: 2}}).predict([BOS, "a", "b", "b"]) == ["b", "b", "a"]
    with pytest.raises(
        InterventionError, match="would be -1 at position 2, which the compiler"
    ):
        model.intervene({length: 2}).predict([BOS, "a", "b", "b"])


def test_selecting_more_than_was_expected():
    """Two positions with one index: the head would average two different tokens."""
    model = compiled(REVERSE, AB, 4)
    found = model.intervene({I: {0: 1}})
    with pytest.raises(InterventionError, match="the program itself raises"):
        found.apply([BOS, "a", "b", "b"])
    with pytest.raises(CircuitError, match="the program itself raises"):
        found.evaluate(["a", "b", "b"])
    out = found.apply([BOS, "a", "b", "b"], strict=False)
    assert "the program itself raises" in out.outside


def test_constants_do_not_change_with_the_indices():
    """A model reads constants off the indices; to the interpreter they are independent."""
    constant = rasp.ConstantSOp([5, 6, 7, 8], check_length=False)
    program = SequenceMap(lambda x, y: (x, y), constant, I)
    model = compiled(program, AB, 4)
    with pytest.raises(InterventionError):
        model.intervene({I: {0: 1}}).apply([BOS, "a", "b"])


def test_types_that_a_later_function_tells_apart():
    program = Map(lambda x: type(x).__name__, PREVIOUS, simplify=False)
    model = compiled(program, (True, 2.5, "x"), 3)
    assert model.intervene({PREVIOUS: {1: 2.5}}).predict([BOS, True, "x"]) == [None, "float"]
    with pytest.raises(InterventionError):
        model.intervene({PREVIOUS: {1: True}}).apply([BOS, "x", "x"])


def test_edited_weights_are_run_as_they_are():
    model = compile_rasp_to_model(REVERSE, AB, 3)
    name = "transformer/layer_1/attn/value"
    params = {n: dict(group) for n, group in model.params.items()}
    params[name]["w"] = np.zeros_like(params[name]["w"])
    model.params = params
    found = model.intervene({T: {0: "b"}}).apply([BOS, "a", "a"])
    assert found.decoded[1:] == model.predict([BOS, "b", "a"])
    assert found.outside == ""


# What cannot be asked for


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"nothing": 1}, "no node 'nothing'; there are"),
        ({3: 1}, "no node 3"),
        ({None: 1}, "no node None"),
        ({SAME: 1}, "a selector has no columns"),
        ({Map(lambda x: x, T): 1}, "no part of the compiled program"),
        ({COUNT: 9}, "no columns for 9; it can hold 1, 2, 3"),
        ({COUNT: None}, "no columns for None"),
        ({COUNT: "1"}, "no columns for '1'"),
        ({COUNT: [1]}, "cannot be set to \\[1\\]: give values by position"),
        ({COUNT: np.array([1, 2])}, "give values by position, as {0: first"),
        ({COUNT: {np.int64(-1): 1}}, "count the tokens after BOS from 0"),
        ({COUNT: {np.bool_(True): 1}}, "count the tokens after BOS from 0"),
        ({COUNT: {0.0: 1}}, "got 0.0"),
        ({COUNT: {(True, False): 1}}, "count the tokens"),
        ({COUNT: float("nan")}, "cannot be set to nan"),
        ({COUNT: {0: 1, 1: 0}}, "no columns for 0"),
        ({COUNT: {-1: 1}}, "count the tokens after BOS from 0; got -1"),
        ({COUNT: {True: 1}}, "got True"),
        ({COUNT: {"0": 1}}, "got '0'"),
        ({COUNT: {1.0: 1}}, "got 1.0"),
        ({T: "c"}, "no columns for 'c'; it can hold 'a', 'b'"),
        ({COUNT: 1, "count_2": 2}, "count_2 is given twice"),
        ([(COUNT, 1)], "changes are given as"),
        (None, "changes are given as"),
    ],
)
def test_malformed_changes(changes, what):
    model = compiled(SequenceMap(lambda x, y: (x, y), COUNT, T), AB, 3)
    with pytest.raises(InterventionError, match=what) as error:
        model.intervene(changes)
    assert isinstance(error.value, TracrLiteError)
    assert isinstance(error.value, ValueError)


def test_a_node_without_columns():
    doubled = Map(lambda x: 2 * x, COUNT).named("doubled")
    model = compiled(SequenceMap(lambda x, y: (x, y), doubled, T), AB, 3)
    with pytest.raises(InterventionError, match="no columns of its own: it is computed inside"):
        model.intervene({doubled: 2})


def test_positions_that_the_input_does_not_have():
    found = compiled(REVERSE, AB, 4).intervene({T: {3: "a"}})
    assert found.predict([BOS, "b", "b", "b", "b"]) == ["a", "b", "b", "b"]
    for call in (lambda: found.apply([BOS, "b"]), lambda: found.evaluate(["b"])):
        with pytest.raises(InterventionError, match="no position 3 in an input of 1 tokens"):
            call()


def test_inputs_that_the_model_does_not_take():
    found = compiled(REVERSE, AB, 4).intervene({T: "a"})
    for tokens in ([], ["a"], [BOS, "z"], [BOS, *"aaaaa"], [BOS, BOS]):
        with pytest.raises(InputError):
            found.apply(tokens)


def test_models_without_a_program(tmp_path):
    model = compiled(REVERSE, AB, 3)
    model.save(tmp_path / "m")
    with pytest.raises(TracrLiteError):
        tracr_lite.load(tmp_path / "m").intervene({"tokens": "a"})
    again = tracr_lite.load(tmp_path / "m", REVERSE)
    assert again.intervene({"tokens": "a"}).predict([BOS, "b"]) == ["a"]


# The law, on random programs


def random_change(rng, model, values):
    """A node with columns, and values that it can hold, at some positions or at all."""
    places = [label for label, place in model.nodes.items() if place.columns]
    label = rng.choice(places)
    node = number_of(model, label)
    known = model.trace.values.info[node].values
    if not known:
        return None
    length = len(values[node])
    wanted = {
        at: rng.choice(known) for at in range(length) if rng.random() < rng.choice([0.3, 1.0])
    }
    return label, node, wanted


def check_interventions(seed):
    """(followed, refused) interventions on the program of a seed."""
    sample = sample_program(seed)
    try:
        model = compile_rasp_to_model(
            sample.program, sample.vocab, sample.max_seq_len, causal=sample.causal
        )
    except CompileError:
        return 0, 0
    rng = random.Random(seed)
    followed = refused = 0
    for xs in sample.inputs(seed, 4):
        try:
            values = node_values(model.trace, xs)
        except CircuitError:
            continue
        change = random_change(rng, model, values)
        if change is None or not change[2]:
            continue
        label, node, wanted = change
        try:
            found = model.intervene({label: wanted}).predict([BOS, *xs])
        except InterventionError:
            refused += 1
            continue
        new = [wanted.get(at, v) for at, v in enumerate(values[node])]
        if node >= len(model.graph.nodes):
            followed += 1  # a node of the compiler's own
            continue
        right = right_answer(sample, model, node, new, xs)
        what = f"seed {seed}: {label} set to {wanted} on {xs}: {found}, not {right}"
        assert len(found) == len(right), what
        assert all(map(same, right, found)), f"{what}\n{sample.text}"
        followed += 1
    return followed, refused


def right_answer(sample, model, node, values, xs):
    """By substitution of constants where that can be evaluated."""
    program = sample.program
    new = {}
    for expr in topological(program):
        if model.graph.node_of[id(expr)] == node:
            new[id(expr)] = rasp.ConstantSOp(values)
            continue
        copy = expr.copy()
        for name, value in vars(expr).items():
            if isinstance(value, rasp.RASPExpr):
                object.__setattr__(copy, name, new[id(value)])
        new[id(expr)] = copy
    evaluate = causal_eval.evaluate if sample.causal else rasp.evaluate
    return list(evaluate(new[id(program)], xs))


def test_random_programs_under_random_interventions():
    counts = [check_interventions(f"intervene {seed}") for seed in range(14)]
    assert sum(followed for followed, _ in counts) > 30


@pytest.mark.heavy
def test_many_random_programs_under_random_interventions():
    counts = [check_interventions(f"more interventions {seed}") for seed in range(250)]
    followed, refused = map(sum, zip(*counts, strict=True))
    assert followed > 700
    assert followed > refused
