"""What each neuron computes and where it writes, as formulas read from its weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tracr_lite.visualize.parts import has_program, owners_of, parts_of
from tracr_lite.visualize.reading import Reading
from tracr_lite.visualize.rows import ZERO
from tracr_lite.visualize.words import BOS, counted, number_text

TERMS = 4  # shown of one formula
MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True)
class Neurons:
    """Neurons of one layer that help to compute one node.

    **Arguments:** `numbers`: in the layer; `active`: those of them that are not silent on the
    input, in the same order.
    """

    layer: int
    node: str
    numbers: tuple[int, ...]
    active: tuple[int, ...]


def neurons_of(reading: Reading, layer: int) -> list[Neurons]:
    """All neurons of a layer that read and write anything, by node."""
    w_in, b_in, w_out = _weights(reading, layer)
    used = w_out.any(axis=1) & (w_in.any(axis=0) | (b_in != 0))
    peaks = reading.hidden(layer).max(axis=0)
    owner = _owners(reading, layer)
    numbers: dict[str, list[int]] = {}
    for number in np.flatnonzero(used).tolist():
        numbers.setdefault(owner.get(number, ""), []).append(number)
    found: list[Neurons] = []
    for node, own in numbers.items():
        limit = ZERO * float(peaks[own].max())
        active = tuple(i for i in own if float(peaks[i]) > limit)
        found.append(Neurons(layer, node, tuple(own), active))
    return found


def formulas(reading: Reading, layer: int, number: int) -> tuple[str, str]:
    """What a neuron takes the positive part of, and what it adds for each unit of that."""
    w_in, b_in, w_out = _weights(reading, layer)
    labels, row = reading.model.residual_labels, w_out[number]
    reads = _reads(w_in[:, number], float(b_in[number]), labels)
    return reads, _sum(row, labels, np.flatnonzero(row), "")


def _weights(reading: Reading, layer: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    into, out = (
        reading.model.params[f"transformer/layer_{layer}/mlp/linear_{i}"] for i in (1, 2)
    )
    return np.asarray(into["w"]), np.asarray(into["b"]), np.asarray(out["w"])


def _owners(reading: Reading, layer: int) -> dict[int, str]:
    """The node of each neuron; without a program, the first one that it writes to."""
    if not has_program(reading):
        names = owners_of(reading)
        w_out = _weights(reading, layer)[2]
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
