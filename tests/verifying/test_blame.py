"""blame: the edited head or neuron is named, and the first node that it makes wrong."""

import copy
import dataclasses
import random

import numpy as np
import pytest

import tracr_lite
from tests.verifying.models import MEAN, PREVIOUS, REVERSE, T, compiled, edited, scaled
from tracr_lite.compiler import compile_rasp_to_model
from tracr_lite.compiler.circuits.errors import CircuitError
from tracr_lite.compiler.circuits.ideal import ideal
from tracr_lite.compiler.circuits.node_values import node_values
from tracr_lite.compiler.circuits.writers import compiled_params
from tracr_lite.craft.vectorspace_fns import Linear
from tracr_lite.errors import CompileError, InputError
from tracr_lite.rasp import rasp
from tracr_lite.sampling import sample_program
from tracr_lite.transformer.encoder import CategoricalEncoder
from tracr_lite.verifying import VerifyError, blame, verify

AB = ("a", "b")
LENGTH = next(label for label in compiled(REVERSE, AB, 4).nodes if label.startswith("length"))


def changed(model, name, leaf, at, value):
    def change(params):
        params[name][leaf][at] = value

    return edited(model, change)


def test_it_is_exported():
    assert tracr_lite.blame is blame


def test_a_model_that_agrees_is_not_blamed():
    model = compiled(REVERSE, AB, 4)
    assert blame(model) is None
    assert blame(model, xs=["a", "b", "b"]) is None


def test_a_neuron_is_named_with_node_position_and_input():
    model = compiled(REVERSE, AB, 4)
    place = next(p for p in model.nodes.values() if p.neurons)
    layer, own = place.neurons[0]
    name = f"transformer/layer_{layer}/mlp/linear_2"
    for neuron in own:
        off = changed(model, name, "w", (neuron, slice(None)), 0.0)
        found = blame(off)
        if found is None:
            continue
        assert found.node == place.label
        assert [str(c.writer) for c in found.culprits] == [f"layer {layer} neuron {neuron}"]
        assert found.culprits[0].weights == (f"{name}/w",)
        assert found.place == f"the MLP of layer {layer}"
        assert found.compiled == (f"layer {layer} neurons {own.start}-{own.stop - 1}",)
        xs, at = list(found.tokens), found.position
        assert found.expected == node_values(model.trace, xs)[index(model, place.label)][at]
        assert found.found != found.expected
        return
    pytest.fail("no neuron was needed")


def index(model, label):
    return model.trace.layers.blocks.labels.index(label)


def test_a_head_is_named():
    model = compiled(REVERSE, AB, 4)
    found = blame(scaled(model, "transformer/layer_1/attn/query", 0.01))
    assert found.node == model.trace.graph.labels[model.trace.graph.root]
    assert [str(c.writer) for c in found.culprits] == ["layer 1 head 0"]
    assert found.culprits[0].weights == ("transformer/layer_1/attn/query/w",)
    assert set(c.label for c in found.columns) <= set(model.nodes[found.node].directions)


def test_the_first_of_several_edits_is_blamed():
    off = scaled(compiled(REVERSE, AB, 4), "transformer/layer_1/attn/value", 0)
    off = scaled(off, "transformer/layer_0/attn/value", 0.2)
    found = blame(off)
    assert (found.node, found.place) == (LENGTH, "the attention of layer 0")
    assert [str(c.writer) for c in found.culprits] == ["layer 0 head 0"]
    assert found.found != found.expected


def test_a_head_that_the_program_does_not_have():
    program = rasp.SequenceMap(lambda x, y: (x, y), REVERSE, PREVIOUS)
    model = compiled(program, AB, 3)
    place = next(p for p in model.nodes.values() if p.heads and p.heads[0][0] == 1)
    layer, size = place.heads[0][0], model.model_config.key_size
    assert model.model_config.num_heads == 2, "one of them idle in that layer"
    idle = 1 - place.heads[0][1]

    def change(params):
        here = f"transformer/layer_{layer}/attn"
        params[f"{here}/value"]["w"][:, idle * size] = 1.0
        params[f"{here}/linear"]["w"][idle * size, place.columns] = 1.0

    found = blame(edited(model, change))
    assert found.node == place.label
    assert [str(c.writer) for c in found.culprits] == [f"layer {layer} head {idle}"]


