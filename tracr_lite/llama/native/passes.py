"""The forward pass of Llama 2 in compiled code, run by all threads at once.

Every thread calls every function here; each does its share, and `meet` keeps them together. A
row is one token of one text: decoding has one for each text, a prompt has many of the same.

Source: Touvron et al. 2023, arXiv:2307.09288, section 2.2; `tracr_lite.llama.model`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tracr_lite.llama.native.arithmetic import exp, gate, normalize, turn
from tracr_lite.llama.native.edge import compiled, floats, row_at
from tracr_lite.llama.native.lookback import look_alone
from tracr_lite.llama.native.packing import pack
from tracr_lite.llama.native.plan import (
    PASSED,
    PER_LAYER,
    QKV,
    SCORED,
    W2,
    W13,
    WO,
    Batch,
    Model,
)
from tracr_lite.llama.native.products import FEW, product, settle
from tracr_lite.llama.native.prompts import block_from, can_look_together, look_together
from tracr_lite.llama.native.rows import copy_row
from tracr_lite.llama.native.threads import meet, share
from tracr_lite.llama.native.vectors import LANES

F32 = np.float32
# numba compiles a function for each literal, but not for each of these
STORED: Any = np.bool_(False)
ADDED: Any = np.bool_(True)


@compiled
def run_pass(model: Model, batch: Batch, thread: int, threads: int) -> None:
    """Runs the rows of a batch; then the residual stream is in `x`, for `score`."""
    count = batch.counts[PASSED]
    embedding = model.matrices[PER_LAYER * model.layers]
    # The rows that this thread settles next, so that no thread waits for another one.
    first, last = share(count, 1, thread, threads)
    for row in range(first, last):
        copy_row(embedding, batch.tokens[row], batch.x, row, True)
    for layer in range(model.layers):
        _attend(model, batch, layer, count, thread, threads)
        _feed_forward(model, batch, layer, count, thread, threads)


@compiled
def score(model: Model, batch: Batch, thread: int, threads: int) -> None:
    """The logits of the rows that are `scored`."""
    matrix, count = prepare_scores(model, batch, thread, threads), batch.counts[SCORED]
    part = share(model.vocab, LANES, thread, threads)
    product(matrix, batch, count, part, thread, batch.logits, STORED)


@compiled
def prepare_scores(model: Model, batch: Batch, thread: int, threads: int) -> np.ndarray:
    """Settles the rows that are `scored`; the matrix to multiply them with."""
    count, which = batch.counts[SCORED], PER_LAYER * model.layers + 1
    matrix, weight = model.matrices[which], row_at(batch.at_norms, 2 * model.layers, model.dim)
    first, last = share(count, 1, thread, threads)
    for row in range(first, last):
        x = row_at(batch.at_x, batch.scored[row], model.dim)
        normalize(x, weight, model.eps, row_at(batch.at_given, row, batch.given.shape[1]))
        settle(matrix, batch, row, count)
    _fill(matrix, batch, count, thread, threads)
    return matrix


@compiled
def _fill(matrix: np.ndarray, batch: Batch, count: int, thread: int, threads: int) -> None:
    """Waits until all rows are settled, and puts them side by side where they are many."""
    meet(batch.sync, threads)
    if count >= FEW:
        pack(matrix, batch, count, thread, threads)
        meet(batch.sync, threads)


@compiled
def _attend(
    model: Model, batch: Batch, layer: int, count: int, thread: int, threads: int
) -> None:
    """Adds to the residual stream what attention finds."""
    matrix, wide = model.matrices[PER_LAYER * layer + QKV], batch.given.shape[1]
    weight = row_at(batch.at_norms, 2 * layer, model.dim)
    first, last = share(count, 1, thread, threads)
    for row in range(first, last):
        x, y = row_at(batch.at_x, row, model.dim), row_at(batch.at_given, row, wide)
        normalize(x, weight, model.eps, y)
        settle(matrix, batch, row, count)
    _fill(matrix, batch, count, thread, threads)
    part = share(model.dim + 2 * model.kv_dim, 16, thread, threads)
    product(matrix, batch, count, part, thread, batch.joined, STORED)
    meet(batch.sync, threads)
    first, last = share(count * model.kv_heads, 1, thread, threads)
    for item in range(first, last):
        _remember(model, batch, layer, item % count, item // count)
    if model.kv_heads % threads:  # else each thread has whole heads, here and there the same
        meet(batch.sync, threads)
    _look(model, batch, layer, count, thread, threads)
    meet(batch.sync, threads)
    matrix = model.matrices[PER_LAYER * layer + WO]
    first, last = share(count, 1, thread, threads)
    for row in range(first, last):
        given, mixed = row_at(batch.at_given, row, wide), row_at(batch.at_mixed, row, model.dim)
        given[: model.dim] = mixed
        settle(matrix, batch, row, count)
    _fill(matrix, batch, count, thread, threads)
    part = share(model.dim, 16, thread, threads)
    product(matrix, batch, count, part, thread, batch.x, ADDED)
    meet(batch.sync, threads)


@compiled
def _remember(model: Model, batch: Batch, layer: int, row: int, kv_head: int) -> None:
    """Turns the queries and the key of a head, and keeps key and value in the cache."""
    place, text, size = batch.places[row], batch.texts[row], model.size
    half, slots = size // 2, batch.keys.shape[3]
    cos, sin = row_at(batch.at_cos, place, half), row_at(batch.at_sin, place, half)
    joined = row_at(batch.at_joined, row, batch.joined.shape[1])
    repeat = model.heads // model.kv_heads
    for head in range(kv_head * repeat, (kv_head + 1) * repeat):
        turn(joined, head * size, cos, sin)
    at = model.dim + kv_head * size
    turn(joined, at, cos, sin)
    where = ((layer * batch.keys.shape[1] + text) * model.kv_heads + kv_head) * slots + place
    keys, values = row_at(batch.at_keys, where, size), row_at(batch.at_values, where, size)
    for i in range(size):
        keys[i] = joined[at + i]
        values[i] = joined[at + model.kv_dim + i]


@compiled
def _look(
    model: Model, batch: Batch, layer: int, count: int, thread: int, threads: int
) -> None:
    """Attention, shared by heads first: late rows of a prompt take longer than early ones."""
    blocks, row = 0, 0
    while row < count:
        blocks, row = blocks + 1, row + block_from(batch, row, count)
    first, last = share(blocks * model.heads, 1, thread, threads)
    row, block = 0, 0
    while row < count:
        rows = block_from(batch, row, count)
        together = can_look_together(model, batch, row, rows)
        begin = (max(0, first - block) + blocks - 1) // blocks
        end = (max(0, last - block) + blocks - 1) // blocks
        for head in range(begin, end):
            if together:
                look_together(model, batch, layer, row, rows, head, thread)
            else:
                for each in range(row, row + rows):
                    far = _to_next(model, batch, each, count, head, begin, end)
                    _look_back(model, batch, layer, each, head, thread, far)
        row, block = row + rows, block + 1


@compiled
def _to_next(
    model: Model, batch: Batch, row: int, count: int, head: int, begin: int, end: int
) -> int:
    """How many bytes behind a head's keys those are that are looked at next; 0: none known."""
    repeat = model.heads // model.kv_heads
    at, there = head // repeat, (head + 1) // repeat
    if head + 1 == end:
        if row + 1 == count:
            return 0
        there = begin // repeat + (batch.texts[row + 1] - batch.texts[row]) * model.kv_heads
    return (there - at) * batch.keys.shape[3] * model.size * 4


