"""What is raised when nothing can be said about a model at all."""

from __future__ import annotations

from tracr_lite.errors import TracrLiteError


class CertifyError(TracrLiteError, ValueError):
    """The model, the file or an argument does not allow a certificate to be made or checked."""
