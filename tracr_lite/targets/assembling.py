"""Lowered parts -> a stock model: chooses sizes, gives every column a place, writes it all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from tracr_lite.compiler.lowering.forms import Number, OneHot
from tracr_lite.craft.bases import BasisDirection
from tracr_lite.craft.conventions import TOKENS
from tracr_lite.errors import CompileError, Problem
from tracr_lite.rasp import rasp
from tracr_lite.targets.architecture import Architecture, Frame
from tracr_lite.targets.ballast import ballast_of
from tracr_lite.targets.blocks import HeadPart, Part
from tracr_lite.targets.lower import Lowered
from tracr_lite.targets.node_map import places_of
from tracr_lite.targets.placing import (
    Groups,
    PlacedHead,
    PlacedLayer,
    layers_of,
    shapes,
    used,
    written,
)
from tracr_lite.targets.reuse import allocate, without_dead
from tracr_lite.targets.rows import POSITION, Row, column, reading, scaled, total
from tracr_lite.targets.statement import statement
from tracr_lite.targets.stock_model import BOS, LOGIT, StockModel, StockVocabulary
from tracr_lite.targets.vocabulary import ends, vocabulary_of

WIDER = (
    "compare fewer values; or, for Llama, pass a greater rope_theta, 1e30 for instance, which "
    "run.c does not know"
)
HEADS = (8, 16, 32, 64, 128, 256, 512, 1024, 2048)


@dataclass(frozen=True)
class Request:
    """What a stock model is asked to be; as of `compile_rasp_to_llama`."""

    program: rasp.SOp
    tokens: tuple[Any, ...]
    max_seq_len: int
    causal: bool
    end: Any
    ends: bool
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def positions(self) -> int:
        """Longest sequence of the network: BOS comes first."""
        return self.max_seq_len + 1


@dataclass(frozen=True)
class Plan:
    """Sizes and places; `output`: what the logit of each id reads."""

    frame: Frame
    vocabulary: StockVocabulary
    output: list[tuple[int, Row]]


def plan(lowered: Lowered, request: Request, target: Architecture) -> Plan:
    """The smallest network that holds the parts.

    **Raises:** `CompileError` if no size of head is enough, or a number is too great.
    """
    vocabulary, output = _outputs(lowered, request)
    read = [row for _, row in output]
    parts = without_dead(lowered.parts, read)
    always = [*read, {lowered.lowering.bos: 1.0}]  # every neuron and head may read BOS
    found = allocate(parts, _embedded(lowered, parts, read), always, reuse=target.exact)
    parts = (*parts, *found.clearing)
    sizes = _head_sizes(lowered, parts, request.positions, target)
    overhead = found.count + target.extra
    groups = Groups(target.group, partial(_share, target, request.positions))
    shape = min(
        shapes(parts, overhead, iter(sizes), target.ballast_columns, groups),
        key=lambda s: (s.width, s.heads),
    )
    ballast = ballast_of(shape.width, shape.ballast, content_of(lowered))
    if ballast is None:
        raise _too_great(lowered)
    first = shape.ballast + target.extra
    place = {d: first + i for d, i in found.place.items()}
    layers = layers_of(parts, shape.head, groups)
    most = max(neurons_in(layer, lowered, target) for layer in layers)
    hidden = max(64, -(-most // 64) * 64)
    bos = lowered.lowering.bos
    frame = Frame(shape, ballast, place, bos, layers, hidden, request.positions, found.freed)
    return Plan(frame, vocabulary, output)


def assemble(
    lowered: Lowered, request: Request, target: Architecture, planned: Plan
) -> StockModel:
    """The model of lowered parts."""
    frame, vocabulary = planned.frame, planned.vocabulary
    return StockModel(
        target.name,
        target.config(frame, vocabulary),
        target.tensors(frame, _embedding(frame, lowered, vocabulary), planned.output),
        vocabulary,
        request.program,
        request.max_seq_len,
        lowered.output.number is not None,
        places_of(lowered, frame, target),
        statement(lowered, target.name, target.traits, request.positions),
        causal=request.causal,
        known=lowered.output.known,
        tolerance=lowered.output.tolerance,
        dtype=target.traits.dtype,
        options=request.options,
    )


def _share(target: Architecture, positions: int, heads: list[PlacedHead], head: int) -> bool:
    return target.shares(heads, head, positions)


def neurons_in(layer: PlacedLayer, lowered: Lowered, target: Architecture) -> int:
    """How many neurons the layer takes."""
    bos = lowered.lowering.bos
    return sum(target.count(unit, bos) for part in layer.mlps for unit in part.units)


def _head_sizes(
    lowered: Lowered, given: tuple[Part, ...], positions: int, target: Architecture
) -> list[int]:
    """Sizes of heads whose elements are enough for every selector."""
    parts = [part for part in given if isinstance(part, HeadPart)]
    fitting = [size for size in HEADS if all(target.fits(p, size, positions) for p in parts)]
    if fitting:
        return fitting
    problems = [
        Problem(
            lowered.lowering.values.labels[part.selector],
            f"it forbids {len(part.penalties)} rectangles of keys and queries, more than heads "
            f"of {HEADS[-1]}, the largest, can score over {positions} positions",
            WIDER,
        )
        for part in parts
        if not target.fits(part, HEADS[-1], positions)
    ]
    raise CompileError("place", problems)


def _too_great(lowered: Lowered) -> CompileError:
    label = lowered.lowering.values.labels[lowered.output.root]
    reason = "numbers on the way to it are too great beside the constant of the norm"
    return CompileError("place", [Problem(label, reason, "scale them to below 1e12")])


def content_of(lowered: Lowered) -> float:
    """Bound on the sum of squares of the residual stream, ballast apart."""
    lowering = lowered.lowering
    most = 2.0 + len(written(lowered.parts))  # a column that is no number is 1 at most
    for form in lowering.written:
        if isinstance(form, Number) and not form.raw:
            most += lowering.reach(form.node) ** 2
    return most


def _check_end(request: Request, outputs: list[Any]) -> None:
    """Refuses an end at which no runtime would stop."""
    end = request.end
    if not request.ends:
        return
    reason = f"{end!r} is a token, and texts go on after it" if end in request.tokens else ""
    if not any(ends(value, end) for value in outputs):
        reason = f"{end!r} is no output that the program can have"
    if reason:
        fix = "name an output that is no token, or leave it out"
        raise CompileError("arguments", [Problem("end", reason, fix)])


def _embedded(
    lowered: Lowered, parts: tuple[Part, ...], output: list[Row]
) -> list[BasisDirection]:
    """The columns that the embeddings write and something reads."""
    lowering = lowered.lowering
    read = used(parts) | {d for row in output for d in row}
    forms = [f for f in lowering.written if isinstance(f, OneHot) and f.slot < 0]
    dirs = [d for form in forms for d in form.dirs]
    return [lowering.bos, *(d for d in (POSITION, *dirs) if d in read)]


def _embedding(frame: Frame, lowered: Lowered, vocabulary: StockVocabulary) -> np.ndarray:
    """The rows of all ids, without the ballast."""
    found = np.zeros((vocabulary.size, frame.shape.width))
    found[BOS, frame.place[lowered.lowering.bos]] = 1.0
    for value, at in vocabulary.inputs:
        column_of = frame.place.get(BasisDirection(TOKENS, value))
        if column_of is not None:
            found[at, column_of] = 1.0
    for alias, at in vocabulary.aliases:
        found[alias] = found[at]
    return found


def _outputs(
    lowered: Lowered, request: Request
) -> tuple[StockVocabulary, list[tuple[int, Row]]]:
    """The vocabulary, and what each logit reads."""
    lowering, output = lowered.lowering, lowered.output
    bos = lowering.bos
    rows: list[tuple[Any, Row]] = []
    if output.form is not None:
        form = output.form
        for value, columns in output.columns:
            read = total(column(form.dirs[i], float(form.at_bos[i]), bos) for i in columns)
            rows.append((value, scaled(read, LOGIT)))
    else:
        assert output.number is not None, "an output is a view or a number"
        values = lowering.values.info[output.root].values
        for at, flag in output.number.flags.items():
            rows.append((values[at], scaled(reading(flag, bos), LOGIT)))
    _check_end(request, [value for value, _ in rows])
    vocabulary = vocabulary_of(
        request.tokens,
        [value for value, _ in rows],
        request.end,
        numeric=output.number is not None,
        stops=request.ends,
    )
    found = [(at, row) for (_, at), (_, row) in zip(vocabulary.outputs, rows, strict=True)]
    if vocabulary.number is not None and output.number is not None:
        found.append((vocabulary.number, reading(output.number.read, bos)))
    return vocabulary, found
