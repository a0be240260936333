"""Numbers that are read from what is there, without a block that writes them."""

from __future__ import annotations

import numpy as np

from tracr_lite.compiler.lowering.forms import Functional, Number, View
from tracr_lite.compiler.lowering.problems import Split
from tracr_lite.compiler.lowering.proved import added, read_from
from tracr_lite.compiler.lowering.state import State
from tracr_lite.compiler.values.domain import ERR, is_number


def sum_of(state: State, node: int, view: View) -> Number:
    """A one-hot node as a number: the sum of value times indicator."""
    values = state.values.info[node].values
    coefs = np.full(len(view.form.dirs), np.nan)
    flags: dict[int, np.ndarray] = {}
    codes = np.array([state.as_float(node, v) if is_number(v) else 0.0 for v in values])
    for base, at in enumerate(view.ids.tolist()):
        column = int(view.form.group[base])
        if at == ERR:
            continue
        new = codes[at] if is_number(values[at]) else 0.0
        if not (np.isnan(coefs[column]) or coefs[column] == new):
            raise Split({view.form.node})
        coefs[column] = new
        if not is_number(values[at]):
            flags.setdefault(at, np.zeros(len(coefs)))[column] = 1.0
    form, coefs = view.form, np.nan_to_num(coefs)
    largest = float(np.abs(coefs).max(initial=0.0))
    return Number(
        node,
        Functional(form.dirs, coefs, form.at_bos),
        {at: Functional(form.dirs, c, form.at_bos) for at, c in flags.items()},
        codes,
        False,
        absolute=largest * form.spread,
        relative=2.0**-23,
        flag_error=form.error,
        slot=form.slot,
        proved=read_from(form.proved, largest),
    )


def linear_of(
    state: State,
    node: int,
    inputs: tuple[int, ...],
    factors: tuple[float, float],
    parts: list[Number],
) -> Number:
    """A linear function of two numbers: read through the columns of both."""
    read = parts[0].read.scaled(factors[0]).plus(parts[1].read.scaled(factors[1]))
    relative = max(p.relative for p in parts) + 2.0**-22
    error = sum(abs(f) * p.absolute for f, p in zip(factors, parts, strict=True))
    one_sign = _one_sign(state, inputs, factors)
    if not one_sign:
        reach = [state.reach(i) * abs(f) for i, f in zip(inputs, factors, strict=True)]
        error, relative = error + relative * sum(reach), 2.0**-23
    values = state.values.info[node].values
    codes = np.array([state.as_float(node, v) for v in values])
    return Number(
        node,
        read,
        {},
        codes,
        False,
        absolute=error,
        relative=relative,
        flag_error=0.0,
        slot=max(p.slot for p in parts),
        proved=added([p.proved for p in parts], factors, one_sign),
    )


def _one_sign(state: State, nodes: tuple[int, ...], factors: tuple[float, float]) -> bool:
    """Whether the terms of a sum cannot cancel."""
    ends: list[float] = []
    for node, factor in zip(nodes, factors, strict=True):
        info = state.values.info[node]
        ends += [factor * x for x in (*info.values, *(info.span or ())) if is_number(x)]
    return min(ends, default=0.0) >= 0 or max(ends, default=0.0) <= 0
