"""Random low-rank weights, their dense forms, and what a jaxpr does with their factors."""

import jax
import jax.extend.core as jex
import jax.numpy as jnp
import numpy as np

from tracr_lite.lora import LoraWeight, merge_parameters, use_implicit_args


def lora(*shape, rank=2, alpha=3.0, seed=0, dtype=jnp.float32):
    """A weight whose change is as large as itself, so that leaving it out is noticed."""
    *leading, ins, outs = shape
    random = np.random.default_rng(seed)  # JAX would compile each shape, while tests are found
    sizes = [shape, (*leading, rank, outs), (*leading, ins, rank)]
    arrays = [random.standard_normal(size).astype(dtype) for size in sizes]
    return LoraWeight(*map(jnp.asarray, arrays), alpha)


def array(*shape, seed=99):
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape), float)


def dense(tree):
    return merge_parameters(tree, destructive=False)


def assert_close(got, want, tolerance=1e-3):
    assert jax.tree.structure(got) == jax.tree.structure(want)
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        assert a.dtype == b.dtype
        if a.dtype != jax.dtypes.float0:
            scale = max(1.0, float(np.nanmax(np.abs(np.asarray(b, np.float64)), initial=0)))
            np.testing.assert_allclose(
                np.asarray(a, np.float64) / scale,
                np.asarray(b, np.float64) / scale,
                atol=tolerance,
            )


def assert_same(f, *args, tolerance=1e-3, gradient=True, eager=False):
    """f with low-rank weights is f with dense ones: value and gradient."""
    implicit = use_implicit_args(f, strict=True)

    def both(g):
        def total(args):
            outs = g(*args)
            floats = [x for x in jax.tree.leaves(outs) if jnp.issubdtype(x.dtype, jnp.inexact)]
            return sum(jnp.sum(jnp.sin(x.astype(jnp.float32))) for x in floats), outs

        def values(args):  # whose sum has the rounding of all of them
            return g(*args)

        run = jax.grad(total, allow_int=True, has_aux=True) if gradient else values
        return run if eager else jax.jit(run)

    want = both(lambda *args: f(*dense(args)))(args)
    got = both(lambda *args: dense(implicit(*args)))(args)
    assert_close(got, want, tolerance)


def assert_no_delta(f, *args):
    """No array as large as a weight is made from `a` and `b` alone, or with `w`: not b @ a.

    Each variable of the jaxpr gets the set of what it depends on, through all inner jaxprs.
    """
    leaves, _ = jax.tree_util.tree_flatten_with_path(
        args, is_leaf=lambda x: isinstance(x, LoraWeight)
    )
    smallest = min(x.w.size for _, x in leaves if isinstance(x, LoraWeight))
    marks = [("w", "a", "b") if isinstance(x, LoraWeight) else "x" for _, x in leaves]
    marks = jax.tree.leaves(marks)
    closed = jax.make_jaxpr(f)(*args)
    assert len(marks) == len(closed.jaxpr.invars)
    walk(closed.jaxpr, [{mark} for mark in marks], smallest)


def walk(jaxpr, marks, smallest):
    """The marks of the outputs."""
    found = dict.fromkeys(jaxpr.constvars, frozenset())
    found |= dict(zip(jaxpr.invars, map(frozenset, marks), strict=True))
    for eqn in jaxpr.eqns:
        ins = [frozenset() if isinstance(v, jex.Literal) else found[v] for v in eqn.invars]
        outs = inner_marks(eqn, ins, smallest)
        if outs is None:
            outs = [frozenset().union(*ins)] * len(eqn.outvars)
        for var, mark in zip(eqn.outvars, outs, strict=True):
            found[var] = mark
            made = {"a", "b"} <= mark <= {"w", "a", "b"}
            assert not (made and np.prod(var.aval.shape) >= smallest), eqn
    return [frozenset() if isinstance(v, jex.Literal) else found[v] for v in jaxpr.outvars]


def inner_marks(eqn, ins, smallest):
    """The marks of the outputs of a step with jaxprs of its own; None if it has none."""
    name, params = eqn.primitive.name, eqn.params
    if name == "scan":
        return walk_loop(params["jaxpr"].jaxpr, ins, params, smallest)
    if name == "cond":
        every = [walk(each.jaxpr, ins[1:], smallest) for each in params["branches"]]
        return [frozenset().union(*marks) for marks in zip(*every, strict=True)]
    if name == "while":
        skipped = params["cond_nconsts"]
        loop = {"num_consts": params["body_nconsts"], "num_carry": len(eqn.outvars)}
        return walk_loop(params["body_jaxpr"].jaxpr, ins[skipped:], loop, smallest)
    inner = params.get("jaxpr") or params.get("call_jaxpr")
    return None if inner is None else walk(getattr(inner, "jaxpr", inner), ins, smallest)


def walk_loop(jaxpr, ins, params, smallest):
    """A body, until what is carried depends on nothing more."""
    consts, carry = params["num_consts"], params["num_carry"]
    ins = list(ins)
    while True:
        outs = walk(jaxpr, ins, smallest)
        carried = [
            a | b for a, b in zip(ins[consts : consts + carry], outs[:carry], strict=True)
        ]
        if carried == ins[consts : consts + carry]:
            return outs
        ins[consts : consts + carry] = carried
