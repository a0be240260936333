"""Library programs as building blocks of sampled ones."""

from __future__ import annotations

from collections.abc import Callable

from tracr_lite.compiler import lib
from tracr_lite.rasp import rasp
from tracr_lite.sampling import functions
from tracr_lite.sampling.pool import Pool


def _item(pool: Pool, sop: rasp.SOp) -> rasp.Value:
    return pool.rng.choice(pool.values(sop) or [0])


def _frac_prevs(pool: Pool) -> rasp.SOp:
    sop = pool.sop()
    return lib.make_frac_prevs(sop == _item(pool, sop))


def _pair_balance(pool: Pool) -> rasp.SOp:
    sop = pool.sop()
    return lib.make_pair_balance(sop, _item(pool, sop), _item(pool, sop))  # pyright: ignore[reportArgumentType]


def _sort(pool: Pool) -> rasp.SOp:
    size = pool.max_seq_len
    return lib.make_sort(pool.sop(), pool.sop(pool.numeric), max_seq_len=size, min_key=1)


def _pattern(pool: Pool) -> rasp.SOp:
    sop = pool.sop()
    size = pool.rng.choice((1, 2, 2, 3))
    return lib.detect_pattern(sop, [_item(pool, sop) for _ in range(size)])


def _count(pool: Pool) -> rasp.SOp:
    sop = pool.sop()
    return lib.make_count(sop, _item(pool, sop))


def _nary(pool: Pool) -> rasp.SOp:
    if pool.rng.random() < 0.5:
        return lib.make_nary_sequencemap(functions.triple, *(pool.sop() for _ in range(3)))
    sops = [pool.sop(pool.numeric) for _ in range(3)]
    return lib.make_nary_sequencemap(functions.sum_of_three, *sops)


def _shuffle_dyck(pool: Pool) -> rasp.SOp:
    letters = [x for x in pool.vocab if isinstance(x, str) and len(x) == 1]
    pairs = ["".join(letters[:2]), "".join(letters[2:4])]
    usable = [pair for pair in pairs if len(pair) == 2]
    return lib.make_shuffle_dyck(usable) if usable else lib.make_hist()


_BLOCKS: tuple[Callable[[Pool], rasp.SOp], ...] = (
    lambda pool: lib.make_length(),
    lambda pool: lib.make_reverse(pool.sop()),
    _frac_prevs,
    _pair_balance,
    _shuffle_dyck,
    lambda pool: lib.make_hist(),
    lambda pool: lib.make_sort_unique(pool.sop(), pool.sop(pool.numeric)),
    _sort,
    lambda pool: lib.make_sort_freq(pool.max_seq_len),
    lambda pool: lib.shift_by(pool.rng.choice((-2, -1, 1, 1, 2)), pool.sop()),
    _pattern,
    lambda pool: lib.make_count_less_freq(pool.rng.choice((1, 2))),
    _count,
    _nary,
)


def add_library(pool: Pool) -> None:
    """Tries to add a library program, over expressions of the pool where it takes any."""
    pool.add(pool.rng.choice(_BLOCKS)(pool))
