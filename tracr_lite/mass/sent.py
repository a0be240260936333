"""How models come back from a worker process: as plain numbers, texts and tuples.

Nothing of the program is sent back. What refers to it, the graph, is traced again from the
sender's own program when it is first asked for. So `model.node(expression)` works as if the
model had been compiled here, and reading an answer takes little time.
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from tracr_lite.compiler.graph import Graph
from tracr_lite.compiler.stages import Stage
from tracr_lite.compiler.trace_of import CompileTrace, NodePlace, places
from tracr_lite.compiler.tracing import trace
from tracr_lite.craft.bases import BasisDirection, VectorSpaceWithBasis
from tracr_lite.craft.directions import directions_of
from tracr_lite.mass.errors import MassError
from tracr_lite.rasp.base import RASPExpr
from tracr_lite.transformer.encoder import CategoricalEncoder, Encoder, NumericalEncoder
from tracr_lite.transformer.sparse_params import SparseParams

if TYPE_CHECKING:
    from tracr_lite.compiler.assembled import AssembledTransformerModel
    from tracr_lite.compiler.forward import Shape

PROTOCOL = 5
STAGES = ("values", "layers")  # of a trace, that are computed again
Directions = tuple[list[tuple[str, int]], list[Any]]  # names, how often each; and values


def dump_model(model: AssembledTransformerModel) -> bytes:
    """The bytes of a compiled model, whose parameters are `SparseParams`."""
    made, shape, params = model.trace, model.shape, model.params
    assert made is not None, "it was compiled just now"
    assert shape is not None, "it was compiled just now"
    kind = params.positions.dtype.str
    return pickle.dumps(
        (
            (kind, params.positions.tobytes(), params.values.tobytes()),
            _of_shape(shape),
            _of_directions(made.space.basis),
            model.residual_labels,
            [_of_encoder(each) for each in (model.input_encoder, model.output_encoder)],
            (len(made.graph.nodes), made.layers.blocks.labels, places(made)),
            [(s.name, s.seconds, s.cpu_seconds, s.sizes) for s in made.stages],
        ),
        PROTOCOL,
    )


def load_model(blob: bytes, program: RASPExpr, rest: Any) -> AssembledTransformerModel:
    """The model in `blob`, whose parameters are `SparseParams` still.

    **Arguments:** `program`, `rest`: as the request had them.
    """
    from tracr_lite.compiler.assembled import AssembledTransformerModel  # it needs JAX

    weights, sizes, directions, labels, encoders, nodes, stages = pickle.loads(blob)
    shape = _shape(*sizes)
    kind, positions, values = weights
    params = SparseParams(
        shape.param_shapes,
        np.frombuffer(positions, np.dtype(kind)),
        np.frombuffer(values, np.float32),
    )
    space = SentSpace(directions)
    known = SentTrace.__new__(SentTrace)
    vars(known).update(
        space=space,
        residual_labels=tuple(labels),
        stages=tuple(Stage(*stage) for stage in stages),
        request=(program, rest),
        sent_nodes=nodes,
    )
    reads, writes = map(_encoder, encoders)
    parts = (params, shape.config, labels, reads, writes, shape, space, known)
    return AssembledTransformerModel(shape.forward, shape.model, *parts)


def _of_shape(shape: Shape) -> tuple[Any, ...]:
    config, readout = shape.config, shape.readout
    sizes = config.num_heads, config.num_layers, config.key_size, config.mlp_hidden_size
    read = readout.columns, readout.categorical, readout.numbers, readout.flags
    return (
        (*sizes, config.causal),
        (shape.vocab_size, shape.positions, shape.d_model),
        read,
        shape.pad_token,
    )


def _shape(
    config: tuple[int, int, int, int, bool],
    sizes: tuple[int, int, int],
    read: tuple[Any, ...],
    pad: int | None,
) -> Shape:
    from tracr_lite.compiler.forward import Readout, Shape  # they need JAX
    from tracr_lite.compiler.pack import sized

    return Shape(sized(*config), *sizes, Readout(*read), pad)


def _of_directions(basis: Sequence[BasisDirection]) -> Directions:
    """Neighbours mostly have one name."""
    names = [(name, len(list(some))) for name, some in groupby([d.name for d in basis])]
    return names, [d.value for d in basis]


def _directions(sent: Directions) -> tuple[BasisDirection, ...]:
    names = [name for name, count in sent[0] for _ in range(count)]
    return tuple(directions_of(names, sent[1]))


class SentSpace(VectorSpaceWithBasis):
    """A space whose directions are made when they are first asked for."""

    def __init__(self, sent: Directions):
        self._sent = sent

    @cached_property
    def basis(self) -> tuple[BasisDirection, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return _directions(self._sent)

    @property
    def num_dims(self) -> int:
        return len(self._sent[1])


def _of_encoder(encoder: Encoder | None) -> tuple[Any, ...]:
    assert encoder is not None, "compiled models have encoders"
    rest = dict(vars(encoder))
    if isinstance(encoder, NumericalEncoder):
        return None, rest
    del rest["basis"], rest["encoding_map"]
    return _of_directions(encoder.basis), rest  # pyright: ignore


def _encoder(sent: tuple[Directions | None, dict[str, Any]]) -> Encoder:
    """The encoder again, without its checks."""
    directions, rest = sent
    if directions is None:
        found = NumericalEncoder.__new__(NumericalEncoder)
    else:
        found = CategoricalEncoder.__new__(CategoricalEncoder)
        numbers = {value: number for number, value in enumerate(directions[1])}
        rest.update(basis=_directions(directions), encoding_map=numbers)
    vars(found).update(rest)
    return found


class SentTrace(CompileTrace):
    """A trace that holds places and labels; the rest is computed when it is first asked for.

    That is the graph, by tracing the program, and `values` and `layers`, by compiling it again:
    they are large, slow to send, and seldom wanted.
    """

    def __deepcopy__(self, memo: dict[int, Any]) -> SentTrace:
        return self  # immutable, and a copy of the program would have other expressions

    def __getattr__(self, name: str) -> Any:
        if name not in (*STAGES, "graph") or "request" not in vars(self):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        if name == "graph":
            vars(self)["graph"] = self._traced()
        else:
            self._compile_again()
        return getattr(self, name)

    @cached_property
    def nodes(self) -> dict[str, NodePlace]:  # pyright: ignore[reportIncompatibleVariableOverride]
        _, labels, sent = vars(self)["sent_nodes"]
        return {
            label: NodePlace.of(label, place, self.residual_labels)
            for label, place in zip(labels, sent, strict=True)
        }

    def _traced(self) -> Graph:
        graph = trace(vars(self)["request"][0])
        count, labels, _ = vars(self)["sent_nodes"]
        if graph.labels != labels[:count]:
            raise MassError(
                "the worker took other functions of this program for equal than this process "
                "does; compile it with workers=0"
            )
        return graph

    def _compile_again(self) -> None:
        """Computes all that is not there, which makes it a trace like any other."""
        from tracr_lite.compiler.compiling import compile_rasp_to_model  # it needs JAX

        program, (vocab, size, options) = vars(self)["request"]
        again = compile_rasp_to_model(program, vocab, size, **options).trace
        assert again is not None, "it was compiled just now"
        _ = self.graph, self.nodes  # these are there now
        vars(self).update({stage: getattr(again, stage) for stage in STAGES})
        del vars(self)["request"], vars(self)["sent_nodes"]
        object.__setattr__(self, "__class__", CompileTrace)