@pytest.mark.parametrize(
    ("name", "leaf", "writer"),
    [
        ("transformer/layer_1/attn/linear", "b", "layer 1 attention bias"),
        ("transformer/layer_0/mlp/linear_2", "b", "layer 0 MLP bias"),
        ("transformer/layer_1/attn/query", "b", "layer 1 head 0"),
        ("transformer/layer_1/attn/value", "b", "layer 1 head 0"),
    ],
)
def test_biases(name, leaf, writer):
    model = compiled(REVERSE, AB, 4)
    size = model.params[name][leaf].shape
    noise = 300 * np.random.default_rng(0).normal(size=size).astype(np.float32)
    found = blame(changed(model, name, leaf, slice(None), noise))
    assert str(found.culprits[0].writer) == writer
    assert found.culprits[0].weights == (f"{name}/{leaf}",)


def test_a_bias_of_keys_changes_nothing():
    """It shifts all scores of a query alike."""
    name = "transformer/layer_1/attn/key"
    off = changed(compiled(REVERSE, AB, 4), name, "b", slice(None), 3.0)
    assert blame(off, xs=["a", "b", "b"]) is None


def test_embeddings():
    model = compiled(REVERSE, AB, 4)
    labels = model.residual_labels
    row = model.input_encoder.encoding_map["b"]
    found = blame(
        changed(model, "token_embed", "embeddings", (row, labels.index("tokens:b")), 0.0)
    )
    assert (found.node, found.expected, found.place) == ("tokens", "b", "the embeddings")
    assert str(found.culprits[0].writer) == "token embedding"
    found = blame(
        changed(model, "pos_embed", "embeddings", (2, labels.index("indices:3")), 1.0)
    )
    assert (found.node, found.expected) == ("indices", 1)
    assert repr(found.found) == "no single value"
    assert str(found.culprits[0].writer) == "position embedding"
    off = changed(model, "token_embed", "embeddings", (row, labels.index("one")), 9.0)
    found = blame(off, xs=["a", "b"])
    assert found.node == "one"
    assert (found.columns[0].expected, found.columns[0].found) == (1.0, 9.0)


def test_a_column_that_is_not_written_yet():
    """A head of the first layer that writes to the columns of the second."""
    model = compiled(REVERSE, AB, 4)
    place = model.nodes[model.trace.graph.labels[model.trace.graph.root]]
    off = changed(
        model, "transformer/layer_0/attn/linear", "w", (0, list(place.columns)), [3.0, 0.0]
    )
    found = blame(off)
    assert (found.node, found.place) == (place.label, "the attention of layer 0")
    assert (found.expected, found.found) == (None, None)
    assert found.columns[0].expected == 0.0


def test_only_bos_is_wrong():
    model = compiled(MEAN, (1, 2), 4)
    bos = model.input_encoder.bos_encoding
    column = model.nodes[model.trace.graph.labels[model.trace.graph.root]].columns[0]
    found = blame(changed(model, "token_embed", "embeddings", (bos, column), 5.0), xs=[1, 2])
    assert (found.position, found.expected) == (-1, None)
    assert "at BOS" in str(found)


def test_weights_that_are_no_numbers():
    found = blame(scaled(compiled(REVERSE, AB, 3), "transformer/layer_1/attn/value", np.nan))
    assert str(found.culprits[0].writer) == "layer 1 head 0"
    assert found.culprits[0].off == np.inf


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["token_embed", "pos_embed"])
def test_padding_that_is_no_number(name, number):
    """No input has these rows, but a weight of zero times NaN is NaN."""
    model = compiled(REVERSE, AB, 4)
    row = {"token_embed": model.shape.pad_token, "pos_embed": 4}[name]
    off = changed(model, name, "embeddings", (row, 0), number)
    found = blame(off, xs=["a", "b"])
    assert [c.writer.kind for c in found.culprits] == [
        {"token_embed": "token embedding", "pos_embed": "position embedding"}[name]
    ]
    assert found.culprits[0].weights == (f"{name}/embeddings",)
    assert verify(off, inputs=[["a", "b"]]).mismatches == 1


