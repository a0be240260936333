"""Parameters of a model as float64 arrays, one format's rounding applied, by half-layer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, cast

import numpy as np
from jaxtyping import Float

from tracr_lite.certifying.errors import CertifyError
from tracr_lite.certifying.rounding import Arithmetic

Array = Float[np.ndarray, "..."]


@dataclass(frozen=True)
class Sizes:
    """What a certificate has to know of the configuration of a model."""

    num_layers: int
    num_heads: int
    key_size: int
    causal: bool
    layer_norm: bool
    activation: str

    @classmethod
    def of(cls, config: Any) -> Sizes:
        """From a `TransformerConfig`, or from a mapping with the names of its fields."""

        def get(name: str) -> Any:
            mapping = cast("Mapping[str, Any]", config)
            return mapping[name] if isinstance(config, Mapping) else getattr(config, name)

        activation = get("activation_function")
        return cls(
            int(get("num_layers")),
            int(get("num_heads")),
            int(get("key_size")),
            bool(get("causal")),
            bool(get("layer_norm")),
            getattr(activation, "__name__", str(activation)),
        )


@dataclass(frozen=True)
class HeadWeights:
    """One head. `query`, `key`, `value`: [d, key_size]; `out`: [key_size, d]."""

    query: Array
    key: Array
    value: Array
    out: Array
    root: float  # of the key size: scores are divided by it


@dataclass(frozen=True)
class Weights:
    """All parameters, as `number` rounds them."""

    params: Mapping[str, Mapping[str, Any]]
    sizes: Sizes
    number: Arithmetic
    _latest: dict[str, dict[tuple[str, str], Array]] = field(
        default_factory=dict[str, dict[tuple[str, str], Array]], compare=False, repr=False
    )

    def array(self, module: str, name: str) -> Array:
        """One array; those of the latest half-layer are kept.

        **Raises:** `CertifyError` if it is missing.
        """
        here = module.rpartition("/")[0]
        if here not in self._latest:
            self._latest.clear()
        kept = self._latest.setdefault(here, {})
        if (module, name) not in kept:
            kept[module, name] = self._rounded(module, name)
        return kept[module, name]

    def _rounded(self, module: str, name: str) -> Array:
        try:
            found = np.asarray(self.params[module][name])
        except KeyError as error:
            raise CertifyError(
                f"the parameters have no {module}/{name}; give those of a compiled model"
            ) from error
        exact = found.astype(np.float64)
        return exact if self.number.bits >= 24 else self.number.cast(exact)

    @cached_property
    def width(self) -> int:
        """Number of residual columns."""
        return int(self.params["token_embed"]["embeddings"].shape[1])

    def mlp(self, layer: int) -> tuple[Array, Array]:
        """To the neurons [d, hidden], and from them [hidden, d]."""
        here = f"transformer/layer_{layer}/mlp"
        return self.array(f"{here}/linear_1", "w"), self.array(f"{here}/linear_2", "w")

    def head(self, layer: int, head: int) -> HeadWeights:
        here, size = f"transformer/layer_{layer}/attn", self.sizes.key_size
        part = slice(head * size, (head + 1) * size)
        query, key, value = (
            self.array(f"{here}/{name}", "w")[:, part] for name in ("query", "key", "value")
        )
        out = self.array(f"{here}/linear", "w")[part]
        return HeadWeights(query, key, value, out, math.sqrt(size))

    def faults(self) -> list[str]:
        """Why these are no weights of a compiled model: biases, norms, other activations."""
        found: list[str] = []
        if self.sizes.layer_norm or self.sizes.activation != "relu":
            found.append("the model must have no layer norm, and ReLU as activation")
        if math.isqrt(self.sizes.key_size) ** 2 != self.sizes.key_size:
            found.append("the key size is no square, so dividing scores is not exact")
        for module, group in self.params.items():
            for name, array in group.items():
                values = np.asarray(array)
                if not np.isfinite(values).all():
                    found.append(f"{module}/{name} holds numbers that are not finite")
                if name == "b" and values.any():
                    found.append(f"{module} has a bias, which no compiled model has")
                if self.number.bits < 24:
                    cast = self.number.cast(values.astype(np.float64))
                    if not np.isfinite(cast).all():
                        found.append(
                            f"{module}/{name} is out of the range of {self.number.name}"
                        )
        return found
