"""The vocabulary of a stock model as tokenizers of other programs have it.

A prompt is a text, the tokens with a space between: `a b | b`. Tokenizers put one space in
front, so every token is a piece " a". All its beginnings are pieces too; so merging from the
left always ends in the whole token, whatever the scores are.
"""

from __future__ import annotations

from tracr_lite.llama.errors import LlamaError
from tracr_lite.llama.tokenizer import Tokenizer, Vocabulary, hugging_face_files
from tracr_lite.llama.tokenizer.vocabulary import BYTE_TEXTS
from tracr_lite.targets.export.errors import ExportError
from tracr_lite.targets.stock_model import FIRST_FREE, StockModel

SPECIAL = (b"<unk>", b"\n<s>\n", b"\n</s>\n")  # as llama2.c writes them
HUGGING_FACE_PAD = "</s>"  # never written by a model


def tokenizer_of(model: StockModel) -> Tokenizer:
    """The tokenizer of run.c for a model.

    **Raises:** `ExportError` if the text of some tokens would be read as other tokens.
    """
    known = model.vocabulary
    scores = [*[0.0] * FIRST_FREE, *(known.scores or [0.0] * known.size)[FIRST_FREE:]]
    try:
        pieces = [*SPECIAL, *BYTE_TEXTS, *(text.encode() for text in known.texts[FIRST_FREE:])]
        tokenizer = Tokenizer(Vocabulary(pieces, scores))
        _check(model, tokenizer)
    except (LlamaError, UnicodeEncodeError) as error:
        raise ExportError(f"no tokenizer can hold this vocabulary: {error}") from error
    return tokenizer


def text_of(model: StockModel, ids: list[int]) -> str:
    """The prompt that a tokenizer turns into `ids`, which start with BOS."""
    return "".join(model.vocabulary.texts[each] for each in ids[1:]).removeprefix(" ")


def _check(model: StockModel, tokenizer: Tokenizer) -> None:
    """Each token alone, and all of them side by side."""
    inputs = [at for _, at in model.vocabulary.inputs]
    pairs = [[first, second] for first in inputs[:40] for second in inputs[:40]]
    for ids in [*([each] for each in inputs), inputs, inputs[::-1], *pairs]:
        text = text_of(model, [model.vocabulary.bos, *ids])
        if (found := tokenizer.encode(text)[1:]) != ids:
            raise ExportError(
                f"the text {text!r} would be read as the tokens {found} instead of {ids}; "
                "choose tokens whose texts are not made of each other"
            )


def hugging_face_tokenizer(model: StockModel) -> dict[str, bytes]:
    """The files of the tokenizer in a Hugging Face folder, by name."""
    try:
        return hugging_face_files(tokenizer_of(model).vocabulary)
    except LlamaError as error:
        raise ExportError(f"no tokenizer.json can hold this vocabulary: {error}") from error
