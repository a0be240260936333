"""Laws: any function of weights, under any transformation, is the same with dense weights.

Functions are drawn as nested lists of steps that keep [batch, 6]; what wraps steps is one of
the ways in which JAX puts a function into another. In double precision, so that what differs is
not rounding.
"""

import jax
import jax.numpy as jnp
import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from jax import lax

from tests.lora.weights import array, assert_close, assert_no_delta, dense, lora
from tracr_lite.lora import (
    MaterializationError,
    MaterializationWarning,
    use_implicit_args,
)

SIZE, VOCAB, LAYERS = 6, 9, 3
IDS = jnp.array([1, 8, 0, 1])

STEPS = {
    "matrix": lambda p, x: x @ p["matrix"],
    "transpose": lambda p, x: x @ p["matrix"].T,
    "heads": lambda p, x: jnp.einsum("bi,ihk->bhk", x, heads(p["matrix"])).reshape(-1, 6),
    "tied": lambda p, x: jax.nn.softmax(x @ p["embed"].T) @ p["embed"],
    "lookup": lambda p, x: x + p["embed"][jnp.argmax(x @ p["embed"].T, axis=-1)],
    "layer": lambda p, x: x @ p["stack"][1] - x @ p["stack"][LAYERS - 1],
    "layers": lambda p, x: lax.scan(lambda c, w: (jnp.tanh(c @ w), None), x, p["stack"])[0],
    "some columns": lambda p, x: x.at[:, :3].add(x @ p["matrix"][:, ::2]),
    "scaled": lambda p, x: x @ (0.5 * p["matrix"]) / 2,
    "tanh": lambda p, x: jnp.tanh(x),
    "plain": lambda p, x: x @ p["plain"] + 1,
    "normalised": lambda p, x: x / (1 + jnp.abs(x).sum(-1, keepdims=True)),
}  # fmt: skip
WRAPS = {
    "jit": lambda f: lambda p, x: jax.jit(f)(p, x),
    "remat": lambda f: lambda p, x: jax.checkpoint(f)(p, x),
    "remat closed over": lambda f: lambda p, x: jax.checkpoint(lambda x: f(p, x))(x),
    "vmap": lambda f: lambda p, x: jax.vmap(lambda row: f(p, row[None])[0])(x),
    "scan": lambda f: lambda p, x: lax.scan(lambda c, _: (f(p, c), None), x, None, 2)[0],
    "scan carrying": lambda f: (
        lambda p, x: lax.scan(lambda c, _: ((c[0], f(*c)), None), (p, x), None, 2)[0][1]
    ),
    "fori": lambda f: lambda p, x: lax.fori_loop(0, 2, lambda _, c: f(p, c), x),
    "map": lambda f: lambda p, x: lax.map(lambda row: f(p, row[None])[0], x),
    "cond": lambda f: lambda p, x: lax.cond(x.sum() > 0, f, lambda p, x: -x, p, x),
    "custom_vjp": lambda f: with_own_vjp(f),
    "custom_jvp": lambda f: with_own_jvp(f),
}


def heads(w):
    return w.reshape(SIZE, 3, 2)


def with_own_vjp(f):
    """Three times the true derivative, so that using the true one is noticed."""
    g = jax.custom_vjp(f)
    g.defvjp(
        lambda p, x: (f(p, x), (p, x)),
        lambda saved, c: jax.tree.map(lambda d: 3 * d, jax.vjp(f, *saved)[1](c)),
    )
    return lambda p, x: g(p, x)


def with_own_jvp(f):
    g = jax.custom_jvp(f)

    @g.defjvp
    def _(values, tangents):
        out, change = jax.jvp(f, values, tangents)
        return out, 3 * change

    return lambda p, x: g(p, x)


def compose(tree):
    """A nested list of names as a function; a name that wraps is followed by a list."""
    if isinstance(tree, str):
        return STEPS[tree]
    if isinstance(tree, tuple):
        return WRAPS[tree[0]](compose(tree[1]))
    parts = [compose(part) for part in tree]

    def run(p, x):
        for part in parts:
            x = jnp.tanh(part(p, x))
        return x

    return run


STEP = st.sampled_from(sorted(STEPS))
functions = st.recursive(
    st.lists(STEP, min_size=1, max_size=3),
    lambda inner: st.lists(
        STEP | st.tuples(st.sampled_from(sorted(WRAPS)), inner), min_size=1, max_size=3
    ),
    max_leaves=5,
)
OUTSIDE = {
    "jit": lambda f: jax.jit(f),
    "remat": lambda f: jax.checkpoint(f),
    "vmap": lambda f: lambda p, x: jax.vmap(lambda row: f(p, row[None])[0])(x),
    "vmap over weights": lambda f: lambda p, x: jax.vmap(f, (0, None))(doubled(p), x).sum(0),
    "scan": lambda f: lambda p, x: lax.scan(lambda c, _: (f(p, c), None), x, None, 2)[0],
    "cond": lambda f: lambda p, x: lax.cond(True, f, lambda p, x: x, p, x),
}  # fmt: skip


