"""Parameters of one's own: whatever they are, they are run as `forward` does, or refused."""

import collections
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.compiler.checking import BOS
from tracr_lite.certifying.certify import bits_needed, certify
from tracr_lite.certifying.errors import CertifyError
from tracr_lite.compiler import compile_rasp_to_model, lib, running
from tracr_lite.errors import ParameterError, SavedModelError
from tracr_lite.rasp import rasp

VALUE = "transformer/layer_1/attn/value"  # the first layer finds the positions
TOKENS = [BOS, "a", "b"]


@pytest.fixture(params=[0, 10**9], ids=["trimmed", "whole"])
def model(request, monkeypatch):
    monkeypatch.setattr(running, "LARGE", request.param)
    return compile_rasp_to_model(lib.make_reverse(rasp.tokens), set("abc"), 5)


def runs(model):
    return (
        lambda: model.apply(TOKENS),
        lambda: model.apply_batch([TOKENS]),
        lambda: model.apply_ids(np.array([[3, 0, 1]])),
        lambda: model.predict(TOKENS),
        model.pruned,
    )


def answers(model):
    return model.apply(TOKENS).decoded, model.apply_batch([TOKENS])[0], model.predict(TOKENS)


BACKWARDS = [BOS, "b", "a"], [BOS, "b", "a"], ["b", "a"]


def assert_refused(model, message):
    for run in runs(model):
        with pytest.raises(ParameterError, match=f"cannot be run: its parameter {message}"):
            run()
    for certified in (certify, bits_needed):
        with pytest.raises(CertifyError, match=f"be certified: its parameter {message}"):
            certified(model)


@pytest.mark.parametrize("name", ["token_embed", "pos_embed"])
def test_embeddings_that_do_not_fit_are_refused_by_name(model, name):
    """Sizes are also asked for before anything runs."""
    table = model.params[name]["embeddings"]
    for group, message in (
        (None, "is missing"),
        ({}, "is missing"),
        (table, "is missing"),
        ({"embeddings": None}, "is missing"),
        ({"embeddings": table.tolist()}, "is no array"),
        ({"embeddings": np.float32(1)}, "is no array"),
        ({"embeddings": table[:2]}, r"has the shape \[2"),
        ({"embeddings": np.concatenate([table] * 2)}, r"has the shape \[1"),
    ):
        model.params = {**model.params, name: group}
        assert_refused(model, f"{name}/embeddings {message}")


@pytest.mark.parametrize("params", [None, {}, [], "params"], ids=repr)
def test_what_is_no_dict_of_dicts_is_refused(model, params):
    model.params = params
    assert_refused(model, "transformer/layer_0/attn/query/w is missing")


def strange(array):
    """Has a shape and a type, and is not an array: nothing tells that its numbers change."""
    return types.SimpleNamespace(shape=array.shape, dtype=array.dtype)


def of_another_library(array):
    return types.SimpleNamespace(shape=array.shape, dtype="torch.float32")


KINDS = {
    "masked": np.ma.asarray,
    "big endian": lambda array: array.astype(array.dtype.newbyteorder()),
    "yes or no": lambda array: array != 0,
    "complex": lambda array: array + 0j,
    "objects": lambda array: array.astype(object),
    "keys": lambda array: jax.random.split(jax.random.key(0), array.shape),
    "shape": lambda array: jax.ShapeDtypeStruct(array.shape, array.dtype),
    "strange": strange,
    "of another library": of_another_library,
    "long": lambda array: array.astype(np.longdouble),
}
if np.dtype(np.longdouble).itemsize == 8:
    del KINDS["long"]  # there it is float64


@pytest.mark.parametrize("kind", KINDS)
def test_arrays_that_jax_cannot_read_are_refused_by_name(model, kind):
    array = model.params[VALUE]["w"]
    model.params = {**model.params, VALUE: {**model.params[VALUE], "w": KINDS[kind](array)}}
    assert_refused(model, f"{VALUE}/w is no array of real numbers that JAX can read")


def test_masked_and_deleted_arrays_are_not_saved(model, tmp_path):
    array = model.params[VALUE]["w"]
    deleted = jnp.array(array)
    deleted.delete()
    for spoilt, reason in ((np.ma.asarray(array), "is a masked array"), (deleted, "deleted")):
        model.params = {**model.params, VALUE: {**model.params[VALUE], "w": spoilt}}
        with pytest.raises(SavedModelError, match=f"{VALUE}/w .*{reason}"):
            model.save(tmp_path / "folder")
        assert not (tmp_path / "folder").exists()


@pytest.mark.parametrize("before", [False, True], ids=["at once", "after a run"])
def test_arrays_that_were_deleted_are_refused_by_name(model, before):
    model.params = jax.tree.map(jnp.array, model.params)
    if before:
        assert answers(model) == BACKWARDS
    model.params[VALUE]["w"].delete()
    assert_refused(model, f"{VALUE}/w was deleted")


def test_a_renamed_module_is_missing_though_its_arrays_are_those_of_before(model):
    assert answers(model) == BACKWARDS
    params = dict(model.params)
    params["transformer/layer_1/mlp/linear_1x"] = params.pop("transformer/layer_1/mlp/linear_1")
    model.params = params
    assert_refused(model, "transformer/layer_1/mlp/linear_1/w is missing")


@pytest.mark.parametrize("kind", [collections.UserDict, types.MappingProxyType])
def test_edits_behind_any_mapping_are_seen(model, kind):
    """JAX does not look into these."""
    inside = dict(model.params)
    model.params = kind(inside)
    assert answers(model) == BACKWARDS
    edit = {**inside[VALUE], "w": np.zeros_like(inside[VALUE]["w"])}
    edit["w"].flags.writeable = False
    (model.params if kind is collections.UserDict else inside)[VALUE] = edit
    assert all(found != right for found, right in zip(answers(model), BACKWARDS, strict=True))


@pytest.mark.parametrize("chosen", [False, True])
def test_activations_stay_on_the_device_that_was_chosen_for_the_parameters(model, chosen):
    device = jax.devices()[0] if chosen else None
    model.params = jax.tree.map(lambda array: jax.device_put(array, device), model.params)
    assert model.apply(TOKENS).decoded == BACKWARDS[0]
    assert model.apply(TOKENS).residuals[0].committed == chosen


OTHERS = {"none": None, "text": "text", "object": object(), "nan": np.array([np.nan])}


@pytest.mark.parametrize("extra", OTHERS.values(), ids=OTHERS)
def test_parameters_of_other_modules_change_nothing(model, extra):
    model.params = {**model.params, "another": {"b": extra}, "more": extra}
    assert answers(model) == BACKWARDS
    assert model.pruned() is not None
