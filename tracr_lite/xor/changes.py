"""How many weights of each tensor differ between two checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from tracr_lite.xor.codec import fill
from tracr_lite.xor.layouts import Span, layout
from tracr_lite.xor.report import TensorChange
from tracr_lite.xor.sums import CHUNK, Tick, no_tick

UNSIGNED = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}  # by bytes per number


def count_changes(
    target: Path, base: Path, tick: Tick = no_tick
) -> tuple[TensorChange, ...] | None:
    """Compares tensors by name, wherever they lie in the two files.

    A weight counts as changed if any of its bits is: 0.0 and -0.0 differ, equal NaNs do not.

    **Returns:** one row for each tensor of either file, those of the target first, or None
    if a file is no checkpoint in a format that we know.
    **Raises:** `FileRefused` for a header that would take much memory.
    """
    spans, others = layout(target), layout(base)
    if spans is None or others is None:
        return None
    rows: list[TensorChange] = []
    with target.open("rb", buffering=0) as one, base.open("rb", buffering=0) as two:
        pair = cast(BinaryIO, one), cast(BinaryIO, two)
        for name, span in spans.items():
            rows.append(_compare(pair, name, span, others.get(name), tick))
    gone = [name for name in others if name not in spans]
    rows += [
        TensorChange(name, others[name].count, others[name].count, "gone") for name in gone
    ]
    return tuple(rows)


def _compare(
    files: tuple[BinaryIO, BinaryIO], name: str, span: Span, other: Span | None, tick: Tick
) -> TensorChange:
    if other is None:
        return TensorChange(name, span.count, span.count, "new")
    if span.dtype != other.dtype:
        note = f"was {other.dtype}, is {span.dtype}"
        return TensorChange(name, span.count, span.count, note)
    if span.count != other.count:
        note = f"had {other.count} weights"
        return TensorChange(name, span.count, span.count, note)
    return TensorChange(name, span.count, _different(files, span, other, tick))


def _different(files: tuple[BinaryIO, BinaryIO], span: Span, other: Span, tick: Tick) -> int:
    """The number of weights that differ between two spans of equal length."""
    buffers = [memoryview(bytearray(CHUNK)) for _ in files]
    for file, where in zip(files, (span, other), strict=True):
        file.seek(where.start)
    changed, left = 0, span.count * span.width
    while left:
        count = min(left, CHUNK)
        for file, buffer in zip(files, buffers, strict=True):
            if fill(file, buffer[:count]) != count:
                raise OSError("a checkpoint became shorter while it was read")
        one, two = (np.frombuffer(each[:count], UNSIGNED[span.width]) for each in buffers)
        changed += int(np.count_nonzero(one != two))
        left -= count
        tick(count)
    return changed
