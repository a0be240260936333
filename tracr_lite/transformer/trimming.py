"""Cuts zeros out of Haiku parameters, and leaves every activation where it was.

Pruning (`transformer.pruning`) keeps what can change an answer. Here all heads stay, in their
lanes, and the residual stream keeps its columns: a half-layer only reads and writes fewer of
them, and neurons that can do nothing are gone.

    trim(params, config)  ->   per layer one attention and one MLP, or None
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tracr_lite.transformer.model import TransformerConfig
from tracr_lite.transformer.pruning import Params, fixed, weights_alone

STEP = 16  # sizes are multiples: layers of one size are compiled once, and zeros are cheap


class Half(NamedTuple):
    """A half-layer: `reads` on the columns `rows`, `writes` to the columns `columns`.

    - `reads`: [rows, 3 * heads * key_size], queries, keys and values; or [rows, neurons].
    - `writes`: [heads * key_size, columns], or [neurons, columns].

    An index may be there twice; the weights of all but one are zero then.
    """

    rows: np.ndarray
    reads: np.ndarray
    writes: np.ndarray
    columns: np.ndarray


class Trimmed(NamedTuple):
    """All that is left of the parameters; a pytree of arrays."""

    token_embed: np.ndarray
    pos_embed: np.ndarray
    layers: tuple[tuple[Half, Half], ...]


def trim(params: Params, config: TransformerConfig) -> Trimmed | None:
    """The parameters without rows, columns and neurons that are only zeros.

    **Returns:** None where `prune` does, and where the arrays are of several types.
    """
    arrays = weights_alone(params, config)
    if arrays is None or len({array.dtype for array in arrays.values()}) > 1:
        return None
    here = (f"transformer/layer_{i}" for i in range(config.num_layers))
    return Trimmed(
        arrays["token_embed/embeddings"],
        arrays["pos_embed/embeddings"],
        tuple((_attention(arrays, each), _mlp(arrays, each)) for each in here),
    )


def _attention(arrays: dict[str, np.ndarray], here: str) -> Half:
    reads = [arrays[f"{here}/attn/{name}/w"] for name in ("query", "key", "value")]
    rows = np.flatnonzero(np.any([read.any(axis=1) for read in reads], axis=0))
    joined = np.concatenate([read[rows] for read in reads], axis=1)
    return _half(rows, joined, arrays[f"{here}/attn/linear/w"], len(reads[0]))


def _mlp(arrays: dict[str, np.ndarray], here: str) -> Half:
    first, second = (arrays[f"{here}/mlp/linear_{i}/w"] for i in (1, 2))
    live = np.flatnonzero(first.any(axis=0) & second.any(axis=1))  # relu(0) is 0
    rows = np.flatnonzero(first[:, live].any(axis=1))
    reads, writes = first[np.ix_(rows, live)], second[live]
    extra = -len(live) % STEP
    reads, writes = np.pad(reads, ((0, 0), (0, extra))), np.pad(writes, ((0, extra), (0, 0)))
    return _half(rows, reads, writes, len(first))


def _half(rows: np.ndarray, reads: np.ndarray, writes: np.ndarray, d_model: int) -> Half:
    """Rows and columns filled up to multiples; all of them where that saves no work."""
    columns = np.flatnonzero(writes.any(axis=0))
    rows, reads = _filled(rows, reads)
    lanes, kept = len(writes), len(columns) + -len(columns) % STEP
    if lanes * d_model <= lanes * kept + kept * d_model:  # then they are spread by a product
        columns, kept = np.arange(d_model), d_model
    writes = np.pad(writes[:, columns], ((0, 0), (0, kept - len(columns))))
    columns = np.pad(columns, (0, kept - len(columns)))
    return Half(rows, fixed(reads), fixed(writes), fixed(columns.astype(np.int32)))


def _filled(rows: np.ndarray, reads: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    extra = -len(rows) % STEP
    filled = np.pad(rows, (0, extra)).astype(np.int32)
    return fixed(filled), np.pad(reads, ((0, extra), (0, 0)))
