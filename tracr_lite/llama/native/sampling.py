"""The choice of `sampler.Sampler` in compiled code: the same tokens and random numbers.

Whatever is rounded is computed in its order: sums run from left to right, in float32. Tokens
are put in order by the bits of their probabilities, as these are never negative.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tracr_lite.llama.native.choosing import DIGIT, DIGITS, NO_TOKEN, Desk, How
from tracr_lite.llama.native.edge import compiled_strictly
from tracr_lite.llama.native.exponential import exps_of_minus
from tracr_lite.llama.sampler_rng import MULTIPLIER

F32, I32, U32, I64, U64 = np.float32, np.int32, np.uint32, np.int64, np.uint64
LOW_BITS = I64((1 << DIGIT) - 1)
TIMES = U64(MULTIPLIER)
TOP_BIT = U32(1 << 31)


@compiled_strictly
def desk_of(desks: Desk, thread: int) -> Desk:
    """The room of one thread."""
    return Desk(
        desks.values[thread],
        desks.chances[thread],
        desks.keys[thread],
        desks.ids[thread],
        desks.counts[thread],
    )


@compiled_strictly
def choose(
    logits: np.ndarray, how: How, random: np.ndarray, seen: np.ndarray, desk: Desk
) -> int:
    """The token that follows, or `NO_TOKEN`.

    **Arguments:** `logits`: float32 (vocab,). `random`: uint64 (1,), the state of the
    generator, which goes on by one number, or stays when greedy. `seen`: bool (vocab,), or
    empty where nothing is penalized.
    """
    values, broken = desk.values, False
    for i in range(len(logits)):
        values[i] = logits[i]
        broken |= logits[i] != logits[i]
    if how.penalizes:
        for i in range(len(values)):
            v = values[i]
            values[i] = (v / how.penalty if v > F32(0) else v * how.penalty) if seen[i] else v
    if how.greedy:
        return NO_TOKEN if broken else _first(values, _greatest(values))
    for i in range(len(values)):
        values[i] = values[i] / how.temperature
    most, coin = _greatest(values), _draw(random)
    if broken or not np.isfinite(most):
        return NO_TOKEN
    if 0 < how.top_k < len(values):
        _keep(values, how.top_k, desk.keys)
    _softmax(values, most, desk.chances)
    if how.cuts:
        return _among_likely(desk, how.top_p, coin)
    return _among_all(desk.chances, coin)


@compiled_strictly
def _softmax(values: np.ndarray, most: Any, chances: np.ndarray) -> None:
    """The probabilities; `values` are used up."""
    for i in range(len(values)):
        values[i] = most - values[i]
    exps_of_minus(values, chances)
    total = F32(0)
    for i in range(len(chances)):
        total += chances[i]
    for i in range(len(chances)):
        chances[i] = chances[i] / total


@compiled_strictly
def _greatest(values: np.ndarray) -> Any:
    """The greatest number; any one where there are NaNs."""
    most = F32(-np.inf)
    for i in range(len(values)):
        most = values[i] if values[i] > most else most
    return most


@compiled_strictly
def _first(values: np.ndarray, wanted: Any) -> int:
    """Where a number stands first."""
    for i in range(len(values)):
        if values[i] == wanted:
            return i
    return 0


@compiled_strictly
def _draw(random: np.ndarray) -> Any:
    """The next number in [0, 1), see `sampler_rng.Xorshift`."""
    state = random[0]
    state ^= state >> U64(12)
    state ^= state << U64(25)
    state ^= state >> U64(27)
    random[0] = state
    return F32(I64(state * TIMES >> U64(40))) * F32(2**-24)


@compiled_strictly
def _keep(values: np.ndarray, count: int, keys: np.ndarray) -> None:
    """Makes all but the greatest numbers minus infinity; of equals the first ones stay."""
    for i in range(len(values)):  # integers in the same order
        bits = F32(values[i] + F32(0)).view(np.uint32)  # -0.0 becomes 0.0
        keys[i] = ~bits if bits & TOP_BIT else bits | TOP_BIT
    least = U32(0)  # the greatest number that as many keys reach
    for bit in range(32):
        above, reached = U32(least | TOP_BIT >> U32(bit)), 0
        for i in range(len(keys)):
            reached += keys[i] >= above
        least = above if reached >= count else least
    equal = count
    for i in range(len(keys)):
        equal -= keys[i] > least
    for i in range(len(keys)):
        stays = keys[i] > least or (keys[i] == least and equal > 0)
        equal -= keys[i] == least
        values[i] = values[i] if stays else F32(-np.inf)


@compiled_strictly
def _among_all(chances: np.ndarray, coin: Any) -> int:
    """`sampler.choose`."""
    total = F32(0)
    for i in range(len(chances)):
        total += chances[i]
        if coin < total:
            return i
    return len(chances) - 1


@compiled_strictly
def _among_likely(desk: Desk, top_p: Any, coin: Any) -> int:
    """`sampler.choose_top_p`."""
    chances, order = desk.chances, desk.ids[DIGITS % 2]
    cutoff = (F32(1) - top_p) / F32(max(len(chances) - 1, 1))
    count = 0
    for i in range(len(chances)):
        if chances[i] >= cutoff:
            desk.ids[0, count] = I32(i)
            count += 1
    if count == 0:
        return _first(chances, _greatest(chances))
    _sort(desk, count)
    total, last = F32(0), count - 1
    for i in range(count):
        total += chances[order[i]]
        if total > top_p:
            last = i
            break
    bound, total = coin * total, F32(0)
    for i in range(last + 1):
        total += chances[order[i]]
        if bound < total:
            return order[i]
    return order[last]


@compiled_strictly
def _sort(desk: Desk, count: int) -> None:
    """Puts the first ids in the order of falling probabilities; equals keep theirs.

    One digit after another, from the last to the first; the result is in `ids[DIGITS % 2]`.
    """
    for digit in range(DIGITS):
        given, taken = desk.ids[digit % 2], desk.ids[(digit + 1) % 2]
        shift = I64(digit * DIGIT)
        desk.counts[:] = 0
        for i in range(count):
            desk.counts[_digit(desk.chances[given[i]], shift)] += 1
        before = I64(0)
        for value in range(len(desk.counts)):
            here = desk.counts[value]
            desk.counts[value] = before
            before += here
        for i in range(count):
            value = _digit(desk.chances[given[i]], shift)
            taken[desk.counts[value]] = given[i]
            desk.counts[value] += 1


@compiled_strictly
def _digit(chance: Any, shift: Any) -> Any:
    """One digit of a probability, the greatest first."""
    return LOW_BITS - (I64(F32(chance).view(np.int32)) >> shift & LOW_BITS)
