"""The page in an exported folder that tells a person what is in it. Nothing reads it back."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from typing import Any

from tracr_lite.rasp.listing import listing
from tracr_lite.targets.export.record import head_hook, neuron_hook, stream_hook
from tracr_lite.targets.stock_model import NodePlace, StockModel

LISTED = 40  # values of a vocabulary, columns of a node

_PAGE = """\
# A RASP program as a {architecture} checkpoint

The weights were computed from a program; nothing was trained. The architecture is unmodified.

{use}
| {names} |
|{rules}|
| {sizes} |

{statement}

- **Longest input**: {longest} tokens, and BOS (id {bos}) in front of them, once. {beyond}
- **Input tokens**: {inputs}.
- **Output**: {outputs}
{end}
## The program

As text, for people. It names functions that may be defined elsewhere.

{fence}python
{program}
{fence}

## Where its nodes are

Hooks have the names of TransformerLens. A column of the residual stream holds what it stands
for from the hook named on; it may be used again after the second one.

| node | heads | neurons | columns |
|---|---|---|---|
{nodes}

The same, and the ids of all values, for programs: `program.json`.
"""

_USE = {
    "hf": """\
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained("this folder")
    model = AutoModelForCausalLM.from_pretrained("this folder")
    ids = tokenizer({prompt!r}, return_tensors="pt")
    {shown}
""",
    "llama2c": """\
    run model.bin -z tokenizer.bin -t 0 -i {quoted}

`run` is run.c of llama2.c. {build}
""",
    "gguf": """\
    llama-cli -m model.gguf --temp 0 -no-cnv -p {quoted}
""",
}
_BEYOND = {
    "hf": {
        "llama": "Longer ones are computed without an error, and wrongly: the tokenizer warns, "
        "`generate` refuses a longer prompt, and warns where it writes on.",
        "gpt2": "Longer ones are an IndexError; the tokenizer warns before.",
    },
    "llama2c": {"llama": "run.c stops there."},
    "gguf": {"llama": "llama.cpp warns of a longer context and computes on, wrongly."},
}
_WRITES = "print(tokenizer.decode(model.generate(**ids)[0], skip_special_tokens=True))"
_NUMBERS = "print(model(**ids).logits[0, 1:, {number}])  # one for each token"
_VALUES = """\
best = model(**ids).logits[0, 1:].argmax(-1)  # one for each token
    print(tokenizer.convert_ids_to_tokens(best.tolist()))"""
_BUILD = {
    "bounded": "`make run` builds it. A build with `-Ofast` (`make runfast`) will do for short "
    "inputs; it rounds more coarsely than the statement below takes into account.",
    "wide": "`make run` builds it. A build with `-Ofast` (`make runfast`) computes NaN, as its "
    "exponentials overflow: for that one, compile the program with mode bounded.",
}


def card_of(model: StockModel, to: str) -> str:
    """Markdown."""
    text, known = listing(model.program), model.vocabulary
    shown = _VALUES if known.end is None else _WRITES
    shown = _NUMBERS.format(number=known.number) if model.numeric else shown
    values = " ".join(known.texts[at].strip() for _, at in known.inputs[:3])
    sizes = sizes_of(model)
    build = _BUILD.get(str(model.options.get("mode", "wide")), "")
    return _PAGE.format(
        architecture={"llama": "Llama", "gpt2": "GPT-2"}[model.architecture],
        use=_USE[to].format(
            prompt=values, quoted=shlex.quote(values), shown=shown, build=build
        ),
        names=" | ".join(sizes),
        rules="|".join("--:" for _ in sizes),
        sizes=" | ".join(sizes.values()),
        statement=model.statement.strip(),
        longest=model.max_seq_len,
        beyond=_BEYOND[to][model.architecture],
        bos=known.bos,
        inputs=_values(model, known.inputs),
        outputs=_outputs(model),
        end="" if known.end is None else f"- **END**: id {known.end} ends a generation.\n",
        fence="`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0)),
        program=text,
        nodes="\n".join(map(_row, model.nodes)),
    )


def sizes_of(model: StockModel) -> dict[str, str]:
    """How large a model is, in words and numbers."""
    config = model.config
    heads = config.get("num_attention_heads", config.get("n_head"))
    counts = {
        "layers": config.get("num_hidden_layers", config.get("n_layer")),
        "d_model": config.get("hidden_size", config.get("n_embd")),
        "heads": heads,
        "key-value heads": config.get("num_key_value_heads", heads),
        "MLP": config.get("intermediate_size", config.get("n_inner")),
        "ids": model.vocabulary.size,
        "parameters": model.parameters,
    }
    return {name: f"{count:,}" for name, count in counts.items()} | {"numbers": model.dtype}


def _outputs(model: StockModel) -> str:
    known = model.vocabulary
    if not model.numeric:
        return f"the token whose logit is highest. {_values(model, known.outputs)}."
    also = (
        f" If another logit is above 32: {_values(model, known.outputs)}."
        if known.outputs
        else ""
    )
    return f"a number, the logit of id {known.number}.{also}"


def _values(model: StockModel, pairs: Iterable[tuple[Any, int]]) -> str:
    """Values with their ids, and how they are written where that is not plain."""
    listed: list[str] = []
    for value, at in pairs:
        text = model.vocabulary.texts[at].removeprefix(" ")
        plain = text in (str(value), repr(value)) or at == model.vocabulary.end
        written = "" if plain else f", written {_code(text)}"
        listed.append(f"{_code(ascii(value))} is id {at}{written}")
    more = f", and {len(listed) - LISTED} more" if len(listed) > LISTED else ""
    return ", ".join(listed[:LISTED]) + more


def _row(place: NodePlace) -> str:
    heads = [_code(head_hook(*each)) for each in place.heads]
    neurons = [_code(neuron_hook(*each)) for each in place.neurons]
    name = f"{_code(place.label)}: {_code(place.text)}" if place.text else _code(place.label)
    cells = (name, *("<br>".join(_cut(each)) for each in (heads, neurons, _columns(place))))
    return f"| {' | '.join(cells)} |"


def _columns(place: NodePlace) -> list[str]:
    """A line for all columns that come and go together."""
    spans: dict[tuple[int, int | None], list[str]] = {}
    for column, stands_for, first, until in sorted(place.columns):
        value = stands_for.removeprefix(f"{place.label}:")
        spans.setdefault((first, until), []).append(f"{column} {_code(value)}")
    return [
        f"from {_code(stream_hook(first))}"
        + ("" if until is None else f" to {_code(stream_hook(until - 1))}")
        + f": {', '.join(_cut(values))}"
        for (first, until), values in spans.items()
    ]


def _cut(items: list[str]) -> list[str]:
    more = len(items) - LISTED
    return [*items[:LISTED], f"and {more} more"] if more > 0 else items


def _code(text: str) -> str:
    """Text as code inside a table: a bar would end the cell, a line break the row."""
    line = " ".join(text.split()).replace("|", "\\|")
    fence = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    return f"{fence}{line}{fence}" if fence == "`" else f"{fence} {line} {fence}"
