"""Training the compressing matrix with optax. Can be stopped and continued, to the same
bits."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownLambdaType=false
# (jax and optax are typed in part only)

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from tracr_lite.lora.errors import LoraError
from tracr_lite.lora.optim import import_optax
from tracr_lite.lora.superposition.checkpoint import load_state, save_state
from tracr_lite.lora.superposition.problem import Problem

CHUNK = 250  # steps that run without coming back to Python


@dataclass(frozen=True)
class Training:
    """How a matrix is trained.

    **Arguments:**
    - `size`: dimensions of the compressed stream.
    - `steps`, `batch`: of the optimiser, Adam, whose rate falls from `learning_rate` to a
      hundredth of it along half a cosine.
    - `output_weight`: of the loss of the answers, next to that of the stream, which is 1.
    - `restarts`: so many matrices are trained at once; the best one counts.
    - `start`: "pca": the first matrix has the directions that vary most, which lose nothing
      down to the rank; the others are normal. "random": all are.

    **Raises:** `LoraError` for numbers that make no sense.
    """

    size: int
    steps: int = 2000
    batch: int = 256
    learning_rate: float = 0.01
    output_weight: float = 30.0
    restarts: int = 4
    seed: int = 0
    start: Literal["pca", "random"] = "pca"

    def __post_init__(self) -> None:
        for name in ("size", "steps", "batch", "restarts"):
            number: Any = getattr(self, name)  # annotations are not enforced
            if isinstance(number, bool) or not isinstance(number, int) or number < 1:
                raise LoraError(f"{name} must be an int, 1 or more; got {number!r}")
        for name in ("learning_rate", "output_weight"):
            if not getattr(self, name) >= 0:
                raise LoraError(f"{name} must not be negative; got {getattr(self, name)}")
        if self.start not in ("pca", "random"):
            raise LoraError(f"start must be 'pca' or 'random'; got {self.start!r}")


@dataclass(frozen=True)
class Result:
    """The best matrix of a training, or the first one it started with, if that is better.

    - `w`: [size, d_model]; `accuracy`: of it; `accuracies`: of every restart at the end.
    - `losses`: [chunks, restarts], means over chunks of steps.
    """

    w: np.ndarray
    accuracy: float
    accuracies: list[float]
    losses: np.ndarray

    @property
    def overlap(self) -> np.ndarray:
        """[d_model, d_model]: how much of direction i comes back as direction j."""
        return self.w.T @ self.w


def train(
    problem: Problem,
    training: Training,
    *,
    checkpoint: str | Path | None = None,
    progress: bool = True,
    stop_after: int | None = None,
) -> Result:
    """Trains a matrix.

    **Arguments:**
    - `checkpoint`: a file to continue from if it is there, and to save to after every chunk of
      steps. What is continued ends at the same bits as what was never stopped.
    - `progress`: show a bar. `stop_after`: steps in this call at most.

    **Raises:** `LoraError` if the checkpoint is of another problem or training.
    """
    if training.size > problem.d_model:
        raise LoraError(f"size {training.size} is more than d_model, {problem.d_model}")
    path = None if checkpoint is None else Path(checkpoint)
    tx = _optimiser(training)
    first = start(problem, training)
    state = (first, jax.vmap(tx.init)(first))
    losses = np.zeros((0, training.restarts), np.float32)
    done = 0
    if path is not None and path.exists():
        state, losses, done = load_state(path, state, training, problem.digest)
    chunk = _chunk(problem, training)
    last = min(training.steps, training.steps if stop_after is None else done + stop_after)
    with _bar(progress) as bar:
        task = bar.add_task(f"size {training.size}", total=training.steps, completed=done)
        while done < last:
            count = min(CHUNK - done % CHUNK, last - done)
            state, loss = chunk(state, done, count)
            losses, done = np.concatenate([losses, np.asarray(loss)[None]]), done + count
            if path is not None:
                save_state(path, state, losses, done, training, problem.digest)
            shown = f"size {training.size}, loss {float(losses[-1].min()):.4g}"
            bar.update(task, completed=done, description=shown)
    return _best(problem, state[0], losses, first[:1])


def start(problem: Problem, training: Training) -> jax.Array:
    """[restarts, size, d_model]: the first matrices."""
    shape = (training.restarts, training.size, problem.d_model)
    ws = jax.random.normal(jax.random.PRNGKey(training.seed), shape) / problem.d_model**0.5
    if training.start == "random":
        return ws
    return ws.at[0].set(jnp.asarray(problem.directions[: training.size], ws.dtype))


def _optimiser(training: Training) -> Any:
    optax = import_optax()
    rate = optax.cosine_decay_schedule(training.learning_rate, training.steps, 0.01)
    return optax.adam(rate)


@lru_cache(maxsize=4)
def _chunk(problem: Problem, training: Training) -> Callable[..., Any]:
    """A compiled function of state, first step and number of steps."""
    optax, tx = import_optax(), _optimiser(training)
    inputs = problem.embeddings.shape[0]
    root = jax.random.PRNGKey(training.seed + 1)

    def loss(w: jax.Array, rows: jax.Array) -> jax.Array:
        stream, answers = problem.losses(w, rows)
        return stream + training.output_weight * answers

    def one(state: Any, rows: jax.Array) -> tuple[Any, jax.Array]:
        w, inner = state
        value, gradient = jax.value_and_grad(loss)(w, rows)
        updates, inner = tx.update(gradient, inner, w)
        return (optax.apply_updates(w, updates), inner), value

    @jax.jit
    def run(state: Any, first: int, count: int) -> tuple[Any, jax.Array]:
        def step(i: jax.Array, carry: tuple[Any, jax.Array]) -> tuple[Any, jax.Array]:
            state, total = carry
            rows = jax.random.choice(jax.random.fold_in(root, i), inputs, (training.batch,))
            state, values = jax.vmap(one, in_axes=(0, None))(state, rows)
            return state, total + values

        total = jnp.zeros(training.restarts)
        state, total = jax.lax.fori_loop(first, first + count, step, (state, total))
        return state, total / count

    return run


def _best(problem: Problem, ws: Any, losses: np.ndarray, other: Any) -> Result:
    """`other`: a matrix that counts too, if all are worse: a perfect one that was trained may
    have been worn off."""
    every = jnp.concatenate([ws, other])
    accuracies = problem.accuracies(every)
    last = [*losses[-1], np.inf] if len(losses) else np.zeros(len(every))
    best = max(range(len(every)), key=lambda i: (accuracies[i], -float(last[i])))
    return Result(np.asarray(every[best]), accuracies[best], accuracies[:-1], losses)


def _bar(shown: bool) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, TimeRemainingColumn(), disable=not shown)
