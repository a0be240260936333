"""The page that tells a person what a saved model is. Nothing reads it back."""

from __future__ import annotations

import re

from tracr_lite.compiler.assembled import AssembledTransformerModel
from tracr_lite.compiler.saving.json_text import Json
from tracr_lite.rasp.json_values import from_json
from tracr_lite.transformer.encoder import CategoricalEncoder

_LISTED = 40  # tokens

_PAGE = """\
# A compiled transformer

{origin}

    import tracr_lite

    model = tracr_lite.load("this folder")
    model.apply({example})

| layers | d_model | heads | key size | MLP neurons | positions | parameters | causal |
|--:|--:|--:|--:|--:|--:|--:|---|
| {sizes} |

{vocabulary}
- `model.safetensors`: the weights, float32, stored as [input, output].
- `model.json`: configuration, encoders, what each column of the residual stream stands for, and
  which heads and neurons compute which part of the program. Digest: `{digest}`.
- `README.md`: this page, written with the model. No program reads it.

Loading runs no code from this folder.
"""

_ORIGIN = (
    "The weights were computed from a program by {made_by}; nothing was trained.",
    "The weights were put together by hand, with {made_by}.",
)

_PROGRAM = """
## The program

As text, for people. It names functions that may be defined elsewhere.

{fence}python
{text}
{fence}
"""


def card_of(model: AssembledTransformerModel, body: Json, digest: str) -> str:
    """Markdown."""
    config = model.model_config
    count = sum(int(array.size) for group in model.params.values() for array in group.values())
    sizes = (
        config.num_layers,
        len(model.residual_labels),
        config.num_heads,
        config.key_size,
        config.mlp_hidden_size,
        body["shape"]["positions"],
        count,
    )
    page = _PAGE.format(
        origin=_ORIGIN[body["program"] is None].format(made_by=body["made_by"]),
        example=_example(model),
        sizes=" | ".join([*(f"{size:,}" for size in sizes), "yes" if config.causal else "no"]),
        vocabulary=_vocabulary(model),
        digest=digest,
    )
    if body["program"] is not None:
        text: str = from_json(body["program"]["text"])
        fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
        page += _PROGRAM.format(text=text, fence=fence)
    return page.encode("utf-8", "backslashreplace").decode()


def _tokens(model: AssembledTransformerModel) -> list[str]:
    """The input tokens without BOS and padding, as Python writes them."""
    encoder = model.input_encoder
    if not isinstance(encoder, CategoricalEncoder):
        return []
    special = (encoder.bos_token, encoder.pad_token)
    return [ascii(d.value) for d in encoder.basis if d.value not in special]


def _example(model: AssembledTransformerModel) -> str:
    encoder = model.input_encoder
    if encoder is None:
        return "[0, 1, 2]"  # ids
    start = [] if encoder.bos_token is None else [ascii(encoder.bos_token)]
    return f"[{', '.join(start + _tokens(model)[:2])}]"


def _vocabulary(model: AssembledTransformerModel) -> str:
    tokens, encoder = _tokens(model), model.input_encoder
    if not tokens or encoder is None:
        return ""
    shown = ", ".join(f"`{token}`" for token in tokens[:_LISTED])
    more = f" and {len(tokens) - _LISTED} more" if len(tokens) > _LISTED else ""
    limit = getattr(encoder, "max_seq_len", None)
    longest = "" if limit is None else f", up to {limit} of them"
    first = f", after `{encoder.bos_token!a}`" if encoder.bos_token is not None else ""
    return f"Input tokens: {shown}{more}{longest}{first}.\n"
