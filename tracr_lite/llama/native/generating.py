"""The compiled entry: one pass, or token after token."""

from __future__ import annotations

import numpy as np

from tracr_lite.llama.native.choosing import NO_TOKEN, Choosing
from tracr_lite.llama.native.edge import compiled, floats, now
from tracr_lite.llama.native.greatest import greatest_of_block
from tracr_lite.llama.native.pace import judge
from tracr_lite.llama.native.passes import STORED, prepare_scores, run_pass, score
from tracr_lite.llama.native.plan import BLOCK, FOUND, PASSED, SCORED, Batch, Model
from tracr_lite.llama.native.products import product
from tracr_lite.llama.native.sampling import choose, desk_of
from tracr_lite.llama.native.threads import ARRIVED, LEAVES, LEFT, meet, share
from tracr_lite.llama.native.vectors import LANES

F32 = np.float32


@compiled
def run(
    model: Model,
    batch: Batch,
    choosing: Choosing,
    steps: int,
    stops: np.ndarray,
    found: np.ndarray,
    thread: int,
    threads: int,
) -> None:
    """Runs a pass and scores what is wanted; with `found`, token after token.

    **Arguments:** `found`: int64 (texts, tokens), filled from column `counts[FOUND]` on. With
    no room in it there is one pass, whose scores are left in `logits`. `steps`: tokens of a
    text that are run at most. `stops`: tokens that end it. Leaves early for another `Pace`.
    """
    begun, plain = now(), choosing.how.greedy and not choosing.how.penalizes
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
        if plain:
            _choose(model, batch, thread, threads)
        else:
            _draw(model, batch, choosing, thread, threads)
        meet(batch.sync, threads)
        if thread == 0:
            _go_on(batch, steps, stops, found, i, threads if plain else 1)
            batch.counts[FOUND] = i + 1
            begun = judge(batch.sync, begun, threads)
        meet(batch.sync, threads)
        if batch.sync[LEAVES] or batch.sync[ARRIVED] >= LEFT:
            break


@compiled
def _choose(model: Model, batch: Batch, thread: int, threads: int) -> None:
    """The greatest of this thread's part of the scores, block after block: none is kept."""
    matrix, count = prepare_scores(model, batch, thread, threads), batch.counts[SCORED]
    part, here = share(model.vocab, LANES, thread, threads), batch.some.shape[1]
    batch.best[thread] = F32(-np.inf)
    batch.where[thread] = part[0]
    for first in range(part[0], part[1], BLOCK):
        last = min(first + BLOCK, part[1])
        # as an array whose columns before `first` nobody uses
        some = floats(batch.some[thread].ctypes.data - first * 4, here, BLOCK)
        product(matrix, batch, count, (first, last), thread, some, STORED)
        for row in range(count):
            greatest_of_block(
                batch.some[thread, row], first, last, batch.best, batch.where, thread, row
            )


@compiled
def _draw(model: Model, batch: Batch, choosing: Choosing, thread: int, threads: int) -> None:
    """The tokens of some texts, put where the first thread puts the greatest of its part."""
    score(model, batch, thread, threads)
    meet(batch.sync, threads)
    desk = desk_of(choosing.desks, thread)
    for row in range(thread, batch.counts[SCORED], threads):
        text = batch.texts[batch.scored[row]]
        seen, random = choosing.seen[text], choosing.random[text]
        token = choose(batch.logits[row], choosing.how, random, seen, desk)
        if choosing.how.penalizes and token != NO_TOKEN:
            seen[token] = True
        batch.where[0, row], batch.best[0, row] = token, F32(0)


@compiled
def _choice(batch: Batch, row: int, parts: int) -> int:
    """What all parts together have found; those without tokens are never better."""
    best, where = F32(-np.inf), 0
    for thread in range(parts):
        if batch.where[thread, row] == NO_TOKEN:
            return NO_TOKEN
        if batch.best[thread, row] > best:
            best, where = batch.best[thread, row], batch.where[thread, row]
    return where


@compiled
def _go_on(
    batch: Batch, steps: int, stops: np.ndarray, found: np.ndarray, i: int, parts: int
) -> None:
    """Puts the token of each text in its place; texts that have ended leave the batch."""
    stay = 0
    for row in range(batch.counts[PASSED]):
        token, text, place = _choice(batch, row, parts), batch.texts[row], batch.places[row]
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
