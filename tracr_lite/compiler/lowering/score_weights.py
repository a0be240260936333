"""Query and key weights of a head as numbers, before their columns have names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from tracr_lite.compiler.lowering.forms import OneHot
from tracr_lite.compiler.lowering.match import Match, columns_table
from tracr_lite.compiler.lowering.problems import CannotLower
from tracr_lite.compiler.lowering.proved_heads import Weighing, weighing
from tracr_lite.craft.bases import BasisDirection
from tracr_lite.craft.blocks.select_head import (
    Literal,
    Scores,
    enough,
    literal_scores,
    sharpness,
    weight_error,
)

Rows = list[int] | slice  # of a factor, for the columns of a form


@dataclass(frozen=True)
class Wanted:
    """What a head has to select.

    **Arguments:** `selector`: the node, for errors; `matches`: its conjuncts; `queries`,
    `keys`: rows of their columns; `sizes`: how many rows the factors have. `n`: longest input;
    `empty`: whether nothing may be selected; `most`: keys that are selected; `count_bos`.
    """

    selector: int
    matches: tuple[Match, ...]
    queries: tuple[Rows, ...]
    keys: tuple[Rows, ...]
    sizes: tuple[int, int]
    n: int
    empty: bool
    most: int
    count_bos: bool

    @property
    def key(self) -> tuple[object, ...]:
        """All that the weights depend on."""
        rows = [(_shown(q), _shown(k)) for q, k in zip(self.queries, self.keys, strict=True)]
        how = self.sizes, self.n, self.empty, self.most, self.count_bos
        forms = [id(form) for m in self.matches for form in (m.queries.form, m.keys.form)]
        same = [forms.index(form) for form in forms]  # which of them are one
        return (*how, *rows, *same, *(match.key for match in self.matches))


@dataclass(frozen=True, eq=False)
class ScoreWeights:
    """Both factors, the score gap, the error and the leak of weights.

    `left` has the rows of the constant direction, BOS and all queries, in order of appearance;
    `right` those of BOS and all keys.
    """

    left: Float[np.ndarray, "queries rank"]
    right: Float[np.ndarray, "keys rank"]
    gap: float
    error: float
    leak: float
    proved: Weighing


def _shown(rows: Rows) -> object:
    return tuple(rows) if isinstance(rows, list) else None  # a slice is all that follows


def score_weights(wanted: Wanted) -> ScoreWeights:
    """The weights of a selector. **Raises:** `CannotLower` if its columns are too noisy.

    BOS scores like a selected key when counting (`count_bos`); half-way between selected and
    not where nothing may be selected; else like a key that is not selected. At its own position
    it always wins.
    """
    matches, count_bos, n = wanted.matches, wanted.count_bos, wanted.n
    tables = [columns_table(m) for m in matches]
    scored = [literal_scores(Literal(table)) for table in tables]
    halved, single = wanted.empty and not count_bos, wanted.most <= 1 and not count_bos
    noise = sum(_noise(m, s) for m, s in zip(matches, scored, strict=True))
    c = _sharpness(wanted, noise, halved=halved, single=single)
    rank = sum(s.query.shape[1] for s in scored)
    left, right = (np.zeros((size, rank + 1)) for size in wanted.sizes)
    right[0, rank] = 1.0
    offset = 0.0 if count_bos else (-0.5 if wanted.empty else -1.0)
    left[0, rank] = offset * c
    left[1, rank] = 2.0 * c - offset * c
    start = 0
    for at, (match, score) in enumerate(zip(matches, scored, strict=True)):
        stop = start + score.query.shape[1]
        _put_queries(left, wanted.queries[at], match, score, slice(start, stop), c)
        _put_keys(right, wanted.keys[at], match, score, slice(start, stop))
        start = stop
    gap = (c / 2 if halved else c) - c * noise
    error = weight_error(n, gap, 0.0 if single else c * noise)
    leak = (n + 1) * float(np.exp(-gap))
    proved = weighing(matches, scored, tables, (c, halved, single), n, wanted.most)
    left.flags.writeable = right.flags.writeable = False  # other models may get the same ones
    return ScoreWeights(left, right, gap, error, leak, proved)


def _noise(match: Match, score: Scores) -> float:
    """How far errors of the one-hots can move a literal's score, in units of the sharpness."""
    k, q = match.keys.form, match.queries.form
    if k.spread == 0.0 == q.spread:
        return 0.0
    used = score.query.any(axis=1) | (score.total != 0)
    from_keys = min(k.spread, float(k.errors @ score.key.any(axis=1)))
    return from_keys + 2 * min(q.spread, float(q.errors @ used))


def _sharpness(wanted: Wanted, noise: float, *, halved: bool, single: bool) -> float:
    """The score gap; where one key at most is selected it outgrows the noise of the scores."""
    c = sharpness(wanted.n, halved=halved)
    limit = (0.3 if halved else 0.6) if single else 1.0 / c
    if noise > limit:
        raise CannotLower(
            wanted.selector,
            f"its keys or queries carry errors that move scores by up to {100 * noise:.2g} %",
            "use a smaller max_seq_len",
        )
    least = (2.0 if halved else 1.0) * enough(wanted.n)
    room = (0.5 - noise) / 0.5 if halved else 1.0 - noise
    while single and c * room < least:
        c *= 2.0
    return c


def _put_queries(
    left: np.ndarray, rows: Rows, match: Match, score: Scores, lanes: slice, c: float
) -> None:
    """Adds the queries of one literal; readings are zero at the BOS position."""
    at_bos = match.queries.form.at_bos
    left[rows, lanes] += c * score.query
    left[rows, -1] += c * score.total
    if at_bos.any():
        left[1, lanes] -= c * (at_bos @ score.query)
        left[1, -1] -= c * float(at_bos @ score.total)


def _put_keys(right: np.ndarray, rows: Rows, match: Match, score: Scores, lanes: slice) -> None:
    """As `_put_queries`, the keys."""
    at_bos = match.keys.form.at_bos
    right[rows, lanes] += score.key
    if at_bos.any():
        right[0, lanes] -= at_bos @ score.key


def rows_of(
    first: list[BasisDirection], forms: Sequence[OneHot]
) -> tuple[list[BasisDirection], tuple[Rows, ...]]:
    """Some directions, then those of the forms, each once; and which of them each form has."""
    if len(forms) == 1 and not (len(forms[0].dirs) == 1 and forms[0].dirs[0] in first):
        return [*first, *forms[0].dirs], (slice(len(first), None),)
    place = {d: at for at, d in enumerate(first)}
    rows = tuple([place.setdefault(d, len(place)) for d in form.dirs] for form in forms)
    return list(place), rows
