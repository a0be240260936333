"""What a compiled model's weights are claimed to mean: the only part that knows the compiler.

The program is lowered once more, with notes of what each block was written from. Values, tables
and selectors are those of the compiler's inference; the weights are not looked at.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracr_lite.certifying import extract_heads
from tracr_lite.certifying.claims import Claims, Head, Output, Sum, Table
from tracr_lite.certifying.errors import CertifyError
from tracr_lite.certifying.extract_nodes import Nodes, Uncovered
from tracr_lite.compiler.assembled import AssembledTransformerModel
from tracr_lite.compiler.lowering.forms import Blocks, HeadBlock, Number, OneHot
from tracr_lite.compiler.lowering.program import lower
from tracr_lite.compiler.lowering.written import WrittenHead, WrittenTable
from tracr_lite.compiler.trace_of import CompileTrace
from tracr_lite.craft.bases import BasisDirection
from tracr_lite.craft.conventions import TOKENS
from tracr_lite.transformer.encoder import CategoricalEncoder


@dataclass(frozen=True)
class _Ids:
    """Rows of the embeddings."""

    tokens: np.ndarray
    positions: np.ndarray
    bos: int
    pad: int


def claims_of_model(model: AssembledTransformerModel) -> Claims:
    """The claims about one model.

    **Raises:** `CertifyError` if it was loaded or packed by hand, so that its program is not
    known.
    """
    if not isinstance(model, AssembledTransformerModel):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise CertifyError(
            f"the first argument is a compiled model; got {type(model).__name__} {model!r}"
        )
    trace, encoder = model.trace, model.input_encoder
    if trace is None or not isinstance(encoder, CategoricalEncoder):
        raise CertifyError(
            "this model does not know its program: give it, as in certify(model, "
            "program=...), or check a certificate that was made when it was compiled"
        )
    bos, pad = encoder.bos_encoding, encoder.pad_encoding
    if bos is None or pad is None:
        raise CertifyError("this model has no BOS or no padding; compile it")
    blocks = _noted(trace, encoder.bos_token)
    nodes = Nodes.of(blocks, trace, encoder.bos_token)
    tables, heads, problems = _written(blocks, nodes)
    ids = _ids(nodes, encoder, bos, pad)
    return Claims(
        trace.values.keys.n,
        trace.values.causal,
        ids.tokens,
        ids.positions,
        ids.bos,
        ids.pad,
        tuple(nodes.held),
        tuple(nodes.sums.values()),
        tuple(tables),
        tuple(heads),
        _output(trace.layers.blocks, nodes),
        tuple(problems),
    )


def _noted(trace: CompileTrace, bos: str | None) -> Blocks:
    """The blocks, with what they were written from: if that was not kept, lowered again.

    Lowering is deterministic; if it were not, the claims would be about another model.
    """
    before = trace.layers.blocks
    if before.notes and before.edition == trace.values.edition:
        return before
    blocks = lower(trace.values, BasisDirection(TOKENS, bos), clean=before.clean, noted=True)
    same = len(blocks.blocks) == len(before.blocks) and blocks.output == before.output
    for one, other in zip(blocks.blocks, before.blocks, strict=False):
        same &= type(one) is type(other) and one.slot == other.slot and one.nodes == other.nodes
    if not same:
        raise CertifyError("lowering the program again gave other blocks; compile it again")
    return blocks


def _written(
    blocks: Blocks, nodes: Nodes
) -> tuple[list[Table], list[Head], list[tuple[str, str]]]:
    tables: list[Table] = []
    heads: list[Head] = []
    problems: list[tuple[str, str]] = [*nodes.problems]
    used: dict[int, int] = {}
    for block, note in zip(blocks.blocks, blocks.notes, strict=True):
        if not nodes.known(note.dirs):
            continue
        name = nodes.name_of(note.dirs[0])
        try:
            if isinstance(note, WrittenTable):
                tables.append(_table(note, nodes))
            else:
                assert isinstance(note, WrittenHead), "a block is written from one of two notes"
                assert isinstance(block, HeadBlock), "and the note is of its kind"
                number = used[block.slot] = used.get(block.slot, -1) + 1
                heads.append(extract_heads.head_of(note, block, number, nodes))
        except Uncovered as error:
            problems.append((name, str(error)))
    return tables, heads, problems


def _table(note: WrittenTable, nodes: Nodes) -> Table:
    writes, inputs = nodes.name_of(note.dirs[0]), note.inputs
    if note.code is None:
        return _copy(note, nodes)
    names: list[str] = []
    columns: list[np.ndarray] = []
    for cells in inputs.cells.T:
        places = [nodes.place[inputs.dirs[at]] for at in range(len(inputs.dirs))]
        used: list[int] = np.unique(cells).tolist()
        owners = {places[at][0] for at in used}
        if len(owners) != 1:
            raise Uncovered("one of its leaves is spread over several nodes")
        names.append(nodes.held[owners.pop()].name)
        columns.append(np.array([at for _, at in places])[cells])
    if inputs.number is not None:
        assert inputs.x is not None, "a number has a column in the table"
        found = nodes.number(inputs.number)
        if found is not None:
            names.append(found[0])
            columns.append(found[1][inputs.x])
    size = len(inputs.output)
    rows = np.stack(columns, axis=1) if columns else np.zeros((size, 0), np.int64)
    output = nodes.states_of(writes, note.dirs, note.code)[inputs.output]
    return _without_repeats(Table(writes, tuple(names), rows, output))


def _without_repeats(table: Table) -> Table:
    """Equal numbers of different type (1 and True) are one state, and so one row."""
    both = np.unique(np.concatenate([table.rows, table.output[:, None]], axis=1), axis=0)
    return Table(table.writes, table.leaves, both[:, :-1], both[:, -1])


def _copy(note: WrittenTable, nodes: Nodes) -> Table:
    """A number copied to a column of its own."""
    number = note.inputs.number
    assert number is not None, "only numbers are copied without a table"
    writes = nodes.name_of(note.dirs[0])
    if not next(each.listed for each in nodes.held if each.name == writes):
        return _copy_of_span(number, writes, nodes)
    reads = [nodes.parts_of(read) for read in (number.read, *number.flags.values())]
    sources = {name for parts, _ in reads for name in parts}
    if len(sources) <= 1:
        return _copy_of_one(note, nodes, reads, sources)
    found = nodes.number(number)
    own = nodes.states[writes]
    if found is None or len(found[1]) != len(own) or not len(own):
        raise Uncovered("it copies numbers that are too many to list")
    return _without_repeats(Table(writes, (found[0],), found[1][:, None], own))


def _copy_of_span(number: Number, writes: str, nodes: Nodes) -> Table:
    """A copy of numbers that are too many to list: a sum is read, and its ends are known."""
    factors, constant = nodes.parts_of(number.read)
    if number.flags or not factors:
        raise Uncovered("it copies numbers that are too many to list and values that are none")
    held = next(each for each in nodes.held if each.name == writes)
    name, at = f"{writes} (read)", np.arange(len(held.states))
    ends = held.states[:, 0] - constant
    nodes.sums[name] = Sum(name, tuple(factors), tuple(factors.values()), ends)
    return Table(writes, (name,), at[:, None], at)


def _copy_of_one(
    note: WrittenTable,
    nodes: Nodes,
    reads: list[tuple[dict[str, np.ndarray], float]],
    sources: set[str],
) -> Table:
    """A copy of linear functions of one node, or of constants: what each state of it gives."""
    writes = nodes.name_of(note.dirs[0])
    held = next((each for each in nodes.held if each.name in sources), None)
    states = np.zeros((1, 0)) if held is None else held.states
    none = np.zeros(states.shape[1])
    code = np.stack(
        [
            states @ parts.get(held.name if held else "", none) + constant
            for parts, constant in reads
        ],
        axis=1,
    )
    output = nodes.states_of(writes, note.dirs, code)
    rows = np.arange(len(states))[:, None] if held is not None else np.zeros((1, 0), np.int64)
    if held is not None and not held.listed:
        raise Uncovered("it copies numbers that are too many to list")
    known = output >= 0
    return Table(writes, tuple(sources), rows[known], output[known])


def _ids(nodes: Nodes, encoder: CategoricalEncoder, bos: int, pad: int) -> _Ids:
    ids = {d: at for at, d in enumerate(encoder.basis)}
    tokens = [at for at in ids.values() if at not in (bos, pad)]
    positions: list[int] = []
    for form in nodes.blocks.forms:
        assert isinstance(form, OneHot | Number)
        if isinstance(form, OneHot) and form.slot < 0:
            kind = nodes.kind_of(form)
            if kind == TOKENS:
                tokens = [ids[d] for d in form.dirs]
            else:
                positions = [int(str(d.value)) + 1 for d in form.dirs]
    return _Ids(np.array(tokens, np.int64), np.array(positions, np.int64), bos, pad)


def _output(blocks: Blocks, nodes: Nodes) -> Output:
    basis = blocks.output.basis
    owners = {nodes.name_of(d) for d in basis}
    if len(owners) != 1:
        raise CertifyError("the answer is read from several nodes")
    columns = nodes.columns(basis)
    known = np.array(sorted(float(v) for v in blocks.known), float)
    return Output(owners.pop(), columns, blocks.categorical, known, float(blocks.tolerance))
