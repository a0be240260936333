"""A model on an input, for the terminal: half-layer by half-layer, attention in blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import wrap

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from tracr_lite.cli.show import print_rows
from tracr_lite.visualize.attention_maps import captions
from tracr_lite.visualize.comparing import Compared, answers_agree, compared
from tracr_lite.visualize.formulas import neurons_of
from tracr_lite.visualize.parts import EMBEDDED, Part, heads_of, parts_of, step_name
from tracr_lite.visualize.reading import Reading
from tracr_lite.visualize.stream_maps import steps_of
from tracr_lite.visualize.words import counted, shortened

BLOCKS = " ░▒▓█"  # weights below 0.05, 0.3, 0.6, 0.9, and above
STEPS = (0.05, 0.3, 0.6, 0.9)
CELL = 4  # letters of a key, and the blank before it
WRONG = "bold red"


def print_trace(console: Console, reading: Reading) -> None:
    """Both answers, and how the model came to its own.

    **Raises:** `CircuitError` if the program raises on this input.
    """
    found, parts = compared(reading), parts_of(reading)
    rows = {"input": reading.xs}
    if reading.trace is not None:
        rows["interpreter"] = list(reading.values[reading.trace.graph.root])
    if reading.xs:  # else there is nothing to print in any row
        print_rows(console, rows | {"transformer": list(reading.decoded)})
    for step in steps_of(reading):
        slot = step - 1
        console.print(Text(step_name(slot), style="bold cyan"))
        if slot % 2 == 0 and slot > EMBEDDED:
            _print_heads(console, reading, slot // 2)
        elif slot > EMBEDDED:
            _print_neurons(console, reading, slot // 2)
        own = {x: part for x, part in parts.items() if part.slot == slot}
        _print_values(console, own, found, len(reading.xs))
        console.print()
    _print_verdict(console, reading)


def _print_values(
    console: Console, own: dict[str, Part], found: dict[str, Compared], size: int
) -> None:
    """A row for each node: its values, and those of the model where they differ."""
    labels = [x for x in own if x in found]
    rows = [list(_row(own[x], found[x])) for x in labels]
    if not rows:
        return
    width = max(len(shortened(x, 28)) for x in labels)
    cells = [max(len(row[i]) for row in rows) for i in range(size)]
    fit = _fitting(cells, console.width - width - 6)
    for label, row in zip(labels, rows, strict=True):
        line = Text(
            "  " + shortened(label, 28).ljust(width), style="dim" if own[label].fused else ""
        )
        for i in range(fit):
            line.append("  " + row[i].ljust(cells[i]), "" if found[label].same[i] else WRONG)
        console.print(line, soft_wrap=True)
    if fit < size:
        console.print(
            Text(f"  … {counted(size - fit, 'more position')}: see --out", style="dim")
        )


def _row(part: Part, values: Compared) -> Iterator[str]:
    for at, text in enumerate(values.interpreter):
        wrong = values.model is not None and not values.same[at]
        yield f"{text} ≠ {values.model[at]}" if wrong and values.model else text


def _fitting(cells: Sequence[int], width: int) -> int:
    """How many cells stand in a line."""
    used = 0
    for at, cell in enumerate(cells):
        used += cell + 2
        if used > width:
            return max(at, 1)
    return len(cells)


def _print_heads(console: Console, reading: Reading, layer: int) -> None:
    """The maps of a layer, as many side by side as fit."""
    maps = [
        _map(reading, layer, head, console.width)
        for at, head in heads_of(reading)
        if at == layer
    ]
    line: list[Group] = []
    used = 0
    for width, drawn in maps:
        if line and used + width > console.width:
            _print_line(console, line)
            line, used = [], 0
        line.append(drawn)
        used += width + 4
    if line:
        _print_line(console, line)


def _print_line(console: Console, maps: Sequence[Group]) -> None:
    table = Table.grid(padding=(0, 3, 0, 1))
    for _ in maps:
        table.add_column(no_wrap=True)
    table.add_row(*maps)
    console.print(table)


def _map(reading: Reading, layer: int, head: int, limit: int) -> tuple[int, Group]:
    """A map with its title, and its width."""
    where, nodes, selector = captions(reading, layer, head)
    labels = [shortened(text, CELL - 1) for text in reading.positions]
    side = max(map(len, labels)) + 2
    shown = min(len(labels), max(1, (limit - side - 4) // CELL))
    width = side + CELL * shown
    title = f"head {head} → {nodes}" if nodes else where
    wide = max(width, min(max(len(title), len(selector)), max(34, limit // 2 - 4)))
    lines = [Text(shortened(title, wide), style="bold")]
    lines += [Text(shortened(line, wide), style="dim") for line in wrap(selector, wide)[:2]]
    lines.append(Text(" " * side + "".join(x.rjust(CELL) for x in labels[:shown]), style="dim"))
    for query, label in enumerate(labels):
        line = Text(label.rjust(side))
        for weight in reading.attention[layer, head, query, :shown].tolist():
            line.append(" " + block(weight) * (CELL - 1), _style(weight))
        lines.append(line)
    if shown < len(labels):
        lines.append(Text(f"… {counted(len(labels) - shown, 'more key')}", style="dim"))
    return wide, Group(*lines)


def block(weight: float) -> str:
    """A character as dark as a weight is large."""
    return BLOCKS[sum(weight >= step for step in STEPS)]


def _style(weight: float) -> str:
    return "bright_blue" if weight < STEPS[-1] else "bold bright_blue"


def _print_neurons(console: Console, reading: Reading, layer: int) -> None:
    """How many neurons compute each node, and how many of these are active."""
    for group in neurons_of(reading, layer):
        count = counted(len(group.numbers), "neuron")
        text = f"  {count} → {group.node}, {len(group.active)} active"
        console.print(Text(text, style="dim"), soft_wrap=True)


def _print_verdict(console: Console, reading: Reading) -> None:
    if reading.trace is None:
        console.print("A saved model has no functions: there is nothing to compare it with.")
        return
    same = answers_agree(reading)
    if all(same):
        console.print(Text("They agree.", style="green"))
    else:
        where = ", ".join(str(i) for i, each in enumerate(same) if not each)
        console.print(Text(f"They DIFFER at position {where}.", style=WRONG))
