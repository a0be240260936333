"""Pictures of a compression. Needs matplotlib."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
# (matplotlib is typed in part only)

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tracr_lite.lora.errors import MissingDependency


def _figure(width: float, height: float) -> tuple[Any, Any]:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingDependency(
            "figures need matplotlib; install it, or tracr_lite[plots]"
        ) from error
    figure: Any = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def draw_overlap(
    path: str | Path, overlap: np.ndarray, labels: Sequence[str], title: str
) -> None:
    """Writes the heat map of W^T W, [d_model, d_model]: which directions share dimensions.

    The identity is no compression; off the diagonal, a direction is read as another one too.
    """
    size = 2.5 + 0.22 * len(labels)
    figure, axes = _figure(size, size - 0.6)
    limit = max(1.0, float(np.abs(overlap).max()))
    image = axes.imshow(overlap, cmap="RdBu", vmin=-limit, vmax=limit)
    places = range(len(labels))
    axes.set_xticks(places, labels, rotation=90, fontsize=7)
    axes.set_yticks(places, labels, fontsize=7)
    axes.set_title(title, fontsize=9)
    figure.colorbar(image, ax=axes, shrink=0.7)
    figure.savefig(path, dpi=110)


def draw_accuracy(
    path: str | Path, curves: Mapping[str, tuple[int, int, Mapping[int, float]]]
) -> None:
    """Writes accuracy over compressed size.

    **Arguments:** `curves`: program -> d_model, rank of its vectors, and size -> accuracy.
    """
    figure, axes = _figure(6, 3.4)
    for name, (d_model, rank, points) in curves.items():
        sizes = sorted(points)
        label = f"{name} (d_model {d_model}, rank {rank})"
        (line,) = axes.plot(sizes, [points[n] for n in sizes], "o-", label=label, markersize=4)
        axes.axvline(rank, color=line.get_color(), linestyle=":", linewidth=1)
    axes.axhline(1.0, color="black", linewidth=0.6)
    axes.set_xlabel("dimensions of the compressed residual stream")
    axes.set_ylabel("inputs answered as the original")
    axes.set_ylim(-0.03, 1.05)
    axes.legend(fontsize=8, loc="lower right")
    figure.savefig(path, dpi=110)
