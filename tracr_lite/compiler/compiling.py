"""From a RASP program to a transformer that computes it: all stages, in order."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tracr_lite.compiler import settling
from tracr_lite.compiler.assemble import AssembledTransformerModel, assemble
from tracr_lite.compiler.graph import Graph
from tracr_lite.compiler.inputs import check_request
from tracr_lite.compiler.lowering.forms import Blocks
from tracr_lite.compiler.lowering.program import lower
from tracr_lite.compiler.pack import HalfLayers, Head
from tracr_lite.compiler.place import Layers, place
from tracr_lite.compiler.stages import Clock, Stage
from tracr_lite.compiler.trace_of import CompileTrace
from tracr_lite.compiler.tracing import trace
from tracr_lite.compiler.values.infer import infer
from tracr_lite.compiler.values.state import Values
from tracr_lite.craft.bases import BasisDirection, VectorSpaceWithBasis, join_vector_spaces
from tracr_lite.craft.conventions import INDICES, ONE, TOKENS
from tracr_lite.errors import CompileError, Problem
from tracr_lite.rasp import rasp
from tracr_lite.transformer import encoder

COMPILER_BOS = "compiler_bos"
COMPILER_PAD = "compiler_pad"


def compile_rasp_to_model(
    program: rasp.SOp,
    vocab: Iterable[Any],
    max_seq_len: int,
    causal: bool = False,
    compiler_bos: str = COMPILER_BOS,
    compiler_pad: str = COMPILER_PAD,
    mlp_exactness: int = 100,
) -> AssembledTransformerModel:
    """Compiles `program` into a transformer that computes exactly what the evaluator does.

    For every input `xs` of 1 to `max_seq_len` tokens of `vocab` on which the evaluator does not
    raise, `model.apply([compiler_bos] + xs).decoded[1:] == program(xs)`.

    **Arguments:**
    - `vocab`: all input tokens: None, bools, numbers, strings and tuples, freely mixed.
    - `max_seq_len`: longest input, without BOS.
    - `causal`: attention sees earlier tokens only; the reference is `causal_eval.evaluate`.
    - `compiler_bos`, `compiler_pad`: first token of every input, and padding; not in `vocab`.
    - `mlp_exactness`: accepted for compatibility; blocks derive their sharpness themselves.

    **Returns:** the model, with encoders, residual labels and the trace of the compilation.
    **Raises:** `CompileError` listing every problem found, where, and what to write instead.
    Source: Weiss et al. 2021, arXiv:2106.06981; Lindner et al. 2023, arXiv:2301.05062.
    """
    del mlp_exactness
    tokens, max_seq_len = check_request(vocab, max_seq_len, compiler_bos, compiler_pad, causal)

    def of_length(n: int) -> AssembledTransformerModel:
        return _stages(program, (tokens, n, compiler_bos, compiler_pad), causal, False)

    def tried(n: int) -> None:
        _tried(program, (tokens, n, compiler_bos, compiler_pad), causal)

    return settling.or_refused(of_length, max_seq_len, tried)


def compile_once(
    program: rasp.SOp,
    vocab: Iterable[Any],
    max_seq_len: int,
    causal: bool = False,
    compiler_bos: str = COMPILER_BOS,
    compiler_pad: str = COMPILER_PAD,
    mlp_exactness: int = 100,
    *,
    sparse: bool = False,
) -> AssembledTransformerModel:
    """As `compile_rasp_to_model`, but a refusal does not look for a length that would compile.

    **Arguments:** `sparse`: the `params` are `SparseParams`, and the model does not run yet.
    """
    del mlp_exactness
    tokens, max_seq_len = check_request(vocab, max_seq_len, compiler_bos, compiler_pad, causal)
    return _stages(program, (tokens, max_seq_len, compiler_bos, compiler_pad), causal, sparse)


def _stages(
    program: rasp.SOp,
    request: tuple[list[Any], int, str, str],
    causal: bool,
    sparse: bool,
) -> AssembledTransformerModel:
    """The pipeline; `request`: vocabulary, max_seq_len, BOS and padding.

    Where it is not proved that a certificate holds, it is made. If it does not, the program is
    lowered again, `clean`: deeper, but more exact.
    """
    clock = Clock()
    values = _inferred(program, request, causal, clock)
    return _settled(values, request, causal, sparse, clock)


def _tried(program: rasp.SOp, request: tuple[list[Any], int, str, str], causal: bool) -> None:
    """Raises a `CompileError` where `_stages` does; builds parameters only to certify them."""
    clock = Clock()
    values = _inferred(program, request, causal, clock)
    blocks = lower(values, BasisDirection(TOKENS, request[2]), hasty=True)
    if blocks.doubtful or not _shown(values, blocks):
        _settled(values, request, causal, True, clock)


def _shown(values: Values, blocks: Blocks) -> bool:
    """Whether labels of all columns can be written; Python shows no ints that are too long."""
    try:
        for value in values.vocab:
            str(value)
        for dirs in blocks.columns.values():
            for direction in dirs:
                str(direction)
    except ValueError:
        return False
    return True


def _inferred(
    program: rasp.SOp, request: tuple[list[Any], int, str, str], causal: bool, clock: Clock
) -> Values:
    graph = trace(program)
    clock.lap("trace", nodes=len(graph.nodes))
    values = infer(graph, request[0], lengths_of(graph, request[1]), causal)
    clock.lap("infer", values=sum(len(info.values) for info in values.info.values()))
    return values


def _settled(
    values: Values,
    request: tuple[list[Any], int, str, str],
    causal: bool,
    sparse: bool,
    clock: Clock,
) -> AssembledTransformerModel:
    """The model of inferred values that has a certificate."""
    bos = request[2]

    def lowered(clean: bool) -> AssembledTransformerModel:
        blocks = lower(values, BasisDirection(TOKENS, bos), clean=clean)
        clock.lap("lower", blocks=len(blocks.blocks))
        layers = place(blocks)
        clock.lap("place", layers=len(layers.layers))
        model = _assemble(layers, values, request, causal, sparse)
        count = settling.size_of(model)
        clock.lap("assemble", parameters=count, bytes=4 * count)
        model.trace = _trace_of(model, values, layers, tuple(clock.stages))
        return model

    return settling.settled(lowered)


def lengths_of(graph: Graph, max_seq_len: int) -> list[int]:
    """Input lengths on which the evaluator does not raise because of a constant's length."""
    lengths = [
        n for n in range(1, max_seq_len + 1) if graph.lengths is None or n in graph.lengths
    ]
    if not lengths:
        reason = f"its constants fit no input length from 1 to {max_seq_len}"
        raise CompileError(
            "trace", [Problem("program", reason, "use constants of the length of the input")]
        )
    return lengths


