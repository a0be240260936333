"""The benchmark measures what it says: references that find the same tokens, honest ratios."""

from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from tests.llama.running import gentle_weights
from tracr_lite.llama.bench.ours import Ours
from tracr_lite.llama.bench.references import (
    naive_jax_loop,
    numpy_loop,
    transformers_generate,
)
from tracr_lite.llama.bench.run import KINDS
from tracr_lite.llama.bench.shapes import SHAPES, TINY, random_weights
from tracr_lite.llama.bench.timing import Timing, in_turn
from tracr_lite.llama.cli import app
from tracr_lite.llama.cli_bench import say_what_is_missing
from tracr_lite.llama.errors import LlamaError
from tracr_lite.llama.formats.source import ArraySource
from tracr_lite.llama.params import load_params
from tracr_lite.llama.weights import shapes


def test_the_shapes_have_as_many_numbers_as_their_names_say():
    counts = {n: sum(map(np.prod, shapes(config).values())) for n, config in SHAPES.items()}
    assert {n: round(count / 1e6) for n, count in counts.items()} == {"15M": 15, "110M": 110}


def test_all_that_is_measured_finds_the_same_tokens():
    config = replace(TINY, shared_classifier=False)
    weights = gentle_weights(config)
    ours = Ours(config, load_params(config, ArraySource(weights), "float32"), batch=2)
    found = ours.decode(20)
    assert len(set(found)) > 3
    assert ours.decode(20) == found
    assert ours.decode(70)[:20] == found
    assert numpy_loop(config, weights)(20) == found
    assert naive_jax_loop(config, weights)(20) == found
    assert ours.prefill(1) == found[0]


def test_the_native_engine_is_measured_on_the_same_tokens():
    pytest.importorskip("numba", reason="the native engine needs numba")
    from tracr_lite.llama.bench.ours_native import OursNative

    config = replace(TINY, shared_classifier=False)
    weights = gentle_weights(config)
    params = load_params(config, ArraySource(weights), "float32")
    ours = OursNative(config, params, batch=2)
    found = numpy_loop(config, weights)(70)
    assert ours.decode(70) == found
    assert ours.decode(20) == found[:20]
    assert ours.prefill(1) == found[0]
    assert ours.memory() > 1


def test_a_native_engine_that_cannot_be_had_is_not_left_out_without_a_word(monkeypatch, capsys):
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    words = ["bench", "--shape", "tiny", "--engine", "native"]
    found = CliRunner().invoke(app, words)
    assert isinstance(found.exception, LlamaError)
    assert "the native engine cannot be measured: " in str(found.exception)
    say_what_is_missing(())
    assert capsys.readouterr().err.startswith("note: the native engine is left out: ")
    say_what_is_missing(("jax",))
    assert capsys.readouterr().err == ""


def test_transformers_generates_as_many_tokens_as_it_is_asked_for():
    pytest.importorskip("transformers", reason="needs transformers")
    assert len(transformers_generate(TINY)(5)) == 5


def test_ratios_are_medians_of_rounds():
    quick = Timing(10, (1.0, 4.0, 2.0), (1.0, 1.0, 0.5))
    slow = Timing(5, (2.0, 6.0, 1.0), (2.0, 2.0, 2.0))
    assert quick.over(slow) == 3.0  # of 4, 3 and 1
    assert quick.best == 10
    assert quick.median == 5
    assert quick.cpu_ms == 50
    assert quick.best_over(slow) == 2


def test_things_run_in_turn_and_once_before():
    order = []
    found = in_turn(
        {"a": (1, lambda: order.append("a")), "b": (2, lambda: order.append("b"))}, 2
    )
    assert order == ["a", "b"] * 3
    assert [len(found[name].wall) for name in "ab"] == [2, 2]


@pytest.mark.heavy
@pytest.mark.parametrize("kind", KINDS)
def test_a_step_needs_little_more_memory_than_weights_and_cache(kind):
    config, (dtype, activations) = SHAPES["15M"], KINDS[kind]
    source = ArraySource(random_weights(config))
    ours = Ours(config, load_params(config, source, dtype, activations))
    assert 1 <= ours.memory() < 1.2


@pytest.mark.heavy
def test_the_command_prints_every_ratio():
    found = CliRunner().invoke(app, ["bench", "--shape", "tiny", "--quick"])
    assert found.exit_code == 0, found.output
    for words in (
        "float32, JAX over numpy loop",
        "int8, JAX: batch of 16 over 1",
        "memory of a step",
    ):
        assert words in found.output
