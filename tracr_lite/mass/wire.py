"""How programs go to a worker process.

A program is sent as a list of expressions, each naming the ones it reads by number, so that
deep programs need no deep recursion. Its functions may be lambdas: cloudpickle sends them.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportMissingTypeStubs=false
# (cloudpickle is not typed)

from __future__ import annotations

import copyreg
import io
import pickle
import sys
from functools import lru_cache
from types import FunctionType
from typing import TYPE_CHECKING, Any

import cloudpickle

from tracr_lite.mass.errors import NotSendable
from tracr_lite.rasp.base import RASPExpr, topological

if TYPE_CHECKING:
    pass

PROTOCOL = 5


def dump_request(program: RASPExpr, rest: Any) -> bytes:
    """The bytes of a program, and of what else compiling it needs.

    **Raises:** `NotSendable` saying why, if they cannot be pickled.
    """
    order = topological(program)
    numbers = {id(expr): number for number, expr in enumerate(order)}
    buffer = io.BytesIO()
    pickler = _Pickler(buffer, numbers)
    try:
        pickler.dump([type(expr) for expr in order])
        pickler.dump([expr.__getstate__() for expr in order])
        pickler.dump(rest)
    except Exception as error:  # pickling runs code of whatever the program holds
        raise NotSendable(
            f"this program cannot be sent to another process ({type(error).__name__}: "
            f"{error}); let its functions hold no files or locks, or compile with workers=0"
        ) from error
    return buffer.getvalue()


def load_request(blob: bytes) -> tuple[RASPExpr, Any]:
    """What `dump_request` was given."""
    shells: list[Any] = []
    unpickler = _Unpickler(io.BytesIO(blob), shells)
    shells += [kind.__new__(kind) for kind in unpickler.load()]
    for shell, state in zip(shells, unpickler.load(), strict=True):
        shell.__dict__.update(state)
    return shells[-1], unpickler.load()


def _known(number: int) -> Any:
    """Stands in pickles for an object that the reader has; see `_Unpickler.find_class`."""
    raise pickle.UnpicklingError(f"nothing is known here as number {number}")


@lru_cache(maxsize=1)
def _reducers(registered: int) -> dict[type, Any]:
    """Cloudpickle's, which keeps a slower kind of map; made again when some were registered."""
    return dict(cloudpickle.Pickler.dispatch_table)


class _Pickler(cloudpickle.Pickler):
    """Writes numbers in place of objects that the reader has."""

    def __init__(self, file: io.BytesIO, numbers: dict[int, int]):
        super().__init__(file, protocol=PROTOCOL)
        self.dispatch_table = _reducers(len(copyreg.dispatch_table))
        self._numbers = numbers

    def reducer_override(self, obj: Any) -> Any:
        number = self._numbers.get(id(obj))
        if number is not None:
            return _known, (number,)
        if isinstance(obj, FunctionType | type):
            if obj.__module__.startswith("tracr_lite.") and "<" not in obj.__qualname__:
                return NotImplemented  # found by its name, as by default
            _send_by_value_if_needed(obj.__module__)
            return super().reducer_override(obj)
        return NotImplemented


class _Unpickler(pickle.Unpickler):
    """Reads numbers as the objects of a list."""

    def __init__(self, file: io.BytesIO, objects: list[Any]):
        super().__init__(file)
        self._objects = objects

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        if global_name == _known.__name__ and module_name == __name__:
            return self._objects.__getitem__
        return super().find_class(module_name, global_name)


@lru_cache(maxsize=4096)
def _send_by_value_if_needed(name: str | None) -> None:
    """A worker cannot import a module that was loaded from a path; it gets its functions."""
    module = sys.modules.get(name or "")
    if module is not None and name is not None and not _importable(name):
        cloudpickle.register_pickle_by_value(module)


def _importable(name: str) -> bool:
    """Whether `import name` would work in a new process; modules loaded here do not count."""
    if name == "__main__":
        return True  # cloudpickle knows
    path: list[str] | None = None
    words = name.split(".")
    for end in range(1, len(words) + 1):
        spec = None
        for finder in sys.meta_path:
            spec = finder.find_spec(".".join(words[:end]), path)
            if spec is not None:
                break
        if spec is None:
            return False
        path = spec.submodule_search_locations
        if path is None:
            break
    return True
