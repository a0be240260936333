"""A model that is saved and loaded is the same: its bits, its answers, and what it knows."""

import copy
import os
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tracr_lite
from tests.compiler.saved import (
    WORD,
    assert_same,
    assert_same_run,
    bits,
    body_in,
    files,
    numerical_model,
    small_model,
)
from tracr_lite.compiler import compile_rasp_to_model, lib
from tracr_lite.compiler.assemble import assemble_craft_model
from tracr_lite.compiler.assembled import AssembledTransformerModel
from tracr_lite.compiler.forward import Readout, Shape
from tracr_lite.compiler.saving.sizes import ACTIVATIONS
from tracr_lite.craft.bases import BasisDirection
from tracr_lite.errors import CompileError, SavedModelError, TracrLiteError
from tracr_lite.rasp import rasp
from tracr_lite.sampling import sample_program
from tracr_lite.transformer.encoder import CategoricalEncoder, NumericalEncoder
from tracr_lite.transformer.model import TransformerConfig
from tracr_lite.transformer.shapes import param_shapes

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def model():
    return small_model()


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    return model.save(tmp_path_factory.mktemp("saved") / "model")


@pytest.fixture
def no_sync(monkeypatch):
    """Many small models are not worth waiting for the disk."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)


@pytest.fixture
def loaded(folder):
    return tracr_lite.load(folder)


# The same model


def test_a_loaded_model_is_the_same_and_runs_the_same(model, loaded):
    assert_same(loaded, model)
    assert_same_run(loaded, model, WORD)
    assert loaded.predict(WORD) == model.predict(WORD) == ["aa", "bb", "aa"]
    assert loaded.apply_batch([WORD, WORD[:2]]) == model.apply_batch([WORD, WORD[:2]])
    assert loaded.nodes == model.nodes
    ids = np.array([[1, 0, 2]])
    again = loaded.forward(loaded.params, ids).unembedded_output
    assert np.array_equal(again, model.forward(model.params, ids).unembedded_output)
    for one, two in zip(loaded.unembedding, model.unembedding, strict=True):
        assert np.array_equal(one, two)


def test_numbers_are_decoded_as_before(tmp_path):
    model = numerical_model()
    loaded = tracr_lite.load(model.save(tmp_path / "model"))
    assert_same(loaded, model)
    assert_same_run(loaded, model, ["compiler_bos", "b", "a", "a"])
    assert loaded.predict(["compiler_bos", "b", "a", "a"]) == [None, 1, 1.5]


def test_the_label_graph_reads_as_the_graph(model, loaded):
    graph = loaded.description.graph
    assert str(graph) == str(model.graph)
    assert graph.labels == model.graph.labels
    assert graph.root == model.graph.root
    for node in range(len(graph.nodes)):
        assert graph.inputs(node) == model.graph.inputs(node)


def test_the_text_shows_the_program(loaded):
    assert "rasp.Aggregate(" in loaded.description.text
    assert loaded.description.text.endswith(" = rasp.Map(lambda x: x + x, x5, True)")


MIXED = [
    None,
    True,
    2,
    2.5,
    -3.25e-9,
    10**60,
    "a",
    "",
    "1",
    "\ud83d\ude00",
    ("x", (1, None)),
    (),
]


def test_values_keep_their_types(tmp_path):
    model = compile_rasp_to_model(rasp.Map(lambda x: (x, 1), rasp.tokens), MIXED, 2)
    loaded = tracr_lite.load(model.save(tmp_path / "model"))
    assert_same(loaded, model)
    assert loaded.predict(["compiler_bos", None]) == [None]
    for token in MIXED[1:]:
        ((found, one),) = loaded.predict(["compiler_bos", token])
        assert (type(found), found, type(one)) == (type(token), token, int)
    with pytest.raises(tracr_lite.errors.InputError, match="another type"):
        loaded.predict(["compiler_bos", 1])


def compiled(sample):
    try:
        return compile_rasp_to_model(
            sample.program, sample.vocab, sample.max_seq_len, causal=sample.causal
        )
    except CompileError:
        return None


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 10**9))
def test_any_program_is_saved_and_loaded_with_the_same_bits(seed, tmp_path, no_sync):
    sample = sample_program(seed)
    model = compiled(sample)
    if model is None:
        return
    loaded = tracr_lite.load(model.save(tmp_path / "one", overwrite=True))
    assert_same(loaded, model)
    assert_same(tracr_lite.load(tmp_path / "one", program=sample.program), model)
    loaded.save(tmp_path / "two", overwrite=True)
    assert files(tmp_path / "one") == files(tmp_path / "two")


@pytest.mark.parametrize("seed", range(8))
def test_any_program_runs_as_before(seed, tmp_path):
    sample = sample_program(f"saved {seed}", max_seq_len=4)
    model = compiled(sample)
    assert model is not None, "choose another seed"
    loaded = tracr_lite.load(model.save(tmp_path / "model"))
    for xs in sample.inputs(seed, 2)[-4:]:
        assert_same_run(loaded, model, ["compiler_bos", *xs])


@pytest.mark.heavy
def test_many_programs_run_as_before(tmp_path):
    for seed in range(100):
        sample = sample_program(seed, max_seq_len=6)
        if (model := compiled(sample)) is not None:
            loaded = tracr_lite.load(model.save(tmp_path / "model", overwrite=True))
            for xs in sample.inputs(seed, 4)[-6:]:
                assert_same_run(loaded, model, ["compiler_bos", *xs])


def test_other_processes_write_the_same_bytes(folder, tmp_path):
    code = (
        "from tests.compiler.saved import small_model\n"
        f"small_model().save({str(tmp_path / 'model')!r})"
    )
    environment = {"PYTHONHASHSEED": "7", "PYTHONPATH": str(ROOT), "PATH": ""}
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, env=environment)
    assert files(tmp_path / "model") == files(folder)


def test_the_weights_are_the_bytes_that_safetensors_writes(model, folder):
    flat = {f"{m}/{leaf}": a for m, group in model.params.items() for leaf, a in group.items()}
    written = (folder / "model.safetensors").read_bytes()
    assert written == safetensors.numpy.save(flat)
    read = safetensors.numpy.load(written)
    assert {n: a.tobytes() for n, a in read.items()} == {
        n: a.tobytes() for n, a in flat.items()
    }


def test_loaded_weights_are_read_only_and_apart_from_the_file(folder, tmp_path, model):
    loaded = tracr_lite.load(model.save(tmp_path / "model"))
    with pytest.raises(ValueError, match="read-only"):
        loaded.params["token_embed"]["embeddings"][0, 0] = 1
    for array in jax.tree.leaves(loaded.params):
        assert not array.flags.writeable
        assert not array.base.flags.writeable
    with (tmp_path / "model" / "model.safetensors").open("r+b") as file:
        file.truncate(10)  # a mapped file would now end the process
    assert bits(loaded.params) == bits(model.params)


def test_loaded_models_are_copied_pickled_and_saved_again(loaded, folder, tmp_path):
    for again in (copy.deepcopy(loaded), pickle.loads(pickle.dumps(loaded)), replace(loaded)):
        assert_same(again, loaded)
        assert again.predict(WORD) == ["aa", "bb", "aa"]
    loaded.save(tmp_path / "again")
    assert files(tmp_path / "again") == files(folder)


# Functions


def test_what_needs_functions_says_where_to_get_them(loaded, model):
    for use in (
        lambda: loaded.graph,
        lambda: loaded.craft_model,
        lambda: loaded.node(model.graph.exprs[0]),
    ):
        with pytest.raises(SavedModelError, match=r"load\(folder, program=\.\.\.\)"):
            use()
    with pytest.raises(ValueError, match="packed by hand"):
        by_hand(model).graph  # noqa: B018


def test_with_its_program_a_loaded_model_has_everything(folder, model):
    program = rasp.Map(
        lambda y: 2 * y, lib.make_reverse(rasp.tokens)
    )  # the same in other words
    loaded = tracr_lite.load(folder, program=program)
    assert bits(loaded.params) == bits(model.params)
    assert str(loaded.graph) == str(model.graph)
    assert loaded.node(program) == model.node(model.graph.exprs[-1])
    assert len(loaded.craft_model.blocks) == len(model.craft_model.blocks)


OTHERS = [
    (lib.make_reverse(rasp.tokens), "shape, residual_labels"),
    (rasp.Map(lambda x: x + "c", lib.make_reverse(rasp.tokens)), "residual_labels"),
    (rasp.Map(lambda x: x + x, lib.make_reverse(rasp.tokens)).named("out"), "residual_labels"),
    (rasp.tokens, "config"),
]


@pytest.mark.parametrize(("program", "named"), OTHERS)
def test_another_program_is_refused_with_what_differs(folder, program, named):
    with pytest.raises(SavedModelError, match=f"compiles to another model: .*{named}"):
        tracr_lite.load(folder, program=program)


def test_other_weights_are_not_those_of_the_program(model, tmp_path):
    changed = copy.deepcopy(model)
    name = "transformer/layer_0/mlp/linear_1"
    changed.params = {**model.params, name: {**model.params[name]}}
    changed.params[name]["w"] = model.params[name]["w"] + 1
    folder = changed.save(tmp_path / "model")
    with pytest.raises(SavedModelError, match=f"another model: {name}/w differ$"):
        tracr_lite.load(folder, program=model.graph.exprs[-1])


def test_a_program_that_does_not_compile_is_an_error_of_the_compiler(folder):
    select = rasp.Select(rasp.tokens, rasp.tokens, lambda k, q: True)
    with pytest.raises(CompileError):
        tracr_lite.load(folder, program=select)


def test_a_model_without_program_has_none_to_compare_with(model, tmp_path):
    folder = by_hand(model).save(tmp_path / "model")
    with pytest.raises(SavedModelError, match="not compiled from a program"):
        tracr_lite.load(folder, program=rasp.tokens)


# Models of other kinds


def by_hand(model):
    """The model, assembled from its craft blocks, without encoders and trace."""
    token_space, index_space = (
        type(model.space)([d for d in model.space.basis if d.name == name])
        for name in ("tokens", "indices")
    )
    output = [model.space.basis[i] for i in model.shape.readout.columns]
    return assemble_craft_model(
        model.craft_model, token_space, index_space, type(model.space)(output), True
    )


def test_a_model_packed_by_hand_is_saved_with_and_without_encoders(model, tmp_path):
    made = by_hand(model)
    loaded = tracr_lite.load(made.save(tmp_path / "ids"))
    assert_same(loaded, made)
    assert_same_run(loaded, made, [2, 0, 1])
    assert loaded.description is None
    with pytest.raises(ValueError, match="packed by hand"):
        loaded.nodes  # noqa: B018
    made.input_encoder = CategoricalEncoder(model.input_encoder.basis, max_seq_len=2)
    made.output_encoder = NumericalEncoder([np.float64(0.5), 2, True], 0.25)
    loaded = tracr_lite.load(made.save(tmp_path / "values"))
    assert loaded.output_encoder.values == (0.5, True, 2)
    assert list(map(type, loaded.output_encoder.values)) == [float, bool, int]
    assert loaded.output_encoder.tolerance == 0.25
    assert vars(loaded.input_encoder) == vars(made.input_encoder)


@pytest.mark.parametrize("name", ["relu", "gelu"])
def test_other_configurations_are_saved(name, tmp_path):
    config = TransformerConfig(2, 2, 3, 5, 0.1, ACTIVATIONS[name], layer_norm=True, causal=True)
    shape = Shape(config, 4, 6, 7, Readout((2, 5), True), None)
    rng = np.random.default_rng(0)
    embedded = {"token_embed": {"embeddings": (4, 7)}, "pos_embed": {"embeddings": (6, 7)}}
    params = {
        module: {leaf: rng.normal(size=size).astype(np.float32) for leaf, size in group.items()}
        for module, group in (param_shapes(config, 7) | embedded).items()
    }
    labels = [f"column {i}" for i in range(7)]
    model = AssembledTransformerModel(
        shape.forward, shape.model, params, config, labels, shape=shape
    )
    loaded = tracr_lite.load(model.save(tmp_path / "model"))
    assert bits(loaded.params) == bits(params)
    assert (loaded.shape, loaded.space) == (shape, None)
    assert_same_run(loaded, model, [3, 0, 2])


def test_a_program_without_layers_is_saved(tmp_path):
    model = compile_rasp_to_model(rasp.numerical(rasp.Full(2.5)), [0], 1)
    for number, each in enumerate([model, compile_rasp_to_model(rasp.tokens, "a", 1)]):
        loaded = tracr_lite.load(each.save(tmp_path / str(number)))
        assert_same(loaded, each)


def test_arrays_of_any_layout_are_saved_as_their_numbers(model, folder, tmp_path):
    def odd(array, number):
        if number % 3 == 0:
            return jnp.asarray(array)
        return np.asfortranarray(array) if number % 3 == 1 else array.astype(">f4")

    numbers = iter(range(1000))
    made = replace(model, params=jax.tree.map(lambda a: odd(a, next(numbers)), model.params))
    assert files(made.save(tmp_path / "model")) == files(folder)


def test_what_was_edited_in_memory_is_what_is_saved(model, tmp_path):
    params = {m: {leaf: a.copy() for leaf, a in g.items()} for m, g in model.params.items()}
    params["token_embed"]["embeddings"][0, :3] = -0.0, 5e-45, 1e38
    loaded = tracr_lite.load(replace(model, params=params).save(tmp_path / "model"))
    assert bits(loaded.params) == bits(params)


# What cannot be saved


class OwnEncoder(CategoricalEncoder):
    pass


class Sized:
    value = 3


def with_params(model, change):
    params = {m: dict(group) for m, group in model.params.items()}
    change(params)
    return replace(model, params=params)


def at(value):
    def change(params):
        array = params["pos_embed"]["embeddings"].copy()
        array[1, 2] = value
        params["pos_embed"]["embeddings"] = array

    return change


def as_dtype(dtype):
    def change(params):
        for leaf, array in params["token_embed"].items():
            params["token_embed"][leaf] = jnp.asarray(array).astype(dtype)

    return change


def smaller(params):
    params["pos_embed"]["embeddings"] = params["pos_embed"]["embeddings"][1:]


BASIS = [BasisDirection("tokens", i) for i in range(99)]
REFUSED = [
    pytest.param(
        lambda m: with_params(m, at(np.nan)), r"pos_embed/embeddings holds nan at \[1, 2\]"
    ),
    pytest.param(lambda m: with_params(m, at(-np.inf)), r"holds -inf at \[1, 2\]"),
    pytest.param(lambda m: with_params(m, as_dtype(jnp.bfloat16)), "dtype bfloat16; a saved"),
    pytest.param(lambda m: with_params(m, as_dtype(jnp.int32)), "token_embed/.* dtype int32"),
    pytest.param(lambda m: with_params(m, smaller), r"has the shape \[3, .*asks for \[4, "),
    pytest.param(
        lambda m: with_params(m, lambda p: p.pop("pos_embed")), "'pos_embed/.*missing"
    ),
    pytest.param(
        lambda m: with_params(m, lambda p: p.update(x={"w": at})), "x/w is of dtype obj"
    ),
    pytest.param(
        lambda m: with_params(m, lambda p: p.update(x={"w": np.zeros(1, np.float32)})),
        "'x/w' is not one of this model",
    ),
    pytest.param(lambda m: replace(m, params=[1]), "params is no mapping"),
    pytest.param(lambda m: replace(m, params={"x": 3}), r"params\['x'\] is no mapping"),
    pytest.param(
        lambda m: replace(m, forward=jax.jit(m.forward)), "forward is a function of its"
    ),
    pytest.param(lambda m: replace(m, shape=None), "no shape"),
    pytest.param(
        lambda m: replace(m, model_config=replace(m.model_config, causal=True)), "config"
    ),
    pytest.param(
        lambda m: replace(m, residual_labels=["x"]), "1 residual labels are not one per"
    ),
    pytest.param(
        lambda m: replace(m, residual_labels=[0] * 99), "residual labels|must be a str"
    ),
    pytest.param(
        lambda m: replace(m, input_encoder=OwnEncoder(m.input_encoder.basis)),
        r"class tests\.compiler\.test_saving\.OwnEncoder, which is code",
    ),
    pytest.param(
        lambda m: replace(m, output_encoder=CategoricalEncoder([Sized()])), "of class Sized"
    ),
    pytest.param(
        lambda m: replace(m, input_encoder=CategoricalEncoder(BASIS)), "99 tokens, the"
    ),
    pytest.param(
        lambda m: replace(m, output_encoder=CategoricalEncoder(BASIS[:1])),
        "1 values, the model 2",
    ),
    pytest.param(lambda m: replace(m, space=type(m.space)(BASIS)), "a direction per column"),
]


@pytest.mark.parametrize(("change", "said"), REFUSED)
def test_what_no_file_can_hold_is_refused_by_name(model, change, said, tmp_path):
    with pytest.raises(SavedModelError, match=said) as raised:
        change(model).save(tmp_path / "model")
    assert f"cannot save to {str(tmp_path / 'model')!r}: " in str(raised.value)
    assert list(tmp_path.iterdir()) == []


def test_activations_are_known_by_their_own_names():
    assert {name: getattr(jax.nn, name) for name in ACTIVATIONS} == ACTIVATIONS


def test_an_activation_without_a_name_is_refused(model, tmp_path):
    config = replace(model.model_config, activation_function=lambda x: x)
    shape = replace(model.shape, config=config)
    odd = replace(model, model_config=config, shape=shape, forward=shape.forward)
    with pytest.raises(SavedModelError, match=r"activation function is .*relu, gelu"):
        odd.save(tmp_path / "model")


def test_the_error_is_one_of_ours_and_a_value_error():
    assert issubclass(SavedModelError, TracrLiteError)
    assert issubclass(SavedModelError, ValueError)


def test_the_page_in_the_folder_says_how_to_use_it(folder, model, tmp_path):
    page = (folder / "README.md").read_text()
    assert "model.apply(['compiler_bos', 'a', 'b'])" in page
    assert body_in(folder)["sha256"] in page
    assert "lambda x: x + x" in page
    assert "up to 3 of them" in page
    by_hand(model).save(tmp_path / "hand")
    assert "model.apply([0, 1, 2])" in (tmp_path / "hand" / "README.md").read_text()
