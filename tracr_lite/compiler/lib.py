"""RASP programs built from RASP: lengths, histograms, sorting, brackets, patterns.

Each `make_*` returns an S-Op to evaluate, to compile, or to build upon. Positions count from 0;
examples show full (not causal) attention.
Sources: Weiss et al. 2021, arXiv:2106.06981; Lindner et al. 2023, arXiv:2301.05062.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

from tracr_lite.rasp import rasp

# Functions with parameters are frozen dataclasses: equal ones compare equal, so that a program
# which uses one twice is merged by the compiler.


@dataclass(frozen=True)
class _KeyIsBefore:
    """Selects the key `offset` positions before the query."""

    offset: int

    def __call__(self, key: int, query: int) -> bool:
        return key + self.offset == query


@dataclass(frozen=True)
class _KeyEquals:
    token: rasp.Value

    def __call__(self, key: Any, query: Any) -> bool:
        return key == self.token


@dataclass(frozen=True)
class _BreakTies:
    """Adds less than `min_key` to a key, and more to later ones."""

    min_key: int | float
    max_seq_len: int

    def __call__(self, key: int | float, index: int) -> int | float:
        return key + self.min_key * index / self.max_seq_len


@dataclass(frozen=True)
class _CallWithLast:
    f: Callable[..., Any]

    def __call__(self, first: tuple[Any, ...], last: Any) -> Any:
        return self.f(*first, last)

    def __repr__(self) -> str:
        return f"{getattr(self.f, '__name__', 'f')}(*x, y)"


def _pair(x: Any, y: Any) -> tuple[Any, Any]:
    return x, y


def _append(xs: tuple[Any, ...], y: Any) -> tuple[Any, ...]:
    return *xs, y


def make_length() -> rasp.SOp:
    """The number of tokens n, at each position, by counting: `length("abc") = [3, 3, 3]`."""
    everything = rasp.Select(rasp.tokens, rasp.tokens, rasp.Comparison.TRUE)
    return rasp.SelectorWidth(everything.named("all_true_selector")).named("length")


length = make_length()


def make_reverse(sop: rasp.SOp) -> rasp.SOp:
    """`sop` from last to first: `make_reverse(tokens)("abc") = ["c", "b", "a"]`."""
    opposite = (length - rasp.indices).named("opp_idx")
    opposite = (opposite - 1).named("opp_idx-1")
    mirror = rasp.Select(rasp.indices, opposite, rasp.Comparison.EQ)
    return rasp.Aggregate(mirror.named("reverse_selector"), sop).named("reverse")


def make_frac_prevs(bools: rasp.SOp) -> rasp.SOp:
    """The mean of `bools` over the positions so far; a numerical S-Op.

    **Arguments:** `bools`: an S-Op of bools or numbers, such as `tokens == "x"`.
    **Returns:** for `tokens == "x"` on "xyyx": `[1, 1/2, 1/3, 1/2]`.
    """
    prevs = rasp.Select(rasp.indices, rasp.indices, rasp.Comparison.LEQ)
    mean = rasp.Aggregate(prevs, rasp.numerical(bools), default=0)
    return rasp.numerical(mean).named("frac_prevs")


def make_pair_balance(sop: rasp.SOp, open_token: str, close_token: str) -> rasp.SOp:
    """The fraction of opening minus that of closing tokens so far; a numerical S-Op.

    **Returns:** for "(" and ")" on "())": `[1, 0, -1/3]`; never negative and 0 at the end if
    the brackets match.
    """
    bools_open = rasp.numerical(sop == open_token).named("bools_open")
    bools_close = rasp.numerical(sop == close_token).named("bools_close")
    opens = rasp.numerical(make_frac_prevs(bools_open)).named("opens")
    closes = rasp.numerical(make_frac_prevs(bools_close)).named("closes")
    balance = rasp.LinearSequenceMap(opens, closes, 1, -1)
    return rasp.numerical(balance).named("pair_balance")


def make_shuffle_dyck(pairs: list[str]) -> rasp.SOp:
    """Whether the brackets of each kind match, kinds independent of each other ("([)]" does).

    **Arguments:** `pairs`: the kinds, each a string of an opening and a closing token.
    **Returns:** an S-Op that is true (1) at each position, or false (0) at each.
    **Raises:** `ValueError` without pairs, or for one that is not two tokens.
    """
    if not pairs or any(len(pair) != 2 for pair in pairs):
        raise ValueError(f"pairs must be one or more strings of 2 tokens; got {pairs!r}")
    balances = [
        make_pair_balance(rasp.tokens, *pair).named(f"balance_{pair}") for pair in pairs
    ]
    any_negative = reduce(lambda x, y: x | y, [balance < 0 for balance in balances])
    any_negative = rasp.numerical(any_negative).named("any_negative")
    select_all = rasp.Select(rasp.indices, rasp.indices, rasp.Comparison.TRUE)
    has_neg = rasp.Aggregate(select_all.named("select_all"), any_negative, default=0)
    has_neg = rasp.numerical(has_neg).named("has_neg")

    all_zero = reduce(lambda x, y: x & y, [balance == 0 for balance in balances])
    select_last = rasp.Select(rasp.indices, length - 1, rasp.Comparison.EQ)
    last_zero = rasp.Aggregate(select_last.named("select_last"), all_zero.named("all_zero"))
    not_has_neg = (~has_neg).named("not_has_neg")
    return (last_zero.named("last_zero") & not_has_neg).named("shuffle_dyck")


def make_shuffle_dyck2() -> rasp.SOp:
    """`make_shuffle_dyck` for "()" and "{}"."""
    return make_shuffle_dyck(pairs=["()", "{}"]).named("shuffle_dyck2")


def make_hist() -> rasp.SOp:
    """How often the token of each position occurs: on "hello" `[1, 1, 2, 2, 1]`."""
    same_tok = rasp.Select(rasp.tokens, rasp.tokens, rasp.Comparison.EQ).named("same_tok")
    return rasp.SelectorWidth(same_tok).named("hist")


def make_sort_unique(vals: rasp.SOp, keys: rasp.SOp) -> rasp.SOp:
    """`vals` in ascending order of `keys`, which must all be different.

    **Returns:** for tokens, tokens on [2, 4, 3, 1]: `[1, 2, 3, 4]`.
    """
    smaller = rasp.Select(keys, keys, rasp.Comparison.LT).named("smaller")
    target_pos = rasp.SelectorWidth(smaller).named("target_pos")
    sel_new = rasp.Select(target_pos, rasp.indices, rasp.Comparison.EQ).named("sel_new")
    return rasp.Aggregate(sel_new, vals).named("sort")


def make_sort(
    vals: rasp.SOp, keys: rasp.SOp, *, max_seq_len: int, min_key: int | float
) -> rasp.SOp:
    """`vals` in ascending order of `keys`; equal keys stay in order of position.

    **Arguments:** `keys`: numbers; `max_seq_len`: largest number of tokens; `min_key`: a
    positive number no larger than the distance of any two different keys.
    **Raises:** `ValueError` if `max_seq_len` is not positive.
    """
    if max_seq_len < 1:
        raise ValueError(f"max_seq_len must be at least 1; got {max_seq_len}")
    unique = rasp.SequenceMap(_BreakTies(min_key, max_seq_len), keys, rasp.indices)
    return make_sort_unique(vals, unique)


def make_sort_freq(max_seq_len: int) -> rasp.SOp:
    """The tokens, most frequent first; on "bcaba" `["b", "a", "b", "a", "c"]`.

    **Arguments:** `max_seq_len`: largest number of tokens.
    """
    hist = -1 * make_hist().named("hist")
    by_freq = make_sort(rasp.tokens, hist, max_seq_len=max_seq_len, min_key=1)
    return by_freq.named("sort_freq")


def shift_by(offset: int, /, sop: rasp.SOp) -> rasp.SOp:
    """`sop` moved `offset` positions to the right (left if negative), None where it came from.

    **Returns:** `shift_by(1, tokens)("abc") = [None, "a", "b"]`.
    **Raises:** `ValueError` if `offset` is not an integer.
    """
    if int(offset) != offset:
        raise ValueError(f"offset must be an integer; got {offset!r}")
    select = rasp.Select(rasp.indices, rasp.indices, _KeyIsBefore(offset))
    return rasp.Aggregate(select, sop, default=None).named(f"shift_by({offset})")


def detect_pattern(sop: rasp.SOp, pattern: Sequence[rasp.Value]) -> rasp.SOp:
    """Whether `pattern` ends at this position; None where it cannot have begun yet.

    **Arguments:** `pattern`: one value or more; a string is a sequence of one-letter values.
    **Returns:** for tokens and "ab" on "aaba": `[None, False, True, False]` (as numbers).
    **Raises:** `ValueError` for an empty pattern.
    """
    if len(pattern) < 1:
        raise ValueError("pattern must have at least 1 element; got an empty one")
    found = [shift_by(i, sop == element) for i, element in enumerate(reversed(pattern))]
    return reduce(lambda x, y: x & y, reversed(found)).named(f"detect_pattern({pattern})")


def make_count_less_freq(n: int) -> rasp.SOp:
    """How many positions hold a token that occurs at most `n` times.

    **Returns:** for n = 2 on "aaabbc": `[3, 3, 3, 3, 3, 3]`, for b, b and c.
    """
    select_less = rasp.Select(make_hist(), rasp.Full(n), rasp.Comparison.LEQ)
    return rasp.SelectorWidth(select_less.named("select_less")).named("count_less_freq")


def make_count(sop: rasp.SOp, token: rasp.Value) -> rasp.SOp:
    """How often `token` occurs in `sop`: for "a" on "aab" `[2, 2, 2]`."""
    select = rasp.Select(sop, sop, _KeyEquals(token))
    return rasp.SelectorWidth(select).named(f"count_{token}")


def make_nary_sequencemap(f: Callable[..., Any], *sops: rasp.SOp) -> rasp.SOp:
    """`f(x, y, z, ...)` at each position; None, without a call, where any of them is None.

    **Arguments:** `f`: takes as many values as there are `sops`.
    **Raises:** `ValueError` without `sops`.
    """
    if not sops:
        raise ValueError("make_nary_sequencemap needs at least one S-Op")
    if len(sops) == 1:
        return rasp.Map(f, sops[0])
    if len(sops) == 2:
        return rasp.SequenceMap(f, *sops)
    gathered = reduce(
        lambda xs, y: rasp.SequenceMap(_append, xs, y),
        sops[2:-1],
        rasp.SequenceMap(_pair, sops[0], sops[1]),
    )
    return rasp.SequenceMap(_CallWithLast(f), gathered, sops[-1])
