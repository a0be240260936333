"""A compiled program as a stock checkpoint: configuration, tensors, vocabulary, node map.

This is what every writer of files and every runtime starts from. Nothing here knows how the
weights were made.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from tracr_lite.compiler.values.domain import typed_key
from tracr_lite.errors import InputError
from tracr_lite.rasp import rasp

Architecture = Literal["llama", "gpt2"]
UNK, BOS, EOS, FIRST_BYTE, FIRST_FREE = 0, 1, 2, 3, 259
LOGIT = 64.0  # what the logit of the right token is; all others are 0


@dataclass(frozen=True)
class StockVocabulary:
    """Which id stands for what. Ids 0 to 258 are those of Llama: unk, BOS, EOS, 256 bytes.

    **Arguments:**
    - `texts`: the piece of every id. An input token `a` is the piece " a", with its space, as
      prompts are texts with spaces; pieces that only lead there (" ", "a", " a" of " ab") are
      in the list as well.
    - `inputs`: (RASP token, id), each token once, told apart by type: 1 is not True.
    - `outputs`: (output value, id of the token whose logit is hot). It is the id of the input
      if the value is a token as well; None has an id where it can be an output.
    - `aliases`: (piece without its space, the input's id): both have the same embedding.
    - `end`: id that ends a generation, `BOS` (run.c stops at it), or None.
    - `number`: id whose logit *is* a numerical output; None if the output is categorical.
    - `scores`: of each piece, for merging (higher first).
    """

    texts: tuple[str, ...]
    inputs: tuple[tuple[Any, int], ...]
    outputs: tuple[tuple[Any, int], ...]
    aliases: tuple[tuple[int, int], ...] = ()
    scores: tuple[float, ...] = ()
    end: int | None = None
    number: int | None = None
    bos: int = BOS
    unk: int = UNK

    @property
    def size(self) -> int:
        """Number of ids."""
        return len(self.texts)


@dataclass(frozen=True)
class NodePlace:
    """Where a RASP node is in the network.

    **Arguments:**
    - `label`: of the node in the traced graph; `text`: what it computes.
    - `heads`: (layer, head) that compute it; `neurons`: (layer, first, last + 1).
    - `columns`: (residual column, what it stands for, first half-layer after which it holds
      that, half-layer after which it is free again or None). Half-layer 2 i is the attention
      of layer i and 2 i + 1 its MLP; -1 is the embedding.
    """

    label: str
    text: str
    heads: tuple[tuple[int, int], ...] = ()
    neurons: tuple[tuple[int, int, int], ...] = ()
    columns: tuple[tuple[int, str, int, int | None], ...] = ()


@dataclass(frozen=True)
class StockModel:
    """A program inside an unmodified Llama or GPT-2.

    **Arguments:**
    - `config`: exactly what `config.json` holds.
    - `tensors`: float32, with the names and layouts of Hugging Face transformers.
    - `max_seq_len`: longest input in RASP tokens; a sequence has one token more, BOS.
    - `numeric`: whether the output is a number, the logit of `vocabulary.number`.
    - `known`, `tolerance`: a number this close to one of these is that number.
    - `causal`: whether the reference is the causal evaluator; else it is `program(xs)`, which
      for this program is the same.
    - `statement`: what is exact, and up to where, in words.
    - `options`: the request it was compiled from.
    """

    architecture: Architecture
    config: dict[str, Any]
    tensors: dict[str, np.ndarray]
    vocabulary: StockVocabulary
    program: rasp.SOp
    max_seq_len: int
    numeric: bool
    nodes: tuple[NodePlace, ...]
    statement: str
    causal: bool = False
    known: tuple[Any, ...] = ()
    tolerance: float = 0.0
    dtype: str = "float32"
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def parameters(self) -> int:
        """How many numbers the checkpoint holds."""
        return sum(tensor.size for tensor in self.tensors.values())

    def encode(self, tokens: Iterable[Any]) -> list[int]:
        """Ids of BOS and the given RASP tokens.

        **Raises:** `InputError` naming the token that is not in the vocabulary, or the limit.
        """
        if not isinstance(tokens, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InputError(f"{tokens!r} is no sequence of tokens")
        given = list(tokens)
        if len(given) > self.max_seq_len:
            raise InputError(
                f"{len(given)} tokens, but the model was compiled for at most "
                f"{self.max_seq_len}; compile it with a larger max_seq_len"
            )
        known = {typed_key(value): at for value, at in self.vocabulary.inputs}
        ids = [self.vocabulary.bos]
        for position, token in enumerate(given):
            at = known.get(typed_key(token)) if isinstance(token, Hashable) else None
            if at is None:
                some = ", ".join(repr(value) for value, _ in self.vocabulary.inputs[:10])
                raise InputError(
                    f"token {token!r} at position {position} is not in the vocabulary: {some}"
                )
            ids.append(at)
        return ids

    def decode(self, logits: np.ndarray) -> list[Any]:
        """RASP values from logits, (tokens, vocabulary), without BOS: skip its row first."""
        rows = np.asarray(logits, np.float32)
        values = [value for value, _ in self.vocabulary.outputs]
        ids = [at for _, at in self.vocabulary.outputs]
        best: list[int] = rows[:, ids].argmax(axis=1).tolist() if ids else []
        if not self.numeric:
            return [values[i] for i in best]
        assert self.vocabulary.number is not None, "a numeric output has an id"
        numbers = rows[:, self.vocabulary.number].tolist()
        hot = rows[:, ids].max(axis=1, initial=0.0) > LOGIT / 2
        return [
            values[best[row]] if hot[row] else _snapped(number, self.known, self.tolerance)
            for row, number in enumerate(numbers)
        ]


def _snapped(number: float, known: Sequence[Any], tolerance: float) -> Any:
    """The nearest known number, if it is near enough."""
    if not known:
        return number
    order = np.asarray([float(value) for value in known])
    at = int(np.abs(order - number).argmin())
    return known[at] if abs(order[at] - number) <= tolerance else number
