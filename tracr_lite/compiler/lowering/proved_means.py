"""Bounds on means that are never below those of a certificate; see `proved`."""

from __future__ import annotations

from dataclasses import dataclass

from tracr_lite.compiler.graph import Aggregate
from tracr_lite.compiler.lowering.proved import (
    LEAK,
    MORE,
    SEEN,
    UNKNOWN_NUMBER,
    NumberErrors,
    U,
    seen,
)
from tracr_lite.compiler.lowering.proved_heads import Weighing
from tracr_lite.compiler.lowering.state import State
from tracr_lite.compiler.values.domain import is_number


@dataclass(frozen=True)
class Averaged:
    """The numbers that a mean is of, and its default.

    **Arguments:**
    - `values`: all of them.
    - `least`: of their sizes; `one_sign`: of all of them, and of the default.
    - `fallback`: size of the default; `default`: whether BOS may win with it.
    - `known`: whether it is known how close to zero a mean may come.
    - `zeros`: whether a key may hold 0, or no number, where an error is no share of it.
    """

    values: list[float]
    least: float
    one_sign: bool
    fallback: float
    default: bool
    known: bool
    zeros: bool


def numbers_of(state: State, node: int, kind: Aggregate, fallback: float) -> Averaged:
    """Of a mean and its default."""
    info, own = state.values.info[kind.value], state.values.info[node]
    numbers = [*(v for v in info.values if is_number(v)), *(info.span or ()), fallback]
    return Averaged(
        numbers,
        info.smallest,
        min(numbers) >= 0 or max(numbers) <= 0,
        abs(fallback),
        state.values.selected[kind.selector].widths.least == 0,
        own.span is None or own.least > 0.0,
        info.span is not None or not all(is_number(v) and v for v in info.values),
    )


def averaged(
    read: NumberErrors,
    weights: Weighing,
    of: Averaged,
    shape: tuple[int, int],
    *,
    flags: tuple[bool, bool],
    subtracted: float,
    columns: int,
) -> NumberErrors:
    """Of a mean. `shape`: of the value matrix; `flags`: whether it reads any, and writes any;
    `subtracted`: at the BOS position; `columns`: all that hold what it reads."""
    if not (of.known and read.known and weights.known):
        return UNKNOWN_NUMBER
    rows, written = shape
    extra = max(read.terms, 1) + 4.0 + (rows if written > rows else 0)
    part = weights.single_ones(extra)
    fallback = of.fallback
    reach = 2 * read.size + fallback + 2 * subtracted + SEEN * (read.most + read.bos)
    leaked = LEAK * weights.leak * MORE * reach
    lost = MORE * extra * U
    absolute_bos = SEEN * read.bos + 2 * lost * subtracted + leaked
    flag_bos = SEEN * read.bos + 3 * lost + leaked if flags[1] else 0.0
    read_flag = seen(read.flag, columns, 1.0) if flags[0] else 0.0
    leaked_flag = LEAK * weights.leak * (4 + SEEN * read.flag)
    flag = part + read_flag + leaked_flag + flag_bos
    near = read.absolute == 0.0 or (read.terms <= 1 and of.least > 0.0)
    if of.one_sign and read.one_sign and near:
        small = read.absolute / of.least if read.absolute else 0.0
        relative = MORE * (part + seen(read.relative + small, columns, 1.0)) + 4 * U
        absolute = seen(read.absolute, columns, 0.0) * of.zeros + leaked
    else:
        relative = 4 * U
        absolute = MORE * (part + 4 * U) * read.size + seen(read.most, columns, read.size)
        absolute += leaked
    absolute = max(absolute, absolute_bos) if of.default else absolute
    bos = max(absolute_bos + lost * fallback, flag_bos)
    size = max(read.size, fallback)
    off = None if flags[0] else leaked_flag  # no key has a flag: only the default has one
    return NumberErrors(absolute, relative, flag, bos, size, off=off)
