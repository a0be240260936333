"""Makes the arrays of `plan.Batch`."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from tracr_lite.llama.arena import ALIGNED, Arena
from tracr_lite.llama.native.amx import SIDE
from tracr_lite.llama.native.amx_kernels import ABREAST
from tracr_lite.llama.native.plan import APART, BLOCK, Batch, Model
from tracr_lite.llama.native.threads import PLACES
from tracr_lite.llama.native.tile import ROWS
from tracr_lite.llama.native.vectors import LANES

Caches = tuple[np.ndarray, np.ndarray]


def make_caches(model: Model, texts: int, slots: int) -> Caches:
    """Keys and values of all layers; pages that are not used need no memory."""
    shape = (model.layers, texts, model.kv_heads, slots, model.size)
    arena, kind = Arena(), np.dtype(np.float32)
    return arena.empty(shape, kind), arena.empty(shape, kind)


def make_room(model: Model, caches: Caches, rows: int, scored: int, threads: int) -> Batch:
    """Room for passes of up to `rows` rows, of which `scored` may be scored."""
    widest = max(model.dim, model.hidden)
    joined = max(model.dim + 2 * model.kv_dim, 2 * model.hidden)
    own: dict[str, Any] = {
        "x": _floats(rows, model.dim),
        "given": _floats(rows, widest),
        "joined": _floats(rows, joined),
        "mixed": _floats(rows, model.dim),
        "attention": _floats(threads, -(-caches[0].shape[3] // LANES) * LANES),
    }
    found = own | {"keys": caches[0], "values": caches[1]}
    found |= {"norms": model.norms, "cos": model.cos, "sin": model.sin}
    places: dict[str, Any] = {f"at_{name}": each.ctypes.data for name, each in found.items()}
    return Batch(
        **own,
        **places,
        counts=_integers(APART),
        tokens=_integers(rows),
        texts=_integers(rows),
        places=_integers(rows),
        scored=_integers(rows),
        keys=caches[0],
        values=caches[1],
        scales=np.ones((rows, widest), np.float32),
        packed=_floats(-(-rows // LANES), widest, LANES),
        factors=_floats(-(-rows // LANES), -(-widest // LANES), LANES),
        logits=_floats(scored, model.vocab),
        queries=_floats(threads, model.size, LANES),
        scores=_floats(threads, caches[0].shape[3], LANES),
        totals=_floats(threads, LANES),
        mixtures=_floats(threads, LANES, model.size),
        blocks=_floats(threads, ROWS, widest + LANES),
        tiles=_floats(threads, 3, LANES, ROWS),
        found=_floats(threads, ABREAST, LANES, SIDE),
        some=_floats(threads, scored, BLOCK),
        best=_floats(threads, -(-scored // APART) * APART),
        where=_integers(threads, -(-scored // APART) * APART),
        sync=_integers(PLACES),
    )


def _floats(*shape: int) -> np.ndarray:
    return _zeros(shape, np.dtype(np.float32))


def _integers(*shape: int) -> np.ndarray:
    return _zeros(shape, np.dtype(np.int64))


def _zeros(shape: tuple[int, ...], kind: np.dtype[Any]) -> np.ndarray:
    """Zeros that begin with a cache line: else each vector of 64 bytes would lie in two."""
    nbytes = prod(shape) * kind.itemsize
    whole = np.zeros(nbytes + ALIGNED, np.uint8)
    first = -whole.ctypes.data % ALIGNED
    return whole[first : first + nbytes].view(kind).reshape(shape)
