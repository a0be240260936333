"""Multi-head attention that also returns its scores.

Source: Vaswani et al. 2017, arXiv:1706.03762, section 3.2.
"""

# pyright: reportUnknownMemberType=false
# (jax and haiku are typed in part only)

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast, dataclass_transform

import chex  # pyright: ignore[reportMissingTypeStubs]
import haiku as hk
import jax
import jax.numpy as jnp

PRECISION = jax.lax.Precision.HIGHEST  # anything less rounds compiled weights, in silence
MASKED = -1e30  # finite, so that a row without any key is an average and not NaN


def masked(logits: jax.Array, visible: jax.Array) -> jax.Array:
    """Scores, as low as their type allows where a key is not visible."""
    lowest = max(MASKED, float(cast(Any, jnp.finfo(logits.dtype)).min))
    return jnp.where(visible, logits, lowest)


T = TypeVar("T")


@dataclass_transform(kw_only_default=True, frozen_default=True)
def pytree(cls: type[T]) -> type[T]:
    """A frozen dataclass that JAX looks into; its fields can also be read like a dict's."""
    return cast(type[T], chex.dataclass(cls, frozen=True))


@pytree
class AttentionOutput:
    """`out`: [..., seq, model_size]; `logits`: [..., heads, seq, keys], scaled and masked."""

    out: jax.Array
    logits: jax.Array


class MultiHeadAttention(hk.Module):
    """Parameters `query`, `key`, `value`, `linear`, each with `w` [in, out] and `b` [out].

    **Arguments:**
    - `num_heads`, `key_size`: of the queries and keys of one head.
    - `w_init_scale`: scale of a `VarianceScaling` initialiser; or give `w_init` itself.
    - `value_size`: per head; by default `key_size`.
    - `model_size`: of the output; by default `key_size * num_heads`.

    **Raises:** `ValueError` if both `w_init_scale` and `w_init` are given.
    """

    def __init__(
        self,
        num_heads: int,
        key_size: int,
        w_init_scale: float | None = None,
        *,
        w_init: Callable[[Sequence[int], Any], jax.Array] | None = None,
        value_size: int | None = None,
        model_size: int | None = None,
        name: str | None = None,
    ):
        super().__init__(name=name)
        if w_init is not None and w_init_scale is not None:
            raise ValueError("give w_init or w_init_scale, not both")
        scale = 1.0 if w_init_scale is None else w_init_scale
        self.num_heads = num_heads
        self.key_size = key_size
        self.value_size = key_size if value_size is None else value_size
        self.model_size = key_size * num_heads if model_size is None else model_size
        self.w_init = hk.initializers.VarianceScaling(scale) if w_init is None else w_init

    def __call__(
        self,
        query: jax.Array,
        key: jax.Array,
        value: jax.Array,
        mask: jax.Array | None = None,
    ) -> AttentionOutput:
        """Scores are divided by the root of `key_size`, then go through a softmax over keys.

        **Arguments:** `query`: [..., seq, d]; `key`, `value`: [..., keys, d]; `mask`: false or
        0 hides a key from a query; broadcasts against [..., heads, seq, keys].
        **Raises:** `ValueError` if the rank of `mask` is not that of the scores.
        """
        queries = self._project(query, self.key_size, "query")
        keys = self._project(key, self.key_size, "key")
        values = self._project(value, self.value_size, "value")
        logits = jnp.einsum("...thd,...Thd->...htT", queries, keys, precision=PRECISION)
        logits = logits / math.sqrt(max(self.key_size, 1))
        if mask is not None:
            if mask.ndim != logits.ndim:
                raise ValueError(
                    f"the mask must have rank {logits.ndim}, like the scores {logits.shape}; "
                    f"got shape {mask.shape}"
                )
            logits = masked(logits, mask.astype(bool))
        weights = jax.nn.softmax(logits)
        mixed = jnp.einsum("...htT,...Thd->...thd", weights, values, precision=PRECISION)
        joined = mixed.reshape((*mixed.shape[:-2], self.num_heads * self.value_size))
        linear = hk.Linear(self.model_size, w_init=self.w_init, name="linear")
        return AttentionOutput(out=linear(joined, precision=PRECISION), logits=logits)

    @hk.transparent
    def _project(self, x: jax.Array, size: int, name: str) -> jax.Array:
        """[..., seq, d] to [..., seq, heads, size]."""
        linear = hk.Linear(self.num_heads * size, w_init=self.w_init, name=name)
        y = linear(x, precision=PRECISION)
        return y.reshape((*x.shape[:-1], self.num_heads, size))
