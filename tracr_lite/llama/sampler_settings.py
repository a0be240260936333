"""How the next token is chosen from the logits: the numbers a user sets.

The steps, in this order; the first, third and fifth are not in run.c and off by default:

1. repetition penalty, on the logits of the tokens seen so far;
2. temperature 0: the first token with the greatest logit, and nothing more; no number is drawn;
   else the logits are divided by the temperature;
3. top-k: all but the k greatest logits become minus infinity (of equals, the lower id stays);
4. softmax, then one number is drawn;
5. top-p, or the plain draw where `top_p` is 0 or 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np

from tracr_lite.llama.errors import LlamaError


@dataclass(frozen=True)
class SamplerSettings:
    """The numbers that decide how a token is chosen.

    **Arguments:**
    - `temperature`: 0 is greedy; 1 leaves the logits as they are. Used as float32.
    - `top_p`: keeps the most likely tokens until their probabilities add up to more than this;
      0 or 1 keeps all. Used as float32.
    - `top_k`: keeps that many of the greatest logits; None keeps all.
    - `repetition_penalty`: positive logits of tokens seen are divided by it, others multiplied
      (Keskar et al. 2019, arXiv:1909.05858, section 4.1); None or 1 changes nothing.

    **Raises:** `LlamaError` that lists all values that have no meaning.
    """

    temperature: float = 1.0
    top_p: float = 0.9
    top_k: int | None = None
    repetition_penalty: float | None = None

    def __post_init__(self) -> None:
        if problems := _problems(self):
            raise LlamaError("cannot sample with these settings: " + "; ".join(problems))

    @property
    def greedy(self) -> bool:
        """Whether the greatest logit always wins. Tiny temperatures are 0 in float32."""
        return float(np.float32(self.temperature)) == 0.0

    @property
    def uses_top_p(self) -> bool:
        """Whether `top_p`, as float32, cuts anything off."""
        return 0.0 < float(np.float32(self.top_p)) < 1.0


def _problems(settings: SamplerSettings) -> list[str]:
    found: list[str] = []
    temperature, top_p = _number(settings.temperature), _number(settings.top_p)
    if not temperature >= 0:
        found.append(
            f"temperature is {settings.temperature!r}, not a number from 0 up (0 is greedy)"
        )
    if not 0 <= top_p <= 1:
        found.append(f"top_p is {settings.top_p!r}, not from 0 to 1 (0 or 1 keeps all tokens)")
    top_k, penalty = settings.top_k, settings.repetition_penalty
    if top_k is not None and not is_positive_integer(top_k):
        found.append(f"top_k is {top_k!r}, not a positive integer (None keeps all tokens)")
    if penalty is not None and not np.float32(_number(penalty)) > 0:
        found.append(f"repetition_penalty is {penalty!r}, not a positive number (1 is none)")
    return found


def _number(value: object) -> float:
    """`value` if it is a number that float32 can hold, else NaN."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return math.nan
    number = float(value)
    return number if abs(number) <= float(np.finfo(np.float32).max) else math.nan


def is_positive_integer(value: object) -> bool:
    """Whether it is an integer of Python or numpy, and above zero."""
    return type(value) is not bool and isinstance(value, Integral) and int(value) > 0
