"""Stage 3, lower: the whole program, from its output back to the embeddings."""

from __future__ import annotations

from typing import Any

from tracr_lite.compiler.graph import Aggregate, Pointwise, Source, Width
from tracr_lite.compiler.lowering import heads, mlps
from tracr_lite.compiler.lowering.forms import Blocks, OneHot, Snaps
from tracr_lite.compiler.lowering.lower import Lowering, Writers
from tracr_lite.compiler.lowering.naming import has_means
from tracr_lite.compiler.lowering.problems import CannotLower, Split
from tracr_lite.compiler.lowering.resuming import resume
from tracr_lite.compiler.lowering.snapping import snapping
from tracr_lite.compiler.values.domain import NUMBERS, PLAIN, is_number, kinds_of, typed_key
from tracr_lite.compiler.values.state import Values
from tracr_lite.craft.bases import BasisDirection, VectorSpaceWithBasis
from tracr_lite.errors import CompileError, InvalidValueSetError, Problem

WRITERS = Writers(mlps.write_one_hot, mlps.write_number, mlps.clean_one_hot, heads.write)
LISTED_OUTPUTS = 4096  # numbers above this are output as a number, not one-hot


def lower(
    values: Values,
    bos: BasisDirection,
    *,
    clean: bool = False,
    hasty: bool = False,
    noted: bool = False,
) -> Blocks:
    """Every block that the program needs.

    **Arguments:** `clean`: attention reads no one-hots that have an error; `hasty`: a refusal
    lists one problem only; `noted`: the result keeps what each block was written from.
    **Raises:** `CompileError` naming nodes without exact block, and what to write instead.
    """
    split: set[int] = set()
    problems: dict[int, Problem] = {}
    while True:
        values.forget(len(values.graph.nodes))
        lowering = Lowering(
            *(values, bos, split, clean, -1, frozenset(problems)), noted=noted, writers=WRITERS
        )
        try:
            blocks = _written(lowering)
        except Split as error:
            if error.nodes <= split or any(_mixes(values, n) for n in error.nodes):
                raise _refusal([*problems.values(), _problem(values, _types(error))]) from error
            split |= error.nodes
            clean = lowering.clean
        except CannotLower as error:
            if lowering.clean or error.hopeless or not lowering.cleanable:
                at, problem = error.writing, _problem(values, error)
                if hasty or at in problems or at >= len(values.graph.nodes):
                    raise _refusal([*problems.values(), problem]) from error
                problems[at] = problem
            clean = True
        else:
            if problems:
                raise _refusal(list(problems.values()))
            return blocks


def _mixes(values: Values, node: int) -> bool:
    """Whether a node may take its value from several equal ones that differ in type."""
    kind = values.nodes[node]
    if not isinstance(kind, Aggregate):
        return False
    inner = values.info[kind.value].values
    several = values.selected[kind.selector].widths.most > 1
    return several and len(
        {typed_key(v) for v in inner if not isinstance(v, bool | int)}
    ) > len({v for v in inner if not isinstance(v, bool | int)})


def _types(error: Split) -> CannotLower:
    return CannotLower(
        min(error.nodes),
        "it holds values that are equal but of different type (1, 1.0, True), and a later step "
        "tells them apart",
        "convert them to one type first",
    )


def _problem(values: Values, error: CannotLower) -> Problem:
    """The problem by name, while the node that has it is still there."""
    return Problem(values.labels[error.node], error.reason, error.suggestion)


def _refusal(problems: list[Problem]) -> CompileError:
    return InvalidValueSetError("lower", list(dict.fromkeys(problems)))


class _Same:
    """The identity."""

    def __call__(self, value: Any) -> Any:
        return value


def _written(lowering: Lowering) -> Blocks:
    """The program; if it cannot be lowered, clean from where that makes a difference."""
    try:
        return _output(lowering)
    except CannotLower as error:
        if error.hopeless or lowering.mark is None:
            raise
        resume(lowering, lowering.mark)
    return _output(lowering)


def _output(lowering: Lowering) -> Blocks:
    values = lowering.values
    root = values.graph.root
    info = values.info[root]
    if root in lowering.split or isinstance(values.nodes[root], Source):
        label = values.labels[root] + "_out"
        root = lowering.add(Pointwise(_Same(), (root,), strict=False), label)
    lowering.loose = root if has_means(values, root) else -1
    plain = kinds_of(info.values) <= PLAIN
    wants_number = values.graph.root_numerical or (
        plain and (_is_mean(lowering, root) or len(info.values) > LISTED_OUTPUTS)
    )
    if not plain and info.span is not None:
        raise CannotLower(
            root,
            "it can hold numbers too many to list as well as other values",
            "use a number as default, or average numbers with fewer distinct values",
        )
    if wants_number and not plain:
        odd = next(v for v in info.values if v is not None and not is_number(v))
        raise CannotLower(
            root, f"it is numerical, but can hold {odd!r}", "use rasp.categorical, or a number"
        )
    if wants_number:
        return _numerical(lowering, root)
    lowering.view(root)
    if root not in lowering.one_hot:
        lowering.write_one_hot(root)
    form = lowering.one_hot[root]
    return _categorical(lowering, form)


def _is_mean(lowering: Lowering, root: int) -> bool:
    """Whether the output is in the stream as a number, which need not be told from others."""
    counted = isinstance(lowering.values.nodes[root], Width | Source)
    return lowering.is_numeric(root) and not counted


def _categorical(lowering: Lowering, form: OneHot) -> Blocks:
    lowering.doubtful |= not form.proved.bearable
    if form.error >= 0.25:
        raise CannotLower(
            form.node, f"its one-hot output may be off by {form.error:.2g}", "lower max_seq_len"
        )
    space = VectorSpaceWithBasis(form.dirs)
    return _finish(lowering, space, True, ((), 0.0))


def _numerical(lowering: Lowering, root: int) -> Blocks:
    number = lowering.as_number(root)
    own = lowering.columns.get(root, [])
    if number.read.dirs and (
        list(number.read.coefs) != [1.0] or number.read.dirs[0] not in own
    ):
        number = lowering.wrote(mlps.copy_number(lowering, root, number))
        lowering.number[root] = number
    info = lowering.values.info[root]
    flags = [f.dirs[0] for f in number.flags.values()]
    known = [v for v in info.values if type(v) in NUMBERS]
    snaps, fewer = snapping(lowering, root, number, known)
    dirs = [*number.read.dirs, *flags]
    return _finish(lowering, VectorSpaceWithBasis(dirs), False, snaps, fewer)


def _finish(
    lowering: Lowering,
    space: VectorSpaceWithBasis,
    categorical: bool,
    snaps: Snaps,
    fewer: Snaps | None = None,
) -> Blocks:
    values = lowering.values
    columns = {node: tuple(dirs) for node, dirs in lowering.columns.items()}
    return Blocks(
        tuple(lowering.blocks),
        columns,
        tuple(values.labels),
        space,
        categorical,
        *snaps,
        tuple(lowering.written),
        lowering.clean,
        lowering.doubtful,
        fewer,
        values.edition,
        tuple(lowering.notes) if lowering.noted or lowering.doubtful else (),
    )
