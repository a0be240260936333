"""The native engine: the numbers and tokens of the JAX engine, and who is chosen when."""

import os
import subprocess
import sys
import threading

import jax.numpy as jnp
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.llama.models import ROOT, golden_models, needs_golden
from tests.llama.running import (
    ENGINES,
    GQA,
    LOADING,
    MHA,
    MQA,
    draw_ids,
    gentle_weights,
    letters,
    make_model,
)
from tracr_lite.llama import LlamaConfig
from tracr_lite.llama.cli import app
from tracr_lite.llama.engines import choose_engine, missing
from tracr_lite.llama.errors import LlamaError, LlamaWarning
from tracr_lite.llama.runtime import load

pytest.importorskip("numba", reason="the native engine needs numba")
from tracr_lite.llama.native.arithmetic import exp, rounded_to_bfloat16, rounded_to_q80
from tracr_lite.llama.native.batch import Row, fill
from tracr_lite.llama.native.edge import compiled, compiled_on_disk, compiled_strictly
from tracr_lite.llama.native.engine import NativeEngine
from tracr_lite.llama.native.entry import sources
from tracr_lite.llama.native.room import make_caches, make_room
from tracr_lite.llama.native.threads import LEFT, PLACES, default_threads, meet, share, together
from tracr_lite.llama.sampler_settings import SamplerSettings

# sizes that are multiples of 16 and not, groups of whole vectors, chunks, odd vocabularies
WIDE = LlamaConfig(64, 160, 2, 4, 2, 41, 40, True)
CHUNKED = LlamaConfig(768, 256, 1, 8, 8, 19, 12, False)
ODD = LlamaConfig(36, 50, 1, 6, 3, 37, 24, False)
HEAVY = pytest.mark.heavy


def native_logits(model, ids, at_once, threads=1):
    """The logits of every token, from passes of up to `at_once` tokens."""
    engine, found = NativeEngine(model.params, model.config, threads), []
    caches = make_caches(engine.model, 1, len(ids))
    room = make_room(engine.model, caches, at_once, at_once, threads)
    for first in range(0, len(ids), at_once):
        part = ids[first : first + at_once]
        fill(room, [Row(0, first + i, t) for i, t in enumerate(part)], range(len(part)))
        engine.run(room, 0, np.zeros(0, np.int64), np.zeros((1, 0), np.int64))
        found.append(room.logits[: len(part)].copy())
    return np.concatenate(found)


def limit(model, ids, kind):
    """How far two orders of summing may be apart.

    float32 and int8: as for JAX itself, a few units in the last place of the largest sum per
    layer. bfloat16 and q80 round activations, where two sums can fall to different sides: one
    step of that rounding, 1/256 and 1/127 of the greatest, for a few of many activations.
    """
    spread = np.abs(model.logits(ids)).max()
    return spread * {"float32": 1e-5, "int8": 1e-5, "bfloat16": 1 / 256, "q80": 1 / 127}[kind]


CONFIGS = {"mha": MHA, "gqa": GQA, "mqa": MQA, "wide": WIDE, "chunks": CHUNKED, "odd": ODD}
QUICK = {"gqa-float32", "wide-bfloat16", "chunks-int8", "chunks-q80", "odd-int8", "wide-q80"}
CASES = [
    pytest.param(
        config, kind, id=f"{name}-{kind}", marks=() if f"{name}-{kind}" in QUICK else HEAVY
    )
    for name, config in CONFIGS.items()
    for kind in LOADING
]


@pytest.mark.parametrize(("config", "kind"), CASES)
def test_logits_are_those_of_jax(config, kind):
    model = make_model(config, **LOADING[kind])
    ids = draw_ids(config, config.seq_len)  # the last slot of the cache too
    wanted = model.logits(ids)
    for at_once, threads in ((1, 1), (5, 1), (9, 1), (64, 2)):
        found = native_logits(model, ids, at_once, threads)
        np.testing.assert_allclose(found, wanted, rtol=0, atol=limit(model, ids, kind))


@needs_golden
@pytest.mark.parametrize("folder", golden_models(), ids=lambda folder: folder.name)
@pytest.mark.parametrize("at_once", [1, 64])
def test_golden_logits(folder, at_once):
    """The tolerances of the golden files: run.c 1e-4; runq.c by how many are how close."""
    wanted = np.load(folder / "expected_logits.npz")
    ids, where = wanted["tokens"].tolist(), wanted["positions"]
    found = native_logits(load(folder / "model_v0.bin"), ids, at_once)[where]
    assert np.abs(found - wanted["run_c"]).max() < 1e-4
    model = load(folder / "model_v2.bin", activations="q80")
    errors = np.abs(native_logits(model, ids, at_once)[where] - wanted["runq_c"]).max(axis=1)
    assert np.median(errors) <= 1e-5
    assert (errors <= 1e-3).mean() >= 0.95
    assert errors.max() <= 0.2


