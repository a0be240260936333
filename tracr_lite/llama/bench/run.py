"""The measurements: which things are run in turn, and what is compared with what."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import numpy as np

from tracr_lite.llama.bench.ours import Ours
from tracr_lite.llama.bench.references import (
    naive_jax_loop,
    numpy_loop,
    transformers_generate,
)
from tracr_lite.llama.bench.shapes import random_weights
from tracr_lite.llama.bench.timing import Timing, in_turn
from tracr_lite.llama.config import LlamaConfig
from tracr_lite.llama.engines import MOST_AHEAD, missing
from tracr_lite.llama.formats.source import ArraySource
from tracr_lite.llama.int8 import Activations
from tracr_lite.llama.params import Dtype, Params, load_params
from tracr_lite.llama.weights import LlamaWeights

PROMPT = 256  # tokens of the prompt that is run in one pass
BATCH = 16
KINDS: dict[str, tuple[Dtype, Activations]] = {
    "float32": ("float32", "float32"),
    "bfloat16": ("bfloat16", "float32"),
    "int8": ("int8", "float32"),
    "int8, q80": ("int8", "q80"),
}
ENGINES = ("native", "jax")
READ = "reading only"  # products of float32 matrices as large as the model, by numpy
AHEAD = ", looking ahead"  # with tokens that are guessed


class Model(Protocol):
    """`Ours` and `OursNative`."""

    config: LlamaConfig
    params: Params

    def __init__(self, config: LlamaConfig, params: Params, batch: int = 1): ...
    def decode(self, count: int) -> list[int]: ...
    def prefill(self, count: int) -> int: ...
    def memory(self) -> float: ...


@dataclass(frozen=True)
class Comparison:
    """How many times faster one thing is than another, by the median and by the best rounds."""

    what: str
    median: float
    best: float


@dataclass
class Report:
    """What was found for one shape.

    - `decoding`, `prompts`, `batches`: seconds for each kind; `nbytes`: of its weights.
    - `comparisons`: ratios. `memory`: of a decoding step, over weights and cache, per kind.
    """

    decoding: dict[str, Timing] = field(default_factory=dict[str, Timing])
    prompts: dict[str, Timing] = field(default_factory=dict[str, Timing])
    batches: dict[str, Timing] = field(default_factory=dict[str, Timing])
    nbytes: dict[str, int] = field(default_factory=dict[str, int])
    comparisons: list[Comparison] = field(default_factory=list[Comparison])
    memory: dict[str, float] = field(default_factory=dict[str, float])
    seconds: float = 0.0


def measure(
    config: LlamaConfig,
    tokens: int,
    rounds: int,
    kinds: Sequence[str] = tuple(KINDS),
    engines: Sequence[str] = ENGINES,
) -> Report:
    """Measures one shape: `tokens` per run, in `rounds` rounds."""
    begun, report, weights = time.monotonic(), Report(), random_weights(config)
    models, ahead = dict[str, Model](), dict[str, Model]()
    for kind in kinds:
        params = _load(config, weights, *KINDS[kind])
        if "native" in engines and missing() is None:
            from tracr_lite.llama.bench.ours_native import OursNative

            models[kind] = OursNative(config, params)
            ahead[kind + AHEAD] = OursNative(config, params, lookahead=MOST_AHEAD)
        if "jax" in engines:
            models[f"{kind}, JAX"] = Ours(config, params)
    _decoding(report, config, weights, models, ahead, tokens, rounds)
    for name, model in models.items():
        report.memory[name] = model.memory()
        _prompts_and_batches(report, name, model, tokens, rounds)
    report.seconds = time.monotonic() - begun
    return report


def _load(
    config: LlamaConfig, weights: LlamaWeights, dtype: Dtype, activations: Activations
) -> Params:
    return load_params(config, ArraySource(weights), dtype, activations)


def _decoding(
    report: Report,
    config: LlamaConfig,
    weights: LlamaWeights,
    models: dict[str, Model],
    ahead: dict[str, Model],
    tokens: int,
    rounds: int,
) -> None:
    """One token after another, batch 1, and the references in the same rounds."""
    references = {
        "transformers": transformers_generate(config),
        f"transformers{AHEAD}": transformers_generate(config, MOST_AHEAD) if ahead else None,
        "naive JAX loop": naive_jax_loop(config, weights),
        "numpy loop": numpy_loop(config, weights),
    }
    runs = {name: model.decode for name, model in (models | ahead).items()}
    runs |= {name: decode for name, decode in references.items() if decode is not None}
    things: dict[str, tuple[int, Callable[[], object]]] = {
        name: (tokens, partial(decode, tokens)) for name, decode in runs.items()
    }
    whole = sum(t.size for t in weights.tensors().values() if isinstance(t, np.ndarray))
    things[READ] = (4, partial(_read, np.ones((whole // 1024, 1024), np.float32)))
    report.decoding |= in_turn(things, rounds)
    every = models | ahead
    report.nbytes |= {name: model.params.nbytes for name, model in every.items()}
    report.nbytes |= {name: 4 * whole for name in things if name not in every}
    for name in every:
        others = [n for n in references if n in runs and n.endswith(AHEAD) <= (name in ahead)]
        for other in (*others, *([READ] if name in models else [])):
            _compare(report, f"{name} over {other}", *_pair(report, name, other))


def _read(matrix: np.ndarray) -> None:
    """Four passes over as many numbers as the model has, by numpy's BLAS."""
    for _ in range(4):
        np.dot(matrix, matrix[0])


def _prompts_and_batches(
    report: Report, name: str, model: Model, tokens: int, rounds: int
) -> None:
    """A prompt in one pass, and a batch, beside decoding one by one in the same rounds."""
    many = type(model)(model.config, model.params, BATCH)
    found = in_turn(
        {
            "one": (tokens, partial(model.decode, tokens)),
            "prompt": (PROMPT, partial(model.prefill, PROMPT)),
            "batch": (tokens * BATCH, partial(many.decode, tokens)),
        },
        rounds,
    )
    report.prompts[name], report.batches[name] = found["prompt"], found["batch"]
    one = found["one"]
    _compare(report, f"{name}: prompt of {PROMPT} over one by one", found["prompt"], one)
    _compare(report, f"{name}: batch of {BATCH} over 1", found["batch"], one)


def _pair(report: Report, one: str, other: str) -> tuple[Timing, Timing]:
    return report.decoding[one], report.decoding[other]


def _compare(report: Report, what: str, one: Timing, other: Timing) -> None:
    report.comparisons.append(Comparison(what, one.over(other), one.best_over(other)))
