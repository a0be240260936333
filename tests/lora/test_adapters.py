"""Adapters apart from the model: on and off, sums, smaller ranks, merging and back."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from tests.lora.weights import array, assert_close, dense, lora
from tracr_lite.lora import (
    LORA_FULL,
    Adapter,
    AdapterSet,
    EmptyNode,
    LoraError,
    LoraWeight,
    adapter_of,
    add,
    attach,
    compress,
    concatenate,
    detach,
    merge_adapter,
    unmerge,
    use_implicit_args,
)

PARAMS = {
    "matrix": lora(6, 7),
    "stack": lora(3, 6, 6, seed=1),
    "conv": LoraWeight(array(3, 3, 4, 5), array(1, 1, 2, 5), array(3, 3, 4, 2), 3.0),
    "norm": array(6),
}
BASE = detach(PARAMS)
ADAPTER = adapter_of(PARAMS)


def other(rank=3, alpha=2.0):
    matrix, stack = lora(6, 7, rank=rank, seed=5), lora(3, 6, 6, rank=rank, seed=6)
    weights = {"matrix": matrix, "stack": stack}
    return Adapter(
        {n: LoraWeight(EmptyNode, w.a, w.b, alpha) for n, w in weights.items()},
        {"norm": array(6, seed=3)},
    )


def change(adapter):
    return jax.tree.map(
        lambda after, before: np.asarray(after - before, np.float64),
        dense(attach(BASE, adapter)),
        BASE,
    )


def test_off_and_on_again_is_the_same():
    again = attach(detach(PARAMS), adapter_of(PARAMS))
    assert jax.tree.structure(again) == jax.tree.structure(PARAMS)
    assert all(jax.tree.leaves(jax.tree.map(lambda a, b: a is b, again, PARAMS)))


def test_fully_trained_arrays_belong_to_the_adapter_if_the_spec_says_so():
    spec = {"matrix": 2, "stack": 2, "conv": 2, "norm": LORA_FULL}
    adapter = adapter_of(PARAMS, spec)
    assert adapter.full == {"norm": PARAMS["norm"]}
    assert adapter.ranks == {"matrix": 2, "stack": 2, "conv": 2}
    put = attach({**BASE, "norm": jnp.zeros(6)}, adapter)
    assert put["norm"] is PARAMS["norm"]


def test_all_that_does_not_fit_is_listed():
    wrong = Adapter(
        {
            "matrix": LoraWeight(EmptyNode, array(2, 9), array(6, 2), 1.0),
            "gone": LoraWeight(EmptyNode, array(2, 9), array(6, 2), 1.0),
        },
        {"norm": array(3)},
    )
    with pytest.raises(LoraError) as error:
        attach(BASE, wrong)
    text = str(error.value)
    assert "matrix: w [..., in, out]" in text
    assert "norm: (3,) is to replace (6,)" in text
    assert "gone: no such parameter" in text
    with pytest.raises(LoraError, match="has an adapter already"):
        attach(PARAMS, ADAPTER)


def test_names_must_tell_parameters_apart():
    twice = {"a/b": {"c": array(2, 2)}, "a": {"b/c": array(2, 2)}}
    with pytest.raises(LoraError, match="two parameters are named 'a/b/c'"):
        attach(twice, Adapter({}))


def test_the_sum_of_adapters_is_the_sum_of_their_changes():
    total = concatenate([ADAPTER, other()], [0.5, 1.0])
    assert total.ranks == {"matrix": 5, "stack": 5, "conv": 2}
    want = jax.tree.map(lambda a, b: 0.5 * a + b, change(ADAPTER), change(other()))
    assert_close(change(total), want, 1e-5)


def test_one_adapter_is_its_own_sum():
    assert concatenate([ADAPTER]) is ADAPTER


def test_dense_parts_have_no_weighted_sum():
    with pytest.raises(LoraError, match="norm was trained densely"):
        concatenate([other()], [0.5])
    with pytest.raises(LoraError, match="norm was trained densely"):
        concatenate([other(), other()])
    with pytest.raises(LoraError, match="2 adapters, but 1 weights"):
        concatenate([ADAPTER, other()], [1.0])
    full = Adapter({}, {"matrix": array(6, 7)})
    with pytest.raises(LoraError, match="replaced by one adapter and changed by another"):
        concatenate([ADAPTER, full])


def test_sums_of_changes_of_different_weights_are_refused():
    for shape in ((9, 7), (3, 6, 7)):
        w = lora(*shape)
        other = Adapter({"matrix": LoraWeight(EmptyNode, w.a, w.b)})
        with pytest.raises(LoraError, match="matrix: these are changes of different weights"):
            concatenate([ADAPTER, other])
    with pytest.raises(LoraError, match="weights must be finite"):
        concatenate([ADAPTER], [float("nan")])


def test_adding_an_adapter_to_itself_takes_no_higher_rank():
    total = add([ADAPTER, ADAPTER])
    assert total.ranks == ADAPTER.ranks
    assert_close(change(total), jax.tree.map(lambda x: 2 * x, change(ADAPTER)), 1e-5)


def test_compression_keeps_the_largest_singular_values():
    large = concatenate([ADAPTER, Adapter(other().weights)])
    small, fits = compress(large, rank=2)
    assert small.ranks == {"matrix": 2, "stack": 2, "conv": 2}
    before, after = change(large), change(small)
    s = np.linalg.svd(before["matrix"], compute_uv=False)
    want = np.linalg.norm(s[2:]) / np.linalg.norm(s)
    assert fits["matrix"].error == pytest.approx(want, rel=1e-3)
    gap = np.linalg.norm(after["matrix"] - before["matrix"]) / np.linalg.norm(s)
    assert gap == pytest.approx(want, rel=1e-3)
    assert fits["conv"].error < 1e-6
    assert large.nbytes > small.nbytes


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 5), st.integers(1, 5), st.floats(0, 1), st.integers(0, 99))
def test_compression_to_a_tolerance_uses_the_smallest_rank_that_reaches_it(m, r, tol, seed):
    w = lora(6, 7, rank=min(m, r), seed=seed)
    _, fits = compress(Adapter({"w": LoraWeight(EmptyNode, w.a, w.b, 1.0)}), tolerance=tol)
    s = np.linalg.svd(np.asarray(w.b, float) @ np.asarray(w.a, float), compute_uv=False)
    errors = [np.linalg.norm(s[k:]) / np.linalg.norm(s) for k in range(len(s) + 1)]
    want = next(k for k in range(1, len(errors)) if errors[k] <= max(tol, 1e-12))
    assert fits["w"].rank == want
    assert fits["w"].error <= tol + 1e-6


@pytest.mark.parametrize(
    "limits",
    [{}, {"rank": 0}, {"rank": 2.0}, {"rank": True}, {"tolerance": -1}, {"tolerance": np.nan}],
)
def test_limits_that_make_no_sense_are_refused(limits):
    with pytest.raises(LoraError):
        compress(ADAPTER, **limits)


def test_an_adapter_of_rank_zero_can_be_compressed():
    empty = Adapter({"matrix": LoraWeight(EmptyNode, jnp.ones((0, 7)), jnp.ones((6, 0)), 1.0)})
    small, fits = compress(empty, tolerance=0.1)
    assert small.ranks == {"matrix": 0}
    assert fits["matrix"].error == 0


def test_switching_between_adapters():
    models = AdapterSet(BASE, {"one": ADAPTER}).with_adapter("two", other())
    assert models.use() is BASE
    assert_close(dense(models.use("one")), dense(PARAMS))
    assert_close(dense(models.use("two")), dense(attach(BASE, other())))
    both = concatenate([ADAPTER, other()], [0.3, 1.0])
    assert_close(dense(models.use({"one": 0.3, "two": 1})), dense(attach(BASE, both)))
    with pytest.raises(LoraError, match="no adapter is named three; there are: one, two"):
        models.use("three")
    with pytest.raises(LoraError, match="adapter 'bad': the adapter does not fit"):
        models.with_adapter("bad", Adapter({}, {"gone": array(2)}))


def test_one_model_serves_a_different_adapter_per_example():
    w = lora(6, 7)
    pair = [lora(6, 7, seed=s) for s in (1, 2, 3)]
    stacked = LoraWeight.tree_unflatten(
        3.0, (w.w, jnp.stack([p.a for p in pair]), jnp.stack([p.b for p in pair]))
    )
    x = array(3, 6)
    run = jax.vmap(
        use_implicit_args(lambda w, x: x @ w, strict=True),
        in_axes=(LoraWeight.tree_unflatten(3.0, (None, 0, 0)), 0),
    )
    want = [x[i] @ LoraWeight(w.w, p.a, p.b, 3.0).materialize() for i, p in enumerate(pair)]
    assert_close(run(stacked, x), jnp.stack(want))


def test_unmerging_gives_the_base_to_the_bit():
    adapter = other()
    merged = merge_adapter(BASE, adapter)
    assert (merged["matrix"] != BASE["matrix"]).all()
    back = unmerge(merged, adapter, BASE)
    for a, b in zip(jax.tree.leaves(back), jax.tree.leaves(BASE), strict=True):
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


def test_the_base_may_be_a_file(tmp_path):
    path = tmp_path / "base.safetensors"
    save_file({name: np.asarray(x) for name, x in BASE.items()}, path)
    back = unmerge(merge_adapter(BASE, ADAPTER), ADAPTER, path)
    for a, b in zip(jax.tree.leaves(back), jax.tree.leaves(BASE), strict=True):
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()
    save_file({"matrix": np.asarray(BASE["matrix"])}, path)
    with pytest.raises(LoraError, match="the stored base lacks conv, stack"):
        unmerge(merge_adapter(BASE, ADAPTER), ADAPTER, path)


def test_weights_that_were_not_merged_so_are_not_unmerged():
    merged = merge_adapter(BASE, ADAPTER)
    trained = {**merged, "stack": merged["stack"] + 1e-3, "norm": merged["norm"] + 1}
    with pytest.raises(LoraError, match="stack, norm: not what this adapter makes"):
        unmerge(trained, ADAPTER, BASE)
    with pytest.raises(LoraError, match="matrix, stack"):
        unmerge(merged, Adapter(other().weights), BASE)
    back = unmerge(trained, ADAPTER, BASE, check=False)
    np.testing.assert_array_equal(back["stack"], BASE["stack"])


def test_an_adapter_is_a_pytree():
    doubled = jax.tree.map(lambda x: 2 * x, ADAPTER)
    assert_close(change(doubled)["matrix"], 4 * change(ADAPTER)["matrix"], 1e-5)
