"""The errors of this part."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracr_lite.errors import TracrLiteError

if TYPE_CHECKING:
    from tracr_lite.xor.report import Report


class XorError(TracrLiteError, ValueError):
    """A run that was refused as a whole, before anything was written."""


class FileRefused(XorError):
    """One file cannot be made, or is not what it should be; the message is the reason."""


class FilesNotRight(XorError):
    """A run ended with files that are not right; `report` lists them and all others."""

    def __init__(self, report: Report):
        self.report = report
        rows = [f"  - {each.name}: {each.status.value}; {each.detail}" for each in report.wrong]
        count = f"{len(report.wrong)} of {len(report.files)} file(s) not right"
        super().__init__("\n".join([f"{report.action}: {count}", *rows]))

    def __reduce__(self) -> tuple[type, tuple[Report]]:
        return type(self), (self.report,)
