"""A compiled model goes to another process and back: the same bits, answers and places."""

import copy
import pickle

import jax
import numpy as np
import pytest

from tracr_lite.compiler import compile_rasp_to_model, lib
from tracr_lite.errors import CompileError
from tracr_lite.rasp import rasp
from tracr_lite.sampling import sample_program
from tracr_lite.transformer.model import TransformerConfig

REVERSE = lib.make_reverse(rasp.tokens)
WORD = ["compiler_bos", "a", "b", "c"]


def again(value):
    return pickle.loads(pickle.dumps(value))


@pytest.fixture
def model():
    return compile_rasp_to_model(lib.make_hist(), "abc", 4)


def test_a_pickled_model_is_the_same(model):
    copied = again(model)
    assert copied.predict(WORD) == model.predict(WORD) == [1, 1, 1]
    assert copied.nodes == model.nodes
    assert copied.residual_labels == model.residual_labels
    assert (copied.shape, copied.model_config) == (model.shape, model.model_config)
    assert str(copied.trace.values) == str(model.trace.values)
    one, two = (jax.tree_util.tree_leaves_with_path(m.params) for m in (model, copied))
    for (path, old), (same, new) in zip(one, two, strict=True):
        assert path == same
        assert old.tobytes() == new.tobytes()


def test_a_pickled_model_knows_its_own_expressions_and_no_others(model):
    copied = again(model)
    for mine, yours in zip(model.graph.exprs, copied.graph.exprs, strict=True):
        assert copied.node(yours) == model.node(mine)
        with pytest.raises(KeyError):
            copied.node(mine)


def test_a_deep_copy_knows_the_expressions_of_the_original(model):
    copied = copy.deepcopy(model)
    for expr in model.graph.exprs:
        assert copied.node(expr) == model.node(expr)
    assert copied.predict(WORD) == [1, 1, 1]


@pytest.mark.parametrize("name", ["relu", "gelu"])
def test_a_configuration_is_pickled_with_its_activation(name):
    config = TransformerConfig(1, 2, 3, 4, 0.0, getattr(jax.nn, name))
    assert again(config) == config
    assert again(config).activation_function is getattr(jax.nn, name)


def test_an_activation_that_cannot_be_pickled_is_not_lost():
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(TransformerConfig(1, 2, 3, 4, 0.0, lambda x: x))


def test_a_model_with_a_forward_function_of_its_own_keeps_it():
    model = compile_rasp_to_model(REVERSE, "abc", 4)
    model.forward = np.sin
    assert copy.copy(model).forward is np.sin


def test_sampled_models_are_pickled():
    done = 0
    for seed in range(40):
        sample = sample_program(seed)
        try:
            model = compile_rasp_to_model(
                sample.program, sample.vocab, sample.max_seq_len, causal=sample.causal
            )
        except CompileError:
            continue
        assert again(model).nodes == model.nodes
        done += 1
    assert done > 30
