"""The circuit from the input to the answer, with what each node holds on one input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from tracr_lite.compiler.assembled import AssembledTransformerModel
from tracr_lite.compiler.circuits.circuit import OUTPUT, Circuit, Vertex
from tracr_lite.visualize.boxes import Card, cut, graph_plan
from tracr_lite.visualize.canvas import MONO, SMALL, Plan, text_width, titled, to_figure
from tracr_lite.visualize.comparing import Compared, compared
from tracr_lite.visualize.errors import VisualizeError
from tracr_lite.visualize.layout import placed
from tracr_lite.visualize.parts import ANSWER, EMBEDDED, Part, parts_of
from tracr_lite.visualize.reading import Reading, read
from tracr_lite.visualize.theme import Theme, ThemeName
from tracr_lite.visualize.words import counted, value_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CONSTANTS = ("one", "bos")
WIDEST = 2.1  # inches, of a line in a box
ROLES = {"query": "q", "key": "k", "value": "v"}
LevelName = Literal["nodes", "components"]
Edges = dict[tuple[str, str], list[str]]  # (source, target) -> roles


def circuit(
    model: AssembledTransformerModel | Reading,
    xs: Sequence[Any] | None = None,
    *,
    theme: ThemeName | Theme = "light",
    level: LevelName = "nodes",
    constants: bool = False,
) -> Figure:
    """What reads what in the weights, from the embeddings to the answer, with values.

    Each box says what the interpreter says and what the columns of the model hold; if they
    differ, both. Letters at arrows: q, k and v for query, key and value of a head.

    **Arguments:** `xs`: the input without BOS; `level`: RASP nodes, or heads and groups of
    neurons; `constants`: whether the constant columns `one` and `bos` are shown.
    **Raises:** `VisualizeError` for models without a program; `CircuitError` if it raises on
    this input; `InputError` as `model.apply`; `MissingDependency` without matplotlib.
    """
    return to_figure(plan(read(model, xs), level, constants), theme)


def plan(reading: Reading, level: LevelName = "nodes", constants: bool = False) -> Plan:
    """The picture, measured."""
    if level not in ("nodes", "components"):
        raise VisualizeError(f"a level is 'nodes' or 'components'; got {level!r}")
    if reading.trace is None:
        raise VisualizeError("this model has no program with it: no circuit is known")
    whole, parts = reading.model.circuit(), parts_of(reading)
    vertices, edges = _shown(whole, level, constants)
    found = compared(reading)
    cards = {v.name: _card(v, parts, found, reading) for v in vertices}
    reads = {v.name: [s for s, t in edges if t == v.name] for v in vertices}
    slots = _slots(vertices, parts)
    drawn = placed(_ordered(reads, slots), slots, lambda name: cards[name].size)
    notes = ["Values by position, without BOS, as interpreter and model say them."]
    notes[0] += " q, k, v: read as query, key or value of a head."
    if not constants:
        notes.append(
            "Not shown: the constant columns one and bos, which nearly all blocks read."
        )
    wrong = sum(not found[x].agrees for x in found)
    if wrong:
        notes.append(f"{counted(wrong, 'node')} where interpreter and model differ.")
    letters = {edge: _letters(roles) for edge, roles in edges.items()}
    title = "Circuit" if level == "nodes" else "Circuit of heads and neurons"
    picture = graph_plan(cards, drawn, {e: text for e, text in letters.items() if text})
    return titled(title, picture, notes)


def _letters(roles: Sequence[str]) -> str:
    return ",".join(ROLES[role] for role in ROLES if role in roles)


def _shown(whole: Circuit, level: LevelName, constants: bool) -> tuple[list[Vertex], Edges]:
    """Vertices and edges; without constants, and parts that write nothing else."""
    found = whole.level(level)
    hidden = CONSTANTS if level == "nodes" and not constants else ()
    fixed = _constant_columns(whole)
    vertices = [v for v in found.vertices if v.name not in hidden]
    edges: Edges = {}
    for edge in found.edges:
        only_constants = not constants and set(edge.columns) <= fixed
        if edge.source not in hidden and edge.target not in hidden and not only_constants:
            edges.setdefault((edge.source, edge.target), []).append(edge.role)
    return vertices, edges


def _constant_columns(whole: Circuit) -> set[int]:
    return {i for v in whole.nodes.vertices if v.name in CONSTANTS for i in v.columns}


def _slots(vertices: Sequence[Vertex], parts: Mapping[str, Part]) -> dict[str, int]:
    found: dict[str, int] = {}
    for vertex in vertices:
        if vertex.kind == OUTPUT:
            found[vertex.name] = ANSWER
        elif vertex.kind in ("head", "neurons"):
            assert vertex.layer is not None, "heads and neurons are in a layer"
            found[vertex.name] = 2 * vertex.layer + (vertex.kind == "neurons")
        else:
            found[vertex.name] = parts[vertex.name].slot if vertex.name in parts else EMBEDDED
    return found


def _ordered(reads: Mapping[str, list[str]], slots: Mapping[str, int]) -> dict[str, list[str]]:
    """In the order of computation, which the layout needs."""
    return {name: reads[name] for name in sorted(reads, key=lambda name: slots[name])}


def _card(
    vertex: Vertex, parts: Mapping[str, Part], found: Mapping[str, Compared], reading: Reading
) -> Card:
    if vertex.kind == OUTPUT:
        answer = _row([value_text(x, 12) for x in reading.decoded])
        return Card("answer", ((answer, "mono"),), strong=True)
    lines: list[tuple[str, str]] = []
    nodes = vertex.nodes if vertex.kind in ("head", "neurons") else (vertex.name,)
    for node in nodes:
        if vertex.name != node:
            lines.append((cut(node, WIDEST), "soft"))
        elif node in parts and parts[node].text and vertex.kind != "source":
            lines.append((cut(parts[node].text, WIDEST), "soft"))
        lines += _values(found.get(node))
    return Card(cut(vertex.name, WIDEST), tuple(lines))


def _values(comparison: Compared | None) -> list[tuple[str, str]]:
    """A line if both say the same, else two."""
    if comparison is None:
        return []
    said = _row(comparison.interpreter)
    if comparison.model is None or comparison.agrees:
        return [(said, "mono")]
    held = _row(comparison.model)
    return [(f"program {said}", "mono"), (f"model   {held}", "wrong")]


def _row(texts: Sequence[str]) -> str:
    """Values with two blanks between them; as many as fit, and how many more there are."""
    line = ""
    for at, text in enumerate(texts):
        longer = f"{line}  {text}" if line else text
        rest = f"  … {len(texts) - at} more"
        if text_width(longer, SMALL, MONO) > WIDEST and line:
            return line + rest
        line = longer
    return line
