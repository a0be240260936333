"""The compiled entry, kept on disk between runs of Python.

numba compares a cache with the file of the function only, so that changes in the other files
here would not be seen. A digest of all of them is a constant of the function, and numba makes
that a part of the key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from threading import Lock

import numpy as np

from tracr_lite.llama.native.choosing import Choosing, Desk, How
from tracr_lite.llama.native.edge import Entry, compiled_on_disk
from tracr_lite.llama.native.generating import run
from tracr_lite.llama.native.plan import Batch, Model
from tracr_lite.llama.native.sampling import choose


def sources() -> int:
    """A number for what the files of this package say."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return int.from_bytes(digest.digest()[:6], "big")


_LOCK = Lock()
_ready: list[Entry] = []
_chooser: list[Entry] = []


def entry(try_out: Callable[[Entry], None]) -> Entry:
    """`generating.run`, compiled or taken from the cache of numba; once for each process.

    **Arguments:** `try_out`: calls it, which compiles it.
    """
    with _LOCK:
        if not _ready:
            _ready.append(_make(try_out))
    return _ready[0]


def chooser(try_out: Callable[[Entry], None]) -> Entry:
    """`sampling.choose`, in the same way."""
    with _LOCK:
        if not _chooser:
            _chooser.append(_make_chooser(try_out))
    return _chooser[0]


def _make_chooser(try_out: Callable[[Entry], None]) -> Entry:
    said = sources()

    def pick(
        logits: np.ndarray, how: How, random: np.ndarray, seen: np.ndarray, desk: Desk
    ) -> int:
        return choose(logits, how, random, seen, desk) if said >= 0 else said

    return compiled_on_disk(pick, try_out)


def _make(try_out: Callable[[Entry], None]) -> Entry:
    said = sources()

    def generate(
        model: Model,
        batch: Batch,
        choosing: Choosing,
        steps: int,
        stops: np.ndarray,
        found: np.ndarray,
        thread: int,
        threads: int,
    ) -> int:
        run(model, batch, choosing, steps, stops, found, thread, threads)
        return said

    return compiled_on_disk(generate, try_out)
