"""What is raised about the inside of a model."""

from __future__ import annotations

from tracr_lite.errors import TracrLiteError


class CircuitError(TracrLiteError, ValueError):
    """The model or the input does not allow what was asked for."""


class InterventionError(CircuitError):
    """An intervention that cannot be made, or that the weights do not follow."""
