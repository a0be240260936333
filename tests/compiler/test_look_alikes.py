"""Functions that look alike are not the same: each node keeps its own."""

from dataclasses import dataclass
from typing import NamedTuple

import pytest

from tests.compiler.checking import check
from tracr_lite.compiler.tracing import trace
from tracr_lite.rasp import rasp


class Adds(NamedTuple):
    n: int

    def __call__(self, x):
        return x + self.n


class Times(NamedTuple):
    n: int

    def __call__(self, x):
        return x * self.n


@dataclass(frozen=True)
class Plus:
    n: int

    def __call__(self, x):
        return x + self.n


class PlusThenTimes(Plus):
    """Has more than the fields of the class that it is derived from."""

    def __init__(self, n, factor):
        super().__init__(n)
        object.__setattr__(self, "factor", factor)

    def __call__(self, x):
        return (x + self.n) * self.factor


class Number(int):
    def __new__(cls, shown, factor):
        number = super().__new__(cls, shown)
        number.factor = factor
        return number

    def __call__(self, x):
        return x * self.factor


@dataclass(frozen=True)
class Calls:
    fn: object

    def __call__(self, x):
        return self.fn(x)


ALIKE = {
    "named tuples": (Adds(3), Times(3)),
    "derived from a frozen dataclass": (PlusThenTimes(1, 2), PlusThenTimes(1, 3)),
    "numbers with more to them": (Number(1, 2), Number(1, 3)),
    "held named tuples": (Calls(Adds(3)), Calls(Times(3))),
    "methods": (Adds(1).__call__, Adds(2).__call__),
}


@pytest.mark.parametrize("name", ALIKE)
def test_functions_that_look_alike_are_two(name):
    fst, snd = (rasp.Map(fn, rasp.tokens) for fn in ALIKE[name])
    assert check(rasp.SequenceMap(lambda a, b: (a, b), fst, snd), (-3, 1, 2), 2)


def test_equal_frozen_dataclasses_are_one():
    both = (rasp.Map(Plus(1), rasp.tokens) for _ in range(2))
    graph = trace(rasp.SequenceMap(lambda a, b: (a, b), *both))
    assert len(graph.nodes) == 3
