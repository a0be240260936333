"""Which engine generates: XLA's loops anywhere, or native kernels on CPUs."""

from __future__ import annotations

import os
from importlib import import_module
from importlib.util import find_spec
from typing import Literal, TypeAlias

from tracr_lite.llama.batch_jax import JaxEngine
from tracr_lite.llama.batches import Engine
from tracr_lite.llama.config import LlamaConfig
from tracr_lite.llama.errors import LlamaError
from tracr_lite.llama.params import Params

EngineChoice: TypeAlias = Literal["auto", "jax", "native"]
MOST_THREADS = 256  # more than any machine has use for
MOST_AHEAD = 6  # tokens; with one more and that before them, sums have another order
CHOICES = ("auto", "jax", "native")


def choose_engine(
    choice: str,
    params: Params,
    config: LlamaConfig,
    threads: int | None = None,
    lookahead: int = 0,
) -> Engine:
    """The engine for a model.

    **Arguments:** `choice`: "auto" is "native" where that works. `threads`, `lookahead`: of
    "native", see `runtime.load`.
    **Raises:** `LlamaError` for other words, and where "native", or what only it can do, was
    asked for and cannot be.
    """
    _check(choice, threads, lookahead)
    if choice == "jax":
        return JaxEngine(params, config)
    reason = missing()
    if reason is None:
        from tracr_lite.llama.native.describe import refusal

        reason = refusal(params)
    if reason is not None:
        if choice == "native" or lookahead:
            raise LlamaError(
                f'the native engine cannot be used: {reason}; or use "jax", without lookahead'
            )
        return JaxEngine(params, config)
    from tracr_lite.llama.native.engine import NativeEngine

    return NativeEngine(params, config, threads, lookahead)


def _check(choice: str, threads: int | None, lookahead: int) -> None:
    """**Raises:** `LlamaError` for what has no meaning, here or anywhere."""
    if choice not in CHOICES:
        raise LlamaError(f"there is no engine {choice!r}; there are {', '.join(CHOICES)}")
    if threads is not None and (type(threads) is not int or threads < 1):
        raise LlamaError(f"threads is {threads!r}, not a positive integer")
    if threads is not None and threads > MOST_THREADS:
        raise LlamaError(f"threads is {threads}; at most {MOST_THREADS} are started")
    if type(lookahead) is not int or not 0 <= lookahead <= MOST_AHEAD:
        raise LlamaError(f"lookahead is {lookahead!r}, not an integer from 0 to {MOST_AHEAD}")
    if choice == "jax" and lookahead:
        raise LlamaError(
            "looking ahead is for the native engine: in XLA the last bits of a logit depend on "
            'how many tokens run together. Leave lookahead out, or engine="jax"'
        )


def missing() -> str | None:
    """Why there is no native engine here; None if there is one."""
    if os.name != "posix":
        return "it needs the threads of a POSIX system"
    if find_spec("numba") is None:
        return "it needs numba, which is not installed: pip install 'tracr_lite[fast]'"
    if os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
        return "NUMBA_DISABLE_JIT is set, so that nothing is compiled"
    try:
        import_module("numba")
    except ImportError as error:  # as for a numpy that it does not know
        return f"numba cannot be imported: {error}"
    return None
