"""Attention in compiled code, of blocks of rows and of single ones, against numpy."""

import numpy as np
import pytest

from tests.llama.running import draw_ids, make_model
from tracr_lite.llama import LlamaConfig

pytest.importorskip("numba", reason="the native engine needs numba")
from tracr_lite.llama.native.arithmetic import gate
from tracr_lite.llama.native.batch import Row, fill
from tracr_lite.llama.native.edge import compiled
from tracr_lite.llama.native.engine import NativeEngine
from tracr_lite.llama.native.passes import _look
from tracr_lite.llama.native.prompts import block_from
from tracr_lite.llama.native.room import make_caches, make_room

F32 = np.float32
CONFIGS = {  # heads of 16 and 48 numbers, which are whole vectors, and of 8
    "vectors": LlamaConfig(64, 32, 1, 4, 2, 20, 48, True),
    "long vectors": LlamaConfig(96, 32, 1, 2, 1, 20, 48, True),
    "short": LlamaConfig(32, 32, 1, 4, 4, 20, 48, True),
}
# texts and places of rows: a block from the start, one further on, pieces of texts in turn
ROWS = {
    "prompt": [(0, i) for i in range(40)],
    "later": [(1, 20 + i) for i in range(17)],
    "few": [(0, 0), (0, 1), (0, 2), (0, 3)],
    "mixed": [(t, p) for t in range(3) for p in range(5 * t, 5 * t + 4 * t + 3)],
    "one of each": [(0, 3), (1, 47), (2, 0)],
    "gaps": [(0, 4), (0, 5), (0, 6), (0, 9), (0, 10), (1, 11), (1, 12), (1, 13)],
}


@compiled
def look(model, batch, count, threads):
    for thread in range(threads):
        _look(model, batch, 0, count, thread, threads)


def prepared(config, rows):
    engine = NativeEngine(make_model(config).params, config, 2)
    caches = make_caches(engine.model, 3, config.seq_len)
    batch = make_room(engine.model, caches, len(rows), 1, 2)
    fill(batch, [Row(text, place, 1) for text, place in rows], [])
    rng = np.random.default_rng(len(rows))
    for each in (batch.joined, batch.keys, batch.values):
        each[:] = 2 * rng.standard_normal(each.shape)
    return engine.model, batch


def attention(model, batch, rows):
    found = np.zeros((len(rows), model.heads, model.size))
    queries = batch.joined[:, : model.dim].reshape(len(rows), model.heads, model.size)
    for row, (text, place) in enumerate(rows):
        for head in range(model.heads):
            which = (0, text, head * model.kv_heads // model.heads, slice(place + 1))
            keys, values = batch.keys[which].astype(float), batch.values[which].astype(float)
            scores = keys @ queries[row, head].astype(float) / np.sqrt(model.size)
            weights = np.exp(scores - scores.max())
            found[row, head] = weights @ values / weights.sum()
    return found.reshape(len(rows), -1)


@pytest.mark.parametrize("rows", ROWS.values(), ids=ROWS)
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_attention_is_that_of_numpy(config, rows):
    model, batch = prepared(config, rows)
    wanted = attention(model, batch, rows)
    for threads in (1, 2):
        batch.mixed[:] = np.nan
        look(model, batch, len(rows), threads)
        np.testing.assert_allclose(batch.mixed, wanted, rtol=0, atol=1e-5)


def test_rows_see_nothing_behind_them():
    rows = ROWS["prompt"]
    model, batch = prepared(CONFIGS["vectors"], rows)
    look(model, batch, len(rows), 1)
    before = batch.mixed.copy()
    batch.keys[:, :, :, 13:], batch.values[:, :, :, 13:] = np.nan, np.inf
    look(model, batch, len(rows), 1)
    assert np.array_equal(batch.mixed[:13], before[:13])
    assert not np.isfinite(batch.mixed[13:]).any()


def test_scores_that_are_far_apart():
    rows = ROWS["later"]
    model, batch = prepared(CONFIGS["vectors"], rows)
    batch.keys[:] *= 1000
    wanted = attention(model, batch, rows)
    look(model, batch, len(rows), 1)
    np.testing.assert_allclose(batch.mixed, wanted, rtol=0, atol=1e-3)


def test_blocks_are_rows_of_one_text_that_follow_each_other():
    def blocks(rows):
        _, batch = prepared(CONFIGS["short"], rows)
        found, row = [], 0
        while row < len(rows):
            found.append(block_from(batch, row, len(rows)))
            row += found[-1]
        return found

    found = {name: blocks(rows) for name, rows in ROWS.items()}
    assert found["prompt"] == [16, 16, 8]
    assert found["mixed"] == [3, 7, 11]
    assert found["one of each"] == [1, 1, 1]
    assert found["gaps"] == [3, 2, 3]


@pytest.mark.parametrize(("first", "last"), [(0, 48), (3, 19), (5, 41), (7, 7), (16, 32)])
def test_gates_are_those_of_the_paper(first, last):
    rng = np.random.default_rng(first)
    row = (20 * rng.standard_normal(96)).astype(F32)
    row[first : first + 2] = -200, 200
    wanted = row.astype(float)
    part = wanted[first:last]
    with np.errstate(over="ignore"):
        wanted[first:last] = part / (1 + np.exp(-part)) * wanted[48 + first : 48 + last]
    gate(row, first, last, 48)
    np.testing.assert_allclose(row, wanted, rtol=2e-6, atol=1e-6)


def test_gates_keep_what_is_not_a_number():
    row = np.ones(64, F32)
    row[[3, 40]] = np.nan
    gate(row, 0, 32, 32)
    assert np.flatnonzero(np.isnan(row)).tolist() == [3, 8, 40]


def test_a_batch_of_prompts_is_each_on_its_own():
    config = LlamaConfig(64, 160, 2, 4, 2, 41, 40, True)
    model = make_model(config)
    prompts = [draw_ids(config, length, seed=length) for length in (3, 20, 7, 40, 1, 16)]
    engine = NativeEngine(model.params, config, 2)

    def scores(prompts):
        caches = make_caches(engine.model, len(prompts), config.seq_len)
        rows = [Row(t, i, x) for t, each in enumerate(prompts) for i, x in enumerate(each)]
        room = make_room(engine.model, caches, len(rows), len(rows), 2)
        fill(room, rows, range(len(rows)))
        engine.run(room, 0, np.zeros(0, np.int64), np.zeros((1, 0), np.int64))
        return room.logits

    alone = np.concatenate([scores([each]) for each in prompts])
    np.testing.assert_allclose(scores(prompts), alone, rtol=0, atol=1e-4)
