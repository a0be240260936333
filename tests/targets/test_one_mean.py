"""Two means over one selection become one, where those who read it tell no difference."""

from __future__ import annotations

import time

import pytest

from tests.targets.runtimes import inputs, wrong
from tracr_lite import catalog
from tracr_lite.compiler.graph import Aggregate
from tracr_lite.compiler.tracing import trace
from tracr_lite.errors import CompileError
from tracr_lite.rasp import causal_eval, rasp
from tracr_lite.targets import after_separator, compile_rasp_to_gpt2, compile_rasp_to_llama
from tracr_lite.targets.forward import logits
from tracr_lite.targets.one_mean import with_one_mean

SO_FAR = rasp.Select(rasp.indices, rasp.indices, rasp.Comparison.LEQ)
BEFORE = rasp.Select(rasp.indices, rasp.indices, rasp.Comparison.LT)


def mean(symbol, selector=SO_FAR, default=0):
    return rasp.Aggregate(selector, rasp.numerical(rasp.tokens == symbol), default)


def difference(x, y, a=1, b=-1):
    return rasp.numerical(rasp.LinearSequenceMap(x, y, a, b))


def means(graph):
    return sum(isinstance(node, Aggregate) for node in graph.nodes)


def check(program, vocab, size, compiler=compile_rasp_to_llama):
    model = compiler(program, vocab, size, causal=True)
    given = inputs(vocab, size, 10, 0)
    bad, total, _ = wrong(
        model,
        lambda ids: logits(model, ids),
        lambda xs: causal_eval.evaluate(program, xs),
        given,
    )
    assert bad == 0, f"{bad} of {total}"


BALANCE = difference(mean("a"), mean("b"))
TOGETHER = [
    BALANCE < 0,
    BALANCE == 0,
    rasp.SequenceMap(lambda x, y: (x, y), BALANCE < 0, BALANCE == 0),
    difference(mean("a"), mean("b"), 2, -3) > 0,
    rasp.Map(lambda x: x > 4, difference(mean("a", BEFORE, 3), mean("b", BEFORE, -2))),
]
MEANS = rasp.Aggregate(SO_FAR, mean("b"), default=0)
APART = {
    "the output itself": BALANCE,
    "other selectors": difference(mean("a"), mean("b", BEFORE)) < 0,
    "one mean twice": difference(mean("a"), mean("a")) < 0,
    "fractions": difference(mean("a"), mean("b"), 0.1, -0.1) < 0.05,
    "a value of which it raises": rasp.Map(lambda x: 1 / (x != 2 / 3 - 1 / 3), BALANCE),
    "means of means": difference(mean("a"), MEANS) < 0,
}
ROUNDING_TOLD_APART = {  # so finely, that float32 does not
    "all values": rasp.Map(lambda x: x, BALANCE),
    "one value": rasp.Map(lambda x: x == 2 / 3 - 1 / 3, BALANCE),
}


@pytest.mark.parametrize("program", TOGETHER)
@pytest.mark.parametrize("compiler", [compile_rasp_to_llama, compile_rasp_to_gpt2])
def test_together(program, compiler):
    before = trace(program)
    after = with_one_mean(before, list("abc"), 7)
    assert (means(before), len(after.nodes)) == (2, len(before.nodes) + 1)
    assert means(after) == 3, "those of before are dead"
    check(program, "abc", 7, compiler)


def left_alone(program):
    before = trace(program)
    return with_one_mean(before, list("abc"), 7) is before


@pytest.mark.parametrize("name", APART)
def test_apart(name):
    assert left_alone(APART[name])
    check(APART[name], "abc", 7)


@pytest.mark.parametrize("name", ROUNDING_TOLD_APART)
def test_refused_where_it_would_not_be_the_same(name):
    assert left_alone(ROUNDING_TOLD_APART[name])
    with pytest.raises(CompileError, match="too close to be told apart"):
        check(ROUNDING_TOLD_APART[name], "abc", 7)


def test_a_form_that_compares_means_compiles_in_seconds():
    entry = catalog.load("shuffle_dyck2")
    form = after_separator(entry.program, entry.vocab, 31)
    start = time.process_time()
    compile_rasp_to_llama(form.program, form.vocab, form.max_seq_len, causal=True)
    assert time.process_time() - start < 15  # 33 with all pairs of means