@settings(max_examples=4, deadline=None)
@given(
    kv=st.integers(1, 3),
    repeat=st.integers(1, 3),
    half=st.integers(1, 9),
    hidden=st.integers(1, 70),
    layers=st.integers(1, 2),
    vocab=st.integers(4, 60),
    length=st.integers(1, 12),
    shared=st.booleans(),
    seed=st.integers(0, 99),
)
def test_logits_of_any_shape(kv, repeat, half, hidden, layers, vocab, length, shared, seed):
    heads = kv * repeat
    sizes = (2 * half * heads, hidden, layers, heads, kv, vocab, length, shared)
    config = LlamaConfig(*sizes)
    model = make_model(config, gentle_weights(config, seed))
    ids = np.random.default_rng(seed).integers(0, vocab, length).tolist()
    for at_once in (1, 12):
        found = native_logits(model, ids, at_once)
        wanted = limit(model, ids, "float32")
        np.testing.assert_allclose(found, model.logits(ids), rtol=0, atol=wanted)


def both(config, kind="float32", **more):
    models = [
        make_model(config, tokenizer=letters(), **LOADING[kind], **more) for _ in range(2)
    ]
    return [
        type(m)(m.config, m.params, m.tokenizer, e)
        for m, e in zip(models, ENGINES, strict=True)
    ]


HOW = {
    "greedy": {"temperature": 0.0},
    "drawn": {"temperature": 0.9, "seed": 7},
    "everything": {"top_p": 0.8, "top_k": 7, "repetition_penalty": 1.3, "seed": 3},
    "penalty": {"temperature": 0.0, "repetition_penalty": 1.2, "stop_tokens": [5, 6]},
}


@pytest.mark.parametrize(
    ("kind", "how"),
    [
        pytest.param(
            kind,
            HOW[how],
            id=f"{kind}-{how}",
            marks=() if (kind, how) == ("q80", "drawn") else HEAVY,
        )
        for kind in ("float32", "q80")
        for how in HOW
    ],
)
def test_generations_are_those_of_jax(kind, how):
    jax_model, native = both(GQA, kind)
    prompts = [draw_ids(GQA, length, seed=length) for length in (3, 9, 1, 24, 12)]
    how = {"n": 0, "seed": 1, **how}
    assert native.generate(prompts, **how) == jax_model.generate(prompts, **how)


def test_conversations_are_those_of_jax():
    config = LlamaConfig(16, 24, 1, 4, 2, 40, 96, False)
    for seed, temperature in ((1, 2.0), (3, 0.0)):
        turns = []
        for model in both(config):
            chat = model.chat(seed=seed, temperature=temperature)
            turns.append([list(chat.turn(m)) for m in ("AB", "CD", "EF") if chat.room])
        assert turns[0] == turns[1]


def test_rows_that_have_ended_leave_the_others_alone():
    _, native = both(GQA)
    prompts = [draw_ids(GQA, length, seed=length) for length in range(1, 18)]
    how = {"temperature": 0.0, "n": 24}
    alone = [native.generate(prompt, **how) for prompt in prompts]
    together_ = native.generate(prompts, seed=[each.seed for each in alone], **how)
    assert len({len(each.tokens) for each in alone}) > 1
    assert together_ == alone


@pytest.mark.parametrize("kind", ["float32", "q80"])
def test_numbers_that_are_not_finite_are_said(kind):
    weights = gentle_weights(MHA)
    weights.final_norm[3] = np.nan
    model = make_model(MHA, weights, **LOADING[kind])
    model = type(model)(model.config, model.params, None, "native")
    for how in ({"temperature": 0.0}, {"seed": 3}):
        with pytest.raises(LlamaError, match="row 0: nothing can be chosen for position 1"):
            model.generate([1], n=9, **how)


def test_weights_lie_in_memory_once():
    """What compiled code reads are the arrays of JAX."""
    model = make_model(WIDE)
    engine = NativeEngine(model.params, WIDE)
    places = {layer.w2.unsafe_buffer_pointer() for layer in model.params.layers}
    assert places <= set(engine.model.matrices[:, 1].tolist())
    assert model.params.embedding.unsafe_buffer_pointer() == engine.model.matrices[-1, 1]


