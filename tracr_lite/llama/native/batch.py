"""The rows of the native engine in the middle of generation: caches, and what is chosen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tracr_lite.llama.batches import NOTHING
from tracr_lite.llama.cache import check_fits
from tracr_lite.llama.native.choosing import NO_TOKEN, Desk, make_choosing
from tracr_lite.llama.native.edge import Entry
from tracr_lite.llama.native.entry import chooser
from tracr_lite.llama.native.lookahead import Lookahead
from tracr_lite.llama.native.plan import ALONE, PASSED, SCORED, Batch
from tracr_lite.llama.native.room import make_caches, make_room
from tracr_lite.llama.sampler_settings import SamplerSettings

if TYPE_CHECKING:
    from tracr_lite.llama.native.engine import NativeEngine

BLOCK = 128  # tokens of prompts that are run together
SCORES = 16  # tokens of a message that are run and scored together


class NativeBatch:
    """See `batches.Batch`. Each row has places of its own in the cache, from 0 on."""

    def __init__(
        self,
        engine: NativeEngine,
        slots: int,
        steps: int,
        settings: SamplerSettings,
        seeds: Sequence[int],
        stops: Sequence[int],
    ):
        rows, vocab = len(seeds), engine.config.vocab_size
        self._rows = rows
        self._engine, self._steps = engine, steps
        self._choosing = make_choosing(settings, seeds, vocab, engine.threads)
        self._desk = Desk(*(each[0] for each in self._choosing.desks))
        self._stops = np.array(stops, np.int64)
        check_fits(engine.config, rows, slots)
        self.caches = make_caches(engine.model, rows, slots)
        ahead = engine.lookahead if rows == 1 else 0  # many texts share what is read anyway
        self._ahead = Lookahead(ahead) if ahead else None
        at_once = rows + ahead
        self._batch = make_room(engine.model, self.caches, at_once, at_once, engine.threads)
        self._batch.counts[ALONE] = ahead

    @property
    def arrays(self) -> tuple[np.ndarray, ...]:
        """All that a pass for one token of each row needs besides the model."""
        every = (*self._batch, *self._choosing, *self._choosing.desks)
        return tuple(each for each in every if isinstance(each, np.ndarray))

    @property
    def alive(self) -> bool:
        """As in `batches.Batch`."""
        return bool(self._batch.counts[PASSED])

    def begin(self, prompts: Sequence[Sequence[int]]) -> np.ndarray:
        """As in `batches.Batch`."""
        rows = [
            Row(text, place, token)
            for text, prompt in enumerate(prompts)
            for place, token in enumerate(prompt)
        ]
        ends = [
            place for place, row in enumerate(rows) if row.place + 1 == len(prompts[row.text])
        ]
        scores = np.zeros((len(prompts), self._engine.config.vocab_size), np.float32)
        for index, logits in self._scores(rows, BLOCK, ends):
            scores[rows[index].text] = logits
        for text, prompt in enumerate(prompts):
            self._see(text, prompt)
        tokens = np.array([self._choose(*each) for each in enumerate(scores)], np.int64)
        if self._ahead is not None:
            self._ahead.see([*prompts[0], *tokens.tolist()])
        self._wait([Row(i, len(prompts[i]), token) for i, token in enumerate(tokens.tolist())])
        return tokens

    def advance(self, count: int) -> np.ndarray:
        """As in `batches.Batch`."""
        if self._ahead is not None:
            return self._look_ahead(count, self._ahead)
        return self._one_by_one(count)

    def _one_by_one(self, count: int) -> np.ndarray:
        found = np.full((self._rows, count), NOTHING, np.int64)
        if count:  # with no room there would be a pass without a choice
            self._engine.run(self._batch, self._steps, self._stops, found, self._choosing)
        return found

    def _look_ahead(self, count: int, ahead: Lookahead) -> np.ndarray:
        """The same tokens with guesses, which are run together with what waits."""
        found = list[int]()
        while len(found) < count and self.alive:
            place, token = int(self._batch.places[0]), int(self._batch.tokens[0])
            guess = ahead.guess(min(count - len(found), self._steps - place) - 1)
            if guess:
                new = self._check([Row(0, place + i, t) for i, t in enumerate([token, *guess])])
                ahead.learn(len(guess), len(new) - 1)
            else:
                new = self._one_by_one(min(count - len(found), ahead.pause()))[0].tolist()
                new = [each for each in new if each != NOTHING]
            ahead.see(new)
            found += new
        return np.array([found + [NOTHING] * (count - len(found))], np.int64)

    def _check(self, rows: Sequence[Row]) -> list[int]:
        """Runs a text's token and guesses; what is chosen, up to where a guess is wrong."""
        fill(self._batch, rows, range(len(rows)))
        self._engine.run(self._batch, 0, self._stops, np.zeros((1, 0), np.int64))
        found, scores = list[int](), self._batch.logits
        for i, after in enumerate([*rows[1:], None]):
            found.append(self._choose(0, scores[i]))
            if after is None or found[-1] != after.token or found[-1] in self._stops:
                break
            self._see(0, found[-1:])
        self._wait([Row(0, rows[0].place + len(found), found[-1])])
        return found

    def extend(self, tokens: Sequence[int], at: int) -> np.ndarray:
        """As in `batches.Batch`."""
        rows = [Row(0, at + i, token) for i, token in enumerate(tokens)]
        found = np.zeros(len(rows), np.int64)
        for i, logits in self._scores(rows, SCORES, range(len(rows))):
            self._see(0, [tokens[i]])
            found[i] = self._choose(0, logits)
        self._wait([Row(0, at + len(rows), int(found[-1]))])
        if self._ahead is not None:
            self._ahead.see([*tokens, int(found[-1])])
        return found

    def _scores(
        self, rows: list[Row], most: int, wanted: Sequence[int]
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Runs rows, at most so many at a time; the logits of those that are wanted."""
        most = min(most, len(rows))
        scored = min(most, len(wanted))
        room = make_room(self._engine.model, self.caches, most, scored, self._engine.threads)
        nothing = np.zeros((1, 0), np.int64)
        for first in range(0, len(rows), most):
            part = rows[first : first + most]
            ask = [i for i in wanted if first <= i < first + len(part)]
            fill(room, part, [i - first for i in ask])
            self._engine.run(room, 0, self._stops, nothing)
            yield from zip(ask, room.logits, strict=False)

    def _see(self, text: int, tokens: Sequence[int]) -> None:
        if self._choosing.how.penalizes:
            self._choosing.seen[text, list(tokens)] = True

    def _choose(self, text: int, logits: np.ndarray) -> int:
        """The next token of a text."""
        if self._choosing.plain:
            return NO_TOKEN if np.isnan(logits).any() else int(logits.argmax())
        call, (how, random, seen, _) = chooser(self._try_out), self._choosing
        return call(logits, how, random[text], seen[text], self._desk)

    def _try_out(self, call: Entry) -> None:
        how, random, seen, _ = self._choosing
        call(np.zeros_like(self._desk.values), how, random[0].copy(), seen[0], self._desk)

    def _wait(self, rows: list[Row]) -> None:
        """Leaves tokens that were chosen for the next pass, unless their text has ended."""
        for row in rows:
            if row.token != NO_TOKEN:
                self._see(row.text, [row.token])
        alive = [
            row
            for row in rows
            if row.place < self._steps
            and row.token != NO_TOKEN
            and row.token not in self._stops
        ]
        fill(self._batch, alive, range(len(alive)))


class Row(NamedTuple):
    """A token, the text it belongs to, and its place in it."""

    text: int
    place: int
    token: int


def fill(batch: Batch, rows: Sequence[Row], scored: Sequence[int]) -> None:
    """Says what the next pass has to run."""
    count = len(rows)
    batch.counts[PASSED], batch.counts[SCORED] = count, len(scored)
    batch.texts[:count] = [row.text for row in rows]
    batch.places[:count] = [row.place for row in rows]
    batch.tokens[:count] = [row.token for row in rows]
    batch.scored[: len(scored)] = scored
