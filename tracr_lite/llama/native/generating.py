"""The compiled entry: one pass, or the greedy choice of token after token."""

from __future__ import annotations

import numpy as np

from tracr_lite.llama.native.edge import compiled, compiled_strictly, now
from tracr_lite.llama.native.pace import judge
from tracr_lite.llama.native.passes import run_pass, score
from tracr_lite.llama.native.plan import FOUND, PASSED, SCORED, Batch, Model
from tracr_lite.llama.native.threads import LEAVES, meet

F32 = np.float32
HIGHEST_KEY = np.int32(0x7F800000)  # of plus infinity, see `_greatest`
LOWEST_KEY = np.int32(-0x7F800001)  # of minus infinity
NO_TOKEN = -1  # what is chosen where a logit is NaN


@compiled
def run(
    model: Model,
    batch: Batch,
    steps: int,
    stops: np.ndarray,
    found: np.ndarray,
    thread: int,
    threads: int,
) -> None:
    """Runs a pass and scores what is wanted; with `found`, token after token.

    **Arguments:** `found`: int64 (texts, steps at a time); row by row the tokens found are put
    there, from column `counts[FOUND]` on. With no room in it there is one pass, and its scores
    are in `logits`. `steps`: tokens of a text that are run at most. `stops`: tokens that end
    a text.

    Leaves early where another number of threads shall go on, see `pace`.
    """
    begun = now()
    if found.shape[1] == 0:
        run_pass(model, batch, thread, threads)
        if batch.counts[SCORED] > 0:
            score(model, batch, thread, threads)
        if thread == 0:
            judge(batch.sync, begun, threads)
        return
    for i in range(batch.counts[FOUND], found.shape[1]):
        if batch.counts[PASSED] == 0:
            break
        run_pass(model, batch, thread, threads)
        part = score(model, batch, thread, threads)
        for row in range(batch.counts[SCORED]):
            _greatest(batch, row, part, thread)
        meet(batch.sync, threads)
        if thread == 0:
            _go_on(batch, steps, stops, found, i, threads)
            batch.counts[FOUND] = i + 1
            begun = judge(batch.sync, begun, threads)
        meet(batch.sync, threads)
        if batch.sync[LEAVES]:
            break


@compiled_strictly
def _greatest(batch: Batch, row: int, part: tuple[int, int], thread: int) -> None:
    """The first of the greatest scores among a part of the tokens.

    Steps that fill vectors: the bits of floats as integers in the same order, where NaNs are
    beyond the infinities, and a minimum of indices.
    """
    scores = batch.logits[row, part[0] : part[1]]
    most, least = LOWEST_KEY, HIGHEST_KEY
    for i in range(len(scores)):
        bits = F32(scores[i]).view(np.int32)
        key = bits ^ ((bits >> np.int32(31)) & np.int32(0x7FFFFFFF))
        most, least = max(most, key), min(least, key)
    best = np.int32(most ^ ((most >> np.int32(31)) & np.int32(0x7FFFFFFF))).view(np.float32)
    where = np.int32(len(scores))
    for i in range(len(scores)):
        where = min(where, np.int32(i) if scores[i] == best else np.int32(len(scores)))
    broken = most > HIGHEST_KEY or least < LOWEST_KEY
    batch.best[row, thread] = best
    batch.where[row, thread] = NO_TOKEN if broken else part[0] + where


@compiled
def _choice(batch: Batch, row: int, threads: int) -> int:
    """What all threads together found; parts without tokens are never better."""
    best, where = F32(-np.inf), 0
    for thread in range(threads):
        if batch.where[row, thread] == NO_TOKEN:
            return NO_TOKEN
        if batch.best[row, thread] > best:
            best, where = batch.best[row, thread], batch.where[row, thread]
    return where


@compiled
def _go_on(
    batch: Batch, steps: int, stops: np.ndarray, found: np.ndarray, i: int, threads: int
) -> None:
    """Puts the token of each text in its place; texts that have ended leave the batch."""
    stay = 0
    for row in range(batch.counts[PASSED]):
        token, text, place = _choice(batch, row, threads), batch.texts[row], batch.places[row]
        found[text, i] = token
        ends = token == NO_TOKEN or place + 2 > steps
        for stop in stops:
            ends = ends or token == stop
        if not ends:
            batch.tokens[stay], batch.texts[stay] = token, text
            batch.places[stay], batch.scored[stay] = place + 1, stay
            stay += 1
    batch.counts[PASSED] = stay
    batch.counts[SCORED] = stay
