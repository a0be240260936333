"""Every error that tracr_lite raises on purpose.

Each class inherits from `TracrLiteError` and from the builtin exceptions that Tracr raises in
the same situation, so that an existing `except NotImplementedError` or `except ValueError`
still works.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class TracrLiteError(Exception):
    """Base class of all errors raised by this package."""


RAISED = (Exception, SystemExit)
"""What a user's function may raise; sys.exit in one is no verdict."""


@dataclass(frozen=True)
class Problem:
    """One reason why a program cannot be compiled.

    **Arguments:**
    - `node`: label of the RASP node where it occurs, for example `map_3`.
    - `reason`: what is wrong there.
    - `suggestion`: what to write instead; may be empty.
    """

    node: str
    reason: str
    suggestion: str = ""

    def __str__(self) -> str:
        text = f"  - {self.node}: {self.reason}"
        return f"{text}\n      try: {self.suggestion}" if self.suggestion else text


class CompileError(TracrLiteError, NotImplementedError, ValueError):
    """A program cannot be compiled exactly; lists every problem found.

    Attributes: `stage`, the compiler stage that found them; `problems`, all of them; `hint`,
    which length of input would do, if one would.
    """

    def __init__(self, stage: str, problems: Sequence[Problem], hint: str = ""):
        self.stage = stage
        self.problems = tuple(problems)
        self.hint = hint
        lines = "\n".join(str(problem) for problem in self.problems)
        super().__init__(
            f"{stage}: {len(self.problems)} problem(s); nothing was compiled\n{lines}"
            + (f"\n  {hint}" if hint else "")
        )

    def __reduce__(self) -> tuple[type, tuple[str, tuple[Problem, ...], str]]:
        return type(self), (self.stage, self.problems, self.hint)


class InvalidValueSetError(CompileError):
    """A node can hold values that cannot be represented exactly, or too many of them."""


class NoTokensError(CompileError):
    """Kept for code that catches it; programs without tokens compile here."""


class InputError(TracrLiteError, ValueError, KeyError):
    """A sequence given to a model is not one it was compiled for."""

    def __str__(self) -> str:  # KeyError would print the repr of the message
        return str(self.args[0]) if self.args else ""


class ParameterError(TracrLiteError, ValueError):
    """The parameters of a model were edited so that they do not fit it any more."""


NO_FUNCTIONS = (
    "this model was loaded: a file holds no functions. Load it with the program, "
    "`load(folder, program=...)`; `model.description` has its text, labels and places"
)


class SavedModelError(TracrLiteError, ValueError):
    """A model cannot be saved or loaded, or lacks what no file can hold; says why."""
