"""How programs go to a worker process and models come back.

A program is sent as a list of expressions, each naming the ones it reads by number, so that
deep programs need no deep recursion. Its functions may be lambdas: cloudpickle sends them.

A model comes back with its weights, labels, encoders and graph, but without the program: where
the graph holds an expression or function of it, the model gets the sender's own object. So
`model.node(expression)` works as if the model had been compiled here.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportMissingTypeStubs=false
# (cloudpickle is not typed)

from __future__ import annotations

import dataclasses
import io
import pickle
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from types import FunctionType
from typing import TYPE_CHECKING, Any, cast

import cloudpickle

from tracr_lite.compiler.trace_of import CompileTrace
from tracr_lite.craft.bases import BasisDirection, VectorSpaceWithBasis
from tracr_lite.mass.errors import NotSendable
from tracr_lite.rasp.base import RASPExpr, topological
from tracr_lite.transformer.encoder import CategoricalEncoder

if TYPE_CHECKING:
    from tracr_lite.compiler.assembled import AssembledTransformerModel

PROTOCOL = 5
STAGES = ("values", "layers")  # of a trace, that are not sent


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


def dump_model(model: AssembledTransformerModel, program: RASPExpr) -> bytes:
    """The bytes of the model of `program`, whose parameters are `SparseParams`."""
    assert model.trace is not None
    numbers = {id(part): number for number, part in enumerate(_parts(program))}
    light = dataclasses.replace(model, params=None, trace=None)
    names = [f.name for f in dataclasses.fields(CompileTrace) if f.name not in STAGES]
    known = {name: getattr(model.trace, name) for name in (*names, "nodes")}
    return pickle.dumps((_dump((light, known), numbers), model.params), PROTOCOL)


def load_model(blob: bytes, program: RASPExpr, rest: Any) -> AssembledTransformerModel:
    """The model in `blob`, whose parameters are `SparseParams` still.

    **Arguments:** `program`, `rest`: as they were given to `dump_request`.
    """
    rest_of_model, params = pickle.loads(blob)
    model, known = _load(rest_of_model, program)
    model.params = params
    model.trace = SentTrace.__new__(SentTrace)
    vars(model.trace).update(known, request=(program, rest))
    return model


class SentTrace(CompileTrace):
    """A trace without `values` and `layers`; these are computed again when first asked for.

    They are large, slow to send, and seldom wanted; labels, graph and places are here.
    """

    def __deepcopy__(self, memo: dict[int, Any]) -> SentTrace:
        return self  # immutable, and a copy of the program would have other expressions

    def __getattr__(self, name: str) -> Any:
        if name not in STAGES or "request" not in vars(self):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        from tracr_lite.compiler.compiling import compile_rasp_to_model  # it needs JAX

        program, (vocab, size, options) = vars(self)["request"]
        again = compile_rasp_to_model(program, vocab, size, **options).trace
        vars(self).update({stage: getattr(again, stage) for stage in STAGES})
        del vars(self)["request"]
        object.__setattr__(self, "__class__", CompileTrace)
        return getattr(self, name)


def _dump(value: Any, numbers: dict[int, int]) -> bytes:
    buffer = io.BytesIO()
    _Pickler(buffer, numbers).dump(value)
    return buffer.getvalue()


def _load(blob: bytes, program: RASPExpr) -> Any:
    return _Unpickler(io.BytesIO(blob), list(_parts(program))).load()


def _parts(program: RASPExpr) -> Iterator[Any]:
    """The expressions of a program and their functions, in the same order for each copy."""
    for expr in topological(program):
        yield expr
        for name in _fields(type(expr)):
            value = getattr(expr, name)
            if callable(value) and not isinstance(value, RASPExpr):
                yield value


@lru_cache(maxsize=256)
def _fields(kind: type) -> tuple[str, ...]:
    if not dataclasses.is_dataclass(kind):
        return ()
    return tuple(field.name for field in dataclasses.fields(kind))


def _known(number: int) -> Any:
    """Stands in pickles for an object that the reader has; see `_Unpickler.find_class`."""
    raise pickle.UnpicklingError(f"nothing is known here as number {number}")


def _directions(names: list[str], values: list[Any]) -> tuple[BasisDirection, ...]:
    return tuple(map(BasisDirection, names, values))


def _send_directions(basis: Sequence[BasisDirection]) -> tuple[list[str], list[Any]]:
    return [d.name for d in basis], [d.value for d in basis]


def _space(names: list[str], values: list[Any]) -> VectorSpaceWithBasis:
    return VectorSpaceWithBasis(_directions(names, values), _basis_is_sorted=True)


def _encoder(names: list[str], values: list[Any], rest: dict[str, Any]) -> CategoricalEncoder:
    found = CategoricalEncoder.__new__(CategoricalEncoder)
    basis = _directions(names, values)
    vars(found).update(rest, basis=basis, encoding_map={v: i for i, v in enumerate(values)})
    return found


def _send_encoder(encoder: CategoricalEncoder) -> tuple[Any, ...]:
    rest = {k: v for k, v in vars(encoder).items() if k not in ("basis", "encoding_map")}
    basis = cast("tuple[BasisDirection, ...]", encoder.basis)
    return _encoder, (*_send_directions(basis), rest)


_SENT: dict[type, Callable[[Any], tuple[Any, ...]]] = {
    BasisDirection: lambda d: (BasisDirection, (d.name, d.value)),
    VectorSpaceWithBasis: lambda space: (_space, _send_directions(space.basis)),
    CategoricalEncoder: _send_encoder,
}


class _Pickler(cloudpickle.Pickler):
    """Writes numbers in place of objects that the reader has."""

    def __init__(self, file: io.BytesIO, numbers: dict[int, int]):
        super().__init__(file, protocol=PROTOCOL)
        self.dispatch_table = dict(cloudpickle.Pickler.dispatch_table)  # a quicker kind of map
        self._numbers = numbers

    def reducer_override(self, obj: Any) -> Any:
        if type(obj) in _SENT:  # not a call for each of their many directions
            return _SENT[type(obj)](obj)
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
