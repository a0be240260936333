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
from tracr_lite.transformer.shapes import param_shapes

Params = dict[str, dict[str, np.ndarray]]


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
    sizes = [max(head.w_qk.factors[0].shape[1], _value_size(head)) for head in heads]
    root = math.isqrt(max([*sizes, 1]) - 1) + 1
    return TransformerConfig(
        num_heads=max([*(len(layer.heads) for layer in layers), 1]),
        num_layers=len(layers),
        key_size=root * root,
        mlp_hidden_size=max([*(_hidden(layer) for layer in layers), 1]),
        dropout_rate=0.0,
        activation_function=jax.nn.relu,
        layer_norm=False,
        causal=causal,
    )


def _value_size(head: Head) -> int:
    return min(head.w_ov.matrix.shape)


def _hidden(layer: HalfLayers) -> int:
    return sum(snd.input_space.num_dims for _, snd in layer.mlps)


def pack(
    layers: Sequence[HalfLayers], space: VectorSpaceWithBasis, config: TransformerConfig
) -> Params:
    """Parameters of the transformer, float32, [input, output]."""
    shapes = param_shapes(config, space.num_dims)
    params: Params = {
        module: {name: np.zeros(shape, np.float32) for name, shape in group.items()}
        for module, group in shapes.items()
    }
    for number, layer in enumerate(layers):
        here = f"transformer/layer_{number}"
        for at, head in enumerate(layer.heads):
            _put_head(params, f"{here}/attn", head, space, at, config.key_size)
        start = 0
        for fst, snd in layer.mlps:
            rows, cols = _at(space, fst.input_space), _at(space, snd.output_space)
            into, out = fst.entries, snd.entries
            w_1, w_2 = (params[f"{here}/mlp/linear_{i}"]["w"] for i in (1, 2))
            w_1[rows[into.rows], start + into.cols] = into.values
            w_2[start + out.rows, cols[out.cols]] = out.values
            start += snd.input_space.num_dims
    return params


def _at(space: VectorSpaceWithBasis, part: VectorSpaceWithBasis) -> np.ndarray:
    return space.indices_of(part)


def _put_head(
    params: Params, here: str, head: Head, space: VectorSpaceWithBasis, at: int, key_size: int
) -> None:
    """Writes head number `at`, whose columns start at `at * key_size`."""
    query, key = head.w_qk.factors
    start, rank = at * key_size, query.shape[1]
    # compensates the division of the scores by the root of the key size
    params[f"{here}/query"]["w"][_at(space, head.w_qk.left_space), start : start + rank] = (
        query * math.sqrt(key_size)
    )
    params[f"{here}/key"]["w"][_at(space, head.w_qk.right_space), start : start + rank] = key
    reads, writes = _at(space, head.w_ov.input_space), _at(space, head.w_ov.output_space)
    matrix = head.w_ov.matrix
    lanes = np.arange(start, start + _value_size(head))
    if matrix.shape[1] <= matrix.shape[0]:
        params[f"{here}/value"]["w"][np.ix_(reads, lanes)] = matrix
        params[f"{here}/linear"]["w"][lanes, writes] = 1.0
    else:
        params[f"{here}/value"]["w"][reads, lanes] = 1.0
        params[f"{here}/linear"]["w"][np.ix_(lanes, writes)] = matrix


def embeddings(
    space: VectorSpaceWithBasis, tokens: VectorSpaceWithBasis, indices: VectorSpaceWithBasis
) -> Params:
    """Token and position tables: one-hot rows, the constant direction, a zeroth position."""
    token = np.zeros((tokens.num_dims, space.num_dims), np.float32)
    token[np.arange(tokens.num_dims), _at(space, tokens)] = 1.0
    one = space.index_by_direction.get(BasisDirection(ONE))
    if one is not None:
        token[:, one] = 1.0
    position = np.zeros((indices.num_dims + 1, space.num_dims), np.float32)
    position[np.arange(1, indices.num_dims + 1), _at(space, indices)] = 1.0
    return {"token_embed": {"embeddings": token}, "pos_embed": {"embeddings": position}}
