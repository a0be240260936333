"""What attention keeps of earlier tokens."""

# JAX leaves parts of its own signatures without types.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import os
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.tree_util import register_dataclass

from tracr_lite.llama.config import LlamaConfig
from tracr_lite.llama.errors import LlamaError


@register_dataclass
@dataclass(frozen=True)
class Cache:
    """Keys, turned by position, and values: per layer (batch * kv heads, slots, size)."""

    keys: tuple[Array, ...]
    values: tuple[Array, ...]

    @property
    def slots(self) -> int:
        """How many tokens fit."""
        return self.keys[0].shape[1]

    @property
    def nbytes(self) -> int:
        """Bytes on the device."""
        return sum(each.nbytes for each in (*self.keys, *self.values))

    def write(self, layer: int, keys: Array, values: Array, at: Array | int) -> Cache:
        """The cache with keys and values (batch, tokens, kv heads, size) from slot `at` on."""

        def put(all_layers: tuple[Array, ...], new: Array) -> tuple[Array, ...]:
            rows = new.swapaxes(1, 2).reshape(-1, new.shape[1], new.shape[3])
            changed = lax.dynamic_update_slice(all_layers[layer], rows, (0, at, 0))
            # Without the barrier XLA writes once for every use, each time into a copy.
            changed = lax.optimization_barrier(changed)
            return (*all_layers[:layer], changed, *all_layers[layer + 1 :])

        return Cache(put(self.keys, keys), put(self.values, values))

    def grow(self, slots: int) -> Cache:
        """The same with room for so many tokens."""
        more = [(0, 0), (0, slots - self.slots), (0, 0)]
        keys, values = (
            tuple(jnp.pad(each, more) for each in both) for both in (self.keys, self.values)
        )
        return Cache(keys, values)

    def read(self, layer: int) -> tuple[Array, Array]:
        """The keys and values of one layer."""
        return self.keys[layer], self.values[layer]


def empty_cache(config: LlamaConfig, batch: int, slots: int) -> Cache:
    """A cache of zeros."""
    shape = (batch * config.n_kv_heads, slots, config.head_size)
    keys, values = (
        tuple(jnp.zeros(shape, jnp.float32) for _ in range(config.n_layers)) for _ in range(2)
    )
    return Cache(keys, values)


def check_fits(config: LlamaConfig, rows: int, slots: int) -> None:
    """Refuses a cache that is larger than the memory of this machine, before it is made.

    Memory of GPUs is theirs to refuse. **Raises:** `LlamaError` with both sizes.
    """
    needed = 8 * config.n_layers * rows * config.kv_dim * slots
    there = _memory()
    if jax.default_backend() == "cpu" and there is not None and needed > there:
        raise LlamaError(
            f"keys and values of {rows} text(s) of {slots} tokens need {needed / 1e9:.1f} GB, "
            f"but this machine has {there / 1e9:.1f} GB of memory: choose a smaller n, or "
            "fewer prompts at a time"
        )


def _memory() -> int | None:
    """Bytes of the machine; None where the system does not tell."""
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return None
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
