"""Attention of prompts: up to 16 tokens of a text that follow each other are one block."""

from __future__ import annotations

import numpy as np

from tracr_lite.llama.native.edge import compiled
from tracr_lite.llama.native.heads import ABREAST, mix_values, score_places, soften
from tracr_lite.llama.native.plan import ALONE, Batch, Model
from tracr_lite.llama.native.vectors import LANES

F32 = np.float32
WORTH = 3  # rows for which a block is quicker than one after another


@compiled
def block_from(batch: Batch, row: int, count: int) -> int:
    """How many rows from `row` on are tokens of one text, one behind the other; up to LANES."""
    rows = 1
    if batch.counts[ALONE]:
        return rows
    while (
        rows < LANES
        and row + rows < count
        and batch.texts[row + rows] == batch.texts[row]
        and batch.places[row + rows] == batch.places[row] + rows
    ):
        rows += 1
    return rows


@compiled
def can_look_together(model: Model, batch: Batch, row: int, rows: int) -> bool:
    """Whether a block is worth it, and has the shape for it."""
    return rows >= WORTH and model.size % LANES == 0 and batch.places[row] + rows >= ABREAST


@compiled
def look_together(
    model: Model, batch: Batch, layer: int, row: int, rows: int, head: int, thread: int
) -> None:
    """Attention of one head of a block: each row to the places up to its own."""
    size, text, start = model.size, batch.texts[row], batch.places[row]
    kv_head = head // (model.heads // model.kv_heads)
    keys, values = batch.keys[layer, text, kv_head], batch.values[layer, text, kv_head]
    queries, scores = batch.queries[thread], batch.scores[thread]
    for lane in range(rows):
        for i in range(size):
            queries[i, lane] = batch.joined[row + lane, head * size + i]
    length = start + rows
    for first in range(0, length, ABREAST):
        first = min(first, length - ABREAST)
        there = scores.ctypes.data + first * LANES * 4
        score_places(keys.ctypes.data + first * size * 4, queries.ctypes.data, size, there)
    for lane in range(rows):
        for place in range(start + lane + 1, length):
            scores[place, lane] = F32(-np.inf)
    factor = F32(F32(1) / np.sqrt(F32(size)))
    totals = batch.totals[thread]
    soften(scores.ctypes.data, length, factor, totals.ctypes.data)
    _mix(batch, values, row, rows, head * size, size, thread)


@compiled
def _mix(
    batch: Batch, values: np.ndarray, row: int, rows: int, at: int, size: int, thread: int
) -> None:
    """The values weighted, in `mixed`; no row sees a value of a place behind its own."""
    start, scores, totals = batch.places[row], batch.scores[thread], batch.totals[thread]
    mixtures = batch.mixtures[thread]
    for half in range(0, rows, ABREAST):
        seen = start + half + 1  # places that all these rows see
        for i in range(0, size, LANES):
            weights = scores.ctypes.data + half * 4
            out = mixtures.ctypes.data + (half * size + i) * 4
            mix_values(weights, values.ctypes.data + i * 4, size, seen, out)
        for lane in range(half, min(half + ABREAST, rows)):
            out = mixtures[lane]
            for place in range(seen, start + lane + 1):
                weight = scores[place, lane]
                for i in range(size):
                    out[i] += weight * values[place, i]
            part = F32(1) / totals[lane]
            for i in range(size):
                batch.mixed[row + lane, at + i] = out[i] * part
