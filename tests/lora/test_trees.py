"""Merging, splitting, joining."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.lora.weights import array, dense, lora
from tracr_lite.lora import (
    LORA_FULL,
    EmptyNode,
    LoraError,
    LoraWeight,
    dropout_parameters,
    join_lora_params,
    merge_parameters,
    partition,
    spec_of,
    split_lora_params,
)

SPEC = {"low": 2, "full": LORA_FULL, "frozen": 0}


def params():
    return {"low": lora(4, 5), "full": array(4, 5), "frozen": array(3)}


def test_merging_without_destruction_keeps_the_inputs():
    tree = params()
    merged = merge_parameters(tree, destructive=False)
    np.testing.assert_allclose(merged["low"], tree["low"].materialize())
    assert merged["full"] is tree["full"]
    assert not tree["low"].w.is_deleted()


def test_destructive_merging_deletes_the_arrays():
    """The original failed on jax 0.4.30 and later."""
    tree = params()
    want = np.asarray(tree["low"].materialize())
    merged = merge_parameters(tree)
    np.testing.assert_array_equal(merged["low"], want)
    assert all(x.is_deleted() for x in jax.tree.leaves(tree["low"]))
    assert not merged["full"].is_deleted()


def test_destructive_merging_spares_arrays_that_stand_elsewhere():
    w = lora(4, 5)
    merged = merge_parameters({"low": w, "same": w, "tied": w.w})
    assert merged["low"] is merged["same"]
    assert not merged["tied"].is_deleted()


def test_merging_works_under_jit():
    tree = params()
    got = jax.jit(merge_parameters)(tree)
    np.testing.assert_allclose(got["low"], tree["low"].materialize(), rtol=1e-6)
    assert not tree["low"].w.is_deleted()


def test_the_trained_part_has_no_arrays_but_a_b_and_full_ones():
    tree = params()
    trained = split_lora_params(tree, SPEC)
    assert trained["frozen"] is EmptyNode
    assert trained["low"].w is EmptyNode
    kept = {id(x) for x in jax.tree.leaves(trained)}
    assert kept == {id(tree["low"].a), id(tree["low"].b), id(tree["full"])}


@pytest.mark.parametrize("whole", [True, False])
def test_joining_is_the_inverse_of_splitting(whole):
    tree = params()
    trained, frozen = partition(tree, SPEC)
    joined = join_lora_params(trained, tree if whole else frozen)
    assert jax.tree.structure(joined) == jax.tree.structure(tree)
    same = jax.tree.map(lambda a, b: a is b, joined, tree)
    assert all(jax.tree.leaves(same))


def test_trained_values_win_over_those_of_a_whole_tree():
    tree = params()
    changed = jax.tree.map(lambda x: x + 1, split_lora_params(tree, SPEC))
    joined = join_lora_params(changed, tree)
    np.testing.assert_array_equal(joined["full"], tree["full"] + 1)
    assert joined["frozen"] is tree["frozen"]


def test_gradients_exist_for_the_trained_part_only():
    trained, frozen = partition(params(), SPEC)

    def loss(trained):
        tree = dense(join_lora_params(trained, frozen))
        return sum(jnp.sum(x**2) for x in jax.tree.leaves(tree))

    gradients = jax.grad(loss)(trained)
    assert sorted(x.shape for x in jax.tree.leaves(gradients)) == [(2, 5), (4, 2), (4, 5)]
    assert gradients["low"].w is EmptyNode


def test_what_is_in_neither_tree_is_named():
    trained, frozen = partition(params(), SPEC)
    with pytest.raises(LoraError, match="neither tree has frozen, low/w"):
        join_lora_params(trained, trained)
    with pytest.raises(LoraError, match="different structures"):
        join_lora_params(trained, {"low": frozen["low"]})


WRONG = [
    pytest.param({**SPEC, "low": 0}, "'low' is a LoraWeight, but the spec says 0", id="frozen"),
    pytest.param(
        {**SPEC, "full": 2}, "gives 'full' rank 2, but it is a plain array", id="rank"
    ),
    pytest.param({"low": 2}, "another structure", id="structure"),
]


@pytest.mark.parametrize(("spec", "text"), WRONG)
def test_a_spec_of_other_parameters_is_refused(spec, text):
    with pytest.raises(LoraError, match=text):
        split_lora_params(params(), spec)


def test_the_spec_of_a_tree_can_be_read_off():
    assert spec_of(params()) == {"low": 2, "full": 0, "frozen": 0}


def test_dropout_zeroes_rows_of_b_and_keeps_the_mean():
    tree = {"low": lora(1000, 5), "frozen": array(3)}
    dropped = dropout_parameters(tree, jax.random.PRNGKey(0), 0.25)
    b, before = dropped["low"].b, tree["low"].b
    kept = np.asarray((b != 0).all(axis=1))
    assert ((b != 0).any(axis=1) == kept).all()
    assert 0.7 < kept.mean() < 0.8
    np.testing.assert_allclose(b[kept], before[kept] / 0.75, rtol=1e-6)
    assert dropped["frozen"] is tree["frozen"]
    assert dropped["low"].w is tree["low"].w


def test_no_dropout_changes_nothing_and_other_rates_are_refused():
    tree = {"low": lora(6, 5)}
    same = dropout_parameters(tree, jax.random.PRNGKey(0), 0.0)
    np.testing.assert_array_equal(same["low"].b, tree["low"].b)
    for rate in (1.0, -0.1, float("nan")):
        with pytest.raises(LoraError, match="dropout rate"):
            dropout_parameters(tree, jax.random.PRNGKey(0), rate)


def test_each_weight_is_dropped_with_its_own_key():
    tree = {"x": lora(64, 5), "y": lora(64, 5)}
    dropped = dropout_parameters(tree, jax.random.PRNGKey(0), 0.5)
    assert isinstance(dropped["x"], LoraWeight)
    assert (dropped["x"].b != dropped["y"].b).any()
