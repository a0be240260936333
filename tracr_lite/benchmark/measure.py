"""Takes the figures: medians of several runs, each beside a reference of the same run."""

# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownLambdaType=false
# (jax is typed in part only)

from __future__ import annotations

import gc
import random
import statistics
import time
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from tracr_lite.benchmark.cases import Case
from tracr_lite.compiler.assembled import AssembledTransformerModel
from tracr_lite.compiler.compiling import COMPILER_BOS, compile_rasp_to_model
from tracr_lite.compiler.forward import bucket, jitted, jitted_answer
from tracr_lite.compiler.lowering.mlp_neurons import MADE
from tracr_lite.compiler.lowering.scores import WEIGHTS
from tracr_lite.compiler.values.counting import BOUNDS
from tracr_lite.compiler.values.means import LATEST

RUNS = 7
SHORT = 5  # tokens of a short sequence
PATIENCE = 2.0  # seconds of runs of one figure, after which fewer runs will do
BATCH_TOKENS = 2**15  # tokens of the batch whose throughput is measured,
BATCH_WORK = 2e10  # or fewer, so that tokens times parameters stays below this


@dataclass(frozen=True)
class Timed:
    """Seconds of wall time and of processor time (all threads)."""

    wall: float
    cpu: float


@dataclass(frozen=True)
class Compiled:
    """What compiling one case cost.

    **Arguments:**
    - `stages`: CPU seconds by name; `total`: of all of them.
    - `writing`: CPU seconds to write arrays of the same shapes once: the least it could be.
    - `bytes`: size of the parameters; `peak`: most memory in use at a time while compiling.
    - `nonzero`: share of the parameters that are not zero.
    """

    case: Case
    stages: dict[str, float]
    total: Timed
    writing: float
    layers: int
    d_model: int
    parameters: int
    bytes: int
    peak: int
    nonzero: float


@dataclass(frozen=True)
class Running:
    """What running one case cost.

    **Arguments:**
    - `first`, `one`: wall seconds of `apply` to one sequence, the first time and then.
    - `short`: of `apply` to at most five tokens; `short_dense`: of the jitted forward pass of
      the whole network on the same ids.
    - `batch`: sequences per second of `apply_batch`, from lists of values to lists of values.
    - `ids`: of `apply_ids`, from an array of ids to an array of answers.
    - `pruned`, `dense`: of the jitted forward alone, ids in and answers out, with the zeros cut
      out and without.
    - `weights`: share of the parameters that pruning leaves.
    """

    case: Case
    first: float
    one: float
    short: float
    short_dense: float
    batch: float
    ids: float
    pruned: float
    dense: float
    weights: float


def in_turn(calls: Sequence[Callable[[], Any]], runs: int = RUNS) -> list[float]:
    """Median wall seconds of each call, in rounds: a slow moment of the machine slows all.

    The first round does not count; of slow calls three others are enough.
    """
    walls: list[list[float]] = []
    for done in range(runs + 1):
        if done >= 4 and sum(map(sum, walls)) > PATIENCE * len(calls):
            break
        walls.append([])
        for call in calls:
            started = time.perf_counter()
            call()
            walls[-1].append(time.perf_counter() - started)
    return [statistics.median(each) for each in zip(*walls[1:], strict=True)]


def median(call: Callable[[], Any], runs: int = RUNS) -> Timed:
    """Of several runs, after one that does not count; of three at least, if they are slow."""
    call()
    walls: list[float] = []
    cpus: list[float] = []
    for done in range(runs):
        if done >= 3 and sum(walls) > PATIENCE:
            break
        wall, cpu = time.perf_counter(), time.process_time()
        call()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return Timed(statistics.median(walls), statistics.median(cpus))


def build(case: Case) -> AssembledTransformerModel:
    """The compiled case, from a program made anew."""
    return compile_rasp_to_model(case.program(), case.vocab, case.n, causal=case.causal)


def compiling(case: Case, runs: int = RUNS) -> Compiled:
    """Compiles a case several times."""
    models: list[AssembledTransformerModel] = []

    def once() -> None:
        for each in (
            MADE,
            WEIGHTS,
            LATEST,
            BOUNDS,
        ):  # else it would be known from the run before
            each.forget()
        models[:] = [build(case)]
        assert models[0].trace is not None
        stages.append({s.name: s.cpu_seconds for s in models[0].trace.stages})

    stages: list[dict[str, float]] = []
    total = median(once, runs)
    (model,) = models
    arrays = [np.asarray(a) for group in model.params.values() for a in group.values()]
    size = sum(array.size for array in arrays)
    shapes = [array.shape for array in arrays]
    nonzero = sum(int(np.count_nonzero(array)) for array in arrays) / size
    writing = median(lambda: [np.ones(shape, np.float32) for shape in shapes], runs).cpu
    layers, d_model = model.model_config.num_layers, len(model.residual_labels)
    stored = sum(array.nbytes for array in arrays)
    del model, arrays, models[:]
    return Compiled(
        case,
        {name: statistics.median(s[name] for s in stages[1:]) for name in stages[0]},
        total,
        writing,
        layers,
        d_model,
        size,
        stored,
        _peak(case),
        nonzero,
    )


def _peak(case: Case) -> int:
    gc.collect()
    tracemalloc.start()
    try:
        build(case)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def running(case: Case, runs: int = RUNS) -> Running:
    """Runs a case on one sequence and on a batch of sequences of length n."""
    model = build(case)
    rng = random.Random(0)
    size = sum(int(a.size) for group in model.params.values() for a in group.values())
    tokens = min(BATCH_TOKENS, int(BATCH_WORK / size))
    count = max(4, tokens // (case.n + 1))
    batch = [[COMPILER_BOS, *rng.choices(case.vocab, k=case.n)] for _ in range(count)]
    started = time.perf_counter()
    model.apply(batch[0])
    first = time.perf_counter() - started
    one = median(lambda: model.apply(batch[0]), 20 * runs).wall
    short = _short(model, batch[0][: SHORT + 1], 20 * runs)
    assert model.input_encoder is not None
    assert model.shape is not None
    ids = np.asarray([model.input_encoder.encode(tokens) for tokens in batch], np.int32)
    held, params = jax.device_put(model.pruned()), jax.device_put(model.params)
    pruned = model.pruned()
    assert pruned is not None
    answer = jitted_answer(model.shape)
    forward: Any = jax.jit(lambda params, ids: model.forward(params, ids).unembedded_output)
    calls = {
        "batch": lambda: model.apply_batch(batch),
        "ids": lambda: model.apply_ids(ids),
        "pruned": lambda: np.asarray(answer(held, ids)),
        "dense": lambda: np.asarray(forward(params, ids)),
    }
    seconds = zip(calls, in_turn(list(calls.values()), runs), strict=True)
    rates = {name: count / each for name, each in seconds}
    return Running(case, first, one, *short, weights=pruned.size / size, **rates)


def _short(
    model: AssembledTransformerModel, tokens: list[Any], runs: int
) -> tuple[float, float]:
    """Wall seconds of `apply`, and of the bare forward pass of the whole network."""
    assert model.input_encoder is not None
    assert model.shape is not None
    size = bucket(len(tokens), model.shape.positions)
    ids = np.full((1, size), model.shape.pad_token, np.int32)
    ids[0, : len(tokens)] = model.input_encoder.encode(tokens)
    params, forward = jax.device_put(model.params), jitted(model.shape)
    apply = median(lambda: model.apply(tokens), runs)
    dense = median(lambda: np.asarray(forward(params, ids).unembedded_output), runs)
    return apply.wall, dense.wall
