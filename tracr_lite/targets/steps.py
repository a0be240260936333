"""A number decoded by intervals: no one-hot is hot by cancellation, all by an exact zero.

First sublayer: for each interval a column of `stuff`, exactly 0 if the number is inside and
positive if not. Second: a unit per interval that writes where its stuff is exactly 0. Both only
ask on which side of a threshold a number is, so rounding cannot reach the result.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from tracr_lite.compiler.lowering.forms import Number
from tracr_lite.compiler.lowering.mlp_inputs import Inputs
from tracr_lite.compiler.lowering.problems import CannotLower, Split
from tracr_lite.craft.bases import BasisDirection
from tracr_lite.targets.blocks import Above, Both, MLPPart, Nothing, Unit
from tracr_lite.targets.bounded import Threshold, last_step, soft_and_sharp
from tracr_lite.targets.lowering import StockLowering
from tracr_lite.targets.rows import Row, constant, reading, scaled, total

DIGITS = 512  # intervals of a count from which on it is decoded digit by digit
SAFE = 1 / 8  # of the error allowed for: how far from a threshold it must leave a number


@dataclass(frozen=True)
class Interval:
    """Numbers between two thresholds, all with one output."""

    low: Threshold | None
    high: Threshold | None
    output: int


def write_steps(
    lowering: StockLowering,
    node: int,
    inputs: Inputs,
    row_of: Callable[[int], Row],
    *,
    digits: bool = True,
) -> int:
    """Adds the parts that write `row_of(output)`; the half-layer after which it is there.

    With `digits`, a count of very many values is decoded digit by digit.
    """
    assert inputs.number is not None, "a number is decoded"
    assert inputs.x is not None, "a number has a column in the table"
    number, x = inputs.number, inputs.x
    nb = constant(lowering.bos)
    flags = {at: reading(f, lowering.bos) for at, f in number.flags.items()}
    flagged = np.isin(x, list(flags))
    first = number.slot + 1 if number.slot % 2 == 0 else number.slot + 2
    units: list[Unit] = []
    for at, out in zip(x[flagged].tolist(), inputs.output[flagged].tolist(), strict=True):
        if row_of(out):
            units.append(Both((flags[at],), nb, row_of(out)))
    found = _intervals(lowering, node, number, x[~flagged], inputs.output[~flagged])
    found = [interval for interval in found if row_of(interval.output)]
    if digits and number.raw and len(found) > DIGITS and lowering.traits.digits:
        return _in_digits(lowering, node, inputs, row_of)
    decoded = _Decoded(lowering, node, list(flags.values()), nb)
    if lowering.traits.mode == "bounded" and lowering.traits.gated:
        return decoded.bounded(found, row_of, first, units)
    return decoded.wide(found, row_of, first, units)


def _in_digits(
    lowering: StockLowering, node: int, inputs: Inputs, row_of: Callable[[int], Row]
) -> int:
    """A count as base * high + low: few intervals each, then an AND for every count."""
    assert inputs.number is not None, "a number is decoded"
    assert inputs.x is not None, "a number has a column in the table"
    nb, label = constant(lowering.bos), lowering.values.labels[node]
    known = lowering.values.info[inputs.number.node].values
    counts = np.array([int(known[i]) for i in inputs.x.tolist()])
    base = math.isqrt(int(counts.max())) + 1
    high, low = (
        [BasisDirection(f"{label}.{kind}{len(lowering.parts)}", i) for i in range(base)]
        for kind in ("high", "low")
    )
    first = replace(inputs, output=counts // base)
    slot = write_steps(lowering, node, first, lambda j: {high[j]: 1.0}, digits=False) + 2
    z = reading(inputs.number.read, lowering.bos)
    part = BasisDirection(f"{label}.part{len(lowering.parts)}")
    digits = sorted(set((counts // base).tolist()) - {0})
    times: list[Unit] = [
        Both(({high[j]: 1.0},), scaled(z, base * j), {part: 1.0}, number=True) for j in digits
    ]
    lowering.parts.append(MLPPart(slot, (node,), tuple(times)))
    margin = 0.5 / (int(counts.max()) + 2) - 8 * lowering.traits.noise
    ends = [
        Threshold(total([{part: 1.0}, scaled(z, m + 0.5), scaled(nb, -1.0)]), margin, base, 1.0)
        for m in range(1, base)
    ]
    within = [Interval(a, b, m) for m, (b, a) in enumerate(pairwise([None, *ends, None]))]
    decoded = _Decoded(lowering, node, [], nb)
    slot = decoded.wide(within, lambda m: {low[m]: 1.0}, slot + 2, []) + 2
    ands: list[Unit] = [
        Both(({high[w // base]: 1.0},), {low[w % base]: 1.0}, row_of(out))
        for w, out in zip(counts.tolist(), inputs.output.tolist(), strict=True)
        if row_of(out)
    ]
    lowering.parts.append(MLPPart(slot, (node,), tuple(ands)))
    return slot


@dataclass
class _Decoded:
    """Adds the sublayers that decode intervals."""

    lowering: StockLowering
    node: int
    flags: list[Row]
    nb: Row

    def wide(
        self,
        intervals: list[Interval],
        row_of: Callable[[int], Row],
        slot: int,
        units: list[Unit],
    ) -> int:
        """Two sublayers: stuff, then what it leaves."""
        stuffing: list[Unit] = []
        label = f"{self.lowering.values.labels[self.node]}.outside{len(self.lowering.parts)}"
        for at, interval in enumerate(intervals):
            stuff = BasisDirection(label, at)
            sides = _sides(interval, stuff)
            stuffing.extend(sides)
            seen: list[Row] = [{stuff: 1.0}] if sides else []
            margin = min([0.5, *(side.margin * side.out[stuff] for side in sides)])
            if not sides and not self.flags:
                units.append(Both((self.nb,), self.nb, row_of(interval.output)))
                continue
            found = total([*seen, *self.flags])
            units.append(Nothing(found, margin, self.nb, row_of(interval.output)))
        if stuffing:
            self.lowering.parts.append(MLPPart(slot, (self.node,), tuple(stuffing)))
            slot += 2
        self.lowering.parts.append(MLPPart(slot, (self.node,), tuple(units)))
        return slot

    def bounded(
        self,
        intervals: list[Interval],
        row_of: Callable[[int], Row],
        slot: int,
        units: list[Unit],
    ) -> int:
        """Three sublayers: a soft step per threshold, a sharp one, and their differences."""
        ends = [end for i in intervals for end in (i.low, i.high) if end is not None]
        soft, sharp, columns = soft_and_sharp(self.lowering, self.node, ends, self.nb)
        gate = total([self.nb, *(scaled(flag, -1.0) for flag in self.flags)])
        for interval in intervals:
            low = self.nb if interval.low is None else columns[id(interval.low)]
            high = {} if interval.high is None else columns[id(interval.high)]
            inside = total([low, scaled(high, -1.0), scaled(self.nb, -0.5)])
            units.append(last_step(inside, gate, row_of(interval.output)))
        for each in (soft, sharp):
            if each:
                self.lowering.parts.append(MLPPart(slot, (self.node,), tuple(each)))
                slot += 2
        self.lowering.parts.append(MLPPart(slot, (self.node,), tuple(units)))
        return slot


def _sides(interval: Interval, stuff: BasisDirection) -> list[Above]:
    """What fills the stuff of an interval from outside of it, to 1 at most."""
    sides: list[Above] = []
    for end, sign in ((interval.high, 1.0), (interval.low, -1.0)):
        if end is not None:
            size = 2.0 ** -math.ceil(math.log2(max(end.reach, 1.0)))
            sides.append(Above(scaled(end.row, sign), end.margin, {stuff: size}))
    return sides


def _intervals(
    lowering: StockLowering, node: int, number: Number, x: np.ndarray, output: np.ndarray
) -> list[Interval]:
    """Runs of equal output, and the thresholds between them."""
    if not len(x):
        return []
    codes = number.codes[x]
    order = np.argsort(codes, kind="stable")
    codes, output, ids = codes[order], output[order], x[order]
    change = np.flatnonzero(output[1:] != output[:-1])
    if (codes[change + 1] == codes[change]).any():
        raise Split({number.node})
    between = [_threshold(lowering, node, number, codes, ids, int(at)) for at in change]
    ends = [*change.tolist(), len(codes) - 1]
    return [
        Interval(
            between[i - 1] if i else None,
            between[i] if i < len(between) else None,
            int(output[end]),
        )
        for i, end in enumerate(ends)
    ]


def _threshold(
    lowering: StockLowering,
    node: int,
    number: Number,
    codes: np.ndarray,
    ids: np.ndarray,
    at: int,
) -> Threshold:
    """The threshold between the codes number `at` and `at + 1`."""
    low, high = float(codes[at]), float(codes[at + 1])
    read, nb = reading(number.read, lowering.bos), constant(lowering.bos)
    if number.raw:  # 1 / (1 + w): thresholds at half counts, with coefficients of few bits
        value = lowering.values.info[number.node].values
        count = (value[int(ids[at])] + value[int(ids[at + 1])]) / 2 + 1
        row, limit, factor = total([scaled(read, count), scaled(nb, -1.0)]), 1.0, count
    else:
        limit, factor = _between(low, high), 1.0
        row = total([read, scaled(nb, -limit)])
    size = max(abs(low), abs(high))
    slack = number.absolute + (number.relative + lowering.traits.noise) * size
    margin = min(limit - factor * low, factor * high - limit) - factor * slack
    exact = lowering.traits.holds(np.array(list(row.values())))
    if margin <= SAFE * factor * slack or not exact:
        raise CannotLower(
            node,
            f"its inputs {low:.9g} and {high:.9g} are too close to be told apart in "
            f"{lowering.traits.dtype}",
            "use a smaller max_seq_len, or compare counts instead of fractions",
        )
    ends = (float(codes[0]), float(codes[-1]))
    reach = max(abs(factor * end - limit) for end in ends) + abs(factor) * slack
    return Threshold(row, margin, reach, limit - factor * ends[0] + abs(factor) * slack)


def _between(low: float, high: float) -> float:
    """The number between two others that has the fewest bits."""
    middle, gap = (low + high) / 2, (high - low) / 4
    step = 2.0 ** math.floor(math.log2(gap))
    return round(middle / step) * step
