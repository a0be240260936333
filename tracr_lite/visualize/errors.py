"""What is raised about pictures."""

from __future__ import annotations

from tracr_lite.errors import TracrLiteError


class VisualizeError(TracrLiteError, ValueError):
    """The model or the input does not allow the picture that was asked for."""


class MissingDependency(TracrLiteError, ImportError):
    """A library that only this needs is not installed."""
