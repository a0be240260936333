"""What a model keeps on the device between calls: its parameters, whole or without zeros."""

# pyright: reportUnknownMemberType=false
# (jax is typed in part only)

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from tracr_lite.compiler.batches import CHUNK
from tracr_lite.compiler.fitting import is_on_device, leaves_of, misfit_of
from tracr_lite.compiler.forward import Shape, jitted, jitted_by_position, jitted_observe
from tracr_lite.errors import ParameterError
from tracr_lite.transformer.model import TransformerConfig
from tracr_lite.transformer.pruning import Pruned, narrowed, prune
from tracr_lite.transformer.trimming import trim

LARGE = 1 << 17  # weights from which cutting zeros out pays for one short sequence


@dataclass
class OnDevice:
    """Copies of one set of parameters, each made when it is first asked for.

    **Arguments:** `leaves`: the arrays that were copied; `kept`: whether they are read-only, so
    that they stay as they are and the copies may be used again.
    """

    leaves: tuple[Any, ...]
    params: Any
    config: TransformerConfig
    shape: Shape | None
    kept: bool
    _dense: Any = None
    _trimmed: tuple[Any] | None = None
    _pruned: tuple[Pruned | None] | None = None
    _narrowed: tuple[tuple[int, ...], Any] | None = None
    _table: tuple[Shape, np.ndarray] | None = None

    def suits(
        self, config: TransformerConfig, shape: Shape | None, leaves: tuple[Any, ...]
    ) -> bool:
        """Whether this is of the same model and the same arrays."""
        same = self.config == config and self.shape == shape
        return same and _same(self.leaves, leaves)

    def dense(self) -> Any:
        """The parameters as device arrays."""
        if self._dense is None:
            self._dense = jax.device_put(self.params)
        return self._dense

    def pruned(self) -> Pruned | None:
        """What is left of the parameters without zeros, as numpy arrays."""
        if self._pruned is None:
            self._pruned = (prune(self.params, self.config),)
        return self._pruned[0]

    def activations(self, shape: Shape) -> Callable[[np.ndarray], Any]:
        """From ids [rows, size] to all that the forward pass computes.

        Large parameters are run without zeros, unless these would be looked for in each call.
        """
        trimmed = self._trim()
        whole = trimmed is None
        held, run = (self.dense(), jitted(shape)) if whole else (trimmed, jitted_observe(shape))
        return lambda ids: run(held, ids)

    def _trim(self) -> Any:
        """Trimmed parameters on the device, None if all of them are to be run."""
        if not self.kept or sum(int(np.size(leaf)) for leaf in self.leaves) < LARGE:
            return None
        if self._trimmed is None:
            devices = _chosen_devices(self.leaves)
            found = None if len(devices) > 1 else trim(self.params, self.config)
            self._trimmed = (jax.device_put(found, next(iter(devices), None)),)
        return self._trimmed[0]

    def narrowed(self, columns: tuple[int, ...]) -> Any:
        """The same without columns that nothing reads, `columns` last, as device arrays."""
        latest = self._narrowed  # other threads may replace it
        if latest is None or latest[0] != columns:
            pruned = self.pruned()
            held = None if pruned is None else narrowed(pruned, columns)
            latest = self._narrowed = columns, jax.device_put(held)
        return latest[1]

    def answers(self, shape: Shape) -> Callable[[np.ndarray], jax.Array | np.ndarray]:
        """From ids [rows, size] to answers [size, rows], of parameters that can be pruned."""
        table = self.table(shape)
        if table is not None:
            return lambda ids: _looked_up(table, ids)
        held, run = self.narrowed(shape.readout.columns), jitted_by_position(shape)
        return lambda ids: run(held, ids)

    def table(self, shape: Shape) -> np.ndarray | None:
        """Answers [tokens, positions] of a model without heads, which has no others.

        **Returns:** None if there are heads, if the table takes more than a chunk of sequences
        does, or if it would have to be made for each call.
        """
        pruned, size = self.pruned(), shape.vocab_size * shape.positions
        if pruned is None or not self.kept or size * max(pruned.width, shape.positions) > CHUNK:
            return None
        if any(layer.heads for layer in pruned.layers):
            return None
        latest = self._table  # other threads may replace it
        if latest is None or latest[0] != shape:
            ids = np.arange(shape.vocab_size, dtype=np.int32)[:, None]
            ids = np.repeat(ids, shape.positions, axis=1)
            held = self.narrowed(shape.readout.columns)
            answers = np.asarray(jitted_by_position(shape)(held, ids))
            latest = self._table = shape, np.ascontiguousarray(answers.T)
        return latest[1]


def _looked_up(table: np.ndarray, ids: np.ndarray) -> np.ndarray:
    size, positions = int(ids.shape[1]), int(table.shape[1])
    places: np.ndarray = ids.astype(np.intp) * positions + np.arange(size)
    return table.take(places).T


class Memory:
    """The latest `OnDevice` of a model, made again when a leaf of `params` was replaced."""

    def __init__(self) -> None:
        self._latest: OnDevice | None = None

    def of(self, params: Any, config: TransformerConfig, shape: Shape | None) -> OnDevice:
        """Copies of `params`. Arrays that may be edited in place are never remembered.

        **Raises:** `ParameterError` naming a parameter that does not fit `shape`.
        """
        if shape is None:  # nobody knows which parameters there should be
            return OnDevice((), params, config, None, kept=False)
        leaves, latest = leaves_of(params, shape), self._latest  # replaced by threads
        kept = not any(_may_change(leaf) for leaf in leaves)
        if kept and latest is not None and latest.suits(config, shape, leaves):
            return latest
        if why := misfit_of(leaves, shape):
            raise ParameterError(f"this model cannot be run: {why}")
        found = OnDevice(leaves, _by_name(leaves, shape), config, shape, kept)
        if kept:
            self._latest = found
        return found

    def __deepcopy__(self, memo: dict[int, Any]) -> Memory:
        return Memory()

    def __reduce__(self) -> tuple[type[Memory], tuple[()]]:
        return Memory, ()


def _chosen_devices(leaves: tuple[Any, ...]) -> set[Any]:
    """Where somebody put arrays; JAX computes there, and leaves there what comes out."""
    put = [leaf for leaf in leaves if is_on_device(leaf) and getattr(leaf, "committed", True)]
    return set[Any]().union(*(leaf.devices() for leaf in put))


def _by_name(leaves: tuple[Any, ...], shape: Shape) -> dict[str, dict[str, Any]]:
    """Parameters of a shape as plain dicts, without others that may stand beside them."""
    params: dict[str, dict[str, Any]] = {}
    for (module, name), leaf in zip(shape.param_names, leaves, strict=True):
        params.setdefault(module, {})[name] = leaf
    return params


def _may_change(leaf: Any) -> bool:
    """Whether a numpy array, or one that it is a view of, may be edited in place.

    A JAX array may not, but it can be deleted; what is traced is gone after the trace.
    """
    if not isinstance(leaf, np.ndarray):
        return not is_on_device(leaf) or leaf.is_deleted()
    while isinstance(leaf, np.ndarray):
        if leaf.flags.writeable:
            return True
        leaf = leaf.base
    return False


def _same(old: tuple[Any, ...], new: tuple[Any, ...]) -> bool:
    return len(old) == len(new) and all(a is b for a, b in zip(old, new, strict=True))
