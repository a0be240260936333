"""How far off a head's output can be: leakage, rounding of softmax and sums, errors it reads.

With exactly equal scores, the exponentials of m selected keys are 1 and add up to m exactly, as
long as what all other keys weigh together, L = n exp(-gap), is below u / 2. A weight is then
off
by the rounding of one division. A sum v + d that starts from a number v of the format is off
from v by at most 2 |d|, whatever it is rounded to; so leaked values count twice at most.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from tracr_lite.certifying.claims import Head, Held
from tracr_lite.certifying.rounding import (
    DIVISION,
    EXP,
    SLOP,
    Arithmetic,
)
from tracr_lite.certifying.score_bound import Scored
from tracr_lite.certifying.values_read import LEAKED, Values

MOST_LEAK = 0.01  # with more, nothing is claimed

Matrix = Float[np.ndarray, "rows columns"]


@dataclass(frozen=True)
class HeadBound:
    """Bounds for the outputs of one head."""

    claim: Head
    held: Held
    scores: Scored
    values: Values
    n: int
    causal: bool
    number: Arithmetic

    def errors(self) -> tuple[Matrix, Float[np.ndarray, " states"], list[str]]:
        """Error of each column in each state, BOS last; their sum; why there is no bound."""
        faults = self._faults()
        states, columns = self.held.states.shape
        if faults:
            none = np.full((states + 1, columns), np.inf)
            return none, none[:, 0], faults
        if self.claim.counts_bos:
            errors = self._widths()
            spread = errors.sum(axis=1)
        elif self.held.one_hot:
            errors, spread = self._copied()
        else:
            errors = self._means()
            spread = errors.sum(axis=1)
        if self.claim.default >= 0:
            leak = self._leak(self.scores.bos_above, self.n)
            at = self.claim.default
            errors[at] = np.fmax(
                np.where(np.isinf(errors[at]), 0.0, errors[at]), self._bos(leak)
            )
            spread[at] = errors[at].sum()
        leak = 0.0 if self.causal else self._leak(-self.scores.at_bos, self.n)
        at_bos = self._bos(leak)[None]
        return np.concatenate([errors, at_bos]), np.append(spread, at_bos.sum()), []

    def _faults(self) -> list[str]:
        scores, claim, found = self.scores, self.claim, list[str]()
        gaps = {"BOS at its own position": -scores.at_bos}
        if claim.high > 0:
            if np.isinf(scores.low):
                found.append("some keys are selected, but no states of theirs are")
            gaps["selected keys and others"] = scores.above_others
        if claim.low == 0 and not claim.counts_bos:
            gaps["BOS and keys that are not selected"] = scores.bos_above
            if claim.default < 0:
                found.append("nothing may be selected, but no state is claimed for it")
        if claim.default >= 0 and (
            claim.default >= len(self.held.states)
            or not np.array_equal(self.held.states[claim.default], self.held.at_bos)
        ):
            found.append("what it holds where nothing is selected is not what BOS has")
        if not claim.counts_bos:
            gaps["selected keys and BOS"] = scores.above_bos if claim.high > 0 else np.inf
        else:
            gaps["BOS and keys that are not selected"] = scores.bos_above
        for between, gap in gaps.items():
            if not self._leak(gap, self.n + 1) < MOST_LEAK:
                found.append(f"its scores are too weak between {between}: {gap:.3g} apart")
        if not scores.largest < min(self.number.largest / 4, 1e29):
            found.append("its scores are too large")
        if not (scores.jitter < 0.5 or self._copies or claim.high <= 1):
            found.append(f"scores that should be equal may be {scores.jitter:.2g} apart")
        return found

    def _leak(self, gap: float, keys: int) -> float:
        """What keys weigh together that are `gap` below another one."""
        return keys * float(np.exp(min(-gap, 99.0))) * (1.0 + 2 * EXP * self.number.u)

    def settles(self, leak: float) -> bool:
        """Whether a sum of exponentials 1 forgets the leak."""
        return 2 * leak < self.number.u

    def _bos(self, leak: float) -> Float[np.ndarray, " columns"]:
        """Error where BOS wins: at its own position, and where nothing is selected."""
        values, number = self.values, self.number
        part = 0.0 if self.settles(leak) else leak + float(number.gamma(self.n + DIVISION))
        part += float(number.gamma(values.extra))
        return part * values.bos.size[0] + LEAKED * leak * values.largest + values.bos.off[0]

    def weighing(self) -> tuple[float, float]:
        """Relative error of the weights of selected keys together with their sum; the leak."""
        scores, number = self.scores, self.number
        gap = scores.above_others
        gap = min(gap, scores.bos_above if self.claim.counts_bos else scores.above_bos)
        leak = self._leak(gap, self.n + 1)
        settled = self.settles(leak)
        equal = scores.exact or (scores.alike and not self.claim.counts_bos)
        same = equal and settled and bool(number.sums_exactly(self.n + 1.0, 0))
        same &= not self.claim.counts_bos or self.off_bos == 0.0
        single = self.claim.high <= 1 and not self.claim.counts_bos
        if single:
            part = 0.0 if settled else leak + float(number.gamma(self.n + DIVISION))
            return part + float(number.gamma(self.values.extra)), leak
        part = 0.0 if same else leak + float(number.gamma(self.n + 1))
        if not (same or self._copies):
            # how far selected keys are from BOS is counted where widths are bounded
            apart = 0.0 if self.claim.counts_bos else scores.jitter
            part += float(np.expm1(apart)) * 1.01 + 2.02 * EXP * number.u
        terms = 1 if self.claim.counts_bos else self.claim.high
        part = (1.0 + part) * (1.0 + float(number.gamma(DIVISION + terms + self.values.extra)))
        return part - 1.0 + SLOP, leak

    @property
    def off_bos(self) -> float:
        """How far selected keys should be from BOS, if BOS counts; it has to be nothing."""
        return max(abs(self.scores.low), abs(self.scores.high)) if self.claim.high else 0.0

    @property
    def _copies(self) -> bool:
        """Whether all selected keys have the same row, so that single weights do not matter."""
        return self.claim.copies and not self.claim.counts_bos

    def _widths(self) -> Matrix:
        part, _ = self.weighing()
        wrong = min(self.off_bos + (0.0 if self.scores.exact else 2 * self.scores.noise), 50.0)
        off = float(self.values.bos.off[0].max(initial=0.0))
        part = (1.0 + part) * (1.0 + off) * float(np.exp(wrong)) - 1.0
        found = np.abs(self.held.states) * part
        found[~self._are_widths()] = np.inf
        return found

    def _are_widths(self) -> Int[np.ndarray, " states"]:
        """Which states are 1 / (1 + w) for a number of keys that can be selected."""
        numbers = self.held.states[:, 0]
        width = np.rint(1.0 / np.maximum(numbers, 1e-300)) - 1.0
        right = np.abs(numbers * (1.0 + width) - 1.0) < 2.0**-50
        right &= (width >= self.claim.low) & (width <= self.claim.high)
        return right & (self.held.at_bos[0] == 1.0) & (self.held.columns.size == 1)

    def _copied(self) -> tuple[Matrix, Float[np.ndarray, " states"]]:
        part, leak = self.weighing()
        states = len(self.held.states)
        read = self.values.reads[-1]
        found = np.full((states, len(self.held.columns)), np.inf)
        spread = found.sum(axis=1)
        if len(self.claim.values) != 1 or not self.claim.copies:
            return found, spread
        off = part * read.size + LEAKED * leak * self.values.largest + read.off
        hot = np.argmax(read.rows, axis=1)
        selected = read.rows[np.arange(len(hot)), hot] == 1.0
        together = part * read.size.sum(axis=1) + read.spread
        together += LEAKED * leak * self.values.largest.sum()
        for at in np.unique(hot[selected]):
            found[at] = off[selected & (hot == at)].max(axis=0)
            spread[at] = together[selected & (hot == at)].max()
        return found, spread

    def _means(self) -> Matrix:
        """Errors are relative where all numbers have one sign, else those of the largest."""
        part, leak = self.weighing()
        reads, ideal = self.values.reads, np.abs(self.held.states)
        rising = np.all([(r.rows >= 0).all(axis=0) for r in reads], axis=0)
        falling = np.all([(r.rows <= 0).all(axis=0) for r in reads], axis=0)
        plain = [(r.size <= np.abs(r.rows) * (1 + 2.0**-20)).all(axis=0) for r in reads]
        one_sign = (rising | falling) & np.all(plain, axis=0)
        size = np.sum([r.size.max(axis=0) for r in reads], axis=0)
        largest_off = np.sum([r.off.max(axis=0) for r in reads], axis=0)
        relative, absolute = np.zeros(len(size)), np.zeros(len(size))
        for read in reads:
            there = np.abs(read.rows)
            ratio = np.where(there > 0, read.off / np.where(there > 0, there, 1.0), 0.0)
            relative = np.maximum(relative, ratio.max(axis=0, initial=0.0))
            absolute += np.where(there > 0, 0.0, read.off).max(axis=0, initial=0.0)
        read_off = np.minimum(largest_off, absolute + relative * ideal)
        read_off = np.where(one_sign, read_off, largest_off)
        found = (
            part * np.where(one_sign, ideal * (1 + 2.0**-20), size) + read_off + SLOP * ideal
        )
        return found + LEAKED * leak * (self.values.largest + size)
