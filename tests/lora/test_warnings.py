"""Where there is no rule: one warning, or an error, and the dense result."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from tests.lora.weights import array, assert_close, dense, lora
from tracr_lite.lora import (
    LoraError,
    LoraWeight,
    MaterializationError,
    MaterializationWarning,
    split_lora_params,
    use_implicit_args,
)

PARAMS = {"layer": {"w": lora(6, 7), "v": lora(6, 6, seed=1)}}
X = array(5, 6)


def while_erf(w, x):
    return lax.while_loop(lambda c: c[0] < 1, lambda c: (c[0] + 1, x @ lax.erf(w)), (0, x @ w))[
        1
    ]


STEPS = {
    "sin": lambda w, x: x @ jnp.sin(w),
    "add": lambda w, x: x @ (w + 1),
    "mul": lambda w, x: x @ (w * w),
    "reshape": lambda w, x: w.reshape(-1).sum() * x,
    "concatenate": lambda w, x: jnp.concatenate([w, jnp.ones((6, 1))], axis=1),
    "sort": lambda w, x: jnp.sort(w),
    "scatter": lambda w, x: x @ w.at[0, 0].set(1),
    "convert_element_type": lambda w, x: w.astype(int),
    "conv_general_dilated": lambda w, x: lax.conv(w[None], jnp.ones((2, 6, 1)), (1,), "SAME"),
    "max": lambda w, x: jax.jit(lambda w: x @ jnp.maximum(w, 0))(w),
    "tan": lambda w, x: jax.checkpoint(lambda w: x @ jnp.tan(w))(w),
    "exp": lambda w, x: lax.map(lambda row: row @ jnp.exp(w), x),
    "cos": lambda w, x: lax.cond(x[0, 0] > 0, lambda w: x @ jnp.cos(w), lambda w: x @ w, w),
    "erf": while_erf,
    "cond": lambda w, x: x @ lax.cond(x[0, 0] > 0, lambda v: v, lambda v: v.T, w[:, :6]),
    "scan": lambda w, x: lax.scan(lambda c, _: (2 * c, None), w, None, 2)[0],
}
UNHANDLED = {name: (lambda p, x, f=f: f(p["layer"]["w"], x)) for name, f in STEPS.items()}


@pytest.mark.parametrize("primitive", UNHANDLED)
def test_one_warning_names_primitive_and_parameter_and_the_result_is_dense(primitive):
    f = UNHANDLED[primitive]
    with pytest.warns(MaterializationWarning) as caught:
        got = use_implicit_args(f)(PARAMS, X)
    (text,) = [str(each.message) for each in caught]
    assert text.startswith(f"Primitive {primitive} was not handled")
    assert "'layer/w'" in text
    assert_close(dense(got), f(dense(PARAMS), X))


@pytest.mark.parametrize("primitive", UNHANDLED)
def test_strict_mode_is_an_error(primitive):
    with pytest.raises(MaterializationError, match="1 primitive") as error:
        use_implicit_args(UNHANDLED[primitive], strict=True)(PARAMS, X)
    assert error.value.problems == [(primitive, "layer/w")]


def test_strict_mode_lists_every_problem():
    def f(p, x):
        w, v = p["layer"]["w"], p["layer"]["v"]
        return jnp.sin(w).sum() + jnp.cos(v).sum() + jnp.sin(w)

    with pytest.raises(MaterializationError) as error:
        use_implicit_args(f, strict=True)(PARAMS, X)
    assert error.value.problems == [("sin", "layer/w"), ("cos", "layer/v")]
    assert "  - sin on layer/w\n  - cos on layer/v\n" in str(error.value)


def test_the_warning_points_at_the_call():
    with pytest.warns(MaterializationWarning) as caught:
        use_implicit_args(UNHANDLED["sin"])(PARAMS, X)
    assert caught[0].filename == __file__


def test_each_parameter_is_named_when_one_jitted_layer_serves_many():
    layer = jax.jit(lambda w, x: x @ jnp.sin(w))

    def f(p, x):
        return layer(p["a"], layer(p["b"], x))

    params = {"a": lora(6, 6), "b": lora(6, 6, seed=1)}
    for _ in range(2):  # the second time nothing is traced anew
        with pytest.raises(MaterializationError) as error:
            use_implicit_args(f, strict=True)(params, X)
        assert sorted(error.value.problems) == [("sin", "a"), ("sin", "b")]


def test_one_function_for_weights_of_several_ranks_tells_for_each_call():
    choose = jax.jit(lambda w, v, x: x @ lax.cond(x[0, 0] > 0, lambda: w, lambda: v))
    run = use_implicit_args(lambda w, v, x: choose(w, v, x), strict=True)
    same, other = (lora(6, 7), lora(6, 7, seed=1)), (lora(6, 7), lora(6, 7, rank=3))
    for _ in range(2):
        run(*same, X)
        with pytest.raises(MaterializationError) as error:
            run(*other, X)
        problems = sorted(error.value.problems)
        assert problems == [("cond", "argument 0"), ("cond", "argument 1")]
        run(*same, X)


def test_no_warning_where_all_is_handled():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        use_implicit_args(lambda p, x: x @ p["layer"]["w"])(PARAMS, X)


def test_a_custom_derivative_that_needs_the_dense_weight_warns_too():
    @jax.custom_vjp
    def f(w, x):
        return x @ w

    f.defvjp(lambda w, x: (x @ w, (w, x)), lambda s, c: (s[1].T @ c, c @ jnp.sin(s[0]).T))
    w = PARAMS["layer"]["w"]

    def loss(g):
        return jax.grad(lambda w, x: g(w, x).sum(), argnums=1)(w, X)

    with pytest.warns(MaterializationWarning, match="sin .* in a custom derivative"):
        got = loss(use_implicit_args(f))
    assert_close(got, jnp.ones((5, 7)) @ jnp.sin(w.materialize()).T)
    with pytest.raises(MaterializationError) as error:
        loss(use_implicit_args(f, strict=True))
    assert error.value.problems == [("sin", "argument 0")]


def own_derivative(kind):
    """A function of (w, x) with a derivative that needs sin(w); its value does not."""
    if kind == "custom_vjp":
        f = jax.custom_vjp(lambda w, x: x @ w)
        f.defvjp(lambda w, x: (x @ w, (w, x)), lambda s, c: (s[1].T @ c, c @ jnp.sin(s[0]).T))
        return f
    f = jax.custom_jvp(lambda w, x: x @ w)
    f.defjvp(lambda xs, ds: (xs[1] @ xs[0], ds[1] @ jnp.sin(xs[0]) + xs[1] @ ds[0]))
    return f


AROUND = {
    "alone": lambda f: f,
    "jit": jax.jit,
    "remat": jax.checkpoint,
    "scan": lambda f: lambda w, x: lax.scan(lambda c, _: (c, f(w, x)), 0, None, 2)[1].sum(0),
    "cond": lambda f: lambda w, x: lax.cond(x[0, 0] > 9, lambda: 0 * (x @ w), lambda: f(w, x)),
}


@pytest.mark.parametrize("kind", ["custom_vjp", "custom_jvp"])
@pytest.mark.parametrize("around", AROUND)
def test_custom_derivatives_name_the_parameter_once_wherever_they_stand(kind, around):
    f = AROUND[around](own_derivative(kind))

    def loss(g):
        return jax.grad(lambda p, x: g(p, x).sum(), argnums=1)

    def run(p, x):
        return f(p["layer"]["w"], x)

    with pytest.warns(MaterializationWarning) as caught:
        got = loss(use_implicit_args(run))(PARAMS, X)
    (text,) = {str(each.message) for each in caught}
    assert text.startswith("Primitive sin was not handled for the low-rank weight 'layer/w'")
    assert "in a custom derivative" in text
    assert len(caught) == 1
    assert_close(got, loss(lambda p, x: run(dense(p), x))(PARAMS, X))
    with pytest.raises(MaterializationError) as error:
        loss(use_implicit_args(run, strict=True))(PARAMS, X)
    assert error.value.problems == [("sin", "layer/w")]
    with warnings.catch_warnings():  # without a derivative, nothing is missing
        warnings.simplefilter("error")
        use_implicit_args(run, strict=True)(PARAMS, X)


def test_outputs_are_named_by_what_they_come_from():
    def f(w, v, x):
        w, v = jax.jit(lambda w, v: (w.T, v.T))(w, v)
        w, v = lax.cond(x[0, 0] > 0, lambda: (w, v), lambda: (2 * w, v))
        w, v = lax.optimization_barrier((w, v))
        return x @ w.T + jnp.sin(v).sum()

    with pytest.raises(MaterializationError) as error:
        use_implicit_args(f, strict=True)(lora(6, 7), lora(6, 6), X)
    assert error.value.problems == [("sin", "argument 1")]


def convolve(w, x, groups=1):
    numbers = ("NWC", "WIO", "NWC")
    return lax.conv_general_dilated(
        x, w, (1,), "SAME", dimension_numbers=numbers, feature_group_count=groups
    )


def test_grouped_convolutions_are_dense():
    kernel = LoraWeight(array(3, 2, 8), array(1, 2, 8), array(3, 2, 2), 1.0)
    x = array(1, 5, 4)
    with pytest.warns(MaterializationWarning, match="conv_general_dilated"):
        got = use_implicit_args(convolve)(kernel, x, groups=2)
    assert_close(got, convolve(kernel.materialize(), x, groups=2))


def test_a_kernel_taken_for_stacked_layers_is_computed_right_and_said():
    w, x = lora(3, 4, 5), array(1, 7, 4)
    with pytest.warns(MaterializationWarning, match="conv_general_dilated"):
        got = use_implicit_args(convolve)(w, x)
    assert_close(got, convolve(w.materialize(), x))


def test_other_arguments_reach_the_function_untouched():
    seen = []

    def f(p, flag, name, nothing, number, array, *, option):
        seen.append((flag, name, nothing, number, array, option))
        return {
            "y": X @ p["layer"]["w"] if flag else X,
            "name": name,
            "n": number,
            "none": nothing,
        }

    values = np.arange(3)
    got = use_implicit_args(f)(PARAMS, True, "text", None, 3, values, option=(1, "x"))
    assert seen == [(True, "text", None, 3, values, (1, "x"))]
    assert seen[0][4] is values
    assert (got["name"], got["n"], got["none"]) == ("text", 3, None)
    assert isinstance(got["n"], int)


def test_without_low_rank_weights_the_function_is_just_called():
    marker = object()
    assert use_implicit_args(lambda x: x)(marker) is marker


def test_a_part_of_a_partition_is_refused_with_advice():
    part = split_lora_params(PARAMS, {"layer": {"w": 2, "v": 2}})
    with pytest.raises(LoraError, match=r"w of the LoraWeight 'layer/v' is missing.*join"):
        use_implicit_args(lambda p, x: x)(part, X)


def test_weights_are_named_by_argument_if_they_have_no_path():
    with pytest.warns(MaterializationWarning, match="'argument 1'"):
        use_implicit_args(lambda x, w: jnp.sin(w))(X, lora(4, 5))
    with pytest.warns(MaterializationWarning, match="'argument w'"):
        use_implicit_args(lambda w: jnp.sin(w))(w=lora(4, 5))
