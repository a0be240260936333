"""The page with all programs that come along, made from programs/.

Each program with its sizes, what it teaches, a picture of its heads at work on an example, how
it does it, and the code. Programs stand in the order of their depth, then of their width.
"""

from __future__ import annotations

import ast
import inspect
import shlex
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

import program_picture

from tracr_lite import catalog, visualize
from tracr_lite.compiler import compile_rasp_to_model

FOLDER = "show"  # of the pages to step through, beside the gallery
COUNT = ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten")


@dataclass(frozen=True)
class Shown:
    """A program, its model, and the parts of its docstring."""

    entry: catalog.Entry
    model: Any
    explanation: str
    labelled: dict[str, str]  # Teaches, Source, Run: the rest of the line

    @property
    def depth(self) -> tuple[int, int]:
        return self.model.model_config.num_layers, len(self.model.residual_labels)


@cache
def _all() -> list[Shown]:
    return sorted(map(_shown, catalog.load_all()), key=lambda s: (s.depth, s.entry.name))


def write_pages(folder: Path) -> None:
    """What `tracr-lite show` writes, for each program on the example of its picture."""
    folder.mkdir(parents=True, exist_ok=True)
    for shown in _all():
        entry, xs = shown.entry, program_picture.example(shown.entry)
        typed = " ".join(map(shlex.quote, map(str, xs)))
        command = f"tracr-lite show {entry.name} {typed} --serve"
        heading = visualize.Heading(entry.name, entry.summary, command, typed)
        html = visualize.page(shown.model, xs, heading)
        (folder / f"{entry.name}.html").write_text(html, encoding="utf-8")


def sections(pages: bool) -> str:
    """What follows the introduction of docs/gallery.md, as Markdown.

    **Arguments:** `pages`: whether there are pages to link to; see `write_pages`.
    """
    parts: list[str] = []
    for layers, group in groupby(_all(), key=lambda shown: shown.depth[0]):
        number = COUNT[layers] if layers < len(COUNT) else str(layers)
        parts.append(f"## {number} layer{'s' if layers != 1 else ''}")
        parts += [_section(shown, pages) for shown in group]
    return "\n\n" + "\n\n".join(parts) + "\n"


def _shown(entry: catalog.Entry) -> Shown:
    model = compile_rasp_to_model(
        entry.program, entry.vocab, entry.max_seq_len, causal=entry.causal
    )
    paragraphs = (inspect.getdoc(entry.module) or "").split("\n\n")[1:]
    labelled: dict[str, str] = {}
    prose: list[str] = []
    last = ""
    for line in "\n\n".join(paragraphs[1:]).splitlines():
        label, colon, text = line.partition(": ")
        if colon and label in ("Teaches", "Source", "Run"):
            labelled[label], last = text.strip(), label
        elif last and line.strip():
            labelled[last] += " " + line.strip()
        else:
            prose.append(line)
            last = ""
    return Shown(entry, model, "\n".join(prose).strip(), labelled)


def _section(shown: Shown, pages: bool) -> str:
    entry, config = shown.entry, shown.model.model_config
    parameters = sum(a.size for group in shown.model.params.values() for a in group.values())
    layers = f"{config.num_layers} layer{'s' if config.num_layers != 1 else ''}"
    heads = f"{config.num_heads} head{'s' if config.num_heads != 1 else ''} per layer"
    sizes = [
        layers,
        f"d_model {len(shown.model.residual_labels)}",
        heads,
        f"MLP {config.mlp_hidden_size}",
        f"{parameters:,} parameters",
        f"up to {entry.max_seq_len} tokens",
        *(["causal"] if entry.causal else []),
    ]
    parts = [
        f"### {entry.name}",
        f"**{entry.summary}**",
        f"{{.sizes}}\n{' · '.join(sizes)}",
    ]
    if "Teaches" in shown.labelled:
        parts.append(f"*Teaches:* {shown.labelled['Teaches']}")
    parts += [
        program_picture.of(entry, shown.model),
        f'<p><a href="{FOLDER}/{entry.name}.html">Step through it</a></p>' if pages else "",
        shown.explanation,
        f"```bash\n{shown.labelled['Run']}\n```" if "Run" in shown.labelled else "",
        _code(entry),
    ]
    if "Source" in shown.labelled:
        parts.append(f"{{.sizes}}\nSource: {shown.labelled['Source']}")
    return "\n\n".join(part for part in parts if part)


def _code(entry: catalog.Entry) -> str:
    """The program, without its docstring and the same thing in plain Python."""
    source = inspect.getsource(entry.module)
    lines = source.splitlines()
    body = ast.parse(source).body
    plain = [
        node
        for node in body
        if isinstance(node, ast.FunctionDef) and node.name in ("reference", "valid")
    ]
    dropped = {n for node in (body[0], *plain) for n in range(node.lineno, node.end_lineno + 1)}
    kept = "\n".join(text for n, text in enumerate(lines, 1) if n not in dropped).strip()
    fenced = f"```python\n{kept}\n```"
    return f"<details>\n<summary>The code</summary>\n\n{fenced}\n\n</details>"
