"""Optimisers for trees with adapters. Needs optax."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownLambdaType=false
# (jax and optax are typed in part only)

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from tracr_lite.lora.errors import LoraError, MissingDependency
from tracr_lite.lora.specs import LORA_FREEZE, aligned
from tracr_lite.lora.weight import LoraWeight, is_lora

if TYPE_CHECKING:
    import optax  # pyright: ignore[reportMissingTypeStubs]

FROZEN, TRAINED = "frozen", "trained"


def import_optax() -> Any:
    """optax. **Raises:** `MissingDependency`, which says how to get it."""
    try:
        import optax  # pyright: ignore[reportMissingTypeStubs]
    except ImportError as error:
        raise MissingDependency(
            "training needs optax; install it, or tracr_lite[lora]"
        ) from error
    return optax


def labels(params: Any, lora_spec: Any) -> Any:
    """The tree with "trained" or "frozen" for every array, those in `LoraWeight`s too."""
    _, leaves, decisions, structure = aligned(params, lora_spec, is_lora)

    def label(leaf: Any, decision: int) -> Any:
        if isinstance(leaf, LoraWeight):
            names = (
                (FROZEN, FROZEN, FROZEN)
                if decision == LORA_FREEZE
                else (FROZEN, TRAINED, TRAINED)
            )
            return LoraWeight.tree_unflatten(leaf.alpha, names)
        return FROZEN if decision == LORA_FREEZE else TRAINED

    return jax.tree_util.tree_unflatten(structure, [*map(label, leaves, decisions)])


def wrap_tx(
    tx: optax.GradientTransformation, lora_spec: Any, scalar_frozen_grads: bool = False
) -> optax.GradientTransformation:
    """`tx` for the trained arrays of a whole tree; all others get zero updates and no state.

    Nothing here stops gradients: `jax.grad` over the whole tree computes those of the frozen
    weights too. `partition` avoids that; with it, plain `tx` does.

    **Arguments:** `scalar_frozen_grads`: zeros without axes for what is frozen, which are
    cheap, and which `optax.apply_updates` repeats.
    **Returns:** a transformation whose `update` needs `params`.
    """
    optax = import_optax()

    def freeze(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        def zero(x: Any) -> jax.Array:
            return jnp.zeros((), x.dtype) if scalar_frozen_grads else jnp.zeros_like(x)

        return jax.tree_util.tree_map(zero, params), state

    frozen = optax.GradientTransformation(lambda params: optax.EmptyState(), freeze)
    inner = optax.multi_transform(
        {TRAINED: tx, FROZEN: frozen}, lambda params: labels(params, lora_spec)
    )

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        if params is None:
            raise LoraError("update needs params: tx.update(gradients, state, params)")
        return inner.update(jax.tree_util.tree_map(_no_float0, updates, params), state, params)

    return optax.GradientTransformation(inner.init, update)


def _no_float0(gradient: Any, param: Any) -> Any:
    """Integers have gradients of a type that nothing can be computed with."""
    is_float0 = getattr(gradient, "dtype", None) == jax.dtypes.float0
    return jnp.zeros_like(param) if is_float0 else gradient


def lora_plus_rates(ratio: float = 16.0) -> optax.GradientTransformation:
    """LoRA+: a learning rate `ratio` times higher for the factor on the output side, `a`.

    Put it behind the optimiser: `optax.chain(optax.adam(1e-4), lora_plus_rates(16))`.

    **Raises:** `LoraError` unless the ratio is positive.
    Source: Hayou et al. 2024, arXiv:2402.12354 (there the output side is called B).
    """
    if not ratio > 0:
        raise LoraError(f"the ratio of learning rates must be positive; got {ratio}")
    optax = import_optax()

    def faster(leaf: Any) -> Any:
        if not isinstance(leaf, LoraWeight):
            return leaf
        a = jax.tree_util.tree_map(lambda x: x * ratio, leaf.a)  # or nothing, where masked
        return LoraWeight.tree_unflatten(leaf.alpha, (leaf.w, a, leaf.b))

    return optax.stateless(
        lambda updates, _: jax.tree_util.tree_map(faster, updates, is_leaf=is_lora)
    )
