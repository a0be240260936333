"""Conversations by the rules of run.c: its template, its turns, its random numbers.

Each message is put into the template of Llama 2 and encoded with BOS; the position never goes
back. A token is sampled behind every token that is run, also inside a message, where it is
thrown away: so a seed gives what it gives in run.c. EOS ends a reply. run.c runs that EOS too,
and prints the token that it samples there, a stray one, before it asks for the next message.

Source: llama2.c, run.c, `chat` (350e04f).
"""

# JAX leaves parts of its own signatures without types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import Literal, TypeAlias

from tracr_lite.llama.batches import NOTHING, Engine
from tracr_lite.llama.errors import LlamaError
from tracr_lite.llama.sampler_settings import SamplerSettings
from tracr_lite.llama.sampler_stops import CHAT
from tracr_lite.llama.texts import utf8
from tracr_lite.llama.token_stream import NO_TOKEN, Pace
from tracr_lite.llama.tokenizer import Tokenizer
from tracr_lite.llama.tokenizer.vocabulary import EOS

Kind: TypeAlias = Literal["reply", "stray", "end"]  # a piece; the piece after EOS; EOS itself


class Chat:
    """A conversation.

    **Arguments:**
    - `system`: what the model is told before the first message; may be empty.
    - `steps`: tokens of the whole conversation, at most the context.
    - `settings`, `seed`: how tokens are chosen.

    Attribute: `position`, how many tokens have been run.
    """

    def __init__(
        self,
        engine: Engine,
        tokenizer: Tokenizer,
        system: str | bytes,
        steps: int,
        settings: SamplerSettings,
        seed: int,
    ):
        self.system, self.steps, self.position = utf8(system), steps, 0
        self._tokenizer = tokenizer
        self._batch = engine.batch([steps], steps, settings, [seed], sorted(CHAT.ids))

    @property
    def room(self) -> int:
        """How many more tokens can be run."""
        return self.steps - self.position

    def say(self, message: str | bytes) -> Iterator[str]:
        """The reply to a message, in pieces of text. Read it to its end before the next one.

        **Raises:** `LlamaError` if the message does not fit into what is left of the context.
        """
        ids = self._encode(message)
        if len(ids) > self.room:
            raise LlamaError(
                f"the message has {len(ids)} tokens, template included, but only {self.room} "
                f"of {self.steps} are left: start a new conversation"
            )
        return self._reply(ids)

    def _reply(self, ids: list[int]) -> Iterator[str]:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        for kind, piece in self._turn(ids):
            if kind == "reply" and (text := decoder.decode(piece)):
                yield text
        if rest := decoder.decode(b"", True):
            yield rest

    def turn(self, message: str | bytes) -> Iterator[tuple[Kind, bytes]]:
        """All that run.c does in one turn: each piece that it prints, and each EOS.

        A message that does not fit is cut, as in run.c, and has no reply. Inside a message, EOS
        may be sampled too; run.c prints a newline then.
        """
        return self._turn(self._encode(message))

    def _turn(self, ids: list[int]) -> Iterator[tuple[Kind, bytes]]:
        whole = len(ids) <= self.room
        sampled = self._run(ids[: self.room])
        inside, last = sampled[:-1] if whole else sampled, sampled[-1:] if whole else []
        end: tuple[Kind, bytes] = ("end", b"")
        yield from (end for token in inside if token == EOS)
        if not last:
            return
        previous, pace = ids[-1], Pace()
        while True:
            for token in last:
                piece = b"" if token == EOS else self._tokenizer.piece(previous, token)
                yield ("end" if token == EOS else "reply"), piece
                previous = token
            if previous == EOS or not self.room:
                break
            last = self._continue(pace)
        if previous == EOS and self.room:
            for token in self._run([EOS]):
                piece = b"" if token == EOS else self._tokenizer.piece(EOS, token)
                yield ("end" if token == EOS else "stray"), piece

    def _encode(self, message: str | bytes) -> list[int]:
        text = utf8(message)
        if not self.position and self.system:
            text = b"<<SYS>>\n" + self.system + b"\n<</SYS>>\n\n" + text
        return self._tokenizer.encode(b"[INST] " + text + b" [/INST]")

    def _run(self, ids: list[int]) -> list[int]:
        """Runs tokens; what is sampled behind each."""
        if not ids:
            return []
        return self._advanced(self._batch.extend(ids, self.position).tolist())

    def _continue(self, pace: Pace) -> list[int]:
        """Generates a few tokens."""
        with pace as count:
            ids = self._batch.advance(count)[0].tolist()
        return self._advanced([each for each in ids if each != NOTHING])

    def _advanced(self, found: list[int]) -> list[int]:
        if NO_TOKEN in found:
            where = self.position + found.index(NO_TOKEN)
            raise LlamaError(
                f"nothing can be chosen after position {where}: "
                "the logits hold a NaN or no finite maximum; the weights are damaged"
            )
        self.position += len(found)
        return found
