"""The edge to numba and LLVM, which have few types: decorators, addresses, atomic numbers.

What is compiled looks like plain Python with types; the names below say what they become.
"""

# numba and llvmlite have few annotations; this file is where that ends.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false
# pyright: reportUnknownParameterType=false, reportUntypedFunctionDecorator=false
# pyright: reportMissingParameterType=false, reportUnknownLambdaType=false
# pyright: reportMissingTypeArgument=false

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic as _intrinsic

from tracr_lite.llama.errors import LlamaWarning

F = TypeVar("F", bound=Callable[..., Any])
# Sums may take any order, so that they fill vectors. NaN and infinities stay what they are.
RELAXED = {"reassoc", "contract", "nsz"}
HOW: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
instruction: Any = _intrinsic  # a function that writes LLVM's code itself
Entry: TypeAlias = Callable[..., int]
CLOCK: int = getattr(time, "CLOCK_MONOTONIC", 0)  # what the system calls it
_array: Any = numba.carray  # pyright: ignore[reportPrivateImportUsage]


def compiled(function: F) -> F:
    """A part of compiled code; sums of floats may be reordered."""
    return numba.njit(fastmath=RELAXED, **HOW)(function)  # pyright: ignore[reportReturnType]


def compiled_strictly(function: F) -> F:
    """A part of compiled code whose arithmetic keeps its order.

    Without a word about it, numba would take over what the first caller may do.
    """
    return numba.njit(fastmath=False, **HOW)(function)  # pyright: ignore[reportReturnType]


def compiled_on_disk(function: Callable[..., int], try_out: Callable[[Entry], None]) -> Entry:
    """Compiled code that is kept on disk: beside its source or in the folder of the user.

    **Arguments:** `try_out`: calls it, which compiles it.
    **Warns:** `LlamaWarning` where what is on disk is damaged, or the disk is full.
    """
    alone = numba.njit(**HOW)(function)
    try:
        kept = numba.njit(cache=True, **HOW)(function)
    except RuntimeError:  # neither of the two can be written: compiled in each process then
        try_out(alone)
        return alone
    try:
        try_out(kept)
    except Exception as error:  # unpickling damaged files raises anything
        try_out(alone)  # an error of the code itself comes up again
        warnings.warn(
            f"what numba keeps in {str(kept.stats.cache_path)!r} cannot be used "
            f"({type(error).__name__}: {error}), so the engine was compiled for this process "
            "only. Delete the files of tracr_lite there, or see whether the disk is full",
            LlamaWarning,
            2,
        )
        return alone
    return kept


@instruction
def _pointer(_context: Any, _address: Any) -> Any:
    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], cgutils.voidptr_t)

    return types.voidptr(types.int64), generate


@compiled
def floats(address: int, rows: int, columns: int) -> np.ndarray:
    """The matrix of float32 at an address."""
    return _array(_pointer(address), (rows, columns), np.float32)


@compiled
def row_at(address: int, row: int, columns: int) -> np.ndarray:
    """One row of the matrix of float32 at an address: nobody counts who uses it."""
    return floats(address + row * columns * 4, 1, columns)[0]


@compiled
def shorts(address: int, rows: int, columns: int) -> np.ndarray:
    """The matrix of int16 at an address."""
    return _array(_pointer(address), (rows, columns), np.int16)


@compiled
def bytes_in_groups(address: int, chunks: int, rows: int, groups: int, size: int) -> np.ndarray:
    """The int8 numbers at an address, (chunks, rows, groups, size)."""
    return _array(_pointer(address), (chunks, rows, groups, size), np.int8)


@compiled
def scales_of_groups(address: int, chunks: int, groups: int, rows: int) -> np.ndarray:
    """The float32 numbers at an address, (chunks, groups, rows)."""
    return _array(_pointer(address), (chunks, groups, rows), np.float32)


@instruction
def add_atomically(_context: Any, _address: Any, _more: Any) -> Any:
    """Adds to the int64 at an address; what was there before."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        place = builder.inttoptr(args[0], ir.IntType(64).as_pointer())
        return builder.atomic_rmw("add", place, args[1], "seq_cst")

    return types.int64(types.int64, types.int64), generate


@instruction
def read_atomically(_context: Any, _address: Any) -> Any:
    """The int64 at an address, as other threads left it."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        place = builder.inttoptr(args[0], ir.IntType(64).as_pointer())
        return builder.load_atomic(place, "seq_cst", 8)

    return types.int64(types.int64), generate


@instruction
def sleep(_context: Any, _microseconds: Any) -> Any:
    """Leaves the core to others for at least so long (POSIX `usleep`)."""

    def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        kind = ir.FunctionType(ir.IntType(32), [ir.IntType(32)])
        call = cgutils.get_or_insert_function(builder.module, kind, "usleep")
        builder.call(call, [builder.trunc(args[0], ir.IntType(32))])
        return context.get_dummy_value()

    return types.void(types.int64), generate


@instruction
def now(_context: Any) -> Any:
    """`time.monotonic_ns()` (POSIX `clock_gettime`)."""

    def generate(_context: Any, builder: Any, _signature: Any, _args: Any) -> Any:
        long, clock = ir.IntType(64), ir.IntType(32)
        room = cgutils.alloca_once(builder, ir.ArrayType(long, 2))
        start = builder.bitcast(room, long.as_pointer())
        kind = ir.FunctionType(clock, [clock, long.as_pointer()])
        call = cgutils.get_or_insert_function(builder.module, kind, "clock_gettime")
        builder.call(call, [ir.Constant(clock, CLOCK), start])
        rest = builder.load(builder.gep(start, [ir.Constant(long, 1)]))
        return builder.add(builder.mul(builder.load(start), ir.Constant(long, 10**9)), rest)

    return types.int64(), generate
