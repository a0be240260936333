"""The value that the columns of a form say, whatever they hold."""

from __future__ import annotations

import math
from typing import Any

from tracr_lite.compiler.circuits.known import Known
from tracr_lite.compiler.lowering.forms import Form, OneHot
from tracr_lite.compiler.values.domain import is_number

HALF = 0.5  # a column above stands for its value
CLOSE = 1e-6  # of a number that is read as a listed one


class _Unclear:
    """Columns of which none, or more than one, is above one half."""

    def __repr__(self) -> str:
        return "no single value"


UNCLEAR = _Unclear()


def read_form(form: Form, known: Known, held: list[float]) -> Any:
    """The value that columns say; `UNCLEAR` if they say none.

    **Arguments:** `held`: one number per column of `own_columns(form)`.
    """
    values = known.info.values
    if isinstance(form, OneHot):
        above = [at for at, number in enumerate(held) if number > HALF]
        ids = [i for i, at in enumerate(form.group.tolist()) if [at] == above]
        return values[ids[0]] if ids else UNCLEAR
    size = len(form.read.dirs)
    flags = [i for i, flag in zip(form.flags, held[size:], strict=True) if flag > HALF]
    if flags or not size:
        return values[flags[0]] if len(flags) == 1 else UNCLEAR
    return _number(form.raw, held[0], known)


def _number(raw: bool, held: float, known: Known) -> float:
    """The listed number that is meant, if one is close, else the number itself."""
    number = (1 / held - 1 if held else math.inf) if raw else held
    numbers = [v for v in known.info.values if is_number(v)]
    nearest = min(numbers, key=lambda v: abs(v - number), default=number)
    return nearest if math.isclose(nearest, number, rel_tol=CLOSE, abs_tol=CLOSE) else number
