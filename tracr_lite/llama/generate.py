"""From prompts to texts: options, the rules by which a text ends, and text in pieces.

The rules are those of `generate` in llama2.c's run.c (350e04f): a prompt starts with BOS, at
most `n` tokens are run, its own among them, and BOS ends a text before it is printed.
"""

from __future__ import annotations

import codecs
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from tracr_lite.llama.errors import LlamaError
from tracr_lite.llama.sampler_rng import MASK, Xorshift
from tracr_lite.llama.sampler_settings import SamplerSettings
from tracr_lite.llama.sampler_stops import GENERATE, StopText
from tracr_lite.llama.tokenizer import Tokenizer
from tracr_lite.llama.tokenizer.pieces import printed

Prompt: TypeAlias = str | bytes | Sequence[int]


@dataclass(frozen=True)
class Options:
    """How texts are generated.

    - `n`: tokens run at most, the prompt's too; 0: the whole context; by default at most 256.
    - `temperature`, `top_p`, `top_k`, `repetition_penalty`: see `SamplerSettings`.
    - `seed`: of the random numbers, from 1 to 2**64 - 1; None takes one from the clock. Row i
      of a batch has `seed + i`, and 1 follows the last; a list gives each row its own.
    - `stop`: texts, or bytes, before which a text ends. `stop_tokens`: the same for tokens.
    - `echo`: whether the text starts with the prompt.
    - `errors`: what `bytes.decode` does with bytes that are no UTF-8, by a name it knows.
    - `printed`: without what run.c does not print: control characters, bytes spelt one by one.
    """

    n: int | None = None
    temperature: float = 1.0
    top_p: float = 0.9
    top_k: int | None = None
    repetition_penalty: float | None = None
    seed: int | Sequence[int] | None = None
    stop: Sequence[str | bytes] = ()
    stop_tokens: Sequence[int] = tuple(GENERATE.ids)
    echo: bool = True
    errors: str = "replace"
    printed: bool = False

    def __post_init__(self) -> None:
        try:
            codecs.lookup_error(self.errors)
        except LookupError as error:
            raise LlamaError(
                f"errors is {self.errors!r}, which Python does not know"
            ) from error

    @property
    def settings(self) -> SamplerSettings:
        """The part that chooses tokens."""
        return SamplerSettings(
            self.temperature, self.top_p, self.top_k, self.repetition_penalty
        )

    def seeds(self, rows: int) -> list[int]:
        """The seed of each row. **Raises:** `LlamaError` if one is none."""
        if isinstance(self.seed, (Sequence, np.ndarray)):
            if len(self.seed) != rows:
                raise LlamaError(f"{len(self.seed)} seeds were given for {rows} prompt(s)")
            return [Xorshift(each).state for each in self.seed]
        first = time.time_ns() % (1 << 62) + 1 if self.seed is None else self.seed
        start = Xorshift(first).state - 1
        return [(start + row) % MASK + 1 for row in range(rows)]


@dataclass(frozen=True)
class Generation:
    """What came of one prompt.

    - `text`: with the prompt in front unless `echo` was off; None without a tokenizer.
    - `prompt_tokens`: the ids of the prompt. `tokens`: the new ones, without the one that ended
      the text.
    - `reason`: why it ended: `n` or the context was used up ("length"), or one of the stop
      tokens or strings came. `stop`: which one.
    - `seed`: gives the same text again.
    """

    text: str | None
    prompt_tokens: tuple[int, ...]
    tokens: tuple[int, ...]
    reason: Literal["length", "token", "string"]
    stop: int | str | None
    seed: int


class TextStream:
    """The text of one prompt in pieces, as it is generated: an iterator.

    Put together, the pieces are `result.text`; `result` is there once the last piece has come.
    `seconds` is the time since the first token was there.
    """

    def __init__(self, rows: list[Row], chunks: Iterator[list[list[int]]]):
        self._row, self._chunks, self.result = rows[0], chunks, None
        self._pieces, self.seconds = self._run(), 0.0

    result: Generation | None

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        return next(self._pieces)

    def _run(self) -> Iterator[str]:
        row = self._row
        if begun := row.begin():
            yield begun
        first: float | None = None
        for chunk in self._chunks:
            now = time.monotonic()
            first = now if first is None else first
            self.seconds = now - first
            if text := row.push(chunk[0]):
                yield text
            if row.ended:
                break
        if rest := row.finish():
            yield rest
        self.result = row.result()


class Row:
    """One prompt and what has been generated for it.

    **Arguments:** `prompt`: what is shown of it. `cut`: whether that is not all, so that
    nothing follows.
    """

    def __init__(
        self,
        prompt: Sequence[int],
        seed: int,
        tokenizer: Tokenizer | None,
        options: Options,
        *,
        cut: bool = False,
    ):
        self.prompt, self.tokens, self.seed, self.cut = tuple(prompt), list[int](), seed, cut
        self._tokenizer, self._options, self._texts = tokenizer, options, list[str]()
        self._previous = self.prompt[-1]
        self._decoder = codecs.getincrementaldecoder("utf-8")(options.errors)
        self._stop = StopText(options.stop)
        self._stop_token: int | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing more comes: the prompt was cut, or a stop token or string came."""
        return self.cut or self._stop_token is not None or self._stop.found is not None

    def begin(self) -> str:
        """The text before anything is generated."""
        if self._tokenizer is None or not self._options.echo:
            return ""
        if self._options.printed:
            return self._keep(self._tokenizer.printed(self.prompt))
        return self._keep(self._tokenizer.decode(self.prompt))

    def push(self, ids: Sequence[int]) -> str:
        """The text that new tokens make certain."""
        data = b""
        for token in ids:
            if self.ended:
                break
            if token in self._options.stop_tokens:
                self._stop_token = token
                break
            self.tokens.append(token)
            if self._tokenizer is not None:
                piece = self._tokenizer.piece(self._previous, token)
                data += self._stop.push(printed(piece) if self._options.printed else piece)
            self._previous = token
        return self._keep(data)

    def finish(self) -> str:
        """The rest of the text."""
        return self._keep(self._stop.finish(), final=True)

    def result(self) -> Generation:
        """What came of the prompt."""
        found = self._stop.found
        reason = "length" if found is None else "string"
        return Generation(
            text=None if self._tokenizer is None else "".join(self._texts),
            prompt_tokens=self.prompt,
            tokens=tuple(self.tokens),
            reason=reason if self._stop_token is None else "token",
            stop=self._stop_token if found is None else found.decode(errors="replace"),
            seed=self.seed,
        )

    def _keep(self, data: bytes, *, final: bool = False) -> str:
        text = self._decoder.decode(data, final)
        self._texts.append(text)
        return text