def test_exp_is_close_and_keeps_nan():
    @compiled
    def many(x, out):
        for i in range(len(x)):
            out[i] = exp(x[i])

    x = np.linspace(-87, 88, 100_001, dtype=np.float32)
    found = np.empty_like(x)
    many(x, found)
    assert np.abs(found / np.exp(x.astype(np.float64)) - 1).max() < 3e-7
    ends = np.array([np.nan, -np.inf, np.inf, -1e30], np.float32)
    many(ends, found)
    assert np.isnan(found[0])
    assert 0 <= found[1] < 1e-37
    assert found[2] > 1e38
    assert 0 <= found[3] < 1e-37


def test_strict_code_keeps_its_order_whoever_calls_it_first():
    """-0.0 + 0.0 is 0.0, but where signs of zeros do not matter it need not be added."""

    @compiled_strictly
    def strict(x):
        return x + np.float32(0)

    @compiled
    def caller(x):
        return strict(x)

    assert not np.signbit(caller(np.float32(-0.0)))
    assert not np.signbit(strict(np.float32(-0.0)))


def test_roundings_are_those_of_jax():
    x = np.random.default_rng(0).standard_normal(512).astype(np.float32)
    x[:4] = [0, -0.0, np.nan, np.inf]
    row = x.copy()
    rounded_to_bfloat16(row, len(row))
    assert np.array_equal(
        row, np.asarray(jnp.asarray(x, jnp.bfloat16), np.float32), equal_nan=True
    )
    row, scales = (
        np.array([127, 2.5, -2.5, 0.5, 0, 0, 0, 0], np.float32),
        np.ones(2, np.float32),
    )
    rounded_to_q80(row, scales, 2, 4)
    assert (row.tolist(), scales.tolist()) == ([127, 3, -3, 1, 0, 0, 0, 0], [1, 0])


@pytest.mark.parametrize(("total", "threads"), [(0, 3), (1, 4), (16, 2), (41, 3), (1000, 7)])
def test_shares_are_all_there_is_once(total, threads):
    parts = [share(total, 16, thread, threads) for thread in range(threads)]
    assert [i for first, last in parts for i in range(first, last)] == list(range(total))


def test_more_threads_than_work_or_cores():
    model = make_model(MHA)
    ids = draw_ids(MHA, 7)
    wanted = native_logits(model, ids, 1, 1)
    assert np.allclose(native_logits(model, ids, 1, 5), wanted, atol=1e-6)


def test_small_models_have_one_thread_and_large_ones_not():
    assert default_threads(1000) == 1
    assert 1 <= default_threads(10**9) <= 8


def test_two_generations_at_a_time():
    _, native = both(GQA)
    wanted = native.generate([1, 5], n=20, temperature=0.0)
    found = []
    workers = [
        threading.Thread(
            target=lambda: found.append(native.generate([1, 5], n=20, temperature=0.0))
        )
        for _ in range(4)
    ]
    for each in workers:
        each.start()
    for each in workers:
        each.join()
    assert [each.tokens for each in found] == [wanted.tokens] * 4


def test_the_same_work_runs_on_each_thread():
    seen = []
    sync = np.zeros(PLACES, np.int64)
    together(lambda thread, threads: seen.append((thread, threads)), 3, sync)
    assert sorted(seen) == [(0, 3), (1, 3), (2, 3)]


@compiled
def wait_often(sync, threads):
    for _ in range(1000):
        meet(sync, threads)


def test_threads_do_not_wait_for_one_that_was_interrupted():
    """As by Ctrl-C just before the compiled code of the first thread begins."""
    sync = np.zeros(PLACES, np.int64)
    wait_often(np.zeros(PLACES, np.int64), 1)  # compiled before

    def work(thread, threads):
        if thread == 0:
            raise KeyboardInterrupt
        wait_often(sync, threads)

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        together(work, 3, sync)
    assert (threading.active_count(), sync[0]) == (before, 0)


def test_threads_do_not_wait_for_one_that_cannot_be_started(monkeypatch):
    sync = np.zeros(PLACES, np.int64)
    wait_often(np.zeros(PLACES, np.int64), 1)
    start, begun = threading.Thread.start, []

    def some(thread):
        if begun:
            raise RuntimeError("can't start new thread")
        begun.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", some)
    with pytest.raises(RuntimeError, match="can't start"):
        together(lambda thread, threads: wait_often(sync, threads), 3, sync)
    begun[0].join(timeout=20)
    assert not begun[0].is_alive()
    assert sync[0] >= LEFT  # who knows whether the other one comes


def test_a_batch_that_threads_may_still_be_in_is_refused():
    engine = NativeEngine((model := make_model(MHA)).params, model.config, 1)
    batch = engine.batch([1], 5, SamplerSettings(0.0), [1], [])
    batch._batch.sync[0] = LEFT
    with pytest.raises(LlamaError, match="this batch was interrupted"):
        batch.advance(1)


def test_too_many_threads_are_refused():
    with pytest.raises(LlamaError, match="threads is 257; at most 256"):
        choose_engine("native", make_model(MHA).params, MHA, 257)


