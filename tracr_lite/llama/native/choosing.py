"""What compiled code is told of how tokens are chosen, and its room to work in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tracr_lite.llama.sampler_rng import Xorshift
from tracr_lite.llama.sampler_settings import SamplerSettings

NO_TOKEN = -1  # what is chosen where `Sampler` would raise
DIGIT, DIGITS = 10, 3  # bits of a probability, at most 1.0, that are put in order at a time
MOST_KEPT = 1 << 62  # what 64 bits hold, and more than any vocabulary has
F32 = np.float32


class How(NamedTuple):
    """`SamplerSettings` for compiled code."""

    greedy: bool
    penalizes: bool
    cuts: bool  # by `top_p`
    temperature: np.float32
    top_p: np.float32
    penalty: np.float32
    top_k: int  # 0: all


class Desk(NamedTuple):
    """Room to work in. What all threads have of it has an axis more in front."""

    values: np.ndarray  # float32 (vocab,)
    chances: np.ndarray  # float32 (vocab,)
    keys: np.ndarray  # uint32 (vocab,)
    ids: np.ndarray  # int32 (2, vocab)
    counts: np.ndarray  # int64 (2 ** DIGIT,)


def how_of(settings: SamplerSettings) -> How:
    """Settings for `choose`."""
    penalty = settings.repetition_penalty
    return How(
        settings.greedy,
        penalty is not None,
        settings.uses_top_p,
        F32(settings.temperature),
        F32(settings.top_p),
        F32(1 if penalty is None else penalty),
        min(int(settings.top_k or 0), MOST_KEPT),
    )


class Choosing(NamedTuple):
    """How the tokens of the texts of a batch are chosen."""

    how: How
    random: np.ndarray  # uint64 (texts, 1), the states of their generators
    seen: np.ndarray  # bool (texts, vocab), or (texts, 0) where nothing is penalized
    desks: Desk

    @property
    def plain(self) -> bool:
        """Whether the greatest logit wins as it is: then there are no desks."""
        return self.how.greedy and not self.how.penalizes


def make_choosing(
    settings: SamplerSettings, seeds: Sequence[int], vocab: int, threads: int
) -> Choosing:
    """All that `choose` needs, for so many threads."""
    how = how_of(settings)
    random = np.array([[Xorshift(seed).state] for seed in seeds], np.uint64)
    seen = np.zeros((len(seeds), vocab if how.penalizes else 0), bool)
    room = 0 if how.greedy and not how.penalizes else vocab
    return Choosing(how, random, seen, make_desk(room, threads))


def make_desk(vocab: int, *threads: int) -> Desk:
    """Room for a vocabulary."""
    return Desk(
        np.empty((*threads, vocab), np.float32),
        np.empty((*threads, vocab), np.float32),
        np.empty((*threads, vocab), np.uint32),
        np.empty((*threads, 2, vocab), np.int32),
        np.empty((*threads, 1 << DIGIT), np.int64),
    )