@compiled
def _look_back(
    model: Model, batch: Batch, layer: int, row: int, head: int, thread: int, far: int
) -> None:
    """Attention of one head of one row: to the places up to its own, and to no others."""
    size, text, length = model.size, batch.texts[row], batch.places[row] + 1
    kv_head, several = head // (model.heads // model.kv_heads), batch.counts[PASSED] > 1
    slots = batch.keys.shape[3]
    where = ((layer * batch.keys.shape[1] + text) * model.kv_heads + kv_head) * slots * size * 4
    keys = floats(batch.at_keys + where, slots, size)
    values = floats(batch.at_values + where, slots, size)
    query = row_at(batch.at_joined, row, batch.joined.shape[1])[head * size :]
    weights = row_at(batch.at_attention, thread, batch.attention.shape[1])
    if size % LANES == 0:
        out = row_at(batch.at_mixed, row, model.dim)[head * size :]
        look_alone(keys, values, query, length, size, weights, out, far if several else 0)
        return
    root, greatest = F32(np.sqrt(F32(size))), F32(-np.inf)
    for place in range(length):
        total = F32(0)
        for i in range(size):
            total += keys[place, i] * query[i]
        weights[place] = total / root
        greatest = max(greatest, weights[place])
    total = F32(0)
    for place in range(length):
        weights[place] = exp(weights[place] - greatest)
        total += weights[place]
    out = batch.mixed[row, head * size : (head + 1) * size]
    out[:] = F32(0)
    for place in range(length):
        weight = weights[place] / total
        for i in range(size):
            out[i] += weight * values[place, i]


@compiled
def _feed_forward(
    model: Model, batch: Batch, layer: int, count: int, thread: int, threads: int
) -> None:
    """Adds to the residual stream what the feed-forward network makes of it."""
    matrix, hidden = model.matrices[PER_LAYER * layer + W13], model.hidden
    weight, wide = row_at(batch.at_norms, 2 * layer + 1, model.dim), batch.given.shape[1]
    first, last = share(count, 1, thread, threads)
    for row in range(first, last):
        x, y = row_at(batch.at_x, row, model.dim), row_at(batch.at_given, row, wide)
        normalize(x, weight, model.eps, y)
        settle(matrix, batch, row, count)
    _fill(matrix, batch, count, thread, threads)
    part = share(hidden, 16, thread, threads)
    up, across = (hidden + part[0], hidden + part[1]), batch.joined.shape[1]
    product(matrix, batch, count, part, thread, batch.joined, STORED)
    product(matrix, batch, count, up, thread, batch.joined, STORED)
    for row in range(count):
        gate(row_at(batch.at_joined, row, across), part[0], part[1], hidden)
    meet(batch.sync, threads)
    matrix = model.matrices[PER_LAYER * layer + W2]
    first, last = share(count, 1, thread, threads)
    for row in range(first, last):
        row_at(batch.at_given, row, wide)[:hidden] = row_at(batch.at_joined, row, across)[
            :hidden
        ]
        settle(matrix, batch, row, count)
    _fill(matrix, batch, count, thread, threads)
    part = share(model.dim, 16, thread, threads)
    product(matrix, batch, count, part, thread, batch.x, ADDED)
    meet(batch.sync, threads)
