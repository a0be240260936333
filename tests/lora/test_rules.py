"""Each primitive with a rule: the dense result, its gradient, and no dense change built.

The table is run strictly, eagerly and jitted. One row, one way to write a step of a model.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from tests.lora.weights import array, assert_no_delta, assert_same, dense, lora
from tracr_lite.lora import LoraWeight, MaterializationWarning, use_implicit_args

W = lora(6, 7)
SQUARE = lora(6, 6, seed=1)
STACK = lora(3, 6, 6, seed=2)
X, X7 = array(5, 6), array(5, 7)
IDS = jnp.array([1, 3, 0, 3])

PRODUCTS = {
    "x @ w": (lambda w, x: x @ w, W, X),
    "w @ x": (lambda w, x: w @ x.T, W, X7),
    "x @ w.T": (lambda w, x: x @ w.T, W, X7),
    "w.T @ x": (lambda w, x: w.T @ x.T, W, X),
    "a vector": (lambda w, x: x[0] @ w, W, X),
    "many axes": (lambda w, x: jnp.einsum("...i,ij->...j", x[None, :, None], w), W, X),
    "tensordot": (lambda w, x: jnp.tensordot(x, w, 1), W, X),
    "both axes": (lambda w, x: jnp.tensordot(w, x, 2), W, array(6, 7)),
    "rows with rows": (lambda w, x: jnp.einsum("ij,ij->i", w, x), W, array(6, 7)),
    "two low-rank weights": (lambda v, w: v @ w, SQUARE, W),
    "itself": (lambda w: w @ w, SQUARE),
    "its own transpose": (lambda w: w @ w.T, W),
    "rank of queries and keys": (
        lambda q, k, x: (x @ (q @ k.T)) @ x.T,
        W,
        lora(6, 7, seed=5),
        X,
    ),
    "all layers at once": (lambda w, x: jnp.einsum("bi,lij->lbj", x, w), STACK, X),
    "a batch of layers": (lambda w, x: jnp.einsum("li,lij->lj", x, w), STACK, X[:3]),
    "summed over layers": (lambda w, x: jnp.einsum("li,lij->j", x, w), STACK, X[:3]),
    "one input for all layers": (lambda w, x: jnp.einsum("bi,lij->bj", x, w), STACK, X),
    "outer": (lambda w, x: jnp.einsum("i,jk->ijk", x, w), W, array(2)),
    "bfloat16": (
        lambda w, x: x.astype(jnp.bfloat16) @ w.astype(jnp.bfloat16) * 1e-3,
        W,
        X,
    ),
}
SHAPES = {
    "heads": (lambda w, x: jnp.einsum("bi,ihk->bhk", x, w.reshape(6, 2, 3)), SQUARE, X),
    "heads of layers": (
        lambda w, x: jnp.einsum("bi,lhik->lbhk", x, w.reshape(3, 6, 2, 3).swapaxes(1, 2)),
        STACK,
        X,
    ),
    "one axis more": (lambda w, x: jnp.einsum("bi,cij->bcj", x, w[None]), W, X),
    "repeated": (
        lambda w, x: jnp.einsum("bi,bij->bj", x, jnp.broadcast_to(w, (5, 6, 7))),
        W,
        X,
    ),
    "axes exchanged": (
        lambda w, x: jnp.einsum("bi,jli->blj", x, jnp.moveaxis(w, 0, 1).T),
        STACK,
        X,
    ),
    "times a number": (lambda w, x: x @ (w * 2.0) + x @ (-w / 3), W, X),
    "times a traced number": (
        lambda w, x, s: x @ (s * w) + x @ (w / s),
        W,
        X,
        jnp.float32(1.5),
    ),
    "split": (lambda w, x: [x @ part for part in jnp.split(w, [3], axis=1)], W, X),
    "sliced": (lambda w, x: x[:, :4] @ w[:4, 1:6:2], W, X),
    "reversed": (lambda w, x: x @ w[::-1], W, X),
    "summed": (lambda w: (w.sum(0), w.sum(1), w.mean()), W),
    "stopped": (
        lambda w, x: jnp.sin(x @ lax.stop_gradient(w)) + x @ w,
        W,
        X,
    ),
    "barrier": (lambda w, x: x @ lax.optimization_barrier((w, x))[0], W, X),
    "cast up": (lambda w, x: x @ w.astype(jnp.float32), W, X),
}
LOOKUPS = {
    "w[ids]": (lambda w, ids: w[ids], W, IDS),
    "take rows": (lambda w, ids: jnp.take(w, ids, axis=0), W, IDS),
    "take columns": (lambda w, ids: jnp.take(w, ids, axis=1), W, IDS),
    "ids of two axes": (lambda w, ids: w[ids.reshape(2, 2)], W, IDS),
    "clipped": (lambda w, ids: jnp.take(w, ids, axis=0, mode="clip"), W, jnp.array([9, 1, -9])),
    "filled": (
        lambda w, ids: w.at[ids].get(mode="fill", fill_value=4),
        W,
        jnp.array([9, 1, -9]),
    ),
    "filled elements": (
        lambda w, i, j: w.at[i, j].get(mode="fill", fill_value=4),
        W,
        jnp.array([9, 1, 1]),
        IDS[:3] * 3,
    ),
    "elements": (lambda w, ids: w[ids, ids], W, IDS),
    "negative": (lambda w, ids: w[-ids], W, IDS),
    "vmapped rows": (lambda w, ids: jax.vmap(lambda i: w[i])(ids), W, IDS),
    "vmapped columns": (lambda w, ids: jax.vmap(lambda i: w[:, i])(ids), W, IDS),
    "one row": (lambda w, i: w[2] + w[i], W, 3),
    "first rows": (lambda w, x: x[:4] + w[:4], W, X7),
    "take along": (lambda w, i: jnp.take_along_axis(w, i, axis=1), W, jnp.ones((6, 2), int)),
    "rows of each layer": (
        lambda w, ids: jax.vmap(lambda v, i: v[i])(w, ids),
        STACK,
        jnp.array([[1, 2], [3, 4], [0, 5]]),
    ),
    "one hot": (lambda w, ids: jax.nn.one_hot(ids, 6) @ w, W, IDS),
    "tied": (lambda w, ids: w[ids] @ w.T, W, IDS),
}
LAYERS = {
    "constant": (lambda w, x: jnp.sin(x @ w[0]) @ w[2], STACK, X),
    "traced": (lambda w, x, i: x @ w[i], STACK, X, 1),
    "chosen per example": (
        lambda w, x, i: jnp.einsum("bi,bij->bj", x, w[i]),
        STACK,
        X[:4],
        IDS % 3,
    ),
    "unstacked": (lambda w, x: [x @ v for v in w], STACK, X),
    "vmap": (lambda w, x: jax.vmap(lambda v: jnp.sin(x @ v))(w), STACK, X),
    "vmap over columns": (lambda w, x: jax.vmap(lambda c: x @ c, in_axes=1)(w), W, X),
}
INSIDE = {
    "jit": (lambda w, x: jax.jit(lambda w, x: jnp.sin(x @ w))(w, x), W, X),
    "jit in jit": (lambda w, x: jax.jit(lambda x: jax.jit(lambda: x @ w)())(x), W, X),
    "jit gives a weight": (lambda w, x: x @ jax.jit(lambda w: 2 * w.T)(w), W, X7),
    "remat": (lambda w, x: jax.checkpoint(lambda w, x: jnp.sin(x @ w))(w, x), W, X),
    "remat closed over": (lambda w, x: jax.checkpoint(lambda x: jnp.sin(x @ w))(x), W, X),
    "scan over layers": (
        lambda w, x: lax.scan(lambda c, v: (jnp.tanh(c @ v), c.sum()), x, w),
        STACK,
        X,
    ),
    "scan backwards, unrolled": (
        lambda w, x: lax.scan(lambda c, v: (jnp.tanh(c @ v), c), x, w, reverse=True, unroll=3),
        STACK,
        X,
    ),
    "scan closed over": (
        lambda w, x: lax.scan(lambda c, _: (jnp.tanh(c @ w), None), x, None, length=3)[0],
        SQUARE,
        X,
    ),
    "scan carries": (
        lambda w, x: lax.scan(
            lambda c, _: ((jnp.tanh(c[0] @ c[1]), c[1]), None), (x, w), None, 3
        )[0][0],
        SQUARE,
        X,
    ),
    "scan over rows": (
        lambda w: lax.scan(lambda c, r: (c + jnp.sin(r), r.sum()), jnp.zeros(7), w),
        W,
    ),
    "scan of remat": (
        lambda w, x: lax.scan(jax.checkpoint(lambda c, v: (jnp.tanh(c @ v), None)), x, w)[0],
        STACK,
        X,
    ),
    "scan in scan": (
        lambda w, x: lax.scan(
            lambda c, _: (lax.scan(lambda d, v: (jnp.tanh(d @ v), None), c, w)[0], None),
            x,
            None,
            2,
        )[0],
        STACK,
        X,
    ),
    "fori": (
        lambda w, x: lax.fori_loop(0, 3, lambda i, c: (jnp.tanh(c[0] @ c[1]), c[1]), (x, w))[0],
        SQUARE,
        X,
    ),
    "fori over layers": (
        lambda w, x: lax.fori_loop(0, 3, lambda i, c: jnp.tanh(c @ w[i]), x),
        STACK,
        X,
    ),
    "cond": (lambda w, x, p: lax.cond(p, lambda: x @ w, lambda: -x @ w), W, X, True),
    "switch": (
        lambda w, x, i: lax.switch(
            i, [lambda v: x @ v, lambda v: 2 * x @ v, lambda v: jnp.zeros((5, 7))], w
        ),
        W,
        X,
        2,
    ),
    "cond gives a weight": (
        lambda w, x, p: x @ lax.cond(p, lambda: w, lambda: -2 * w),
        W,
        X,
        True,
    ),
    "switch gives one of three": (
        lambda w, v, x, i: x @ lax.switch(i, [lambda: w, lambda: -v, lambda: jnp.ones((6, 7))]),
        W,
        lora(6, 7, seed=5, alpha=1.0),
        X,
        1,
    ),
    "scan gives weights": (
        lambda w, x: [x @ v for v in lax.scan(lambda c, v: (c, 2 * v.T), None, w)[1]],
        STACK,
        X,
    ),
    "map": (lambda w, x: lax.map(lambda row: row @ w, x), W, X),
    "gradient": (lambda w, x: jax.grad(lambda x: jnp.sin(x @ w).sum())(x), W, X),
    "jvp": (lambda w, x: jax.jvp(lambda x: jnp.sin(x @ w), (x,), (x,)), W, X),
    "hessian": (lambda w, x: jax.hessian(lambda x: jnp.sin(x @ w).sum())(x[0]), W, X),
}
TABLES = {
    "products": PRODUCTS,
    "shapes": SHAPES,
    "lookups": LOOKUPS,
    "layers": LAYERS,
    "inside": INSIDE,
}
TABLE = {f"{title}: {name}": row for title, t in TABLES.items() for name, row in t.items()}
ONLY_WEIGHTS = {  # here an intermediate result has nothing but weights in it
    "two low-rank weights",
    "itself",
    "its own transpose",
    "rank of queries and keys",
    "hessian",
}


@pytest.mark.parametrize("name", TABLE)
def test_it_is_the_dense_result(name):
    f, *args = TABLE[name]
    if "bfloat16" in name:
        assert_same(f, *args, tolerance=0.03)
    else:
        assert_same(f, *args)


@pytest.mark.parametrize("name", [f"inside: {name}" for name in INSIDE if name != "hessian"])
def test_it_is_the_dense_result_without_an_outer_jit_too(name):
    f, *args = TABLE[name]
    assert_same(f, *args, eager=True, gradient=False)


@pytest.mark.parametrize(
    "name", [name for name in TABLE if name.split(": ")[1] not in ONLY_WEIGHTS]
)
def test_the_dense_change_is_not_built(name):
    f, *args = TABLE[name]
    assert_no_delta(use_implicit_args(f, strict=True), *args)


def test_the_check_for_a_dense_change_finds_one():
    with pytest.raises(AssertionError):
        assert_no_delta(lambda w, x: x @ w.materialize(), W, X)
    with pytest.raises(AssertionError):
        assert_no_delta(lambda w, x: x @ w.w + x @ (w.b @ w.a), W, X)


def test_a_while_loop_has_no_gradient_but_a_value():
    def run(w, x):
        return lax.while_loop(
            lambda c: (c[0] < 3) & (jnp.abs(c[1] @ w).sum() > 0),
            lambda c: (c[0] + 1, jnp.tanh(c[1] @ c[2] @ w), c[2]),
            (0, x, w),
        )[1]

    assert_same(run, SQUARE, X, gradient=False)
    assert_no_delta(use_implicit_args(run, strict=True), SQUARE, X)


KERNEL = LoraWeight(array(3, 3, 4, 5), array(1, 1, 2, 5), array(3, 3, 4, 2), 3.0)
IMAGE = array(2, 8, 8, 4)
LAYOUTS = {
    "plain": {"window_strides": (1, 1), "padding": "SAME"},
    "strides": {"window_strides": (2, 1), "padding": "VALID"},
    "dilated": {
        "window_strides": (2, 1),
        "padding": ((1, 1), (2, 2)),
        "lhs_dilation": (1, 2),
        "rhs_dilation": (2, 1),
    },
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_convolutions(name):
    """The original applied lhs_dilation twice, and raised."""

    def convolve(w, x):
        numbers = ("NHWC", "HWIO", "NHWC")
        return lax.conv_general_dilated(x, w, dimension_numbers=numbers, **LAYOUTS[name])

    assert_same(convolve, KERNEL, IMAGE)
    assert_no_delta(use_implicit_args(convolve, strict=True), KERNEL, IMAGE)


@pytest.mark.parametrize("name", LAYOUTS)
def test_convolutions_backwards(name):
    """The derivative by the input reads the kernel with its channels exchanged."""

    def gradient(w, x):
        numbers = ("NHWC", "HWIO", "NHWC")
        return jax.grad(
            lambda x: jnp.sin(
                lax.conv_general_dilated(x, w, dimension_numbers=numbers, **LAYOUTS[name])
            ).sum()
        )(x)

    assert_same(gradient, KERNEL, IMAGE, gradient=False)
    assert_no_delta(use_implicit_args(gradient, strict=True), KERNEL, IMAGE)


def test_transposed_convolutions():
    def convolve(w, x):
        x = lax.conv_transpose(x, w, (2, 1), "SAME")
        return lax.conv_transpose(x, w, (1, 2), "VALID", transpose_kernel=True)

    assert_same(convolve, KERNEL, IMAGE)
    assert_no_delta(use_implicit_args(convolve, strict=True), KERNEL, IMAGE)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_types_may_differ_where_jax_is_told_to_refuse_that(dtype):
    def run(w, v, kernel, x, image):
        numbers = ("NHWC", "HWIO", "NHWC")
        y = lax.conv_general_dilated(image, kernel, (1, 1), "SAME", dimension_numbers=numbers)
        return x @ w, v @ w, w[IDS], lax.cond(True, lambda: w, lambda: v @ w), y

    def half(tree):
        return jax.tree.map(lambda x: x.astype(dtype), tree)

    weights = [LoraWeight(half(w.w), w.a, w.b, w.alpha) for w in (W, SQUARE, KERNEL)]
    args = (*weights, half(X), half(IMAGE))
    with jax.numpy_dtype_promotion("strict"):
        assert_same(run, *args, tolerance=0.03, gradient=False)


def test_kernels_in_another_layout():
    """The original's check of the layout could not fail: it took channels for windows."""

    def convolve(w, x):
        w, x = w.transpose(3, 2, 0, 1), x.transpose(0, 3, 1, 2)
        return lax.conv_general_dilated(x, w, (1, 1), "SAME")

    assert_same(convolve, KERNEL, IMAGE)
    assert_no_delta(use_implicit_args(convolve, strict=True), KERNEL, IMAGE)


