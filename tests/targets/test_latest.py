"""The latest match is found by one head that prefers what is near, however it is written."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest

from tests.targets.runtimes import inputs, our_llama, transformers_of, wrong
from tracr_lite import catalog
from tracr_lite.rasp import causal_eval, rasp
from tracr_lite.targets import compile_rasp_to_gpt2, compile_rasp_to_llama
from tracr_lite.targets.export import export
from tracr_lite.targets.forward import logits
from tracr_lite.targets.rope import NEARER, frequencies, nearest_head

INDICES, TOKENS = rasp.indices, rasp.tokens
EQ = rasp.Comparison.EQ
SO_FAR = rasp.Select(INDICES, INDICES, rasp.Comparison.LEQ)
EARLIER = rasp.Select(INDICES, INDICES, rasp.Comparison.LT)
SAME = rasp.Select(TOKENS, TOKENS, EQ)
COMPILERS = {"llama": compile_rasp_to_llama, "gpt2": compile_rasp_to_gpt2}
every_target = pytest.mark.parametrize("target", COMPILERS)


def keys(predicate):
    return rasp.Select(TOKENS, TOKENS, lambda k, q: predicate(k))


def count_of(selector):
    return rasp.SelectorWidth(selector).named("count")


def numbered(selector, predicate, otherwise=-1):
    count = count_of(selector)
    number = rasp.SequenceMap(lambda n, x: n if predicate(x) else otherwise, count, TOKENS)
    return rasp.Select(number, count, EQ)


def back(steps, sop, default):
    there = rasp.Select(INDICES, INDICES, lambda k, q: k == q - steps)
    return rasp.Aggregate(there, sop, default=default)


def following(steps=1, default="none", less=1):
    """What follows the latest earlier token of the same kind."""
    count = count_of(SAME)
    same = rasp.Select(back(steps, TOKENS, default), TOKENS, EQ)
    return same & rasp.Select(back(steps, count, 0), count, lambda k, q: k == q - less)


def of_class(less=1):
    """The latest earlier token that is "a" as this one is, or is not as this one is not."""
    alike = rasp.Select(TOKENS, TOKENS, lambda k, q: (k == "a") == (q == "a"))
    count = count_of(alike)
    return alike & rasp.Select(count, count, lambda k, q: k + less == q)


def is_a(x):
    return x == "a"


LATEST = {
    "write": numbered(keys(is_a), is_a),
    "write, looking back": numbered(SO_FAR & keys(is_a), is_a) & SO_FAR,
    "following": following(),
    "following, as a number": following(default=None),
}
LATEST_IN_LLAMA = {"of its class": of_class()}
OTHERS = {
    "second to last": of_class(2),
    "the same one": of_class(0),
    "two back": following(2),
    "follows the one before": following(less=2),
    "a default that is a token": following(default="a"),
    "one of two kinds": numbered(keys(lambda x: x in "ab"), is_a),
    "counts less": numbered(EARLIER & keys(is_a), is_a),
    "and more": numbered(keys(is_a), is_a) & SAME,
    "counts what depends on the query": numbered(SAME, is_a),
    "all before the first": numbered(keys(is_a), is_a, 0),
    "otherwise like a count": numbered(keys(is_a), is_a, 1),
}


def programs(selector):
    """What one can do with a selector."""
    yield rasp.SelectorWidth(selector)
    yield rasp.Aggregate(selector, TOKENS, default="c")
    yield rasp.Aggregate(selector, TOKENS)
    yield rasp.Aggregate(selector, rasp.numerical(rasp.Map({"a": -3, "b": 0.5}.get, TOKENS)), 2)
    yield rasp.Aggregate(selector, INDICES, default=-1)


def check(model, program, given):
    bad, total, _ = wrong(
        model,
        lambda ids: logits(model, ids),
        lambda xs: causal_eval.evaluate(program, xs),
        given,
    )
    assert bad == 0, f"{bad} of {total}"


def counts(model):
    return any(node.label.startswith("count") for node in model.nodes)


ALL_SHORT = [list(xs) for n in range(1, 6) for xs in itertools.product("ab", repeat=n)]


@every_target
@pytest.mark.parametrize("name", [*LATEST, *LATEST_IN_LLAMA])
def test_found_without_a_count(name, target):
    selector = (LATEST | LATEST_IN_LLAMA)[name]
    for program in programs(selector):
        model = COMPILERS[target](program, "ab", 12, causal=True)
        assert counts(model) == (target == "gpt2" and name in LATEST_IN_LLAMA)
        check(model, program, [*ALL_SHORT, *inputs("ab", 12, 6, 0)])


@every_target
@pytest.mark.parametrize("name", OTHERS)
def test_others_are_counted(name, target):
    for program in programs(OTHERS[name]):
        model = COMPILERS[target](program, "ab", 8, causal=True)
        assert counts(model)
        check(model, program, [*ALL_SHORT, *inputs("ab", 8, 4, 0)])


def random_selector(rng):
    """Like one of the above, with properties and functions of its own; or nearly so."""
    chosen = set(rng.sample("abc", rng.randint(0, 3)))
    other = set(rng.sample("abc", rng.randint(0, 3))) if rng.random() < 0.3 else chosen
    shift, low = rng.randint(-1, 1), rng.choice((-1, -1, 0, 1))
    kind = {x: rng.randint(0, 1) for x in "abc"}
    if rng.random() < 0.5:
        count = count_of(keys(lambda x: x in chosen))
        number = rasp.SequenceMap(lambda n, x: n if x in other else low, count, TOKENS)
        return rasp.Select(number, count, lambda k, q: k == q + min(shift, 0))
    alike = rasp.Select(TOKENS, TOKENS, lambda k, q: kind[k] == kind[q])
    count = count_of(alike)
    if rng.random() < 0.5:
        return alike & rasp.Select(count, count, lambda k, q: k == q + shift)
    steps = rng.choice((1, 1, 2))
    default = rng.choice(("none", "a"))
    before = rasp.Select(
        back(steps, TOKENS, default), TOKENS, lambda k, q: kind.get(k, 2) == kind[q]
    )
    return before & rasp.Select(back(steps, count, 0), count, lambda k, q: k == q + shift)


@every_target
def test_random_ones_do_what_the_evaluator_does(target):
    found = 0
    for seed in range(60):
        program = rasp.Aggregate(random_selector(random.Random(seed)), TOKENS, default="-")
        model = COMPILERS[target](program, "abc", 9, causal=True)
        found += not counts(model)
        check(model, program, inputs("abc", 9, 12, seed))
    assert 10 <= found <= 50


@pytest.mark.parametrize("positions", [2, 17, 64, 256, 1024, 4096])
@pytest.mark.parametrize("size", [8, 16, 32, 64, 128])
def test_what_is_nearer_scores_more_and_nothing_less_than_what_is_forbidden(size, positions):
    found = nearest_head(size, positions, 10_000.0)
    if found is None:
        return
    turn = frequencies(size, 10_000.0)
    away = np.arange(positions)
    scores = -found.scale * np.sin(turn[found.pair] * away)
    if positions > 1:
        assert (scores[:-1] - scores[1:]).min() >= NEARER - 1
    bos = -found.bos * np.cos(turn[-1] * away)
    assert scores.min() - bos.max() >= 104
    for pair in range(found.pair + 1, size // 2):
        assert bos.min() - (-found.penalty * np.cos(turn[pair] * away)).max() >= 104


@every_target
@pytest.mark.parametrize("name", ["flip_flop", "induction_head", "running_maximum"])
def test_models_are_small_and_do_not_grow(name, target):
    entry = catalog.load(name)
    small, large = (
        COMPILERS[target](entry.program, entry.vocab, size, causal=True) for size in (31, 127)
    )
    assert large.parameters < (6 if target == "gpt2" else 1.01) * small.parameters < 1e6
    check(large, entry.program, inputs(entry.vocab, 127, 4, 0))


@pytest.mark.parametrize("name", ["flip_flop", "induction_head"])
def test_options(name):
    entry = catalog.load(name)
    for options in ({"mode": "bounded"}, {"indices": "rope"}, {"queries_per_key": 2}):
        model = compile_rasp_to_llama(entry.program, entry.vocab, 20, causal=True, **options)
        assert model.parameters < 150_000
        check(model, entry.program, inputs(entry.vocab, 20, 6, 0))
    model = compile_rasp_to_llama(entry.program, entry.vocab, 20, causal=True, rope_theta=1e30)
    check(model, entry.program, inputs(entry.vocab, 20, 6, 0))


@pytest.mark.parametrize("name", ["flip_flop", "induction_head"])
def test_our_llama_finds_it(name):
    entry = catalog.load(name)
    model = compile_rasp_to_llama(entry.program, entry.vocab, 255, causal=True)
    given = inputs(entry.vocab, 255, 3, 0)
    found = wrong(
        model, our_llama(model), lambda xs: causal_eval.evaluate(entry.program, xs), given
    )
    assert found[::2] == (0, 0.0)


@pytest.mark.parametrize("name", ["flip_flop", "induction_head"])
@pytest.mark.parametrize(
    ("dtype", "size", "target"),
    [("float32", 255, "llama"), ("float32", 255, "gpt2"), ("bfloat16", 127, "llama")],
)
def test_transformers_finds_it(name, dtype, size, target):
    pytest.importorskip("transformers")
    entry = catalog.load(name)
    model = COMPILERS[target](entry.program, entry.vocab, size, causal=True, dtype=dtype)
    given = inputs(entry.vocab, size, 4, 0)
    for attention in ("sdpa", "eager"):
        run = transformers_of(model, attention, dtype)
        assert (
            wrong(model, run, lambda xs: causal_eval.evaluate(entry.program, xs), given)[0] == 0
        )


@pytest.mark.parametrize("name", ["flip_flop", "induction_head"])
@pytest.mark.parametrize("flash", [False, True])
def test_llama_cpp_finds_it_with_keys_in_float16(name, flash, tmp_path):
    llama_cpp = pytest.importorskip("llama_cpp")
    pytest.importorskip("gguf")
    entry = catalog.load(name)
    model = compile_rasp_to_llama(entry.program, entry.vocab, 255, causal=True)
    path = export(model, tmp_path / "gguf", "gguf") / "model.gguf"
    run = llama_cpp.Llama(
        str(path), n_ctx=256, n_threads=1, verbose=False, logits_all=True, flash_attn=flash
    )
    for xs in inputs(entry.vocab, 255, 3, 0):
        run.reset()
        run.eval(model.encode(xs))
        found = np.array(run.scores[: len(xs) + 1])
        assert model.decode(found[1:]) == causal_eval.evaluate(entry.program, xs)
    run.close()
