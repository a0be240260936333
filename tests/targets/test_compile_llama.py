"""Compiled into Llama, programs do what the evaluator does: random ones, and `programs/`."""

from __future__ import annotations

import importlib
import pkgutil
from functools import partial

import numpy as np
import pytest

import programs
from tests.targets.runtimes import inputs, our_llama, transformers_of, wrong
from tracr_lite.errors import CompileError, InputError
from tracr_lite.rasp import causal_eval, rasp
from tracr_lite.sampling import sample_program
from tracr_lite.targets import compile_rasp_to_gpt2, compile_rasp_to_llama
from tracr_lite.targets.forward import logits as numpy_logits
from tracr_lite.targets.forward import predict

PROGRAMS = sorted(each.name for each in pkgutil.iter_modules(programs.__path__))
NEVER = rasp.Comparison.FALSE
ORDER = rasp.Select(rasp.indices, rasp.indices, rasp.Comparison.LEQ)


def module_of(name):
    return importlib.import_module(f"programs.{name}")


def evaluator(program):
    return lambda xs: causal_eval.evaluate(program, xs)


def by_numpy(model):
    return lambda ids: numpy_logits(model, ids)


def check(program, vocab, size, count=6, seed=0, **options):
    """The model, after 0 wrong positions under numpy."""
    model = compile_rasp_to_llama(program, vocab, size, causal=True, **options)
    given = inputs(vocab, size, count, seed)
    bad, total, error = wrong(model, by_numpy(model), evaluator(program), given)
    assert (bad, error < 1e-3) == (0, True), f"{bad} of {total} positions, {error}"
    return model


@pytest.mark.parametrize("first", range(0, 240, 40))
def test_random_programs_agree_with_the_evaluator(first):
    refused: list[str] = []
    for seed in range(first, first + 40):
        sample = sample_program(seed)
        try:
            check(sample.program, sample.vocab, sample.max_seq_len, seed=seed)
        except CompileError as error:
            refused.append(str(error))
    others = [text for text in refused if "cannot see how long" not in text]
    assert len(refused) <= 25, "most samples that are refused need the length of the input"
    assert len(others) <= 3, others


def test_programs_that_look_back_do_what_the_full_evaluator_does():
    compiled = 0
    for seed in range(3000, 3080):
        sample = sample_program(seed)
        try:
            model = compile_rasp_to_llama(sample.program, sample.vocab, sample.max_seq_len)
        except CompileError:
            continue
        given = inputs(sample.vocab, sample.max_seq_len, 5, seed)
        full = partial(rasp.evaluate, sample.program)
        assert wrong(model, by_numpy(model), full, given)[0] == 0
        compiled += 1
    assert compiled >= 10


@pytest.mark.parametrize(
    "program",
    [
        rasp.tokens,
        rasp.indices,
        rasp.Full(5),
        rasp.ConstantSOp([3, None, 1]),
        rasp.Map(lambda x: None, rasp.tokens),
        rasp.Map(lambda x: None if x == "a" else x, rasp.tokens),
        rasp.Map(lambda x: 1 / (x != "a"), rasp.tokens),
        rasp.Aggregate(rasp.Select(rasp.tokens, rasp.tokens, NEVER), rasp.tokens, default="q"),
        rasp.SelectorWidth(rasp.Select(rasp.tokens, rasp.tokens, NEVER)),
    ],
    ids=lambda program: program.label,
)
@pytest.mark.parametrize("compiler", [compile_rasp_to_llama, compile_rasp_to_gpt2])
def test_programs_at_the_edge(program, compiler):
    model = compiler(program, "abc", 3, causal=True)
    given = inputs("abc", 3, 8, 0)
    assert wrong(model, by_numpy(model), evaluator(program), given)[0] == 0


@pytest.mark.parametrize(
    "allowed",
    [
        lambda k, q: k == q - 2,
        lambda k, q: k <= q - 3,
        lambda k, q: q - 3 < k,
        lambda k, q: k == q // 2,
        lambda k, q: k < q,
    ],
    ids=["two back", "three back or more", "window", "half", "before"],
)
def test_distances_alone_and_with_conditions(allowed):
    by_place = rasp.Select(rasp.indices, rasp.indices, allowed)
    same = rasp.Select(rasp.tokens, rasp.tokens, rasp.Comparison.EQ)
    number = rasp.numerical(rasp.Map(lambda x: 1.5 if x == "a" else -2, rasp.tokens))
    for selector in (by_place, by_place & same):
        check(rasp.SelectorWidth(selector), "ab", 20, count=4)
        check(rasp.Aggregate(selector, number, default=7), "ab", 20, count=4)


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_program_masked_agrees_with_the_causal_evaluator(name):
    module = module_of(name)
    check(module.PROGRAM, module.VOCAB, min(module.MAX_SEQ_LEN, 7))


