"""What comparing a model with a program found."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Failure:
    """An input on which they differ: what the program says, what the model says, and where."""

    tokens: tuple[Any, ...]
    expected: tuple[Any, ...]
    found: tuple[Any, ...]
    positions: tuple[int, ...]

    def __str__(self) -> str:
        where = ", ".join(map(str, self.positions[:5])) + ", ..." * (len(self.positions) > 5)
        return (
            f"on {_short(self.tokens)} at position {where}: the program says "
            f"{_short(self.expected)}, the model {_short(self.found)}"
        )


@dataclass(frozen=True)
class Extreme:
    """The least or greatest of something, and the input and position where it is."""

    value: float
    tokens: tuple[Any, ...]
    position: int


@dataclass(frozen=True)
class Report:
    """How a model was compared with a program, and what came out.

    **Arguments:**
    - `program`: its name. `vocab`: number of tokens. `lengths`: of inputs, ascending.
    - `space`: how many inputs there are; `exhaustive`: whether all of them were tried.
    - `strata`: how many inputs of each kind were tried, by name; `tried`: how many in all.
    - `raised`: inputs on which the program itself raises, so that nothing is promised;
      `raised_at`: one of them, and what it raises. They are not part of `compared`.
    - `compared`, `positions`: inputs and positions on which both gave an answer.
    - `mismatches`: inputs on which the answers differ; `failures`: the first few of them;
      `smallest`: one that cannot be made smaller by leaving out a token, nor simpler by
      replacing one by an earlier one of the vocabulary, if `minimal`.
    - `margin`: the least distance of an answer from being another one; None without any.
    - `error`, `relative_error`: the greatest of numerical answers before they are snapped to
      known numbers; None for other outputs.
    - `seed`: of the sample; `seconds`: all of it, shrinking included.
    """

    program: str
    vocab: int
    lengths: tuple[int, ...]
    space: int
    exhaustive: bool
    strata: dict[str, int]
    raised: int
    raised_at: tuple[tuple[Any, ...], str] | None
    compared: int
    positions: int
    mismatches: int
    failures: tuple[Failure, ...]
    smallest: Failure | None
    minimal: bool
    margin: Extreme | None
    error: Extreme | None
    relative_error: Extreme | None
    seed: int
    seconds: float

    @property
    def tried(self) -> int:
        """Number of inputs that were given to the program."""
        return sum(self.strata.values())

    @property
    def agrees(self) -> bool:
        """Whether there was something to compare, and no mismatch."""
        return self.compared > 0 and self.mismatches == 0

    def rows(self) -> list[tuple[str, str]]:
        """The report as lines of a table: what, and how much."""
        found = [("program", self.program), ("inputs tried", self._tried())]
        if not self.exhaustive:
            kinds = ", ".join(f"{count:,} {name}" for name, count in self.strata.items())
            found.append(("of which", kinds))
        if self.raised_at is not None:
            tokens, text = self.raised_at
            what = text.splitlines()[0] if text else ""
            found.append(("program raises", f"{self.raised:,}, as on {_short(tokens)}: {what}"))
        found.append(("compared", f"{self.compared:,} inputs, {self.positions:,} positions"))
        found.append(("mismatches", f"{self.mismatches:,}"))
        if self.smallest is not None:
            found.append(("smallest" if self.minimal else "a small one", str(self.smallest)))
        if self.margin is not None:
            found.append(("least margin", _extreme(self.margin)))
        if self.error is not None and self.relative_error is not None:
            found.append(("largest error", _extreme(self.error)))
            found.append(("relative", _extreme(self.relative_error)))
        rate = self.tried / self.seconds if self.seconds else 0.0
        found.append(("seconds", f"{self.seconds:.1f} ({rate:,.0f} inputs/s)"))
        return found

    def _tried(self) -> str:
        longest = f"of {self.lengths[0]} to {self.lengths[-1]} tokens"
        if self.exhaustive:
            return f"{self.tried:,}: all {longest} over {self.vocab}"
        exponent = int(math.log10(self.space))  # of an int that may be past all floats
        space = f"{self.space:,}" if exponent < 12 else f"about 1e{exponent}"
        return f"{self.tried:,} of {space} {longest} over {self.vocab} (seed {self.seed})"

    def verdict(self) -> str:
        """One sentence."""
        if self.mismatches:
            return "They DIFFER."
        if not self.compared:
            return "Nothing was compared: the program raises on every input that was tried."
        tried = "every input" if self.exhaustive else "every input that was tried"
        rest = " on which the program has a value" if self.raised else ""
        return f"They agree on {tried}{rest}."

    def __str__(self) -> str:
        width = max(len(name) for name, _ in self.rows())
        lines = [f"{name:{width}}  {text}" for name, text in self.rows()]
        return "\n".join([*lines, self.verdict()])


def _extreme(extreme: Extreme) -> str:
    where = f"at position {extreme.position} of {_short(extreme.tokens)}"
    return f"{extreme.value:.3g} {where}"


def _short(values: tuple[Any, ...]) -> str:
    if len(values) <= 24:
        return repr(list(values))
    some = ", ".join(map(repr, values[:20]))
    return f"[{some}, ... {len(values)} in all]"
