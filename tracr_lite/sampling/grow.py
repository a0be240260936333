"""One step of sampling: adds one expression, of any kind, to the pool of those built so far."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tracr_lite.rasp import rasp
from tracr_lite.sampling import choose
from tracr_lite.sampling.library import add_library
from tracr_lite.sampling.pool import Pool


def add_map(pool: Pool) -> None:
    """A function of one S-Op, fused with the Map below or not."""
    sop = pool.sop()
    function = choose.unary(pool.rng, pool.values(sop))
    pool.add(rasp.Map(function, sop, simplify=pool.rng.random() < 0.7))


def add_operator(pool: Pool) -> None:
    """An operator of Python between S-Ops and values."""
    rng = pool.rng
    sop = pool.sop()
    values = pool.values(sop)
    if rng.random() < 0.2:
        pool.add(-sop if pool.numeric(sop) and rng.random() < 0.5 else ~sop)
        return
    if rng.random() < 0.1 and pool.numeric(sop):
        pool.add(abs(sop) if rng.random() < 0.5 else +sop)
        return
    other: Any = choose.constant(rng, values)
    if rng.random() < 0.4:
        other = pool.sop(lambda each: pool.numeric(each) == pool.numeric(sop))
    sides = (sop, other) if rng.random() < 0.7 else (other, sop)
    found = choose.operation(rng, values)(*sides)
    pool.add(found if isinstance(found, rasp.SOp) else None)


def add_sequence_map(pool: Pool) -> None:
    """A function of two S-Ops."""
    fst, snd = pool.sop(), pool.sop()
    pool.add(rasp.SequenceMap(choose.binary(pool.rng, pool.values(fst, snd)), fst, snd))


def add_linear(pool: Pool) -> None:
    """A linear combination of two S-Ops."""
    fst, snd = pool.sop(pool.numeric), pool.sop(pool.numeric)
    factors = [pool.rng.choice(choose.FACTORS) for _ in range(2)]
    pool.add(rasp.LinearSequenceMap(fst, snd, *factors))


def add_constant(pool: Pool) -> None:
    """One value everywhere, or a sequence written out."""
    rng = pool.rng
    if rng.random() < 0.6:
        pool.add(rasp.Full(rng.choice((choose.result(rng), *pool.vocab))))
        return
    checked, longest = rng.random() < 0.2, pool.max_seq_len
    size = rng.randint(1, longest) if checked else longest + rng.choice((0, 2))
    if rng.random() < 0.5:
        values = [rng.choice(choose.CONSTANTS) for _ in range(size)]
    else:
        values = [rng.choice((choose.result(rng), *pool.vocab)) for _ in range(size)]
    pool.add(rasp.ConstantSOp(values, check_length=checked))


def add_encoding(pool: Pool) -> None:
    """An S-Op again, with an encoding."""
    encode = pool.rng.choice((rasp.numerical, rasp.numerical, rasp.categorical))
    pool.add(encode(pool.sop(pool.numeric)))


def add_name(pool: Pool) -> None:
    """An S-Op again, with a name that may clash with others."""
    name = pool.rng.choice(("x", "a b", "map", "x:y", "tokens"))
    pool.add(pool.sop().named(name))


def add_combination(pool: Pool) -> None:
    """Selectors combined, simplified or not."""
    rng = pool.rng
    fst, snd = pool.selector(), pool.selector()
    combine: Sequence[Callable[[], rasp.Selector]] = (
        lambda: fst & snd,
        lambda: fst | snd,
        lambda: ~fst,
        lambda: rasp.SelectorAnd(fst, snd),
        lambda: rasp.SelectorOr(fst, snd),
        lambda: rasp.SelectorNot(fst),
    )
    pool.add(rng.choice(combine)())


def add_constant_selector(pool: Pool) -> None:
    """A matrix written out."""
    rng = pool.rng
    checked, longest = rng.random() < 0.2, pool.max_seq_len
    size = rng.randint(1, longest) if checked else longest + rng.choice((0, 1))
    rows = [[rng.random() < 0.4 for _ in range(size)] for _ in range(size)]
    pool.add(rasp.ConstantSelector(rows, check_length=checked))


def add_width(pool: Pool) -> None:
    """The width of a selector."""
    if pool.rng.random() < 0.2:
        add_combination(pool)
    pool.add(rasp.SelectorWidth(pool.selector()))


def add_aggregate(pool: Pool) -> None:
    """Values collected by a selector, with any default."""
    if pool.rng.random() < 0.2:
        add_combination(pool)
    selector, sop = pool.selector(), pool.sop()
    alike = [value for value in pool.values(sop)[:3] if value is not None]
    default = pool.rng.choice((None, None, 0, choose.result(pool.rng), *alike))
    pool.add(rasp.Aggregate(selector, sop, default))


def grow(pool: Pool) -> None:
    """Tries to add one expression to the pool."""
    steps: tuple[tuple[int, Callable[[Pool], None]], ...] = (
        (7, add_map),
        (6, add_operator),
        (4, add_sequence_map),
        (3, add_linear),
        (2, add_constant),
        (3, add_encoding),
        (1, add_name),
        (4, Pool.add_select),
        (8, add_combination),
        (2, add_constant_selector),
        (4, add_width),
        (9, add_aggregate),
        (3, add_library),
    )
    pool.rng.choices([step for _, step in steps], [weight for weight, _ in steps])[0](pool)