@pytest.mark.parametrize("name", ["previous_token", "hist", "induction_head", "frac_prevs"])
def test_our_llama_runs_it_bit_exactly(name):
    module = module_of(name)
    model = compile_rasp_to_llama(module.PROGRAM, module.VOCAB, 12, causal=True)
    given = inputs(module.VOCAB, 12, 4, 0)
    assert wrong(model, our_llama(model), evaluator(module.PROGRAM), given)[::2] == (0, 0.0)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("name", ["hist", "induction_head", "running_mean", "bracket_depth"])
def test_transformers_runs_it(name, attention):
    pytest.importorskip("transformers")
    module = module_of(name)
    model = compile_rasp_to_llama(module.PROGRAM, module.VOCAB, 16, causal=True)
    run = transformers_of(model, attention)
    given = inputs(module.VOCAB, 16, 6, 0)
    assert wrong(model, run, evaluator(module.PROGRAM), given)[::2] == (0, 0.0)


@pytest.mark.parametrize("group", [2, 4])
def test_grouped_queries(group):
    module = module_of("induction_head")
    model = check(module.PROGRAM, module.VOCAB, 8, queries_per_key=group)
    config = model.config
    assert config["num_attention_heads"] == group * config["num_key_value_heads"]


def test_composite_selectors():
    same = rasp.Select(rasp.tokens, rasp.tokens, rasp.Comparison.EQ)
    before = rasp.Select(rasp.indices, rasp.indices, rasp.Comparison.LT)
    even = rasp.Select(rasp.indices, rasp.indices, lambda k, q: k % 2 == 0)
    for selector in (same & before, ~same & before, (same & even) | before, ~(same | even)):
        check(rasp.SelectorWidth(selector), "abc", 7)
        check(rasp.Aggregate(selector, rasp.tokens == "a", default=None), "ab", 6)


def test_products_of_numbers():
    x, y = (rasp.Aggregate(ORDER, rasp.numerical(rasp.tokens == c)) for c in "ab")
    product = rasp.numerical(rasp.SequenceMap(lambda a, b: a * b, x, y))
    model = check(product, "abc", 9)
    assert model.numeric
    check(rasp.SequenceMap(lambda a, b: a * b > 0.1, x, y), "abc", 9)


def test_large_numbers_move_nothing():
    big = rasp.Aggregate(
        ORDER, rasp.numerical(rasp.Map(lambda t: 1e7 if t == "a" else 3e7, rasp.tokens))
    )
    check(rasp.LinearSequenceMap(big, big, 1.0, 1.0), "ab", 6)


def test_reading_ahead_is_refused_with_what_to_write():
    same = rasp.Select(rasp.tokens, rasp.tokens, rasp.Comparison.EQ)
    with pytest.raises(CompileError, match="reads ahead") as error:
        compile_rasp_to_llama(rasp.SelectorWidth(same), "ab", 4)
    assert "after_separator(program)" in str(error.value)
    with pytest.raises(CompileError, match="length of the whole input"):
        compile_rasp_to_llama(rasp.length, "ab", 4)
    looks_back = rasp.SelectorWidth(same & ORDER)
    model = compile_rasp_to_llama(looks_back, "ab", 4)
    assert predict(model, list("abaa")) == rasp.evaluate(looks_back, list("abaa"))


def test_too_many_rectangles_are_refused_with_the_largest_length_that_fits():
    program = rasp.SelectorWidth(rasp.Select(rasp.tokens, rasp.tokens, rasp.Comparison.LT))
    vocab = tuple(range(100))
    with pytest.raises(CompileError, match="the largest that fits") as error:
        compile_rasp_to_llama(program, vocab, 100, causal=True, rope_theta=100.0)
    assert "use max_seq_len=" in error.value.problems[0].suggestion
    assert "100 rectangles" in error.value.problems[0].reason


def test_the_model_refuses_what_it_was_not_compiled_for():
    model = compile_rasp_to_llama(rasp.tokens, "ab", 3)
    with pytest.raises(InputError, match="at position 1"):
        model.encode(["a", "c"])
    for odd in (None, ["a"], {}):
        with pytest.raises(InputError, match="at position 0"):
            model.encode([odd])
    with pytest.raises(InputError, match="no sequence"):
        model.encode(5)
    with pytest.raises(InputError, match="at most 3"):
        model.encode(list("aaaa"))


def test_the_nodes_are_where_the_map_says():
    same = rasp.Select(rasp.tokens, rasp.tokens, rasp.Comparison.EQ)
    model = compile_rasp_to_llama(rasp.SelectorWidth(same & ORDER).named("hist"), "ab", 5)
    place = next(node for node in model.nodes if node.label.startswith("hist"))
    layer, head = place.heads[0]
    size = model.config["head_dim"]
    out = model.tensors[f"model.layers.{layer}.self_attn.o_proj.weight"]
    column = next(c for c, text, _, _ in place.columns if "1/(1+width)" in text)
    assert np.flatnonzero(out[column]).tolist() == [head * size]