@pytest.mark.parametrize("axes", [(0, 1), (1, 0)])
def test_only_permutations_that_transpose_do(axes):
    """The original transposed for every permutation, the identity too."""
    got = use_implicit_args(lambda w: lax.transpose_p.bind(w, permutation=axes))(W)
    want = np.transpose(W.materialize(), axes)
    np.testing.assert_allclose(got.materialize(), want, atol=1e-5)


def test_weights_pass_through_as_low_rank_weights():
    outs = use_implicit_args(lambda w: (w, w.T, w.astype(jnp.bfloat16), -w, w[:3]))(W)
    assert all(isinstance(out, LoraWeight) for out in outs)
    assert outs[0].alpha == W.alpha
    assert outs[2].a.dtype == jnp.bfloat16
    want = W.materialize()
    np.testing.assert_allclose(outs[1].materialize(), want.T, atol=1e-5)
    np.testing.assert_allclose(outs[3].materialize(), -want, atol=1e-5)
    np.testing.assert_allclose(outs[4].materialize(), want[:3], atol=1e-5)
    assert outs[1].a.shape == (2, 6)


def test_layers_of_a_stack_pass_through_too():
    layer = use_implicit_args(lambda w: w[1])(STACK)
    np.testing.assert_allclose(layer.materialize(), dense(STACK)[1], atol=1e-5)
    assert layer.b.shape == (6, 2)


def test_what_is_no_matrix_any_more_comes_out_dense():
    swap = use_implicit_args(lambda w: w.transpose(1, 0, 2))
    with pytest.warns(MaterializationWarning, match=r"'argument 0' is returned in a form"):
        got = swap(STACK)
    np.testing.assert_allclose(got, dense(STACK).transpose(1, 0, 2), atol=1e-5)
