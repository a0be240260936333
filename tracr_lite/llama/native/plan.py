"""What compiled code is told of a model and a batch: numbers, arrays, addresses of matrices."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

# Columns of `Model.matrices`, one row for each matrix.
# UNIT: how many of its columns AMX multiplies at a time, 0 without AMX.
KIND, ADDRESS, SCALES, OUT, IN, CHUNKS, GROUPS, SIZE, UNIT = range(9)
# What KIND can be. INT8 multiplies activations as they are; Q80 rounds them to int8 before.
FLOAT32, BFLOAT16, INT8, Q80 = range(4)
# The matrices of a layer; behind those of all layers come the embedding and the classifier.
QKV, WO, W13, W2 = range(4)
PER_LAYER = 4
# Places in `Batch.counts`: rows of a pass, how many of them are scored, how many tokens of each
# row have been found in a call, and whether all rows look back one by one (else 0), so that the
# numbers of fewer than `products.FEW` rows are those of passes for each.
PASSED, SCORED, FOUND, ALONE = range(4)
APART = 16  # int64 numbers between two that different threads write
BLOCK = 512  # scores that are looked at together


class Model(NamedTuple):
    """A model. Matrices stay where they are, so their arrays have to be kept by the caller."""

    dim: int
    kv_dim: int
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    size: int  # of a head
    vocab: int
    eps: float
    matrices: np.ndarray  # int64 (4 layers + 2, 9)
    norms: np.ndarray  # float32 (2 layers + 1, dim): attention, feed-forward, ..., final
    cos: np.ndarray  # float32 (positions, size / 2)
    sin: np.ndarray


class Batch(NamedTuple):
    """What is being computed, and room for it. A row is one token of a pass.

    Slices of arrays are counted, among all threads, which takes long. So code that runs for
    each row or head takes its rows from the addresses at the end, with `edge.row_at`.

    `tokens`, `texts`, `places`: (rows,) int64: its id, whose cache it belongs to, its position.
    `scored`: (rows,) int64, the rows of which scores are wanted, in this order.
    """

    counts: np.ndarray  # int64, at PASSED, SCORED, FOUND and ALONE
    tokens: np.ndarray
    texts: np.ndarray
    places: np.ndarray
    scored: np.ndarray
    keys: np.ndarray  # float32 (layers, texts, kv heads, slots, size)
    values: np.ndarray
    x: np.ndarray  # float32 (rows, dim), the residual stream
    given: np.ndarray  # float32 (rows, widest input): what a matrix is multiplied with
    scales: np.ndarray  # float32 (rows, groups of it), all 1 but for Q80
    packed: (
        np.ndarray
    )  # float32 (rows / LANES, widest input, LANES), side by side, see `packing`
    factors: np.ndarray  # float32 (rows / LANES, groups of it, LANES), scales for AMX
    joined: np.ndarray  # float32 (rows, widest of two matrices): q k v; gate and up
    mixed: np.ndarray  # float32 (rows, dim): what attention found
    logits: np.ndarray  # float32 (rows scored, vocab)
    attention: np.ndarray  # float32 (threads, slots in whole vectors)
    queries: np.ndarray  # float32 (threads, size, LANES): of a block of rows
    scores: np.ndarray  # float32 (threads, slots, LANES)
    totals: np.ndarray  # float32 (threads, LANES)
    mixtures: np.ndarray  # float32 (threads, LANES, size)
    blocks: np.ndarray  # float32 (threads, ROWS, widest input): rows of a matrix in float32
    tiles: np.ndarray  # float32 (threads, 3, LANES, ROWS)
    found: np.ndarray  # float32 (threads, ABREAST, LANES, SIDE): sums by AMX
    some: np.ndarray  # float32 (threads, rows scored, BLOCK): the scores of some tokens
    best: np.ndarray  # float32 (threads, rows and more): each thread's greatest score
    where: np.ndarray  # int64 (threads, rows and more): its token; below 0 if there is a NaN
    sync: np.ndarray  # int64, see `threads`
    at_keys: int  # addresses of arrays above
    at_values: int
    at_x: int
    at_given: int
    at_joined: int
    at_mixed: int
    at_attention: int
    at_norms: int  # and of those of the model
    at_cos: int
    at_sin: int
