"""What `np.unique`, `np.diff` and `@` are for, without checks: the arrays here are short."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Int

FEW_ROWS = 64


def distinct(
    codes: np.ndarray,
) -> tuple[np.ndarray, Int[np.ndarray, " distinct"], Int[np.ndarray, " codes"]]:
    """The distinct codes ascending, where each occurs first, and which of them each code is."""
    order = codes.argsort(kind="stable")
    ordered = codes[order]
    new = changes(ordered)
    inverse = np.empty(len(codes), np.int64)
    inverse[order] = new.cumsum() - 1
    return ordered[new], order[new], inverse


def distinct_values(codes: np.ndarray) -> np.ndarray:
    """The distinct codes, ascending."""
    ordered = np.sort(codes, axis=None)
    return ordered[changes(ordered)]


def changes(ordered: np.ndarray) -> Bool[np.ndarray, " codes"]:
    """Whether each entry differs from the one before it; the first does."""
    new = np.empty(len(ordered), bool)
    new[:1] = True
    new[1:] = ordered[1:] != ordered[:-1]
    return new


def product(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """`left @ right`, of arrays that hold no infinities and nothing that is no number.

    Some kernels of BLAS also compute on what the stack happens to hold beside their numbers
    (OpenBLAS with AVX-512, for vectors of 5), and drop the results, but not the flag of the
    processor that these raise. It says nothing here, so numpy does not warn of it.
    """
    with np.errstate(all="ignore"):
        return left @ right


def fixed(array: np.ndarray) -> np.ndarray:
    """The array, which cannot be changed from now on: several programs may share it."""
    array.flags.writeable = False
    return array


def starts(ordered: np.ndarray) -> Int[np.ndarray, " runs"]:
    """Where each run of equal entries starts."""
    return changes(ordered).nonzero()[0]


def unique_rows(
    member: Bool[np.ndarray, "rows domain"],
) -> tuple[Bool[np.ndarray, "classes domain"], Int[np.ndarray, " rows"]]:
    """Distinct rows in order of first occurrence, and which of them each row is."""
    count, width = member.shape
    if 0 < count <= FEW_ROWS and width <= FEW_ROWS:
        return _few_unique_rows(member)
    packed = np.ascontiguousarray(np.packbits(member, axis=1))
    if packed.shape[1] == 0:
        return member[:1], np.zeros(len(member), np.int64)
    view = packed.view(np.dtype((np.void, packed.shape[1]))).ravel()
    _, first, inverse = distinct(view)
    rank = first.argsort().argsort()
    return member[np.sort(first)], rank[inverse]


def _few_unique_rows(
    member: Bool[np.ndarray, "rows domain"],
) -> tuple[Bool[np.ndarray, "classes domain"], Int[np.ndarray, " rows"]]:
    """As `unique_rows`, by Python, which is quicker with few rows."""
    count, width = member.shape
    text, number = member.tobytes(), dict[bytes, int]()
    of = [
        number.setdefault(text[at * width : (at + 1) * width], len(number))
        for at in range(count)
    ]
    if len(number) == count:
        return member, np.array(of)
    first = [of.index(at) for at in range(len(number))]
    return member[first], np.array(of)
