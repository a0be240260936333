"""Scores of a head: how far selected keys stand above the others, BOS and each other.

The score of a key is a sum over pairs (a, b) of a node a of the query and a node b of the key:
T_ab[state of a, state of b]. A pair has the conjunction of the literals between its nodes as
truth; a pair without literal selects everything, so T_ab may not depend on b's state. With
beta_a[state of a] the part of the BOS key's score that node a contributes, for each state of a

    selected keys score between  sum_b min T_ab  and  sum_b max T_ab  over pairs that select,
    other keys at most           max_b' (max T_ab' where b' does not select + sum of max T_ab)

minus beta_a, relative to BOS; both add up over the nodes a. What is claimed never to meet is
left
out. Errors of columns and rounding move each score by at most `noise`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from tracr_lite.certifying.claims import BOS, ONE, Literal
from tracr_lite.certifying.known import Known
from tracr_lite.certifying.rounding import SLOP, Arithmetic
from tracr_lite.certifying.score_sides import Side, moved_by_errors, side_of, sizes_of
from tracr_lite.certifying.weights import HeadWeights

Matrix = Float[np.ndarray, "rows columns"]
Each = Float[np.ndarray, " states"]

# A number d that is added to a sum moves it by 2 |d| at most, whatever is rounded: so errors of
# columns that should be zero count three times at most, and not as further terms of the sum.
SMALL = 3.02


@dataclass(frozen=True)
class Scored:
    """Scores relative to that of the BOS key.

    **Arguments:**
    - `low`, `high`: of selected keys; infinite and minus infinite if none is ever selected.
    - `others`: the most that a key scores that is not selected; minus infinite if there is
      none.
    - `spread`: between keys that one query selects, noise aside.
    - `noise`: how far a score can be off; `exact`: scores that should be equal are equal.
    - `alike`: keys other than BOS all score exactly zero.
    - `shrink`: what rounding takes off the distance of scores, where they are exact.
    - `largest`: size of a score before it is divided by the root of the key size.
    - `at_bos`: the most that another key scores at the BOS position.
    """

    low: float
    high: float
    others: float
    spread: float
    noise: float
    exact: bool
    alike: bool
    at_bos: float
    shrink: float
    largest: float

    @property
    def above_others(self) -> float:
        """How far each selected key is above all that are not selected."""
        return self.low - self.others - 2 * self.noise - self.shrink

    @property
    def above_bos(self) -> float:
        """How far each selected key is above BOS."""
        return self.low - 2 * self.noise - self.shrink

    @property
    def bos_above(self) -> float:
        """How far BOS is above all keys that are not selected."""
        return -self.others - 2 * self.noise - self.shrink

    @property
    def jitter(self) -> float:
        """How far scores that should be equal can be apart."""
        return 0.0 if self.exact or self.alike else self.spread + 2 * self.noise


def scored(
    head: HeadWeights,
    literals: tuple[Literal, ...],
    nodes: dict[str, Known],
    number: Arithmetic,
) -> Scored:
    """Bounds for one head. `nodes`: all whose columns the head may score, ONE and BOS
    included."""
    wanted_q = {ONE, BOS, *(each.queries for each in literals)}
    wanted_k = {ONE, BOS, *(each.keys for each in literals)}
    queries = side_of({n: nodes[n] for n in nodes if n in wanted_q}, head.query, number)
    keys = side_of({n: nodes[n] for n in nodes if n in wanted_k}, head.key, number)
    largest = float(queries.largest @ keys.largest) / head.root
    exact = queries.exact and keys.exact
    exact &= bool(number.sums_exactly(largest * head.root, queries.grid + keys.grid))
    noise = 0.0
    if not exact:
        size, terms = sizes_of(queries, keys)
        moved = moved_by_errors(queries, keys)
        few = float(number.gamma(queries.terms + keys.terms + terms + 9)) * size
        all_terms = queries.columns + keys.columns + len(queries.bos) + 9
        many = float(number.gamma(all_terms)) * (size + moved)
        noise = min(few + SMALL * moved, many + moved) / head.root
    shrink = 8 * number.u * largest + SLOP * largest
    bounds = [_of_query(name, queries, keys, literals, head.root) for name in queries.lanes]
    low, high, spread = _sum_or_none(bounds)
    others = max(each.others + sum(b.most for b in bounds if b is not each) for each in bounds)
    at_bos = _at_bos(queries, keys, head.root) + 2 * noise + shrink
    exact &= spread == 0.0
    largest *= head.root
    alike = keys.silent
    return Scored(low, high, others, spread, noise, exact, alike, at_bos, shrink, largest)


@dataclass(frozen=True)
class _Bound:
    """Of one node of the query, largest over its states, relative to its part of BOS's
    score."""

    low: float
    high: float
    spread: float
    most: float
    others: float


def _of_query(
    a: str, queries: Side, keys: Side, literals: tuple[Literal, ...], root: float
) -> _Bound:
    lanes = queries.lanes[a]
    beta = lanes @ keys.bos / root
    zero = np.zeros(len(lanes))
    low, high, most, gain = zero, zero.copy(), zero.copy(), np.full(len(lanes), -np.inf)
    for b, key_lanes in keys.lanes.items():
        table = lanes @ key_lanes.T / root
        if not table.any() and not any(e.queries == a and e.keys == b for e in literals):
            continue  # it selects everything, and scores nothing
        truth = _truth(a, b, literals, table.shape)
        selects, others = truth == 1, truth == 0
        at_most = np.where(selects, table, -np.inf).max(axis=1, initial=-np.inf)
        other: Each = np.where(others, table, -np.inf).max(axis=1, initial=-np.inf)
        low = low + np.where(selects, table, np.inf).min(axis=1, initial=np.inf)
        high = high + at_most
        largest: Each = np.maximum(at_most, other)
        with np.errstate(invalid="ignore"):
            gain = np.fmax(gain, np.where(np.isneginf(other), -np.inf, other - largest))
            most = most + largest
    known = np.isfinite(low) & np.isfinite(high)
    spread = float((high - low)[known].max(initial=0.0))
    if not known.any():
        low, high = np.array([np.inf]), np.array([-np.inf])
    else:
        low, high = (low - beta)[known], (high - beta)[known]
    others_at = most + gain - beta
    return _Bound(
        float(low.min()),
        float(high.max()),
        spread,
        float((most - beta).max(initial=-np.inf)),
        float(others_at.max(initial=-np.inf)),
    )


def _truth(
    a: str, b: str, literals: tuple[Literal, ...], shape: tuple[int, ...]
) -> Bool[np.ndarray, "queries keys"]:
    """1, 0 or -1: the conjunction of the literals between two nodes."""
    found = np.ones(shape, np.int8)
    for each in literals:
        if each.queries == a and each.keys == b:
            own = each.truth.T.astype(np.int8)
            found = np.where((found < 0) | (own < 0), -1, found & own)
    return found


def _sum_or_none(bounds: list[_Bound]) -> tuple[float, float, float]:
    if any(np.isinf(b.low) for b in bounds):
        return np.inf, -np.inf, 0.0
    low, high, spread = (sum(getattr(b, n) for b in bounds) for n in ("low", "high", "spread"))
    return low, high, spread


def _at_bos(queries: Side, keys: Side, root: float) -> float:
    """The most that a key scores above BOS at the BOS position."""
    others = sum(float((lanes @ queries.bos).max()) for lanes in keys.lanes.values())
    return (others - float(queries.bos @ keys.bos)) / root
