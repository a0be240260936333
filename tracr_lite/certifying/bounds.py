"""All bounds of a model: half-layer by half-layer, from parameters and claims alone."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Float

from tracr_lite.certifying.by_state import hull, worst_by
from tracr_lite.certifying.certificate import Certificate, NodeBound
from tracr_lite.certifying.claims import BOS, EMBEDDINGS, MLP, ONE, Claims, Head, Held, Table
from tracr_lite.certifying.errors import CertifyError
from tracr_lite.certifying.head_bound import HeadBound
from tracr_lite.certifying.head_stored import stored
from tracr_lite.certifying.known import Known, Leaf, Progress, exactly, ideal_of
from tracr_lite.certifying.mlp_bound import errors_of
from tracr_lite.certifying.mlp_parts import Network, Rows
from tracr_lite.certifying.rounding import FORMATS, Arithmetic
from tracr_lite.certifying.score_bound import scored
from tracr_lite.certifying.structure import claims_of, faults, reads_of
from tracr_lite.certifying.tolerances import output_tolerance, tolerance_of
from tracr_lite.certifying.values_read import values_of
from tracr_lite.certifying.weights import Sizes, Weights

Matrix = Float[np.ndarray, "states columns"]


HOPELESS = 1e29  # such errors, and all beyond, are none that a number of float32 can have


class Open(Exception):
    """A block that the bounds do not cover, or that is not what is claimed; says why."""


def number_of(dtype: str) -> Arithmetic:
    """The format by name. **Raises:** `CertifyError` if there is no such format."""
    if dtype not in FORMATS:
        raise CertifyError(f"no rounding model for {dtype!r}; known: {', '.join(FORMATS)}")
    return FORMATS[dtype]


def derive(
    params: Mapping[str, Mapping[str, Any]], config: Any, claims: Claims, number: Arithmetic
) -> Certificate:
    """The certificate that follows from parameters and claims, whether it holds or not."""
    return derive_all(params, config, claims, number)[0]


def derive_all(
    params: Mapping[str, Mapping[str, Any]], config: Any, claims: Claims, number: Arithmetic
) -> tuple[Certificate, dict[str, Known]]:
    """As `derive`, with what is known of each node that has a bound."""
    weights = Weights(params, Sizes.of(config), number)
    problems = [*claims.open, *faults(weights, claims)]
    if problems:
        return Certificate(number.name, claims, (), tuple(dict.fromkeys(problems))), {}
    progress, nodes = Progress(claims), list[NodeBound]()
    tables = {each.writes: each for each in claims.tables}
    heads = {each.writes: each for each in claims.heads}
    for held in sorted(claims.held, key=_order):
        if held.half == EMBEDDINGS:
            progress.known[held.name] = exactly(held)
            continue
        reason = ""
        try:
            if held.half == MLP:
                middle, error, spread = _mlp(weights, progress, tables[held.name], held)
            else:
                middle, error, spread, reason = _head(weights, progress, heads[held.name], held)
        except Open as found:
            error = np.full((len(held.states) + 1, len(held.columns)), np.inf)
            middle, spread, reason = ideal_of(held), error[:, 0], str(found)
        error = np.where(np.isnan(error), np.inf, error)
        spread = np.minimum(np.where(np.isnan(spread), np.inf, spread), error.sum(axis=1))
        ideal = ideal_of(held)
        wrong = error + np.abs(middle - ideal)
        nodes.append(_bound(held.name, wrong, tolerance_of(held, claims), reason))
        if not (error < HOPELESS).all():  # what reads it could not be bounded either
            open_ones = () if nodes[-1].reason else ((held.name, "its errors have no bound"),)
            return Certificate(number.name, claims, tuple(nodes), open_ones), progress.known
        progress.known[held.name] = Known(
            *(held.columns, middle, error, spread, held.one_hot),
            ideal if weights.number.narrow else None,
        )
    nodes.append(_answer(claims, progress))
    return Certificate(number.name, claims, tuple(nodes), ()), progress.known


def _order(held: Held) -> tuple[int, int]:
    if held.half == EMBEDDINGS:
        return (-1, 0)
    return (held.layer, int(held.half == MLP))


def _bound(name: str, error: Matrix, tolerance: Matrix, reason: str = "") -> NodeBound:
    """The state and column with the least margin, as a share of what is tolerated."""
    share = error / np.where(np.isinf(error), 1.0, np.maximum(tolerance, 1e-300))
    share = share if share.any() else error
    at = np.unravel_index(int(np.argmax(share)), share.shape)
    worst, allowed = float(error[at]), float(tolerance[at])
    if np.isinf(worst) and not reason:
        reason = "no state that it reads leads to some of its states, or sizes overflow"
    margin = allowed - worst if np.isfinite(worst) else -np.inf
    return NodeBound(name, worst, allowed, margin, reason)


def _answer(claims: Claims, progress: Progress) -> NodeBound:
    output = claims.output
    held, known = claims_of(claims, output.node), progress.known[output.node]
    if sorted(output.columns.tolist()) != sorted(held.columns.tolist()):
        raise CertifyError(f"the answer is not read from the columns of {output.node}")
    if output.categorical and not held.one_hot:
        raise CertifyError(f"the answer is read by argmax, but {output.node} is a number")
    tolerance = output_tolerance(output, held)
    return _bound("answer", known.wrong[:-1], tolerance[:-1])


def _mlp(
    weights: Weights, progress: Progress, table: Table, held: Held
) -> tuple[Matrix, Matrix, Float[np.ndarray, " states"]]:
    """What an MLP writes for a node, errors, and bounds on their sums."""
    w1, w2 = weights.mlp(held.layer)
    neurons = np.flatnonzero((w2[:, held.columns] != 0.0).any(axis=1))
    leaves = [progress.leaf(name) for name in (*table.leaves, ONE, BOS)]
    for name, leaf in zip((*table.leaves, ONE, BOS), leaves, strict=True):
        _check_before(progress.claims, name, held, leaf)
    columns = np.concatenate([leaf.known.columns for leaf in leaves])
    if len(np.unique(columns)) < len(columns):
        raise Open("its leaves share residual columns, which is not covered")
    first, second = w1[:, neurons], w2[np.ix_(neurons, held.columns)]
    read = np.flatnonzero((first != 0.0).any(axis=1))
    if not set(read.tolist()) <= set(columns.tolist()):
        raise Open("it reads columns that are none of its leaves'")
    if not held.listed:
        _check_copies(first, second, leaves, weights.number)
    parts = [_read(leaf, first, weights.number.sums) for leaf in leaves]
    network = Network(
        np.concatenate([part for part, _ in parts]),
        second,
        np.sum([extra for _, extra in parts], axis=0),
        weights.number,
    )
    middle, errors = errors_of(network, _rows(table, held, leaves))
    if weights.number.narrow:
        return hull(table, held, middle, errors)
    both = np.concatenate([errors, errors.sum(axis=1, keepdims=True)], axis=1)
    found = np.concatenate([worst_by(table.output, both[:-1], len(held.states)), both[-1:]])
    return ideal_of(held), found[:, :-1], found[:, -1]


def _check_copies(w1: Matrix, w2: Matrix, leaves: list[Leaf], number: Arithmetic) -> None:
    """Numbers too many to list may only be copied, by relu(x) - relu(-x).

    Only the ends of a span are rows of the table. Between them the error of a copy, as a share
    of the number, is at most that of the smaller end; of other networks nothing is known.
    """
    if number.narrow:
        raise Open("copies of numbers that are too many to list are bounded in float32 only")
    one = np.delete(w1, leaves[-1].known.columns, axis=0)  # BOS holds 0 at all tokens
    same = w2.shape == (2, 1) and sorted(w2[:, 0].tolist()) == [-1.0, 1.0]
    linear = len(leaves) == 3 and leaves[0].factors is not None
    if not (same and linear and np.array_equal(one[:, 0], -one[:, 1])):
        raise Open("its numbers are too many to list, and it is no copy of a sum")


def _rows(table: Table, held: Held, leaves: list[Leaf]) -> Rows:
    """What the leaves hold in each row of the table, and in the last one at BOS."""
    none = np.zeros(len(table.rows), np.int64)
    at = [*table.rows.T, none, none]  # the constant and BOS have one state

    def of(what: str) -> list[Matrix]:
        pairs = [(getattr(leaf.known, what), ids) for leaf, ids in zip(leaves, at, strict=True)]
        return [np.concatenate([found[ids], found[[-1]]]) for found, ids in pairs]

    ideal = of("ideal")
    ends = np.cumsum([0, *(part.shape[1] for part in ideal)]).tolist()
    return Rows(
        np.concatenate(ideal, axis=1),
        np.concatenate(of("error"), axis=1),
        np.concatenate([held.states[table.output], held.at_bos[None]]),
        tuple(slice(a, b) for a, b in pairwise(ends)),
        np.stack(of("spread"), axis=1),
    )


def _read(
    leaf: Leaf, w1: Matrix, number: Arithmetic
) -> tuple[Matrix, Float[np.ndarray, " neurons"]]:
    """Rows of the first matrix for one leaf; what is lost if columns are combined."""
    rows = w1[leaf.known.columns]
    if leaf.factors is None:
        return rows, np.zeros(len(w1.T))
    at = int(np.argmax(np.abs(leaf.factors)))
    one = np.divide(rows[[at]], float(leaf.factors[at]))
    odd: Matrix = np.abs(rows - leaf.factors[:, None] * one)
    return one, leaf.lost(rows, odd, number)


def _check_before(claims: Claims, name: str, held: Held, leaf: Leaf) -> None:
    """A leaf must be there when it is read; `progress` holds only nodes of earlier half-layers
    and this one."""
    parts = next((each.parts for each in claims.sums if each.name == name), (name,))
    for part in parts:
        if _order(claims_of(claims, part)) >= _order(held):
            raise Open(f"it reads {part}, which is not written before it")
        if not claims_of(claims, part).listed and leaf.factors is None:
            raise Open(f"it tells apart numbers of {part}, which are too many to list")


def _head(
    weights: Weights, progress: Progress, claim: Head, held: Held
) -> tuple[Matrix, Matrix, Float[np.ndarray, " states"], str]:
    """What a head writes for a node, errors, bounds on their sums, or why there are none."""
    claims, known = progress.claims, progress.known
    head = weights.head(held.layer, claim.head)
    literals = [(each.queries, each.keys) for each in claim.literals]
    sources = [each.source for each in claim.values]
    for name in {*sources, *(n for pair in literals for n in pair)} - {ONE, BOS}:
        if _order(claims_of(claims, name)) >= _order(held):
            raise Open(f"it reads {name}, which is not written before it")
    for what, weight, names in (
        ("queries", head.query, [a for a, _ in literals]),
        ("keys", head.key, [b for _, b in literals]),
    ):
        allowed = np.concatenate([known[n].columns for n in {*names, ONE, BOS}])
        if not set(np.flatnonzero(weight.any(axis=1)).tolist()) <= set(allowed.tolist()):
            raise Open(f"its {what} read columns that are not claimed")
    read = {BOS: known[BOS], **{name: known[name] for name in sources}}
    allowed = np.concatenate([each.columns for each in read.values()])
    if not set(reads_of(head, held.columns).tolist()) <= set(allowed.tolist()):
        raise Open("its values read columns that are not claimed")
    scores = scored(head, claim.literals, known, weights.number)
    values = values_of(head, claim, held, read, weights.number)
    bound = HeadBound(
        claim, held, scores, values, claims.max_seq_len, claims.causal, weights.number
    )
    error, spread, reasons = bound.errors()
    if weights.number.narrow and not reasons:
        return *stored(bound, error), ""
    return ideal_of(held), error, spread, "; ".join(reasons)
