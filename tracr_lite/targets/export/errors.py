"""Why a stock model cannot be written."""

from __future__ import annotations

from tracr_lite.errors import TracrLiteError


class ExportError(TracrLiteError, ValueError):
    """A format cannot hold a model, or its place is taken; says what to do instead."""
