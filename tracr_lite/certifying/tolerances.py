"""How far off a node may be: what those who read it need, or what the answer promises."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int

from tracr_lite.certifying.claims import Claims, Held, Output, Table

PROMISE = 1e-5  # relative error of numbers that are not snapped to a known value
HALF = 0.5

Matrix = Float[np.ndarray, "states columns"]
Numbers = Float[np.ndarray, " numbers"]


def tolerance_of(held: Held, claims: Claims) -> Matrix:
    """By state and column, BOS last.

    Columns of one-hots, and flags, are told apart at 1/2. A number that tables read may be off
    by half the distance to the next that gives another result, and the answer by what is
    promised. Numbers that are only added up or averaged are not told apart by anyone: their
    errors count where the sums are read, and there is no tolerance of their own.
    """
    found = np.full((len(held.states) + 1, len(held.columns)), HALF)
    if held.numbers:
        found[:, 0] = np.inf
        for table in claims.tables:
            if held.name in table.leaves:
                writes = next(each for each in claims.held if each.name == table.writes)
                found[:-1, 0] = np.minimum(found[:-1, 0], _read_apart(held, table, writes))
    if held.name == claims.output.node:
        found[:-1] = np.minimum(found[:-1], output_tolerance(claims.output, held)[:-1])
    return found


def _read_apart(held: Held, table: Table, writes: Held) -> Float[np.ndarray, " states"]:
    """Half the distance to the next number that gives another result, by state.

    Results that differ by the rounding of float64 only are the same.
    """
    at = table.leaves.index(held.name)
    numbers = held.states[table.rows[:, at], 0]
    flagged = held.states[table.rows[:, at], 1:].any(axis=1)
    others = np.delete(table.rows, at, axis=1)
    order = np.lexsort((numbers, flagged, *others.T))
    same: Bool[np.ndarray, " rows"] = (others[order][1:] == others[order][:-1]).all(axis=1)
    flags: Bool[np.ndarray, " rows"] = np.asarray(flagged)[order]
    same &= ~flags[1:] & ~flags[:-1]
    results = writes.states[table.output[order]]
    apart = np.abs(results[1:] - results[:-1]).max(axis=1, initial=0.0)
    same &= apart > 1e-9 * np.abs(results[1:]).max(axis=1, initial=0.0)
    half = np.where(same, np.diff(numbers[order]) / 2, np.inf)
    found = np.full(len(held.states), np.inf)
    states: Int[np.ndarray, " rows"] = table.rows[order, at]
    np.minimum.at(found, states[1:], half)
    np.minimum.at(found, states[:-1], half)
    return found


def output_tolerance(output: Output, held: Held) -> Matrix:
    """By state and column: what the columns of the answer may be off by, BOS last.

    An argmax needs all columns to be off by less than 1/2. A number has to be within the
    promise, or snap to the value it stands for.
    """
    found = np.full((len(held.states) + 1, len(held.columns)), HALF)
    if not output.categorical and held.numbers:
        found[:-1, 0] = _allowed(held.states[:, 0], output)
        found[:-1, 0][held.states[:, 1:].any(axis=1)] = HALF  # None: the number is not read
    return found


def _allowed(numbers: Numbers, output: Output) -> Numbers:
    """How far off numbers may be and still be decoded as promised."""
    known = np.unique(output.known)
    promise = PROMISE * np.abs(numbers)
    own = _away(known, numbers, numbers) <= 1e-9 * np.abs(numbers)[:, None]
    ends = np.hstack([_away(known, numbers, numbers + side * promise) for side in (-1, 1)])
    # nearer ones do no harm
    others = np.where(ends > promise[:, None], ends, np.inf).min(axis=1, initial=np.inf)
    room = np.full_like(others, np.inf)
    np.subtract(others, output.tolerance, out=room, where=np.isfinite(others))
    return np.where(
        own.any(axis=1),  # it is nearest to itself, and snaps, or is right enough as it is
        np.minimum(others / 2, np.maximum(output.tolerance, promise)),
        np.minimum(promise, room),
    )


def _away(known: Numbers, numbers: Numbers, places: Numbers) -> Matrix:
    """[numbers, 4] distances from each number to the four known ones around a place."""
    padded = np.concatenate([[-np.inf] * 2, known, [np.inf] * 2])
    around = np.searchsorted(known, places)[:, None] + np.arange(4)
    return np.abs(padded[around] - numbers[:, None])