def _assemble(
    layers: Layers,
    values: Values,
    request: tuple[list[Any], int, str, str],
    causal: bool,
    sparse: bool,
) -> AssembledTransformerModel:
    """The model of placed layers; `request`: vocabulary, max_seq_len, BOS and padding."""
    tokens, max_seq_len, bos, pad = request
    token_space = VectorSpaceWithBasis([BasisDirection(TOKENS, v) for v in [*tokens, bos, pad]])
    index_space = VectorSpaceWithBasis([BasisDirection(INDICES, i) for i in range(max_seq_len)])
    output = layers.blocks.output
    packed = _packed(layers)
    model = assemble(
        packed,
        _residual_space(packed, token_space, index_space, output),
        (token_space, index_space, output),
        categorical_output=layers.blocks.categorical,
        causal=causal,
        pad_token=int(token_space.indices_of([BasisDirection(TOKENS, pad)])[0]),
        sparse=sparse,
    )
    model.input_encoder = encoder.CategoricalEncoder(
        token_space.basis,
        enforce_bos=True,
        bos_token=bos,
        pad_token=pad,
        max_seq_len=max_seq_len,
        exact_types=True,
    )
    if layers.blocks.categorical:
        model.output_encoder = encoder.CategoricalEncoder(output.basis)
    else:
        known, tolerance = layers.blocks.known, layers.blocks.tolerance
        model.output_encoder = encoder.NumericalEncoder(known, tolerance)
    return model


def _trace_of(
    model: AssembledTransformerModel, values: Values, layers: Layers, stages: tuple[Stage, ...]
) -> CompileTrace:
    assert model.space is not None
    labels = tuple(model.residual_labels)
    return CompileTrace(values.graph, values, layers, model.space, labels, stages)


def _packed(layers: Layers) -> list[HalfLayers]:
    """The matrices alone."""
    return [
        HalfLayers(
            tuple(Head(h.w_qk, h.w_ov) for h in layer.heads),
            tuple((m.fst, m.snd) for m in layer.mlps),
        )
        for layer in layers.layers
    ]


def _residual_space(
    layers: list[HalfLayers], *others: VectorSpaceWithBasis
) -> VectorSpaceWithBasis:
    """All that the layers read or write, the constant direction, and other spaces."""
    used = [*others, VectorSpaceWithBasis([BasisDirection(ONE)])]
    for layer in layers:
        for head in layer.heads:
            used += [head.w_qk.left_space, head.w_qk.right_space]
            used += [head.w_ov.input_space, head.w_ov.output_space]
        for fst, snd in layer.mlps:
            used += [fst.input_space, snd.output_space]
    return join_vector_spaces(*used)
