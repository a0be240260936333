"""Choosing the next token from the logits as run.c does: same generator, order and token.

All arithmetic is float32 in the order of run.c: sums run from left to right, and equal
probabilities keep the order of their ids (run.c sorts with qsort, which glibc makes stable;
with other C libraries run.c may order equal probabilities differently). The one step that is
not the same bit for bit is `expf`: that of `sampler_exp` and that of glibc 2.36 differ in about
one value out of two thousand, by one unit in the last place.

`sampler_jax` makes the same choice inside compiled loops.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from jaxtyping import Float

from tracr_lite.llama.errors import LlamaError
from tracr_lite.llama.sampler_exp import exp_of_minus
from tracr_lite.llama.sampler_rng import Xorshift
from tracr_lite.llama.sampler_settings import SamplerSettings, is_positive_integer

Numbers = Float[np.ndarray, " vocab"]  # float32


class Sampler:
    """Chooses tokens; holds the state of the random numbers and nothing else.

    **Arguments:**
    - `vocab_size`: length of the logits.
    - `temperature`, `top_p`, `top_k`, `repetition_penalty`: see `SamplerSettings`; the order in
      which they act is at the head of that file.
    - `seed`: from 1 to 2**64 - 1; `run_c_seed` gives what run.c makes of its `-s`.

    **Raises:** `LlamaError` for values that have no meaning.
    Source: llama2.c, run.c, `sample` (350e04f).
    """

    def __init__(
        self,
        vocab_size: int,
        temperature: float = 1.0,
        top_p: float = 0.9,
        seed: int = 1,
        top_k: int | None = None,
        repetition_penalty: float | None = None,
    ):
        if not is_positive_integer(vocab_size):
            raise LlamaError(f"vocab_size is {vocab_size!r}, not a positive integer")
        self.vocab_size = int(vocab_size)
        self.settings = SamplerSettings(temperature, top_p, top_k, repetition_penalty)
        self.rng = Xorshift(seed)

    def sample(self, logits: np.ndarray, seen: Iterable[int] = ()) -> int:
        """The next token.

        One number is drawn, or none when greedy. `logits` is not modified.

        **Arguments:**
        - `logits`: (vocab_size,), used as float32.
        - `seen`: ids that the repetition penalty holds against; without one they do not matter.

        **Raises:** `LlamaError` if the shape is wrong, if there is a NaN, if no softmax exists
        (an infinite logit, or all minus infinity), or if an id in `seen` is not in the
        vocabulary.
        """
        settings = self.settings
        values = self._check(logits)
        if settings.repetition_penalty is not None:
            values = penalized(values, self._ids(seen), settings.repetition_penalty)
        if settings.greedy:
            return int(values.argmax())
        probabilities = softmax(top_k(scaled(values, settings.temperature), settings.top_k))
        coin = np.float32(self.rng.next_f32())
        if settings.uses_top_p:
            return choose_top_p(probabilities, np.float32(settings.top_p), coin)
        return choose(probabilities, coin)

    def _check(self, logits: np.ndarray) -> Numbers:
        values = np.asarray(logits, np.float32)
        if values.shape != (self.vocab_size,):
            raise LlamaError(
                f"the logits have shape {values.shape}; this sampler takes ({self.vocab_size},)"
            )
        if np.isnan(values).any():
            raise LlamaError(
                f"logit {int(np.isnan(values).argmax())} is NaN: the model or its weights are "
                "broken, there is nothing to choose from"
            )
        return values

    def _ids(self, seen: Iterable[int]) -> np.ndarray:
        ids = np.unique(np.fromiter(seen, np.int64))
        if ids.size and not 0 <= ids[0] <= ids[-1] < self.vocab_size:
            raise LlamaError(
                f"seen holds ids from {ids[0]} to {ids[-1]}; the vocabulary has "
                f"{self.vocab_size}"
            )
        return ids


def penalized(logits: Numbers, ids: np.ndarray, penalty: float) -> Numbers:
    """The logits, those at `ids` divided by `penalty` if positive, else multiplied by it."""
    factor, found = np.float32(penalty), logits[ids]
    values = logits.copy()
    with np.errstate(over="ignore"):
        values[ids] = np.where(found > 0, found / factor, found * factor)
    return values


def scaled(logits: Numbers, temperature: float) -> Numbers:
    """The logits divided by the temperature; the greatest is finite, others may be -inf."""
    with np.errstate(over="ignore"):
        values = logits / np.float32(temperature)
    if not np.isfinite(values.max()):
        raise LlamaError(
            f"no probabilities: the greatest logit is {logits.max()}, and {values.max()} after "
            f"division by the temperature {temperature}; temperature 0 needs no probabilities"
        )
    return values


def top_k(logits: Numbers, k: int | None) -> Numbers:
    """The logits, all but the `k` greatest set to minus infinity; of equals the first stay."""
    if k is None or k >= len(logits):
        return logits
    kept = np.argsort(-logits, kind="stable")[:k]
    values = np.full_like(logits, -np.inf)
    values[kept] = logits[kept]
    return values


def softmax(logits: Numbers) -> Numbers:
    """The probabilities; the sum runs from left to right in float32."""
    with np.errstate(over="ignore"):
        powers = exp_of_minus(np, logits.max() - logits)
    return powers / running_sums(powers)[-1]


def choose(probabilities: Numbers, coin: np.float32) -> int:
    """The first token where `coin` is below the probabilities summed so far, else the last."""
    below = coin < running_sums(probabilities)
    return int(below.argmax()) if below.any() else len(probabilities) - 1


def choose_top_p(probabilities: Numbers, top_p: np.float32, coin: np.float32) -> int:
    """`choose` among the most likely tokens, up to the one that brings their sum above `top_p`.

    Tokens too unlikely to be among them are left out before sorting. Where that leaves none
    (top_p below 1 / vocab_size and a flat distribution; there run.c reads outside its array)
    the most likely token is the answer.
    """
    others = np.float32(max(len(probabilities) - 1, 1))
    kept = np.flatnonzero(probabilities >= (np.float32(1) - top_p) / others)
    if not kept.size:
        return int(probabilities.argmax())
    order = kept[np.argsort(-probabilities[kept], kind="stable")]
    sums = running_sums(probabilities[order])
    above = sums > top_p
    last = int(above.argmax()) if above.any() else len(sums) - 1
    below = coin * sums[last] < sums[: last + 1]
    return int(order[below.argmax() if below.any() else last])


def running_sums(values: Numbers) -> Numbers:
    """All partial sums from the left, each rounded to float32."""
    return np.add.accumulate(values, dtype=np.float32)
