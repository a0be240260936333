"""`XRapTure`: parameters, optimiser and function of a model, adapted in one call.

Source: the interface of FJFormer's xrapture (src/fjformer/xrapture).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from tracr_lite.lora import init, optim, specs, trees
from tracr_lite.lora.implicit_args import use_implicit_args
from tracr_lite.lora.init import Alpha, Stacked
from tracr_lite.lora.specs import Decision, XRapTureConfig

if TYPE_CHECKING:
    import optax  # pyright: ignore[reportMissingTypeStubs]


@dataclass
class XRapTureModule:
    """An adapted model.

    - `lora_opt_state`: of `lora_tx`, for `lora_parameters`.
    - `lora_parameters`: the tree with `LoraWeight`s.
    - `lora_module`: the function, which takes them.
    - `lora_specs`: what is done with each parameter.
    - `lora_tx`: the optimiser, which leaves what is frozen alone.
    """

    lora_opt_state: Any
    lora_parameters: Any
    lora_module: Callable[..., Any]
    lora_specs: Any
    lora_tx: optax.GradientTransformation


def apply_lora(
    module: Callable[..., Any],
    parameters: Any,  # any tree of arrays
    tx: optax.GradientTransformation,
    decision_fn: Decision | Mapping[str, int] | None = None,
    tune_vectors: bool = False,
    rng: jax.Array | None = None,
    stddev: float = 0.01,
    alpha: Alpha = 1.0,
    is_leaf: Callable[[Any], bool] | None = None,
    *,
    dtype: Any = jnp.float32,
    stacked: Stacked = None,
    rank_stabilised: bool = False,
    strict: bool = False,
) -> XRapTureModule:
    """A function with its parameters, ready to be trained with low-rank weights.

    **Arguments:** `module`: a function, with the parameters first by convention, as Haiku's
    `apply`; `tx`: the optimiser. The others are those of `make_lora_specs`,
    `init_lora_parameters` and `use_implicit_args`.
    **Raises:** `LoraError`, as these.
    """
    spec = specs.make_lora_specs(parameters, decision_fn, tune_vectors)
    options: Any = {"stacked": stacked, "rank_stabilised": rank_stabilised}
    adapted = init.init_lora_parameters(
        parameters, spec, dtype, rng, stddev, alpha, is_leaf, **options
    )
    wrapped = optim.wrap_tx(tx, spec)
    function = use_implicit_args(module, strict=strict)
    return XRapTureModule(wrapped.init(adapted), adapted, function, spec, wrapped)


class XRapTure:
    """The functions of this package, with a configuration."""

    def __init__(self, config: XRapTureConfig):
        self.config = config

    def base_decision_function(self, path: Sequence[Any], params: Any = None) -> int:
        """LORA_FULL, the rank, or LORA_FREEZE for a path, by the names in the configuration."""
        return specs.base_decision(self.config, path)

    def make_lora_specs(
        self,
        parameters: Any,
        decision_fn: Decision | Mapping[str, int] | None = None,
        tune_vectors: bool = False,
    ) -> Any:
        """As the function of this name; decides by default as the configuration says."""
        if decision_fn is None:
            specs.print_unused(self.config, parameters)
            decision_fn = self.base_decision_function
        return specs.make_lora_specs(parameters, decision_fn, tune_vectors)

    init_lora_parameters = staticmethod(init.init_lora_parameters)
    merge_parameters = staticmethod(trees.merge_parameters)
    wrap_tx = staticmethod(optim.wrap_tx)

    def apply_lora(
        self,
        module: Callable[..., Any],
        parameters: Any,
        tx: optax.GradientTransformation,
        decision_fn: Decision | Mapping[str, int] | None = None,
        tune_vectors: bool = False,
        rng: jax.Array | None = None,
        stddev: float = 0.01,
        alpha: Alpha = 1.0,
        is_leaf: Callable[[Any], bool] | None = None,
        **options: Any,  # the keyword-only arguments of the function
    ) -> XRapTureModule:
        """As the function of this name, with decisions and dtype of the configuration."""
        if decision_fn is None:
            specs.print_unused(self.config, parameters)
            decision_fn = self.base_decision_function
        options = {"dtype": self.config.dtype, **options}
        return apply_lora(
            module,
            parameters,
            tx,
            decision_fn,
            tune_vectors,
            rng,
            stddev,
            alpha,
            is_leaf,
            **options,
        )
