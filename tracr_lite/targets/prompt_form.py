"""The nodes of a program, computed behind a separator as they are at a position of the prompt.

Two translations, both at position t of `x1 .. xn | y1 ..`, where j = t - n:

- `value(sop)`: at t > n the value that `sop` has at position j of the prompt;
- `key(sop)`: at a position of the prompt the value that `sop` has there.

Elsewhere both are computed from some token of the prompt's vocabulary, some index and some
length that occur together in a prompt, so that no function is called with what it cannot know.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tracr_lite.compiler.tracing import trace
from tracr_lite.errors import Problem
from tracr_lite.rasp import rasp
from tracr_lite.rasp.rasp import Value
from tracr_lite.targets.reading_ahead import reads_ahead

# Functions are frozen dataclasses: equal ones compare equal, so that nodes are merged.


@dataclass(frozen=True)
class Is:
    """Selects the keys that are a token, whatever the query is."""

    token: Value

    def __call__(self, key: Any, query: Any) -> bool:
        return key == self.token


@dataclass(frozen=True)
class KeyIsTrue:
    """Selects the keys that are true."""

    def __call__(self, key: Any, query: Any) -> bool:
        return bool(key)


@dataclass(frozen=True)
class Within:
    """A number, moved into the bounds."""

    least: int
    greatest: int

    def __call__(self, x: int) -> int:
        return min(max(x, self.least), self.greatest)


@dataclass(frozen=True)
class Known:
    """A token of the prompt as it is, any other as the first of those."""

    vocab: tuple[Value, ...]

    def __call__(self, token: Value) -> Value:
        return token if token in self.vocab else self.vocab[0]


@dataclass(frozen=True)
class ZeroIf:
    """A number, or 0 if the second value is true."""

    def __call__(self, x: int, zero: bool) -> int:
        return 0 if zero else x


@dataclass(frozen=True)
class EndIf:
    """A value, or `end` if the second value is true."""

    end: Value

    def __call__(self, x: Value, ends: bool) -> Value:
        return self.end if ends else x


@dataclass(frozen=True)
class KeyIsSomething:
    """Selects the keys that are not None."""

    def __call__(self, key: Any, query: Any) -> bool:
        return key is not None


def without_none(sop: rasp.SOp, instead: Value) -> rasp.SOp:
    """The same values, but for None: a Map would leave it as it is, so it takes a head."""
    here = rasp.Select(rasp.indices, rasp.indices, rasp.Comparison.EQ)
    something = rasp.Select(sop, sop, KeyIsSomething())
    return rasp.Aggregate(here & something, sop, instead)


class PromptForm:
    """Translates a program for prompts of some tokens, up to a length.

    `problems` are those found so far: what was translated is right only if there are none.
    `done` is true behind the last answer.
    """

    def __init__(
        self, program: rasp.SOp, vocab: tuple[Value, ...], max_seq_len: int, separator: Value
    ):
        self.graph, self.vocab, self.longest = trace(program), vocab, max_seq_len
        self.problems: list[Problem] = []
        self._values: dict[int, rasp.SOp] = {}
        self._keys: dict[int, rasp.SOp] = {}
        separators = rasp.Select(rasp.tokens, rasp.tokens, Is(separator))
        in_prompt = (rasp.SelectorWidth(separators) == 0).named("in_prompt")
        self._prompt = rasp.Select(in_prompt, in_prompt, KeyIsTrue())
        size = rasp.SelectorWidth(self._prompt).named("prompt_size")
        place = rasp.categorical(rasp.LinearSequenceMap(rasp.indices, size, 1, -1))
        beyond = rasp.categorical(rasp.LinearSequenceMap(rasp.indices, size, 1, -2))
        self.done = (beyond >= 0).named("done")
        last = max_seq_len - 1
        near = rasp.Map(Within(0, last), place)
        self._at = rasp.SequenceMap(ZeroIf(), near, self.done).named("answered_index")
        self._length = rasp.Map(Within(1, max_seq_len), size).named("prompt_length")
        self._token = rasp.Map(Known(vocab), rasp.tokens).named("prompt_token")
        self._index = rasp.Map(Within(0, last), rasp.indices).named("prompt_index")
        there = rasp.Select(rasp.indices, self._at, rasp.Comparison.EQ)
        self._fetched = rasp.Aggregate(there, self._token, vocab[0]).named("answered_token")

    def value(self, sop: rasp.SOp) -> rasp.SOp:
        """The S-Op behind the separator."""
        if sop.unique_id not in self._values:
            self._values[sop.unique_id] = _like(sop, self._value(sop))
        return self._values[sop.unique_id]

    def key(self, sop: rasp.SOp) -> rasp.SOp:
        """The S-Op in the prompt; a problem if it needs what comes later there."""
        if reason := reads_ahead(sop, self.vocab, self.longest):
            self.problems.append(
                Problem(
                    self.label(sop),
                    "it is looked at from other positions, but not known where it stands: "
                    f"{reason}",
                    "a prompt can be read as a whole once only; write the program so that what "
                    "selectors compare, and what is averaged, looks back only",
                )
            )
            return self._token
        return self._known_key(sop)

    def _known_key(self, sop: rasp.SOp) -> rasp.SOp:
        if sop.unique_id not in self._keys:
            self._keys[sop.unique_id] = _like(sop, self._key(sop))
        return self._keys[sop.unique_id]

    def label(self, expr: rasp.RASPExpr) -> str:
        """The name of a part of the program, as in its graph."""
        return self.graph.labels[self.graph.node_of[id(expr)]]

    def _value(self, sop: rasp.SOp) -> rasp.SOp:
        match sop:
            case rasp.TokensType():
                return self._fetched
            case rasp.IndicesType():
                return self._at
            case rasp.LengthType():
                return self._length
            case rasp.Aggregate():
                rows = self._selector(sop.selector, True)
                return rasp.Aggregate(rows, self.key(sop.sop), sop.default)
            case rasp.SelectorWidth():
                return rasp.SelectorWidth(self._selector(sop.selector, True))
            case _:
                return self._mapped(sop, self.value)

    def _key(self, sop: rasp.SOp) -> rasp.SOp:
        match sop:
            case rasp.TokensType():
                return self._token
            case rasp.IndicesType():
                return self._index
            case rasp.Aggregate():
                rows = self._selector(sop.selector, False)
                return rasp.Aggregate(rows, self._known_key(sop.sop), sop.default)
            case rasp.SelectorWidth():
                return rasp.SelectorWidth(self._selector(sop.selector, False))
            case _:
                return self._mapped(sop, self._known_key)

    def _mapped(self, sop: rasp.SOp, of: Callable[[rasp.SOp], rasp.SOp]) -> rasp.SOp:
        match sop:
            case rasp.Full():
                return sop
            case rasp.Map():
                return rasp.Map(sop.f, of(sop.inner), sop.simplify)
            case rasp.LinearSequenceMap():
                return rasp.LinearSequenceMap(
                    of(sop.fst), of(sop.snd), sop.fst_fac, sop.snd_fac
                )
            case rasp.SequenceMap():
                return rasp.SequenceMap(sop.f, of(sop.fst), of(sop.snd))
            case _:
                fix = "write it as a Map of indices"
                reason = "a sequence written out belongs to inputs of one length"
                self.problems.append(Problem(self.label(sop), reason, fix))
                return sop

    def _selector(self, selector: rasp.Selector, behind: bool) -> rasp.Selector:
        """Of keys in the prompt only; queries `behind` the separator, or in the prompt too."""
        match selector:
            case rasp.Select():
                if behind:
                    keys, queries = self.key(selector.keys), self.value(selector.queries)
                else:
                    keys, queries = map(self._known_key, (selector.keys, selector.queries))
                return rasp.Select(keys, queries, selector.predicate) & self._prompt
            case rasp.SelectorAnd():
                return self._selector(selector.fst, behind) & self._selector(
                    selector.snd, behind
                )
            case rasp.SelectorOr():
                return self._selector(selector.fst, behind) | self._selector(
                    selector.snd, behind
                )
            case rasp.SelectorNot():
                return ~self._selector(selector.inner, behind) & self._prompt
            case _:
                reason = "a selector written out belongs to inputs of one length"
                fix = "write it as a Select of indices"
                self.problems.append(Problem(self.label(selector), reason, fix))
                return self._prompt


def _like(old: rasp.SOp, new: rasp.SOp) -> rasp.SOp:
    """With the name and the encoding that were given to the old one."""
    given = dict(old.annotations)
    return rasp.annotate(new, **given) if given and new is not old else new