def test_the_readout():
    model = copy.copy(compiled(REVERSE, AB, 3))
    model.output_encoder = CategoricalEncoder(model.output_encoder.basis[::-1])
    found = blame(model, xs=["a", "b"])
    assert found.place == "reading the answer"
    assert (found.expected, found.found, found.culprits) == ("b", "a", ())


def test_a_wrong_compiler_is_blamed_where_no_weight_was_changed():
    """As if the compiler had made other weights: the trace is of the spoilt layers."""
    model = compiled(REVERSE, AB, 3)
    layers = model.trace.layers.layers
    head = layers[1].heads[0]
    w_ov = Linear(head.w_ov.input_space, head.w_ov.output_space, 0 * head.w_ov.matrix)
    spoilt = dataclasses.replace(layers[1], heads=(dataclasses.replace(head, w_ov=w_ov),))
    trace = dataclasses.replace(
        model.trace, layers=dataclasses.replace(model.trace.layers, layers=(layers[0], spoilt))
    )
    wrong = copy.copy(model)
    wrong.params, wrong.trace = compiled_params(trace, model.model_config), trace
    found = blame(wrong)
    assert (found.node, found.culprits) == (trace.graph.labels[trace.graph.root], ())
    assert found.compiled == ("layer 1 head 0",)
    assert "the weights there are those compiled" in str(found)


def test_a_value_that_the_compiler_did_not_infer():
    """As if inference had missed the longest length."""
    model = copy.copy(compiled(REVERSE, AB, 3))
    node = model.trace.layers.blocks.labels.index(LENGTH)
    values = model.trace.values
    info = dataclasses.replace(values.info[node], values=[1, 2])
    values = dataclasses.replace(values, info={**values.info, node: info})
    model.trace = dataclasses.replace(model.trace, values=values)
    assert blame(model, xs=["a", "b"]) is None
    found = blame(model, xs=["a", "b", "b"])
    assert (found.node, found.position, found.expected) == (LENGTH, 0, 3)
    assert found.place == "inferring values, without this one"


def test_the_weights_compiled_are_made_again():
    for program in (REVERSE, MEAN):
        model = compiled(program, (1, 2), 4)
        again = compiled_params(model.trace, model.model_config)
        assert again.keys() == model.params.keys()
        for name, group in again.items():
            for leaf, array in group.items():
                np.testing.assert_array_equal(array, model.params[name][leaf])


def test_a_model_that_does_not_know_its_program(tmp_path):
    off = scaled(compiled(REVERSE, AB, 3), "transformer/layer_1/attn/value", 0)
    off.save(tmp_path / "m")
    loaded = tracr_lite.load(tmp_path / "m")
    with pytest.raises(VerifyError, match=r"give it: blame\(model, program\)"):
        blame(loaded)
    assert str(blame(loaded, REVERSE).culprits[0].writer) == "layer 1 head 0"
    with pytest.raises(VerifyError, match="another model"):
        blame(loaded, PREVIOUS)
    with pytest.raises(CompileError):
        blame(loaded, rasp.Map(lambda x: [x], T))
    with pytest.raises(VerifyError, match="nothing can be blamed"):
        blame(dataclasses.replace(loaded, input_encoder=CategoricalEncoder([])), REVERSE)


