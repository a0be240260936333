"""Every program in programs/, compared with its reference: interpreted, and compiled.

A new program is one new file there, and nothing here.
"""

import itertools
import math
import random
import shlex
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from tracr_lite import catalog
from tracr_lite.cli import inputs
from tracr_lite.rasp import causal_eval, rasp

NAMES = catalog.names()
EXHAUSTIVE = 4000  # lengths with no more inputs than this are tried completely
every_program = pytest.mark.parametrize("name", NAMES)


@cache
def load(name: str) -> catalog.Entry:
    return catalog.load(name)


def interpret(entry: catalog.Entry, xs: list[Any]) -> list[Any]:
    evaluate = causal_eval.evaluate if entry.causal else rasp.evaluate
    return list(evaluate(entry.program, xs))


def same(expected: Any, found: Any, tolerance: float) -> bool:
    """Equal; numbers up to `tolerance`, but a number is never None or a string."""
    if isinstance(expected, (int, float)) and isinstance(found, (int, float)):
        return math.isclose(expected, found, rel_tol=tolerance, abs_tol=tolerance / 10)
    return expected == found


def assert_same(xs: list[Any], expected: Any, found: Any, tolerance: float) -> None:
    pairs = zip(expected, found, strict=True)
    assert all(same(x, y, tolerance) for x, y in pairs), f"{xs}: not {expected} but {found}"


def all_short(entry: catalog.Entry) -> Iterator[list[Any]]:
    for n in range(1, entry.max_seq_len + 1):
        if len(entry.vocab) ** n > EXHAUSTIVE:
            return
        yield from map(list, itertools.product(entry.vocab, repeat=n))


def equal_tokens(entry: catalog.Entry) -> Iterator[list[Any]]:
    for n, x in itertools.product(range(1, entry.max_seq_len + 1), entry.vocab):
        yield [x] * n


def random_of_each_length(entry: catalog.Entry, each: int) -> Iterator[list[Any]]:
    rng = random.Random(entry.name)
    for n in range(1, entry.max_seq_len + 1):
        for _ in range(each):
            yield [rng.choice(entry.vocab) for _ in range(n)]


def compile_program(entry: catalog.Entry) -> Any:
    from tracr_lite.compiler import compiling

    vocab = set(entry.vocab)
    return compiling.compile_rasp_to_model(
        entry.program, vocab, entry.max_seq_len, causal=entry.causal
    )


def run_compiled(model: Any, xs: list[Any]) -> list[Any]:
    return model.apply(["compiler_bos", *xs]).decoded[1:]


def check_compiled(entry: catalog.Entry, each: int) -> None:
    """Against the reference; beyond the precondition, against the interpreter if it answers."""
    model = compile_program(entry)
    for xs, expected in entry.examples:
        assert_same(xs, expected, run_compiled(model, xs), 1e-5)
    for xs in itertools.chain(equal_tokens(entry), random_of_each_length(entry, each)):
        if entry.valid(xs):
            expected = entry.reference(list(xs))
        else:
            try:
                expected = interpret(entry, xs)
            except Exception:
                continue
        assert_same(xs, expected, run_compiled(model, xs), 1e-5)


def test_there_are_enough_programs():
    assert len(NAMES) >= 34
    assert list(NAMES) == list(catalog.summaries())


@every_program
def test_examples_are_what_the_reference_says(name):
    entry = load(name)
    assert entry.examples
    for xs, expected in entry.examples:
        assert set(xs) <= set(entry.vocab)
        assert len(xs) <= entry.max_seq_len
        assert entry.valid(xs)
        assert_same(xs, expected, entry.reference(list(xs)), 1e-12)


@every_program
def test_interpreter_agrees_with_the_reference(name):
    entry = load(name)
    tried = 0
    longer = random_of_each_length(entry, 40)
    for xs in itertools.chain(all_short(entry), equal_tokens(entry), longer):
        if entry.valid(xs):
            assert_same(xs, entry.reference(list(xs)), interpret(entry, xs), 1e-9)
            tried += 1
    assert tried > 100


@every_program
def test_compiled_model_agrees_with_the_reference(name):
    check_compiled(load(name), each=4)


@pytest.mark.heavy
@every_program
def test_compiled_model_agrees_with_the_reference_on_many_inputs(name):
    check_compiled(load(name), each=200)


@every_program
def test_docstring_has_a_picture_and_a_command_that_runs(name):
    entry = load(name)
    doc = entry.module.__doc__
    assert entry.summary[-1] in ".?"
    assert " -> " in doc
    (line,) = (line for line in doc.splitlines() if line.startswith("Run:"))
    tool, command, shown, *words = shlex.split(line.removeprefix("Run:"))
    assert (tool, command, shown) == ("tracr-lite", "run", name)
    request = inputs.make_request(entry, words)
    xs = request.tokens
    assert_same(xs, entry.reference(list(xs)), interpret(entry, xs), 1e-9)
