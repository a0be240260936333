"""What is raised when a model and a program cannot be compared."""

from __future__ import annotations

from tracr_lite.errors import TracrLiteError


class VerifyError(TracrLiteError, ValueError):
    """The model, the program or an argument does not allow a comparison."""
