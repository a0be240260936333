"""`LoraWeight`: a weight matrix plus a low-rank change to it, kept apart.

    dense = w + alpha / rank * b @ a          w: [in, out]  b: [in, rank]  a: [rank, out]

so that `x @ dense` is `x @ w + alpha / rank * (x @ b) @ a`. Note the sides: `b` is on the side
of the input. PEFT names them the other way round, and transposed: its `lora_A` is `b.T`, its
`lora_B` is `a.T`.

Leading axes: stacked layers have w [layers, in, out], b [layers, in, rank], a [layers, rank,
out]; kernels of convolutions have w [*window, in, out], b [*window, in, rank], a [1, ..., 1,
rank, out].

Source: Hu et al. 2021, arXiv:2106.09685, section 4.1; FJFormer, xrapture/implicit_array.py.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# (jax is typed in part only)

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np

from tracr_lite.lora.errors import LoraError, LoraShapeError


@final
@jax.tree_util.register_pytree_with_keys_class
@dataclass(frozen=True, eq=False)
class LoraWeight:
    """A weight with a low-rank change; a pytree with the leaves `w`, `a`, `b`.

    **Arguments:**
    - `w`: [..., in, out], frozen.
    - `a`: [..., rank, out]; `b`: [..., in, rank]; leading axes as in `w`, or 1.
    - `alpha`: the change is scaled by alpha / rank; a plain number, the same after flattening.

    **Raises:** `LoraShapeError` (also an `AssertionError`) if the shapes do not fit;
    `LoraError` if `w` holds integers.
    """

    w: Any  # arrays; while JAX maps over the tree, whatever it puts there
    a: Any
    b: Any
    alpha: float = 1.0

    def __post_init__(self) -> None:
        alpha: Any = self.alpha  # annotations are not enforced
        if isinstance(alpha, np.integer | np.floating):
            alpha = alpha.item()
            object.__setattr__(self, "alpha", alpha)
        if isinstance(alpha, bool) or not isinstance(alpha, int | float):
            raise LoraError(f"alpha must be a plain number; got {alpha!r}")
        if not math.isfinite(alpha):
            raise LoraError(f"alpha must be finite; got {self.alpha}")
        if all(hasattr(x, "shape") for x in (self.w, self.a, self.b)):
            check_shapes(self.w.shape, self.a.shape, self.b.shape)
            check_floats(self.w)

    def tree_flatten_with_keys(self) -> tuple[tuple[tuple[Any, Any], ...], float]:
        key = jax.tree_util.GetAttrKey
        return ((key("w"), self.w), (key("a"), self.a), (key("b"), self.b)), self.alpha

    @classmethod
    def tree_unflatten(cls, alpha: float, leaves: tuple[Any, Any, Any]) -> LoraWeight:
        """Checks nothing: the leaves may be labels, axes, or anything else."""
        made = object.__new__(cls)
        for name, value in zip(("w", "a", "b", "alpha"), (*leaves, alpha), strict=True):
            object.__setattr__(made, name, value)
        return made

    @property
    def shape(self) -> tuple[int, ...]:
        """That of `w`."""
        return tuple(self.w.shape)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def dtype(self) -> Any:
        """That of `w`."""
        return self.w.dtype

    @property
    def rank(self) -> int:
        """The number of columns of `b`."""
        return int(self.b.shape[-1])

    def get_scale(self) -> float:
        """alpha / rank. A rank of 0 changes nothing, at any scale."""
        return self.alpha / max(self.rank, 1)

    def delta(self) -> jax.Array:
        """The dense change, scale * b @ a; leading axes broadcast."""
        with mixed_types():
            product = jnp.matmul(self.b, self.a, precision=jax.lax.Precision.HIGHEST)
            return self.get_scale() * product

    def materialize(self) -> jax.Array:
        """The dense weight, in the dtype of `w`."""
        check_floats(self.w)
        with mixed_types():
            return (self.w + self.delta()).astype(self.w.dtype)


def check_floats(w: Any, name: str = "w") -> None:
    """**Raises:** `LoraError` for integers: a change by fractions would be cut off."""
    dtype = getattr(w, "dtype", None)
    if dtype is not None and not jnp.issubdtype(dtype, jnp.inexact):
        raise LoraError(
            f"{name} holds {dtype}; low-rank changes need floats: freeze it, or cast it first"
        )


def mixed_types() -> Any:
    """A context for our own sums and products of `w`, `a` and `b`, whose types may differ even
    where the user has told JAX to refuse that."""
    return jax.numpy_dtype_promotion("standard")


def check_shapes(w: Any, a: Any, b: Any) -> None:
    """**Raises:** `LoraShapeError` if shapes do not fit; each is a tuple of ints."""
    fits = min(len(w), len(a), len(b)) >= 2 and max(len(a), len(b)) <= len(w)
    fits = fits and a[-2] == b[-1] and w[-2] == b[-2] and w[-1] == a[-1]
    if fits:
        for factor in (a, b):
            leading = w[len(w) - len(factor) : -2]
            fits = fits and all(n in (1, m) for n, m in zip(factor[:-2], leading, strict=True))
    if not fits:
        raise LoraShapeError(
            f"w [..., in, out], a [..., rank, out] and b [..., in, rank] must fit; "
            f"got w {tuple(w)}, a {tuple(a)}, b {tuple(b)}"
        )


def is_lora(x: object) -> bool:
    """For `is_leaf` of tree functions."""
    return isinstance(x, LoraWeight)


class _EmptyNodeType:
    """The type of `EmptyNode`."""

    _made: _EmptyNodeType | None = None

    def __new__(cls) -> _EmptyNodeType:
        if cls._made is None:
            cls._made = super().__new__(cls)
        return cls._made

    def __repr__(self) -> str:
        return "EmptyNode"

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return type(self), ()


EmptyNode = _EmptyNodeType()
"""Stands where a tree has nothing; a pytree without leaves."""

jax.tree_util.register_pytree_node(
    _EmptyNodeType,
    lambda node: ((), None),
    lambda aux, leaves: EmptyNode,
)


def is_node(x: object) -> bool:
    """For `is_leaf`: stop at weights and at holes."""
    return isinstance(x, LoraWeight | _EmptyNodeType)
