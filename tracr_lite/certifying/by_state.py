"""From rows of a table to states of the node it writes: the worst of the rows of a state."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from tracr_lite.certifying.claims import Held, Table

Matrix = Float[np.ndarray, "rows columns"]


def worst_by(
    output: Int[np.ndarray, " rows"], errors: Matrix, states: int
) -> Float[np.ndarray, "states columns"]:
    """The largest error of each state; infinite for a state that no row leads to."""
    worst = np.full((states, errors.shape[1]), np.inf)
    order = np.argsort(output, kind="stable")
    found, first = np.unique(output[order], return_index=True)
    if len(found):
        worst[found] = np.maximum.reduceat(errors[order], first, axis=0)
    return worst


def hull(
    table: Table, held: Held, middle: Matrix, error: Matrix
) -> tuple[Matrix, Matrix, Float[np.ndarray, " states"]]:
    """The least interval that holds all rows of a state."""
    states = len(held.states)
    high = worst_by(table.output, (middle + error)[:-1], states)
    low = -worst_by(table.output, (error - middle)[:-1], states)
    there = np.isfinite(high) & np.isfinite(low)
    center = np.where(
        there, (np.where(there, low, 0.0) + np.where(there, high, 0.0)) / 2, held.states
    )
    found = np.where(there, np.where(there, high, 0.0) - center, np.inf)
    found = np.concatenate([found, error[-1:]])
    return np.concatenate([center, middle[-1:]]), found, found.sum(axis=1)
