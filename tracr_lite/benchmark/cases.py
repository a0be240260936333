"""The programs that are measured, and the sizes that the plots go through."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tracr_lite import catalog
from tracr_lite.compiler import lib
from tracr_lite.rasp import rasp
from tracr_lite.rasp.rasp import Value

LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class Case:
    """A program by name; `program()` makes it anew, so that nothing of it is remembered.

    **Arguments:** `n`: longest input; `tokens`: how many of `vocab` are used.
    """

    name: str
    program: Callable[[], rasp.SOp]
    vocab: tuple[Value, ...]
    n: int
    causal: bool = False

    @property
    def title(self) -> str:
        """`name n=... V=...`"""
        return f"{self.name} n={self.n} V={len(self.vocab)}"


def _numbers(count: int) -> tuple[int, ...]:
    return tuple(range(1, count + 1))


def _letters(count: int) -> tuple[str, ...]:
    return tuple(LETTERS[:count])


def reverse(n: int, tokens: int) -> Case:
    """Two layers: a position from the length, then a head that goes there."""
    return Case("reverse", lambda: lib.make_reverse(rasp.tokens), _letters(tokens), n)


def sort(n: int, tokens: int) -> Case:
    """Three layers; every key is made different first, so there are n times V of them."""
    make = functools.partial(lib.make_sort, max_seq_len=n, min_key=1)
    return Case("sort", lambda: make(rasp.tokens, rasp.tokens), _numbers(tokens), n)


def hist(n: int, tokens: int) -> Case:
    """One layer: a width and its decoding."""
    return Case("hist", lib.make_hist, _letters(tokens), n)


def length(n: int, tokens: int) -> Case:
    """The least that a program can be."""
    return Case("length", lib.make_length, _letters(tokens), n)


def shuffle_dyck(n: int, pairs: Iterable[str] = ("()",)) -> Case:
    """Means of balances, compared with zero."""
    pairs = list(pairs)
    return Case("shuffle_dyck", lambda: lib.make_shuffle_dyck(pairs), tuple("".join(pairs)), n)


def chain(depth: int) -> Case:
    """Map of Map of Map, which is one table in the end."""

    def make() -> rasp.SOp:
        return functools.reduce(lambda sop, _: sop + 1, range(depth), rasp.tokens)

    return Case(f"chain of {depth}", make, _numbers(4), 5)


def shared(depth: int) -> Case:
    """Every node is used twice by the next: as a tree it would have 2 ** depth leaves."""

    def step(sop: rasp.SOp, _: int) -> rasp.SOp:
        return rasp.SequenceMap(lambda x, y: (x + y) % 4, sop, sop)

    return Case(
        f"shared {depth}",
        lambda: functools.reduce(step, range(depth), rasp.tokens),
        _numbers(4),
        5,
    )


def library() -> list[Case]:
    """The library programs, small: what a data set of compiled models is made of."""
    dyck2, dyck3 = ["()", "[]"], ["()", "[]", "{}"]
    is_a = rasp.tokens == "a"
    pattern = functools.partial(lib.detect_pattern, pattern="ab")
    named: list[tuple[str, Callable[[], rasp.SOp], tuple[str | int, ...], int]] = [
        ("length", lib.make_length, _letters(4), 5),
        ("reverse", lambda: lib.make_reverse(rasp.tokens), _letters(4), 5),
        (
            "pair_balance",
            lambda: lib.make_pair_balance(rasp.tokens, "(", ")"),
            ("(", ")", "a", "b", "c"),
            10,
        ),
        ("shuffle_dyck", lambda: lib.make_shuffle_dyck(["()"]), ("(", ")"), 5),
        ("shuffle_dyck2", lambda: lib.make_shuffle_dyck(dyck2), tuple("()[]"), 5),
        ("shuffle_dyck3", lambda: lib.make_shuffle_dyck(dyck3), tuple("()[]{}"), 6),
        ("hist", lib.make_hist, _letters(4), 5),
        (
            "sort_unique",
            lambda: lib.make_sort_unique(rasp.tokens, rasp.tokens),
            _numbers(4),
            5,
        ),
        (
            "sort",
            lambda: lib.make_sort(rasp.tokens, rasp.tokens, max_seq_len=5, min_key=1),
            _numbers(4),
            5,
        ),
        ("sort_freq", lambda: lib.make_sort_freq(5), _letters(4), 5),
        ("frac_prevs", lambda: lib.make_frac_prevs(is_a), _letters(4), 5),
        ("shift_by", lambda: lib.shift_by(2, rasp.tokens), _letters(4), 5),
        ("detect_pattern", lambda: pattern(rasp.tokens), _letters(4), 5),
        ("count_less_freq", lambda: lib.make_count_less_freq(2), _letters(4), 5),
        ("count", lambda: lib.make_count(rasp.tokens, "a"), _letters(4), 5),
    ]
    return [Case(*row) for row in named]


def large() -> list[Case]:
    """Where the cost is that of writing the weights."""
    return [
        reverse(40, 4),
        reverse(80, 4),
        reverse(160, 4),
        sort(160, 4),
        sort(20, 64),
        hist(160, 4),
        hist(512, 4),
        shuffle_dyck(40, ["()", "[]"]),
        chain(200),
        shared(200),
    ]


def shipped() -> list[Case]:
    """The largest programs that come along: they are run, compiling them is not timed."""
    entries = map(catalog.load, ("generate_sum", "most_frequent", "addition", "dyck_k"))
    return [
        Case(e.name, functools.partial(_same, e.program), e.vocab, e.max_seq_len or 8, e.causal)
        for e in entries
    ]


def _same(program: rasp.SOp) -> rasp.SOp:
    return program


def quick() -> list[Case]:
    """A few that need seconds."""
    return [*library()[:3], sort(20, 8), chain(50)]
