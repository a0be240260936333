"""`apply` of large models runs without zeros: the same values and activations, only faster."""

import random

import jax
import numpy as np
import pytest

from tests.compiler.checking import BOS, interpreted, same
from tracr_lite.compiler import compile_rasp_to_model, lib, running
from tracr_lite.compiler.forward import jitted
from tracr_lite.errors import CompileError, ParameterError
from tracr_lite.rasp import rasp
from tracr_lite.sampling import sample_program


@pytest.fixture
def large(monkeypatch):
    monkeypatch.setattr(running, "LARGE", 0)


def large_reverse():
    return compile_rasp_to_model(lib.make_reverse(rasp.tokens), set("abc"), 30)


def runs_trimmed(model):
    return model._on_device()._trim() is not None


def assert_activations_of_the_whole_network(model, tokens):
    found = model.apply(tokens)
    ids = np.asarray([model.input_encoder.encode(tokens)], np.int32)
    whole = jitted(model.shape)(model.params, ids)
    inner = whole.transformer_output
    pairs = [(found.unembedded, whole.unembedded_output)]
    pairs += [(found.transformer_output, inner.output)]
    for name in ("layer_outputs", "residuals", "attn_logits", "input_embeddings"):
        one, other = (jax.tree.leaves(each) for each in (getattr(found, name), inner[name]))
        pairs += zip(one, other, strict=True)
    for one, other in pairs:
        assert (one.shape, one.dtype) == (other.shape, other.dtype)
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=2e-5)


def check_random_programs(seeds):
    """How many models ran without zeros."""
    ran = 0
    for seed in seeds:
        sample = sample_program(f"large {seed}", nodes=(4, 12))
        try:
            model = compile_rasp_to_model(
                sample.program, sample.vocab, sample.max_seq_len, causal=sample.causal
            )
        except CompileError:
            continue
        ran += runs_trimmed(model)
        rng = random.Random(seed)
        for length in {1, sample.max_seq_len}:
            xs = rng.choices(sample.vocab, k=length)
            expected = interpreted(sample.program, xs, sample.causal)
            if expected is None:
                continue
            assert_activations_of_the_whole_network(model, [BOS, *xs])
            found = model.apply([BOS, *xs]).decoded
            assert found[0] == BOS
            assert len(found) == len(expected) + 1
            assert all(map(same, expected, found[1:])), (seed, xs)
        jax.clear_caches()
    return ran


@pytest.mark.usefixtures("large")
def test_random_programs_answer_as_the_evaluator_does():
    assert check_random_programs(range(10)) >= 6


@pytest.mark.heavy
@pytest.mark.usefixtures("large")
def test_many_random_programs_answer_as_the_evaluator_does():
    assert check_random_programs(range(100, 400)) >= 150


def test_activations_of_a_large_model_are_those_of_the_whole_network():
    model = large_reverse()
    assert runs_trimmed(model)
    for xs in ("a", "abc" * 5, "cab" * 10):
        assert model.apply([BOS, *xs]).decoded == [BOS, *reversed(xs)]
        assert_activations_of_the_whole_network(model, [BOS, *xs])


def test_small_models_run_as_they_are():
    model = compile_rasp_to_model(lib.make_reverse(rasp.tokens), set("abc"), 5)
    assert not runs_trimmed(model)


def edited(model, name, change):
    """The parameters with one array changed; read-only again."""
    array = np.array(model.params[name]["w"])
    change(array)
    array.flags.writeable = False
    return {**model.params, name: {**model.params[name], "w": array}}


def test_edits_of_a_large_model_are_seen():
    model, tokens = large_reverse(), [BOS, *"abc"]
    assert model.apply(tokens).decoded == [BOS, *"cba"]
    kept, name = model.params, "transformer/layer_1/attn/value"
    for changed in (True, False, True):
        model.params = edited(model, name, lambda w: w.fill(0)) if changed else kept
        assert (model.apply(tokens).decoded == [BOS, *"cba"]) != changed
        assert_activations_of_the_whole_network(model, tokens)
    model.params[name]["w"].flags.writeable = True  # from now on nothing is remembered
    model.params[name]["w"][:] = kept[name]["w"]
    assert not runs_trimmed(model)
    assert model.apply(tokens).decoded == [BOS, *"cba"]


def test_biases_of_ones_own_run_the_whole_network():
    model, tokens = large_reverse(), [BOS, *"abc"]
    name = "transformer/layer_0/mlp/linear_2"
    bias = np.array(model.params[name]["b"])
    bias[:] = 0.5
    bias.flags.writeable = False
    model.params = {**model.params, name: {**model.params[name], "b": bias}}
    assert not runs_trimmed(model)
    assert_activations_of_the_whole_network(model, tokens)


def narrower(params):
    for name in ("token_embed", "pos_embed"):
        params[name] = {"embeddings": params[name]["embeddings"][:, :-1]}
    return "token_embed/embeddings"


def more_keys(params):
    name = "transformer/layer_0/attn/query"
    wide = np.pad(params[name]["w"], ((0, 0), (0, 1)))
    wide.flags.writeable = False
    params[name] = {**params[name], "w": wide}
    return f"{name}/w"


def missing(params):
    del params["transformer/layer_1/mlp/linear_1"]
    return "transformer/layer_1/mlp/linear_1/w"


@pytest.mark.parametrize("spoil", [narrower, more_keys, missing])
@pytest.mark.parametrize("size", [0, 10**9])
def test_parameters_that_do_not_fit_are_refused_by_name(spoil, size, monkeypatch):
    """Whatever runs them; some of these gave answers once."""
    monkeypatch.setattr(running, "LARGE", size)
    model = compile_rasp_to_model(lib.make_reverse(rasp.tokens), set("abc"), 5)
    model.params = dict(model.params)
    name = spoil(model.params)
    for run in (
        lambda: model.apply([BOS, "a", "b"]),
        lambda: model.apply_batch([[BOS, "a", "b"]]),
        lambda: model.apply_ids(np.array([[3, 0, 1]])),
        model.pruned,
    ):
        with pytest.raises(ParameterError, match=f"cannot be run: its parameter {name} "):
            run()