def test_a_numba_that_cannot_be_imported_leaves_all_to_jax(tmp_path):
    (tmp_path / "numba").mkdir()
    (tmp_path / "numba" / "__init__.py").write_text("raise ImportError('needs another numpy')")
    run = subprocess.run(
        [sys.executable, "-c", WITHOUT.replace("sys.modules[", "# ", 1)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stdout.startswith("jax Once upon a time"), run.stderr
    assert "numba cannot be imported: needs another numpy" in run.stderr


def add_one(x):
    return x + 1


def test_a_damaged_cache_is_said_and_done_without(tmp_path, monkeypatch):
    monkeypatch.setattr("numba.core.config.CACHE_DIR", str(tmp_path))

    def first(call):
        assert call(1) == 2

    compiled_on_disk(add_one, first)
    found = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(found) == 2
    for path in found:
        whole = path.read_bytes()
        for damaged in (b"", whole[: len(whole) // 2]):
            path.write_bytes(damaged)
            with pytest.warns(LlamaWarning, match="cannot be used"):
                assert compiled_on_disk(add_one, first)(4) == 5
        path.write_bytes(whole)
    assert compiled_on_disk(add_one, first)(4) == 5


def test_an_error_of_the_code_itself_is_no_matter_of_the_cache(tmp_path, monkeypatch):
    monkeypatch.setattr("numba.core.config.CACHE_DIR", str(tmp_path))

    def fails(call):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        compiled_on_disk(add_one, fails)


def test_auto_is_native_where_that_works():
    model = make_model(MHA)
    assert missing() is None
    assert model.runner.name == "native"
    assert choose_engine("jax", model.params, MHA).name == "jax"
    assert choose_engine("native", model.params, MHA, 3).threads == 3


@pytest.mark.parametrize(
    ("choice", "threads", "words"),
    [("fast", None, "there is no engine 'fast'; there are auto"), ("auto", 0, "threads is 0")],
)
def test_what_is_no_engine_is_refused(choice, threads, words):
    with pytest.raises(LlamaError, match=words):
        choose_engine(choice, make_model(MHA).params, MHA, threads)


def test_weights_of_another_type_are_left_to_jax():
    params = make_model(MHA).params
    object.__setattr__(params, "embedding", params.embedding.astype(jnp.float16))
    assert choose_engine("auto", params, MHA).name == "jax"
    with pytest.raises(LlamaError, match="a matrix is float16, not float32, bfloat16 or int8"):
        choose_engine("native", params, MHA)


def test_no_compiling_means_no_native_engine(monkeypatch):
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    assert make_model(MHA).runner.name == "jax"
    with pytest.raises(LlamaError, match="NUMBA_DISABLE_JIT"):
        choose_engine("native", make_model(MHA).params, MHA)


WITHOUT = """
import sys
sys.modules["numba"] = sys.modules["llvmlite"] = None  # as if they were not installed
from tracr_lite.llama import load
model = load("docs/story/story.bin", "docs/story/tokenizer.bin")
print(model.runner.name, model.generate("Once", temperature=0, n=9).text)
load("docs/story/story.bin", engine="native").generate([1])
"""


def test_without_numba_all_works_and_native_says_what_to_install():
    run = subprocess.run(
        [sys.executable, "-c", WITHOUT], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.stdout.startswith("jax Once upon a time")
    assert "needs numba, which is not installed: pip install 'tracr_lite[fast]'" in run.stderr


@pytest.mark.parametrize("engine", ["jax", "native"])
def test_the_command_says_which_engine_ran(engine):
    story = ROOT / "docs" / "story" / "story.bin"
    words = ["generate", str(story), "-t", "0", "-n", "12", "--engine", engine]
    found = CliRunner().invoke(app, words)
    assert found.exit_code == 0, found.output
    assert f"engine {engine}; seed" in found.stderr
    assert found.stdout.startswith("Once upon a time")


def test_the_engine_is_an_option_of_load():
    story = ROOT / "docs" / "story" / "story.bin"
    tokens = [
        load(story, engine=e).generate([1], temperature=0).tokens for e in ("jax", "native")
    ]
    assert tokens[0] == tokens[1]
    assert load(story, engine="native", threads=1).runner.threads == 1


def test_the_digest_covers_every_file_of_the_engine(tmp_path, monkeypatch):
    from tracr_lite.llama.native import entry

    before = sources()
    for path in (ROOT / "tracr_lite" / "llama" / "native").glob("*.py"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(entry, "__file__", str(tmp_path / "entry.py"))
    assert sources() == before
    (tmp_path / "dot.py").write_text("changed = True\n")
    assert sources() != before
