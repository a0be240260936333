"""The errors and the warning of this part."""

from __future__ import annotations

from tracr_lite.errors import TracrLiteError


class LoraError(TracrLiteError, ValueError):
    """Something about adapters is not right; the message says what, where and what to do."""


class LoraShapeError(LoraError, AssertionError):
    """The arrays of a `LoraWeight` do not fit together."""


class MaterializationError(LoraError):
    """Strict mode: some primitives would have needed the dense weight.

    Attribute: `problems`, pairs of primitive and parameter.
    """

    def __init__(self, problems: list[tuple[str, str]]):
        self.problems = problems
        super().__init__(
            f"{len(problems)} primitive(s) would need the dense weight\n"
            + "\n".join(f"  - {primitive} on {name}" for primitive, name in problems)
            + "\ntrain these parameters densely (LORA_FULL), write the step as a product, or "
            "turn strict off to let the dense weight be built"
        )

    def __reduce__(self) -> tuple[type, tuple[list[tuple[str, str]]]]:
        return type(self), (self.problems,)


class MaterializationWarning(UserWarning):
    """A primitive has no rule for low-rank weights: the dense weight was built for it."""


class MissingDependency(LoraError, ImportError):
    """An optional package is needed for this, and not installed."""
