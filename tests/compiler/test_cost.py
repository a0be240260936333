"""What compiling may not do: trace, initialise, or hold the weights more than twice."""

import subprocess
import sys
import tracemalloc

import haiku as hk
import jax
import numpy as np
import pytest

from tracr_lite.compiler import compile_rasp_to_model, lib, pack
from tracr_lite.rasp import rasp

BOS = "compiler_bos"


def sort(n):
    return lib.make_sort(rasp.tokens, rasp.tokens, max_seq_len=n, min_key=1)


@pytest.fixture
def jax_events():
    """Names of what JAX times while the test runs: tracing, lowering, compiling."""
    seen = []
    listen = lambda event, seconds, **_: seen.append(event)  # noqa: E731
    jax.monitoring.register_event_duration_secs_listener(listen)
    yield seen
    jax.monitoring.unregister_event_duration_listener(listen)


def test_compiling_traces_nothing(jax_events):
    model = compile_rasp_to_model(sort(5), {1, 2, 3}, 5)
    assert jax_events == []
    model.apply([BOS, 3, 1])
    assert any("trace" in event for event in jax_events)


def test_compiling_builds_no_haiku_module(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a Haiku module was called")

    monkeypatch.setattr(hk.Linear, "__call__", refuse)
    monkeypatch.setattr(hk.Embed, "__call__", refuse)
    model = compile_rasp_to_model(lib.make_hist(), set("abcdefg"), 3)
    with pytest.raises(AssertionError, match="Haiku"):
        model.apply([BOS, "a"])


def test_weights_are_written_whole_blocks_at_a_time():
    """The number of Python calls that fill the arrays does not grow with their size."""

    def calls(n, tokens):
        seen = []

        def note(frame, event, arg):
            if event == "call" and frame.f_code.co_filename == pack.__file__:
                seen.append(frame.f_code.co_name)

        program = sort(n)
        sys.setprofile(note)
        try:
            model = compile_rasp_to_model(program, set(range(1, tokens + 1)), n)
        finally:
            sys.setprofile(None)
        return len(seen), len(model.residual_labels)

    small, large = calls(4, 2), calls(20, 16)
    assert large[1] > 10 * small[1]
    assert 0 < large[0] <= 1.1 * small[0]


@pytest.mark.parametrize(
    ("program", "vocab", "n"),
    [
        (lib.make_reverse(rasp.tokens), set("abcd"), 120),
        (sort(100), {1, 2, 3, 4}, 100),
        (sort(20), set(range(1, 33)), 20),
        (lib.make_hist(), set("abcde"), 256),
    ],
    ids=["reverse", "sort, long", "sort, many tokens", "hist"],
)
def test_memory_stays_below_twice_the_parameters_and_100_mb(program, vocab, n):
    """As Python and numpy count it; zeros that are never touched count in full."""
    tracemalloc.start()
    try:
        model = compile_rasp_to_model(program, vocab, n)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    arrays = [array for group in model.params.values() for array in group.values()]
    assert peak < 2 * sum(array.nbytes for array in arrays) + 100 * 2**20


def test_every_stage_reports_its_time_and_sizes():
    model = compile_rasp_to_model(sort(5), {1, 2, 3}, 5)
    stages = {stage.name: stage for stage in model.trace.stages}
    assert list(stages) == ["trace", "infer", "lower", "place", "assemble"]
    assert all(stage.seconds >= 0 and stage.cpu_seconds >= 0 for stage in stages.values())
    arrays = [array for group in model.params.values() for array in group.values()]
    sizes = dict(stages["assemble"].sizes)
    assert sizes["parameters"] == sum(array.size for array in arrays)
    assert sizes["bytes"] == sum(array.nbytes for array in arrays)
    assert dict(stages["trace"].sizes) == {"nodes": len(model.graph.nodes)}
    assert dict(stages["place"].sizes) == {"layers": model.model_config.num_layers}


SHARDED = """
import jax, numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from tracr_lite.compiler import compile_rasp_to_model, lib
from tracr_lite.rasp import rasp

devices = jax.devices()
assert len(devices) == 8, devices
program = lib.make_sort(rasp.tokens, rasp.tokens, max_seq_len=9, min_key=1)
model = compile_rasp_to_model(program, {1, 2, 3}, 9)
rng = np.random.default_rng(0)
batch = [["compiler_bos", *rng.integers(1, 4, 9).tolist()] for _ in range(32)]
ids = np.array([model.input_encoder.encode(tokens) for tokens in batch])

mesh = Mesh(np.array(devices), ("batch",))
rows = NamedSharding(mesh, PartitionSpec("batch"))
whole = NamedSharding(mesh, PartitionSpec())
spread = jax.device_put(ids, rows)
dense = jax.jit(model.forward, in_shardings=(whole, rows))
pruned = jax.jit(model.shape.answer, in_shardings=(whole, rows))
for answers in (
    dense(model.params, spread).unembedded_output, pruned(model.pruned(), spread)
):
    assert len(answers.sharding.device_set) == 8
    decoded = [model.output_encoder.decode(row) for row in np.asarray(answers)[:, 1:].tolist()]
    assert decoded == [sorted(tokens[1:]) for tokens in batch]
assert model.apply_batch(batch) == [[t[0], *sorted(t[1:])] for t in batch]
print("same")
"""


def test_a_batch_laid_over_eight_devices_gives_the_same_answers():
    flags = "--xla_force_host_platform_device_count=8"
    done = subprocess.run(
        [sys.executable, "-c", SHARDED],
        env={"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu", "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "same\n", done.stderr


def test_the_first_answer_needs_no_more_than_the_forward_pass(jax_events):
    """A second call of the same shape compiles nothing."""
    model = compile_rasp_to_model(sort(6), {1, 2}, 6)
    first = model.apply([BOS, 2, 1]).decoded
    jax_events.clear()
    again = compile_rasp_to_model(sort(6), {1, 2}, 6)
    assert again.apply([BOS, 2, 1]).decoded == first == [BOS, 1, 2]
    assert again.apply([BOS, 2, 2, 2, 1]).decoded == [BOS, 1, 2, 2, 2]
    assert not any("compile" in event for event in jax_events)
    assert np.asarray(again.apply([BOS, 1]).unembedded).shape == (1, 2)
