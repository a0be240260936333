"""Scores of one attention head that selects by a conjunction of predicate tables."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float, Int

from tracr_lite.craft.arrays import distinct
from tracr_lite.craft.blocks import U

SMALL = 1024  # cells of a table whose factors are kept


@dataclass(frozen=True)
class Literal:
    """One predicate of a conjunction.

    `table[k, q]` is 1 where key column k is selected by query column q, 0 where it is not, and
    -1 where the two never meet.
    """

    table: Int[np.ndarray, "keys queries"]


@dataclass(frozen=True)
class Scores:
    """Low-rank factors of one literal's scores, in units of the sharpness.

    `score[q, k] = query[q] @ key[k]`, and `total[q]` is the score of a selected key.
    """

    query: Float[np.ndarray, "queries rank"]
    key: Float[np.ndarray, "keys rank"]
    total: Float[np.ndarray, " queries"]


def literal_scores(literal: Literal) -> Scores:
    """Factors in which selected keys score `total`, all others `total - 1`.

    Softmax ignores a function of the query alone, so each query counts either its selected keys
    as 1 or its unselected ones as -1, whichever are fewer. The rank is the number of different
    nonzero rows or columns, whichever is smaller; one factor is a 0/1 matrix, so scores of
    equal meaning are computed by equal arithmetic.
    """
    table = literal.table
    if table.size > SMALL:
        return _factors(table)
    return _known_factors(table.shape, table.dtype.str, table.tobytes())


@lru_cache(maxsize=1024)
def _known_factors(shape: tuple[int, int], kind: str, cells: bytes) -> Scores:
    """The same small tables come again and again, in one program and the next."""
    found = _factors(np.frombuffer(cells, kind).reshape(shape))
    for array in (found.query, found.key, found.total):
        array.flags.writeable = False
    return found


def _factors(table: Int[np.ndarray, "keys queries"]) -> Scores:
    ones, zeros = table == 1, table == 0
    inverted = ones.sum(axis=0) > zeros.sum(axis=0)
    scores = ones.astype(float)
    scores[:, inverted] = -zeros[:, inverted].astype(float)
    key_rows, key_class = _distinct(scores)
    query_rows, query_class = _distinct(scores.T)
    if len(key_rows) <= len(query_rows):
        key = _one_hot(key_class, len(key_rows))
        return Scores(key_rows.T.copy(), key, (~inverted).astype(float))
    return Scores(
        _one_hot(query_class, len(query_rows)), query_rows.T.copy(), (~inverted) * 1.0
    )


def _distinct(rows: np.ndarray) -> tuple[np.ndarray, Int[np.ndarray, " rows"]]:
    """Distinct nonzero rows in order of first occurrence; class of each row, -1 if zero."""
    used = np.flatnonzero(rows.any(axis=1))
    classes = np.full(len(rows), -1, np.int64)
    if not len(used) or not rows.shape[1]:
        return np.zeros((0, rows.shape[1])), classes
    filled = rows[used]
    packed = np.packbits(filled != 0, axis=1)
    below = filled < 0
    if (below.any(axis=0) & (filled > 0).any(axis=0)).any():  # signs matter: compare whole rows
        packed = filled.view(np.uint8)
    view = packed.view(np.dtype((np.void, packed.shape[1]))).ravel()
    _, first, inverse = distinct(view)
    classes[used] = first.argsort().argsort()[inverse]
    return filled[np.sort(first)], classes


def _one_hot(classes: np.ndarray, size: int) -> Float[np.ndarray, "rows classes"]:
    out = np.zeros((len(classes), size))
    known = (classes >= 0).nonzero()[0]
    out[known, classes[known]] = 1.0
    return out


def sharpness(n: int, *, halved: bool) -> float:
    """Score gap c such that n unselected keys together weigh below 1e-10.

    It is the least power of two with exp(-c) n < exp(-24): so scores are exact in any format,
    and those that should be equal are equal in bfloat16 too.
    `halved`: BOS scores half-way between selected and not, so only c/2 is left on either side.
    """
    gap = 2.0 ** np.ceil(np.log2(enough(n)))
    return float(2 * gap if halved else gap)


def enough(n: int) -> float:
    """The least gap between scores that leaves 1e-10 or less to n unselected keys."""
    return float(24.0 + np.log(n))


def weight_error(n: int, gap: float, noise: float) -> float:
    """Bound on the relative error of an attention weight, unselected keys' share included.

    Selected keys have equal scores, so their exponentials are exactly 1 and sum without
    rounding; what is left is one division. Where scores carry noise, it counts twice, in the
    numerator and in the sum, and that sum of n + 1 terms is rounded (Higham 2002, section 4.2).
    """
    rounding = 4 * U if noise == 0.0 else (n + 8) * U + 2.5 * noise
    return rounding + (n + 1) * float(np.exp(-gap))