def test_inputs_that_cannot_be_blamed():
    model = compiled(rasp.Map(lambda x: 1 // x, T), (0, 1), 3)
    with pytest.raises(CircuitError, match="the program itself raises on \\[0, 1\\]"):
        blame(model, xs=[0, 1])
    with pytest.raises(InputError, match="unknown token"):
        blame(model, xs=[7])
    with pytest.raises(InputError, match="max_seq_len"):
        blame(model, xs=[1] * 4)
    with pytest.raises(VerifyError, match="xs is a sequence of tokens; got 5"):
        blame(model, xs=5)
    with pytest.raises(VerifyError, match="wrap it in"):
        verify(model, rasp.Select(T, T, rasp.Comparison.EQ))


def test_tokens_of_numpy_are_the_values_that_they_hold():
    off = scaled(compiled(REVERSE, (1, 2, 3), 4), "transformer/layer_1/attn/query", 0.01)
    found = blame(off, xs=np.array([2, 2, 1]))
    assert found is not None
    assert found == blame(off, xs=[2, 2, 1])
    assert {type(x) for x in found.tokens} == {int}


# The law, on random programs


def sampled(seed):
    sample = sample_program(seed)
    try:
        model = compile_rasp_to_model(
            sample.program, sample.vocab, sample.max_seq_len, causal=sample.causal
        )
    except CompileError:
        return None, None
    return sample, model


def check_stream(seed):
    """No column of a model as compiled is further off than the compiler allows."""
    sample, model = sampled(seed)
    if model is None:
        return 0
    count = 0
    for xs in sample.inputs(seed, 3):
        try:
            values = node_values(model.trace, xs)
        except CircuitError:
            continue
        tokens = [model.input_encoder.bos_token, *xs]
        out, right = model.apply(tokens), ideal(model.trace, tokens, values)
        assert not right.outside
        for slot, stream in enumerate([out.input_embeddings, *out.residuals], start=-1):
            wrong = right.wrong(np.asarray(stream)[0], slot)
            assert not wrong.any(), f"seed {seed}, {xs}, half-layer {slot}: {wrong.nonzero()}"
            count += 1
    return count


def random_edit(rng, model):
    """An edited model, and the parts of the parameters that were changed."""
    name = rng.choice(sorted(model.params))
    leaf = rng.choice(sorted(model.params[name]))
    array = model.params[name][leaf]
    used = np.argwhere(array)
    at = tuple(used[rng.randrange(len(used))]) if len(used) and rng.random() < 0.7 else None
    if at is None:
        at = tuple(rng.randrange(size) for size in array.shape)
    old = float(array[at])
    value = rng.choice([0.0, -old, old + 1, 2 * old, rng.gauss(0, 5), rng.gauss(0, 50)])
    return changed(model, name, leaf, at, np.float32(value)), name, leaf, at


def writer_of(model, name, leaf, at):
    size = model.model_config.key_size
    layer, _, part = name.removeprefix("transformer/layer_").partition("/")
    match part.split("/"):
        case ["attn", "linear"]:
            bias = leaf == "b"
            return (
                f"layer {layer} attention bias"
                if bias
                else f"layer {layer} head {at[0] // size}"
            )
        case ["attn", _]:
            return f"layer {layer} head {at[-1] // size}"
        case ["mlp", "linear_1"]:
            return f"layer {layer} neuron {at[-1]}"
        case ["mlp", "linear_2"]:
            return f"layer {layer} MLP bias" if leaf == "b" else f"layer {layer} neuron {at[0]}"
        case _:
            return "token embedding" if name == "token_embed" else "position embedding"


def check_edit(seed):
    sample, model = sampled(seed)
    if model is None:
        return 0
    rng = random.Random(seed)
    blamed = 0
    for _ in range(3):
        off, name, leaf, at = random_edit(rng, model)
        inputs = sample.inputs(rng.random(), 12)
        report = verify(off, sample.program, inputs=inputs, dense=True)
        if not report.mismatches:
            continue
        found = blame(off, xs=report.failures[0].tokens)
        what = f"seed {seed}: {name}/{leaf}{at}\n{found}\n{sample.text}"
        assert found is not None, what
        assert [str(c.writer) for c in found.culprits] == [writer_of(model, name, leaf, at)], (
            what
        )
        assert found.culprits[0].weights == (f"{name}/{leaf}",), what
        own = model.nodes.get(found.node)
        directions = {found.node, *(own.directions if own else ())}  # a node, or a column
        assert {c.label for c in found.columns} <= directions, what
        blamed += 1
    return blamed


def test_streams_of_random_programs_are_what_the_interpreter_says():
    assert sum(check_stream(f"stream {seed}") for seed in range(8)) > 60


def test_random_edits_of_random_programs_are_found():
    assert sum(check_edit(f"edit {seed}") for seed in range(8)) > 3


@pytest.mark.heavy
def test_streams_of_many_random_programs_are_what_the_interpreter_says():
    assert sum(check_stream(f"more streams {seed}") for seed in range(200)) > 2000


@pytest.mark.heavy
def test_many_random_edits_are_found():
    assert sum(check_edit(f"more edits {seed}") for seed in range(200)) > 100
