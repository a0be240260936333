"""Whether claims fit together: names, shapes and state numbers, before anything is computed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tracr_lite.certifying.claims import (
    EMBEDDINGS,
    INDICES,
    TOKENS,
    Claims,
    Head,
    Table,
)


def misfits(claims: Claims, width: int, tokens: int, positions: int) -> Iterator[str]:
    """What does not fit. `width`: residual columns; `tokens`, `positions`: embedding rows."""
    states = {held.name: len(held.states) for held in claims.held}
    states |= {each.name: len(each.states) for each in claims.sums}
    widths = {held.name: len(held.columns) for held in claims.held}
    if len(states) < len(claims.held) + len(claims.sums):
        yield "two nodes have the same name"
    for held in claims.held:
        size = (len(held.states), len(held.columns))
        if held.states.ndim != 2 or held.states.shape != size or held.at_bos.shape != size[1:]:
            yield f"the states of {held.name} do not fit its columns"
        if not _within(held.columns, width):
            yield f"the columns of {held.name} are out of range"
        if held.numbers not in (0, 1) or (held.one_hot and held.numbers):
            yield f"{held.name} must have one number, or none"
        if held.name in (TOKENS, INDICES) and held.half == EMBEDDINGS:
            rows = claims.token_rows if held.name == TOKENS else claims.position_rows
            if not held.one_hot or rows.shape != held.columns.shape:
                yield f"the rows of {held.name} do not fit its columns"
    for each in claims.sums:
        sizes = [factors.shape for factors in each.factors]
        if sizes != [(widths.get(name, -1),) for name in each.parts] or each.states.ndim != 1:
            yield f"the parts of {each.name} do not fit"
        elif not any(factors.any() for factors in each.factors):
            yield f"{each.name} reads nothing"
    for rows, size in ((claims.token_rows, tokens), (claims.position_rows, positions)):
        if rows.ndim != 1 or not _within(rows, size) or len(np.unique(rows)) < len(rows):
            yield "rows of embeddings are out of range, or claimed twice"
    special = {claims.bos_row, claims.pad_row}
    if not _within(np.array([*special]), tokens) or special & set(claims.token_rows.tolist()):
        yield "the rows of BOS and of padding are out of range, or those of tokens"
    if 0 in claims.position_rows.tolist() or not 1 <= claims.max_seq_len < positions:
        yield "positions go from 1 to max_seq_len"
    for table in claims.tables:
        yield from _table(table, states)
    for head in claims.heads:
        yield from _head(head, states, widths)
    output = claims.output
    if output.node not in widths or not _within(output.columns, width):
        yield "the answer is read from no node"


def _within(values: np.ndarray, size: int) -> bool:
    return values.ndim == 1 and bool(((values >= 0) & (values < size)).all())


def _table(table: Table, states: dict[str, int]) -> Iterator[str]:
    sizes = [states.get(name, 0) for name in table.leaves]
    rows, output = table.rows, table.output
    if rows.ndim != 2 or output.ndim != 1 or rows.shape != (len(output), len(sizes)):
        yield f"the table of {table.writes} has another shape than its leaves"
    elif not all(_within(rows[:, at], size) for at, size in enumerate(sizes)):
        yield f"the table of {table.writes} reads states that there are not"
    elif not _within(output, states.get(table.writes, 0)):
        yield f"the table of {table.writes} writes states that there are not"
    elif len(np.unique(rows, axis=0)) < len(rows):
        yield f"the table of {table.writes} has a row twice"


def _head(head: Head, states: dict[str, int], widths: dict[str, int]) -> Iterator[str]:
    for each in head.literals:
        if each.truth.shape != (states.get(each.keys, -1), states.get(each.queries, -1)):
            yield f"the selector of {head.writes} does not fit the states that it reads"
        elif not np.isin(each.truth, (-1, 0, 1)).all():
            yield f"the selector of {head.writes} is no table of truth"
    for value in head.values:
        if value.rows.shape != (states.get(value.source, -1), widths.get(head.writes, -1)):
            yield f"the values of {head.writes} do not fit the states that it reads"
    if len({value.source for value in head.values}) < len(head.values):
        yield f"{head.writes} reads a node twice"
    if not 0 <= head.low <= head.high or head.head < 0:
        yield f"the numbers of keys of {head.writes} make no sense"
    if head.default < -1 or (head.counts_bos and (head.values or head.default >= 0)):
        yield f"a width has no values and no default, but {head.writes} has"
