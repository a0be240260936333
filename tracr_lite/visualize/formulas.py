"""What each neuron computes and where it writes, as formulas read from its weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tracr_lite.visualize.parts import has_program, owners_of, parts_of
from tracr_lite.visualize.reading import Reading, matrix
from tracr_lite.visualize.words import BOS, counted, number_text

TERMS = 4  # shown of one formula
MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True)
class Neuron:
    """A neuron.

    **Arguments:** `number`: in its layer; `node`: whose value it helps to compute; `reads`:
    what it takes the positive part of; `writes`: what it adds to the stream.
    """

    layer: int
    number: int
    node: str
    reads: str
    writes: str


def neurons_of(reading: Reading, layer: int) -> list[Neuron]:
    """All neurons of a layer that read and write anything."""
    w_in, b_in = matrix(reading.model, f"transformer/layer_{layer}/mlp/linear_1")
    w_out, _ = matrix(reading.model, f"transformer/layer_{layer}/mlp/linear_2")
    labels = reading.model.residual_labels
    owner = _owners(reading, layer)
    return [
        Neuron(
            layer,
            at,
            owner.get(at, ""),
            _reads(w_in[:, at], float(b_in[at]), labels),
            _sum(w_out[at], labels, np.flatnonzero(w_out[at]), ""),
        )
        for at in range(w_in.shape[1])
        if w_out[at].any() and (w_in[:, at].any() or b_in[at])
    ]


def _owners(reading: Reading, layer: int) -> dict[int, str]:
    """The node of each neuron; without a program, the first one that it writes to."""
    if not has_program(reading):
        names = owners_of(reading)
        w_out, _ = matrix(reading.model, f"transformer/layer_{layer}/mlp/linear_2")
        return {
            i: names[np.flatnonzero(row).tolist()[0]]
            for i, row in enumerate(w_out)
            if row.any()
        }
    return {
        number: label
        for label, part in parts_of(reading).items()
        for at, span in part.place.neurons
        if at == layer
        for number in span
    }


def _reads(weights: np.ndarray, bias: float, labels: Sequence[str]) -> str:
    """The formula; the column `one` is a constant, and what BOS is spared is left out."""
    constant, terms = bias, list[int]()
    for column in np.flatnonzero(weights).tolist():
        if labels[column] == "one":
            constant += float(weights[column])
        else:
            terms.append(column)
    spared = [i for i in terms if _is_bos(labels[i]) and np.isclose(weights[i], -constant)]
    kept = [i for i in terms if i not in spared]
    sign = f" {MINUS} " if constant < 0 else " + "
    tail = f"{sign}{number_text(abs(constant))}" if constant else ""
    return _sum(weights, labels, np.array(kept, int), tail)


def _is_bos(label: str) -> bool:
    return label == "tokens:compiler_bos"


def _sum(weights: np.ndarray, labels: Sequence[str], columns: np.ndarray, tail: str) -> str:
    """`2 a + b - 1`, the largest weights first."""
    order: list[int] = sorted(columns.tolist(), key=lambda i: (-abs(weights[i]), i))
    text = ""
    for column in order[:TERMS]:
        weight = float(weights[column])
        size = "" if abs(abs(weight) - 1) < 1e-6 else f"{number_text(abs(weight))} "
        sign = f" {MINUS} " if weight < 0 else " + "
        if not text:
            sign = MINUS if weight < 0 else ""
        text += f"{sign}{size}{BOS if _is_bos(labels[column]) else labels[column]}"
    if len(order) > TERMS:
        text += f" + {counted(len(order) - TERMS, 'more column')}"
    return (text + tail) if text else tail.strip().removeprefix("+ ")
