"""Packs heads and MLPs into transformer parameters, by index into arrays of zeros."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import jax
import numpy as np

from tracr_lite.craft.bases import BasisDirection, VectorSpaceWithBasis
from tracr_lite.craft.conventions import ONE
from tracr_lite.craft.transformers import (
    MLP,
    MultiAttentionHead,
    SeriesWithResiduals,
)
from tracr_lite.craft.vectorspace_fns import Linear, ScalarBilinear
from tracr_lite.transformer.model import TransformerConfig
from tracr_lite.transformer.shapes import Shapes, model_shapes
from tracr_lite.transformer.sparse_params import Params, SparseParams, parts_of, zeros


@dataclass(frozen=True)
class Head:
    """Scores and values of one head."""

    w_qk: ScalarBilinear
    w_ov: Linear


@dataclass(frozen=True)
class HalfLayers:
    """What one layer holds: heads, and MLPs as (to hidden, from hidden)."""

    heads: tuple[Head, ...]
    mlps: tuple[tuple[Linear, Linear], ...]


def half_layers(model: SeriesWithResiduals) -> tuple[HalfLayers, ...]:
    """Groups the blocks of a series into layers of attention followed by MLP."""
    layers: list[HalfLayers] = []
    waiting: tuple[Head, ...] | None = None
    for block in model.blocks:
        if isinstance(block, MLP):
            layers.append(HalfLayers(waiting or (), ((block.fst, block.snd),)))
            waiting = None
            continue
        if waiting is not None:
            layers.append(HalfLayers(waiting, ()))
        heads = block.heads() if isinstance(block, MultiAttentionHead) else (block,)
        waiting = tuple(Head(h.w_qk, h.w_ov) for h in heads)
    if waiting is not None:
        layers.append(HalfLayers(waiting, ()))
    return tuple(layers)


def configuration(layers: Sequence[HalfLayers], *, causal: bool) -> TransformerConfig:
    """The smallest configuration that holds the layers.

    `key_size` is a perfect square, so that dividing scores by its root is exact.
    """
    heads = [head for layer in layers for head in layer.heads]
    sizes = [max(_rank(head), _value_size(head)) for head in heads]
    root = math.isqrt(max([*sizes, 1]) - 1) + 1
    return sized(
        max([*(len(layer.heads) for layer in layers), 1]),
        len(layers),
        root * root,
        max([*(_hidden(layer) for layer in layers), 1]),
        causal,
    )


def sized(
    heads: int, layers: int, key_size: int, hidden: int, causal: bool
) -> TransformerConfig:
    """The configuration of these sizes."""
    return TransformerConfig(
        num_heads=heads,
        num_layers=layers,
        key_size=key_size,
        mlp_hidden_size=hidden,
        dropout_rate=0.0,
        activation_function=jax.nn.relu,
        layer_norm=False,
        causal=causal,
    )


def _rank(head: Head) -> int:
    return int(head.w_qk.factors[0].shape[1])


def _value_size(head: Head) -> int:
    return min(head.w_ov.matrix.shape)


def _hidden(layer: HalfLayers) -> int:
    return sum(snd.input_space.num_dims for _, snd in layer.mlps)


def pack(
    layers: Sequence[HalfLayers],
    space: VectorSpaceWithBasis,
    config: TransformerConfig,
    tokens: VectorSpaceWithBasis,
    indices: VectorSpaceWithBasis,
) -> Packed:
    """Parameters of the transformer and its embeddings, [input, output]."""
    sizes = tokens.num_dims, indices.num_dims + 1
    vector = Packed(model_shapes(config, space.num_dims, *sizes))
    for number, layer in enumerate(layers):
        here = f"transformer/layer_{number}"
        for at, head in enumerate(layer.heads):
            _put_head(
                vector, f"{here}/attn", head, space, at * config.key_size, config.key_size
            )
        start = 0
        for fst, snd in layer.mlps:
            rows, cols = _at(space, fst.input_space), _at(space, snd.output_space)
            into, out = fst.entries, snd.entries
            vector.put(f"{here}/mlp/linear_1", rows[into.rows], start + into.cols, into.values)
            vector.put(f"{here}/mlp/linear_2", start + out.rows, cols[out.cols], out.values)
            start += snd.input_space.num_dims
    _put_embeddings(vector, space, tokens, indices)
    return vector


class Packed:
    """Parts of arrays that were put into one vector: the arrays, one after the other."""

    def __init__(self, shapes: Shapes):
        self._shapes = shapes
        self._start: dict[tuple[str, str], int] = {}
        self.size = 0
        for module, group in shapes.items():
            for name, shape in group.items():
                self._start[module, name] = self.size
                self.size += math.prod(shape)
        self._written: list[tuple[np.ndarray, np.ndarray | float]] = []

    def put(
        self,
        module: str,
        rows: np.ndarray,
        cols: np.ndarray,
        values: np.ndarray | float,
        name: str = "w",
    ) -> None:
        """Writes places of one matrix: entries, or a block whose rows stand in a column."""
        if isinstance(values, np.ndarray) and values.ndim == 2:
            i, j = values.nonzero()
            rows, cols, values = rows[i, 0], cols[j], values[i, j]
        at = (self._start[module, name] + rows * self._shapes[module][name][1]) + cols
        self._written.append((at, values))

    def dense(self) -> Params:
        """The parameters: float32, read-only."""
        flat = zeros(self.size, sum(len(at) for at, _ in self._written))
        for at, values in self._written:
            flat[at] = values
        return parts_of(flat, self._shapes)

    def sparse(self) -> SparseParams:
        """The same without zeros."""
        at = np.concatenate([at for at, _ in self._written])
        values = np.empty(len(at), np.float32)
        start = 0
        for places, written in self._written:
            values[start : start + len(places)] = written
            start += len(places)
        order = at.argsort(kind="stable")
        order = order[values.view(np.uint32)[order] != 0]  # some may have become zero
        kind = np.int32 if self.size < 2**31 else np.int64
        return SparseParams(self._shapes, at[order].astype(kind), values[order])


def _at(space: VectorSpaceWithBasis, part: VectorSpaceWithBasis) -> np.ndarray:
    return space.indices_of(part)


def _put_head(
    vector: Packed,
    here: str,
    head: Head,
    space: VectorSpaceWithBasis,
    start: int,
    key_size: int,
) -> None:
    """Writes the head whose columns begin at `start`."""
    query, key = head.w_qk.factors
    ranks = start + np.arange(_rank(head))
    left, right = _at(space, head.w_qk.left_space), _at(space, head.w_qk.right_space)
    # compensates the division of the scores by the root of the key size
    vector.put(f"{here}/query", left[:, None], ranks, query * math.sqrt(key_size))
    vector.put(f"{here}/key", right[:, None], ranks, key)
    reads, writes = _at(space, head.w_ov.input_space), _at(space, head.w_ov.output_space)
    matrix = head.w_ov.matrix
    lanes = np.arange(start, start + _value_size(head))
    if matrix.shape[1] <= matrix.shape[0]:
        vector.put(f"{here}/value", reads[:, None], lanes, matrix)
        vector.put(f"{here}/linear", lanes, writes, 1.0)
    else:
        vector.put(f"{here}/value", reads, lanes, 1.0)
        vector.put(f"{here}/linear", lanes[:, None], writes, matrix)


def _put_embeddings(
    vector: Packed,
    space: VectorSpaceWithBasis,
    tokens: VectorSpaceWithBasis,
    indices: VectorSpaceWithBasis,
) -> None:
    """Token and position tables: one-hot rows, the constant direction, a zeroth position."""
    rows = np.arange(tokens.num_dims)
    vector.put("token_embed", rows, _at(space, tokens), 1.0, "embeddings")
    one = space.index_by_direction.get(BasisDirection(ONE))
    if one is not None:
        vector.put("token_embed", rows, np.full_like(rows, one), 1.0, "embeddings")
    rows = np.arange(1, indices.num_dims + 1)
    vector.put("pos_embed", rows, _at(space, indices), 1.0, "embeddings")
