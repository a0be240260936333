"""One HTML file about a model on an input: it needs no network, and no file beside it.

All text goes into the page as JSON, which its script puts into the document as text: names and
tokens are never read as markup. A policy in the page allows its own script and style only.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from tracr_lite.compiler.assembled import AssembledTransformerModel
from tracr_lite.rasp.listing import listing
from tracr_lite.visualize.page_data import Data, page_data
from tracr_lite.visualize.reading import Reading, read
from tracr_lite.visualize.words import counted, value_text

SLOT = re.compile(r"\{\{(\w+)\}\}")


@dataclass(frozen=True)
class Heading:
    """What a page says beside the model.

    **Arguments:**
    - `name`, `summary`: of the program; `command`: that serves the page.
    - `typed`: the input as it would be typed; `known`: which tokens there are.
    - `served`: whether a server answers to new inputs.
    """

    name: str
    summary: str = ""
    command: str = "tracr-lite show NAME TOKENS --serve"
    typed: str = ""
    known: str = ""
    served: bool = False


def page(
    model: AssembledTransformerModel | Reading,
    xs: Sequence[Any] | None = None,
    heading: Heading | None = None,
) -> str:
    """The HTML of a page about a model on an input, given without BOS.

    **Raises:** `CircuitError` if the program raises on this input; `InputError` as
    `model.apply`; `VisualizeError` for models without a program.
    """
    reading = read(model, xs)
    heading = heading or Heading("A compiled program")
    data: Data = {
        "run": page_data(reading),
        "facts": facts(reading),
        "program": program_text(reading),
        "served": heading.served,
        "input": heading.typed,
        "known": heading.known,
    }
    style, script = _static("page.css"), _static("page.js")
    connect = "'self'" if heading.served else "'none'"
    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; "
        f"img-src data:; connect-src {connect}; base-uri 'none'; form-action 'none'"
    )
    filled = {
        "policy": policy,
        "title": html.escape(f"{heading.name} · tracr_lite"),
        "name": html.escape(heading.name),
        "summary": html.escape(heading.summary),
        "command": html.escape(heading.command),
        "style": style,
        "script": script,
        "data": as_json(data),
    }
    return SLOT.sub(lambda found: filled[found[1]], _static("page.html"))


def facts(reading: Reading) -> dict[str, str]:
    """Sizes of the model, by name."""
    config = reading.model.model_config
    arrays = [array for group in reading.model.params.values() for array in group.values()]
    attention = "causal" if config.causal else "not causal"
    found = {
        "layers": f"{config.num_layers}, {attention}",
        "d_model": f"{len(reading.model.residual_labels):,}",
        "heads": f"{counted(config.num_heads, 'head')} a layer of {config.key_size} dimensions",
        "neurons": f"{config.mlp_hidden_size:,} a layer",
        "parameters": f"{sum(int(array.size) for array in arrays):,}",
    }
    encoder: Any = reading.model.input_encoder
    if encoder is not None and hasattr(encoder, "basis"):
        special = (encoder.bos_token, encoder.pad_token)
        words = [value_text(d.value) for d in encoder.basis if d.value not in special]
        more = f" … {len(words) - 60} more" if len(words) > 60 else ""
        found["vocabulary"] = " ".join(words[:60]) + more
        found["longest input"] = counted(encoder.max_seq_len or 0, "token")
    return found


def program_text(reading: Reading) -> str:
    """The program as Python, to be read."""
    if reading.trace is not None:
        return listing(reading.trace.graph.exprs[-1])
    saved = reading.model.description
    return "" if saved is None else saved.text


def as_json(data: Data) -> str:
    """JSON that ends no script element and starts no comment, whatever the strings in it."""
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _static(name: str) -> str:
    return (files("tracr_lite.visualize") / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """How a policy names a script or style that stands in the page."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
