"""What is known so far about the columns of each node: ideal values, and how far off they
are."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int

from tracr_lite.certifying.claims import Claims, Held, Sum
from tracr_lite.certifying.rounding import Arithmetic, is_power_of_two

SMALL = 2.02  # a number d that is added moves a sum by 2 |d| at most, whatever is rounded

Matrix = Float[np.ndarray, "columns lanes"]


@dataclass(frozen=True)
class Known:
    """The columns of a node by state; the last row is the BOS position.

    `error`: bound on the distance between a column and `ideal`, which is what is claimed if
    there is no `claimed`; `spread`: on the sum of those
    of all columns at once.
    """

    columns: Int[np.ndarray, " columns"]
    ideal: Float[np.ndarray, "states columns"]
    error: Float[np.ndarray, "states columns"]
    spread: Float[np.ndarray, " states"]
    one_hot: bool
    claimed: Float[np.ndarray, "states columns"] | None = None

    @property
    def wrong(self) -> Float[np.ndarray, "states columns"]:
        """How far columns are from what is claimed: rounding may have moved `ideal` itself."""
        return (
            self.error
            if self.claimed is None
            else self.error + np.abs(self.ideal - self.claimed)
        )

    def moves(
        self, weight: Float[np.ndarray, "columns lanes"], factor: float = 1.0
    ) -> Float[np.ndarray, "states lanes"]:
        """How far errors move sums of columns times weights.

        `factor`: for columns that should be zero, which count more than once.
        """
        size = np.abs(weight)
        counted = (
            self.error
            if factor == 1.0
            else self.error * np.where(self.ideal == 0.0, factor, 1.0)
        )
        largest = size.max(axis=0, initial=0.0)
        return np.minimum(counted @ size, factor * self.spread[:, None] * largest)

    @property
    def exact(self) -> bool:
        """Whether no column can be off, at any position."""
        return not self.error.any()


def ideal_of(held: Held) -> Float[np.ndarray, "states columns"]:
    """What the columns of a node should hold, BOS last."""
    return np.concatenate([held.states, held.at_bos[None]])


def exactly(held: Held) -> Known:
    """A node that the embeddings write."""
    ideal = ideal_of(held)
    return Known(held.columns, ideal, np.zeros_like(ideal), np.zeros(len(ideal)), held.one_hot)


@dataclass(frozen=True)
class Leaf:
    """A node as an MLP reads it: columns, or one linear combination of columns.

    `factors`: of the combination; None if the columns are read one by one. `parts`: the nodes
    that are combined.
    """

    known: Known
    factors: Float[np.ndarray, " columns"] | None = None
    parts: tuple[Known, ...] = ()

    def lost(
        self, weight: Matrix, odd: Matrix, number: Arithmetic
    ) -> Float[np.ndarray, " lanes"]:
        """How far sums of columns times weights are off, beside what the number is off by.

        `odd`: how far weights are from the factors of the combination. Each part adds a term,
        and its product; columns that should be zero move the sum by twice what they are.
        """
        found, size = np.zeros(weight.shape[1]), np.zeros(weight.shape[1])
        start, terms, products = 0, -1.0, 0.0
        for part in self.parts:
            at = slice(start, start + len(part.columns))
            start = at.stop
            here = np.abs(part.ideal)
            found += (here @ odd[at]).max(axis=0) + part.moves(odd[at]).max(axis=0)
            size += (here @ np.abs(weight[at])).max(axis=0)
            moved = part.moves(weight[at]).max(axis=0)
            size += moved
            found += SMALL * moved * (len(part.columns) > 1)
            terms += float((here != 0.0).sum(axis=1).max(initial=0))
            simple = part.exact and bool(is_power_of_two(part.ideal).all())
            products = max(products, float(not (simple or is_power_of_two(weight[at]).all())))
        return found + number.gamma(max(terms, 0.0) + products) * size


@dataclass
class Progress:
    """The nodes known so far, by name."""

    claims: Claims
    known: dict[str, Known] = field(default_factory=dict[str, Known])

    def leaf(self, name: str) -> Leaf:
        """A node or a sum of nodes, as a leaf of a table."""
        for each in self.claims.sums:
            if each.name == name:
                return self._combined(each)
        return Leaf(self.known[name])

    def _combined(self, combination: Sum) -> Leaf:
        """The sum as one number: errors of its parts add up, whatever states they are in."""
        parts = [_around_claims(self.known[name]) for name in combination.parts]
        factors = np.concatenate(combination.factors)
        error, at_bos, at_bos_error = 0.0, 0.0, 0.0
        for part, own in zip(parts, combination.factors, strict=True):
            off = part.moves(own[:, None])[:, 0]
            error += float(off[:-1].max(initial=0.0))
            at_bos, at_bos_error = at_bos + float(part.ideal[-1] @ own), at_bos_error + off[-1]
        ideal = np.append(combination.states, at_bos)[:, None]
        share, rest = self._shares(combination)
        size = np.full_like(ideal, error + 2.0**-50 * float(np.abs(ideal).max(initial=0.0)))
        if np.isfinite(share):
            size = np.minimum(size, share * np.abs(ideal) * (1 + 2.0**-50) + rest)
        size[-1] = at_bos_error
        columns = np.concatenate([p.columns for p in parts])
        known = Known(columns, ideal, size, size[:, 0], False)
        return Leaf(known, factors, tuple(parts))

    def _shares(self, combination: Sum) -> tuple[float, float]:
        """Relative error, and error where a term is zero, if all terms have one sign.

        Of numbers that are too many to list, the relative error is largest where they are
        smallest, and that is one of their states.
        """
        share, rest, signs = 0.0, 0.0, list[float]()
        for name, own in zip(combination.parts, combination.factors, strict=True):
            part = _around_claims(self.known[name])
            terms = (part.ideal @ own)[:-1]
            off = part.moves(own[:, None])[:-1, 0]
            there = terms != 0.0
            share = max(share, float((off[there] / np.abs(terms[there])).max(initial=0.0)))
            rest += float(off[~there].max(initial=0.0))
            signs += [float(terms.min(initial=0.0)), float(terms.max(initial=0.0))]
        same = min(signs) >= 0.0 or max(signs) <= 0.0
        return (share, rest) if same else (np.inf, 0.0)


def _around_claims(known: Known) -> Known:
    """The same, with what is claimed as the middle of what is possible."""
    if known.claimed is None:
        return known
    wrong = known.wrong
    return Known(known.columns, known.claimed, wrong, wrong.sum(axis=1), known.one_hot)