def doubled(p):
    return jax.tree.map(lambda leaf: jnp.stack([leaf, leaf / 2]), p)


def parameters(rank):
    return {
        "matrix": lora(SIZE, SIZE, rank=rank, alpha=0.5 * rank, seed=1, dtype=float),
        "embed": lora(VOCAB, SIZE, rank=rank, alpha=0.5 * rank, seed=2, dtype=float),
        "stack": lora(LAYERS, SIZE, SIZE, rank=rank, alpha=0.5 * rank, seed=3, dtype=float),
        "plain": array(SIZE, SIZE) / 3,
    }


def nests_derivatives(tree, inside=False):
    """Whether a custom_vjp stands inside a custom_jvp."""
    if isinstance(tree, tuple):
        if inside and tree[0] == "custom_vjp":
            return True
        return nests_derivatives(tree[1], inside or tree[0] == "custom_jvp")
    return isinstance(tree, list) and any(nests_derivatives(each, inside) for each in tree)


def check(tree, outside, rank):
    with jax.enable_x64(True):
        check_values(compose(tree), OUTSIDE[outside], parameters(rank), array(4, SIZE))
        if outside != "vmap over weights" and not nests_derivatives(tree):
            implicit = use_implicit_args(compose(tree), strict=True)
            assert_no_delta(OUTSIDE[outside](implicit), parameters(rank), array(4, SIZE))


def check_values(f, around, params, x):

    def loss(g):
        def total(p, x):
            out = around(g)(p, x)
            return jnp.sum(jnp.sin(out)), out

        return jax.jit(jax.grad(total, argnums=(0, 1), has_aux=True))

    try:
        want = loss(lambda p, x: f(dense(p), x))(params, x)
    except NotImplementedError:
        reject()  # JAX has no derivative of a batched choice inside of some custom ones
    try:
        found = loss(use_implicit_args(f, strict=True))(params, x)
    except MaterializationError as error:
        # of a custom_vjp inside a custom_jvp, JAX shows us a step that has no value yet
        if {primitive for primitive, _ in error.problems} != {"custom_lin"}:
            raise
        with pytest.warns(MaterializationWarning):
            found = loss(use_implicit_args(f))(params, x)
    assert_close(found, want, 1e-9)


def test_every_step_and_every_wrap_is_right_alone():
    names = [[name] for name in STEPS] + [[(name, ["matrix"])] for name in WRAPS]
    check(names, "jit", 2)


def test_a_custom_vjp_inside_a_custom_jvp_is_right_too():
    check([("custom_jvp", [("custom_vjp", ["matrix"])])], "jit", 2)


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(functions, st.sampled_from(sorted(OUTSIDE)), st.sampled_from([1, 2, 3]))
def test_functions_with_low_rank_weights_are_those_with_dense_ones(tree, outside, rank):
    check(tree, outside, rank)


@pytest.mark.heavy
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(functions, st.sampled_from(sorted(OUTSIDE)), st.sampled_from([1, 2, 3]))
def test_the_same_for_many_functions(tree, outside, rank):
    check(tree, outside, rank)


@st.composite
def contractions(draw):
    """The letters of a weight, of an array, and of the result, with sizes."""
    letters = draw(st.permutations("abcdefg"))[:4]
    sizes = {n: draw(st.integers(1, 4)) for n in letters}
    weight = letters[: draw(st.integers(2, 3))]
    other = draw(st.lists(st.sampled_from(letters), unique=True, max_size=4))
    every = sorted({*weight, *other})
    out = draw(st.lists(st.sampled_from(every), unique=True, max_size=len(every)))
    shape = [sizes[n] for n in weight]
    rank = draw(st.integers(1, 3))
    spec = f"{''.join(weight)},{''.join(other)}->{''.join(out)}"
    return spec, lora(*shape, rank=rank), array(*(sizes[n] for n in other))


def check_einsum(case):
    spec, w, x = case
    letters, out = spec.split("->")
    weight, other = letters.split(",")

    @jax.jit
    def every(w):
        got = use_implicit_args(lambda w: jnp.einsum(spec, w, x), strict=True)(w)
        swapped = f"{other},{weight}->{out}"
        also = use_implicit_args(lambda w: jnp.einsum(swapped, x, w), strict=True)(w)
        return dense((got, also)), jnp.einsum(spec, w.materialize(), x)

    (got, also), want = every(w)
    assert_close(got, want, 1e-4)
    assert_close(also, want, 1e-4)


@settings(max_examples=12, deadline=None)
@given(contractions())
def test_every_einsum_is_that_of_the_dense_weight(case):
    check_einsum(case)


@pytest.mark.heavy
@settings(max_examples=500, deadline=None)
@given(contractions())
def test_the_same_for_many_einsums(case):
    check_einsum(case)
