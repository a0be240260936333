"""What adapters start with."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.lora.weights import array, dense
from tracr_lite.lora import (
    LORA_FULL,
    LoraError,
    LoraWeight,
    init_lora_parameters,
    make_lora_specs,
    pissa_init,
)


def start(shape, rank, name="layer", **options):
    return init_lora_parameters({name: array(*shape)}, {name: rank}, **options)[name]


def test_frozen_and_full_arrays_are_the_same_objects():
    params = {"x": array(4, 5), "y": array(4, 5)}
    made = init_lora_parameters(params, {"x": 0, "y": LORA_FULL})
    assert made["x"] is params["x"]
    assert made["y"] is params["y"]


def test_a_matrix_starts_with_b_zero_and_a_normal():
    w = start((40, 50), 8, stddev=0.5, alpha=2.0, dtype=jnp.bfloat16)
    assert (w.a.shape, w.b.shape, w.alpha) == ((8, 50), (40, 8), 2.0)
    assert w.a.dtype == w.b.dtype == jnp.bfloat16
    assert not w.b.any()
    assert 0.4 < float(w.a.astype(jnp.float32).std()) < 0.6


@pytest.mark.parametrize("shape", [(4, 5), (3, 4, 5), (3, 3, 4, 5)])
def test_the_change_is_exactly_zero(shape):
    w = start(shape, 2)
    np.testing.assert_array_equal(w.materialize(), w.w)


def test_each_matrix_has_a_key_of_its_own():
    params = {"x": array(4, 5), "y": array(4, 5)}
    made = init_lora_parameters(params, {"x": 2, "y": 2})
    assert (made["x"].a != made["y"].a).all()


def test_kernels_of_equal_shape_differ():
    """The original used the same key for all of them."""
    params = {"conv_1": array(3, 3, 4, 5), "conv_2": array(3, 3, 4, 5)}
    made = init_lora_parameters(params, {"conv_1": 2, "conv_2": 2})
    assert (made["conv_1"].b != made["conv_2"].b).all()


def test_a_kernel_starts_with_a_zero_and_b_normal_in_its_own_type():
    kernel = jnp.ones((3, 3, 4, 5), jnp.bfloat16)
    w = init_lora_parameters({"k": kernel}, {"k": 2}, dtype=jnp.float32)["k"]
    assert (w.a.shape, w.b.shape) == ((1, 1, 2, 5), (3, 3, 4, 2))
    assert w.a.dtype == w.b.dtype == jnp.bfloat16
    assert not w.a.any()
    assert w.b.any()


STACKS = [
    pytest.param("layers/w", None, (3, 2, 5), id="three axes: stacked"),
    pytest.param("conv1_d/w", None, (1, 2, 5), id="a convolution, by its name"),
    pytest.param("layers/w", False, (1, 2, 5), id="by argument"),
    pytest.param("conv1_d/w", {"conv": True}, (3, 2, 5), id="by pattern"),
]


@pytest.mark.parametrize(("name", "stacked", "want"), STACKS)
def test_stacked_layers_get_factors_per_layer(name, stacked, want):
    w = start((3, 4, 5), 2, name, stacked=stacked)
    assert w.a.shape == want
    assert w.b.shape == (3, 4, 2)


def test_a_pattern_for_stacks_that_chooses_nothing_is_refused():
    with pytest.raises(LoraError, match="choose no parameter: 'cnov'"):
        start((3, 4, 5), 2, stacked={"cnov": False})


def test_the_default_key_is_that_of_zero():
    one = start((4, 5), 2)
    two = start((4, 5), 2, rng=jax.random.PRNGKey(0))
    np.testing.assert_array_equal(one.a, two.a)
    assert (start((4, 5), 2, rng=jax.random.PRNGKey(1)).a != one.a).any()


def test_alpha_by_pattern():
    params = {"query": array(4, 5), "value": array(4, 5)}
    made = init_lora_parameters(params, {"query": 2, "value": 2}, alpha={"query": 8, "": 1.5})
    assert (made["query"].alpha, made["value"].alpha) == (8, 1.5)
    with pytest.raises(LoraError, match="no pattern of alpha fits 'value'"):
        init_lora_parameters(params, {"query": 2, "value": 2}, alpha={"query": 8})
    with pytest.raises(LoraError, match="choose no parameter: 'qery'"):
        init_lora_parameters(params, {"query": 2, "value": 2}, alpha={"qery": 8, "": 1})


def test_the_rank_stabilised_scale_is_alpha_over_the_root_of_the_rank():
    assert start((40, 50), 16, alpha=8.0, rank_stabilised=True).get_scale() == 2


REFUSED = [
    pytest.param((5,), 1, "a rank needs two axes", id="vector"),
    pytest.param((), 1, "a rank needs two axes", id="scalar"),
    pytest.param((4, 5), 5, "rank 5 for 'layer'", id="more than the smaller side"),
    pytest.param((3, 4, 5), 5, "more than 4", id="stacked"),
    pytest.param((3, 3, 4, 5), 6, "more than 5", id="kernel"),
    pytest.param((4, 5), -2, "decision for 'layer' is -2", id="no decision"),
]


@pytest.mark.parametrize(("shape", "rank", "text"), REFUSED)
def test_ranks_that_mean_nothing_are_refused(shape, rank, text):
    """The original accepted rank 9 on 4 x 5."""
    with pytest.raises(ValueError, match=text):
        start(shape, rank)


def test_integers_get_no_low_rank_change():
    with pytest.raises(LoraError, match="holds int32"):
        init_lora_parameters({"x": jnp.ones((4, 5), int)}, {"x": 2})


def test_a_spec_of_another_structure_is_refused():
    with pytest.raises(LoraError, match="another structure"):
        init_lora_parameters({"x": array(4, 5)}, {"y": 2})


def test_adapting_twice_is_refused():
    once = init_lora_parameters({"x": array(4, 5)}, {"x": 2})
    with pytest.raises(LoraError, match="already"):
        init_lora_parameters(once, {"x": 2}, is_leaf=lambda x: isinstance(x, LoraWeight))


@pytest.mark.parametrize("shape", [(6, 5), (3, 6, 5)])
def test_pissa_starts_at_the_same_weights_with_their_principal_part(shape):
    w = start(shape, 2, alpha=3.0)
    principal = pissa_init({"x": w})["x"]
    np.testing.assert_allclose(principal.materialize(), w.w, atol=1e-5)
    s = np.linalg.svd(w.w, compute_uv=False)
    rest = np.linalg.svd(principal.w, compute_uv=False)
    np.testing.assert_allclose(rest[..., :-2], s[..., 2:], atol=1e-4)
    np.testing.assert_allclose(rest[..., -2:], 0, atol=1e-5)


def test_pissa_leaves_other_arrays_alone_and_refuses_kernels():
    x = array(4, 5)
    assert pissa_init({"x": x})["x"] is x
    with pytest.raises(LoraError, match="no principal part"):
        pissa_init({"k": start((3, 3, 4, 5), 2)})


def test_importing_does_not_touch_the_backend():
    import subprocess
    import sys

    code = (
        "import tracr_lite.lora, jax._src.xla_bridge as bridge;"
        "assert not bridge._backends, 'a backend was started'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("alpha", [0.0, -2.0])
def test_pissa_needs_a_positive_scale(alpha):
    with pytest.raises(LoraError, match="alpha above 0"):
        pissa_init({"w": start((4, 5), 2, alpha=alpha)})


def test_weights_that_have_an_adapter_get_no_second_one():
    with pytest.raises(LoraError, match="is a LoraWeight already"):
        init_lora_parameters({"w": start((4, 5), 2)}, {"w": 2})


def test_params_of_any_structure():
    params = [array(4, 5), (array(5, 4), {"v": array(3)})]
    spec = make_lora_specs(params, lambda path, x: 2)
    made = init_lora_parameters(params, spec)
    assert spec == [2, (2, {"v": 0})]
    assert jax.tree.structure(dense(made)) == jax.tree.structure(params)
