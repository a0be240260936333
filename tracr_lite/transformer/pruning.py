"""Cuts out of Haiku parameters what is only zeros.

Compiled weights are mostly zeros: heads and neurons that fill up the largest layer, rows of the
residual stream that a head does not read. The sums that are left are the same, with fewer zeros
in them.

    prune(params, config)      ->   per layer its live heads, lanes and neurons, or None
    narrowed(pruned, columns)  ->   the same without columns that nothing reads
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import jax
import numpy as np

from tracr_lite.transformer.model import TransformerConfig

Params = Mapping[str, Mapping[str, np.ndarray]]


class Reading(NamedTuple):
    """`weights` [rows, lanes] on the columns `rows` of the residual stream."""

    rows: np.ndarray
    weights: np.ndarray


class Writing(NamedTuple):
    """`weights` [lanes, columns] to the columns `columns` of the residual stream."""

    weights: np.ndarray
    columns: np.ndarray


class Head(NamedTuple):
    """One head. A head without query lanes averages over what it sees."""

    query: Reading
    key: Reading
    value: Reading
    out: Writing


class Neurons(NamedTuple):
    """The neurons of one layer that can do something."""

    read: Reading
    write: Writing


class Layer(NamedTuple):
    """One layer; an empty half-layer has no heads, or None."""

    heads: tuple[Head, ...]
    neurons: Neurons | None


class Pruned(NamedTuple):
    """All that is left of the parameters; a pytree of arrays."""

    token_embed: np.ndarray
    pos_embed: np.ndarray
    layers: tuple[Layer, ...]

    @property
    def width(self) -> int:
        """The most numbers that one position needs at a time, without attention weights."""
        sizes = [self.token_embed.shape[1], 1]
        for layer in self.layers:
            sizes += [2 * h.query.weights.shape[1] for h in layer.heads]
            if layer.neurons is not None:
                sizes.append(layer.neurons.read.weights.shape[1])
        return max(sizes)

    @property
    def size(self) -> int:
        """Number of weights."""
        return sum(int(a.size) for a in jax.tree_util.tree_leaves(self))


def prune(params: Params, config: TransformerConfig) -> Pruned | None:
    """The parts of the parameters that can change an answer.

    **Returns:** None if there is more than weights of a compiled model: layer norm, biases,
    another activation than ReLU, or numbers that are not finite (zero times those is not zero).
    """
    arrays = weights_alone(params, config)
    if arrays is None:
        return None
    numbers = range(config.num_layers)
    return Pruned(
        arrays["token_embed/embeddings"],
        arrays["pos_embed/embeddings"],
        tuple(_layer(arrays, f"transformer/layer_{i}", config) for i in numbers),
    )


def weights_alone(params: Params, config: TransformerConfig) -> dict[str, np.ndarray] | None:
    """The arrays as "module/name", if zeros can be cut from them; see `prune`."""
    if config.layer_norm or config.activation_function is not jax.nn.relu:
        return None
    arrays = {
        f"{module}/{name}": np.asarray(array)
        for module, group in params.items()
        for name, array in group.items()
    }
    if any(name.endswith("/b") and array.any() for name, array in arrays.items()):
        return None
    return arrays if all(map(_finite, arrays.values())) else None


def narrowed(pruned: Pruned, columns: Sequence[int]) -> Pruned:
    """Without the columns of the residual stream that nothing reads.

    **Arguments:** `columns`: those that are read in the end. They come last, in this order.
    """
    used = {int(row) for reading in _readings(pruned) for row in reading.rows}
    kept = np.array([*sorted(used.difference(columns)), *columns], int)
    place = np.full(pruned.token_embed.shape[1], -1)
    place[kept] = np.arange(len(kept))

    def read(reading: Reading) -> Reading:
        order = place[reading.rows].argsort()
        rows = place[reading.rows][order].astype(np.int32)
        return Reading(fixed(rows), fixed(reading.weights[order]))

    def write(writing: Writing) -> Writing:
        order = place[writing.columns].argsort()
        order = order[place[writing.columns][order] >= 0]
        columns = place[writing.columns][order].astype(np.int32)
        return Writing(fixed(writing.weights[:, order]), fixed(columns))

    def layer(each: Layer) -> Layer:
        heads = [
            Head(read(head.query), read(head.key), read(head.value), write(head.out))
            for head in each.heads
        ]
        mlp = each.neurons
        return Layer(tuple(heads), mlp and Neurons(read(mlp.read), write(mlp.write)))

    tokens, positions = fixed(pruned.token_embed[:, kept]), fixed(pruned.pos_embed[:, kept])
    return Pruned(tokens, positions, tuple(map(layer, pruned.layers)))


def _readings(pruned: Pruned) -> Iterator[Reading]:
    for layer in pruned.layers:
        for head in layer.heads:
            yield from (head.query, head.key, head.value)
        if layer.neurons is not None:
            yield layer.neurons.read


def _finite(array: np.ndarray) -> bool:
    """Also in the type that JAX gives it; NaN and infinities survive into min and max."""
    if array.size == 0:
        return True
    kind = jax.dtypes.canonicalize_dtype(array.dtype)
    with np.errstate(over="ignore"):
        ends = np.stack([array.min(), array.max()]).astype(kind)
    return bool(np.isfinite(ends).all())


def _layer(arrays: dict[str, np.ndarray], here: str, config: TransformerConfig) -> Layer:
    query, key, value, linear = (
        arrays[f"{here}/attn/{name}/w"] for name in ("query", "key", "value", "linear")
    )
    heads: list[Head] = []
    for number in range(config.num_heads):
        lanes = slice(number * config.key_size, (number + 1) * config.key_size)
        head = _head(query[:, lanes], key[:, lanes], value[:, lanes], linear[lanes])
        if head is not None:
            heads.append(head)
    fst, snd = arrays[f"{here}/mlp/linear_1/w"], arrays[f"{here}/mlp/linear_2/w"]
    live = fst.any(axis=0) & snd.any(axis=1)  # relu(0) is 0, as biases are
    neurons = None
    if live.any():
        neurons = Neurons(_reading(fst[:, live]), _writing(snd[live]))
    return Layer(tuple(heads), neurons)


def _head(
    query: np.ndarray, key: np.ndarray, value: np.ndarray, linear: np.ndarray
) -> Head | None:
    scores = query.any(axis=0) & key.any(axis=0)
    values = value.any(axis=0) & linear.any(axis=1)
    if not values.any():
        return None
    return Head(
        _reading(query[:, scores]),
        _reading(key[:, scores]),
        _reading(value[:, values]),
        _writing(linear[values]),
    )


def _reading(weights: np.ndarray) -> Reading:
    rows = np.flatnonzero(weights.any(axis=1)).astype(np.int32)
    return Reading(fixed(rows), fixed(weights[rows]))


def _writing(weights: np.ndarray) -> Writing:
    columns = np.flatnonzero(weights.any(axis=0)).astype(np.int32)
    return Writing(fixed(weights[:, columns]), fixed(columns))


def fixed(array: np.ndarray) -> np.ndarray:
    """Read-only: whoever keeps it on a device would not see an edit."""
    array = np.ascontiguousarray(array)
    array.flags.writeable = False
    return array
