"""The nodes of a program, computed behind a separator as they are at a position of the prompt.

Two translations, both at position t of `x1 .. xn | y1 ..`, where j = t - n:

- `value(sop)`: at t > n the value that `sop` has at position j of the prompt;
- `key(sop)`: at a position of the prompt the value that `sop` has there.

Elsewhere both are computed from a token, an index and a length that occur together in a prompt,
so that no function is called with what it cannot know.
"""

from __future__ import annotations

from collections.abc import Callable

from tracr_lite.compiler.tracing import trace
from tracr_lite.errors import Problem
from tracr_lite.rasp import rasp
from tracr_lite.rasp.base import topological
from tracr_lite.rasp.rasp import Value
from tracr_lite.targets.prompt_functions import (
    Again,
    Is,
    KeyIsAtMost,
    KeyIsSomething,
    KeyIsTrue,
    Known,
    Within,
    ZeroIf,
)
from tracr_lite.targets.reading_ahead import reads_ahead


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
        self._keys: dict[tuple[int, bool], rasp.SOp] = {}
        separators = rasp.Select(rasp.tokens, rasp.tokens, Is(separator))
        seen = rasp.SelectorWidth(separators)
        in_prompt = (seen == 0).named("in_prompt")
        last = max_seq_len - 1
        # Implied for a prompt that is not too long; inference would not know it.
        near_enough = rasp.Select(rasp.indices, rasp.indices, KeyIsAtMost(last))
        self._prompt = rasp.Select(in_prompt, in_prompt, KeyIsTrue()) & near_enough
        size = rasp.SelectorWidth(self._prompt).named("prompt_size")
        place = rasp.categorical(rasp.LinearSequenceMap(rasp.indices, size, 1, -1))
        beyond = rasp.categorical(rasp.LinearSequenceMap(rasp.indices, size, 1, -2))
        self.done = (beyond >= 0).named("done")
        near = rasp.Map(Within(0, last), place)
        self._at = rasp.SequenceMap(ZeroIf(), near, self.done).named("answered_index")
        self._length = rasp.Map(Within(1, max_seq_len), size).named("prompt_length")
        self._token = rasp.Map(Known(vocab), rasp.tokens).named("prompt_token")
        self._index = rasp.Map(Within(0, last), rasp.indices).named("prompt_index")
        self._fetched = self._token_at(self._at).named("answered_token")
        self._first_index = rasp.SequenceMap(ZeroIf(), self._index, seen > 0)
        self._first_token = self._token_at(self._first_index)

    def _token_at(self, index: rasp.SOp) -> rasp.SOp:
        there = rasp.Select(rasp.indices, index, rasp.Comparison.EQ)
        return rasp.Map(Again(self.vocab), rasp.Aggregate(there, self._token, self.vocab[0]))

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
        return self._known_key(sop, _is_plain(sop))

    def _known_key(self, sop: rasp.SOp, plain: bool) -> rasp.SOp:
        """`plain`: see `_is_plain`; else all is as at index 0 where the prompt is over."""
        which = sop.unique_id, plain
        if which not in self._keys:
            self._keys[which] = _like(sop, self._key(sop, plain))
        return self._keys[which]

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
                rows = self._in_prompt(sop.selector, True)
                return rasp.Aggregate(rows, self.key(sop.sop), sop.default)
            case rasp.SelectorWidth():
                return rasp.SelectorWidth(self._in_prompt(sop.selector, True))
            case _:
                return self._mapped(sop, self.value)

    def _key(self, sop: rasp.SOp, plain: bool) -> rasp.SOp:
        match sop:
            case rasp.TokensType():
                return self._token if plain else self._first_token
            case rasp.IndicesType():
                return self._index if plain else self._first_index
            case rasp.Aggregate():
                rows = self._in_prompt(sop.selector, False)
                return rasp.Aggregate(rows, self._known_key(sop.sop, False), sop.default)
            case rasp.SelectorWidth():
                return rasp.SelectorWidth(self._in_prompt(sop.selector, False))
            case _:
                return self._mapped(sop, lambda each: self._known_key(each, plain))

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

    def _in_prompt(self, selector: rasp.Selector, behind: bool) -> rasp.Selector:
        """Of keys in the prompt only; queries `behind` the separator, or in the prompt too."""
        return self._selector(selector, behind) & self._prompt

    def _selector(self, selector: rasp.Selector, behind: bool) -> rasp.Selector:
        match selector:
            case rasp.Select():
                if behind:
                    keys, queries = self.key(selector.keys), self.value(selector.queries)
                else:
                    keys = self._known_key(selector.keys, False)
                    queries = self._known_key(selector.queries, False)
                return rasp.Select(keys, queries, selector.predicate)
            case rasp.SelectorAnd():
                return self._selector(selector.fst, behind) & self._selector(
                    selector.snd, behind
                )
            case rasp.SelectorOr():
                return self._selector(selector.fst, behind) | self._selector(
                    selector.snd, behind
                )
            case rasp.SelectorNot():
                return ~self._selector(selector.inner, behind)
            case _:
                reason = "a selector written out belongs to inputs of one length"
                fix = "write it as a Select of indices"
                self.problems.append(Problem(self.label(selector), reason, fix))
                return self._prompt


def _is_plain(sop: rasp.SOp) -> bool:
    """Whether it is the index, or depends on the token alone: then any index will do."""
    leaves = (rasp.TokensType, rasp.Full, rasp.Map, rasp.SequenceMap)
    return isinstance(sop, rasp.IndicesType) or all(
        isinstance(each, leaves) for each in topological(sop)
    )


def _like(old: rasp.SOp, new: rasp.SOp) -> rasp.SOp:
    """With the name and the encoding that were given to the old one."""
    given = dict(old.annotations)
    return rasp.annotate(new, **given) if given and new is not old else new
