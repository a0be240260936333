"""What a run reports: one row for each file, and how many weights changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from tracr_lite.xor.errors import FilesNotRight


@dataclass(frozen=True)
class TensorChange:
    """How many of the `count` weights of a tensor differ in any bit, and what else to say."""

    name: str
    count: int
    changed: int
    note: str = ""


class Status(Enum):
    """What became of one file. Only the first four mean that the file is right."""

    WRITTEN = "written"
    ALREADY = "already right"
    CORRECT = "right"
    UNCHECKED = "written, no sum to check"
    REFUSED = "refused"
    MISSING = "missing"
    UNEXPECTED = "unexpected"
    SKIPPED = "not started"

    @property
    def right(self) -> bool:
        return self in _RIGHT


_RIGHT = (Status.WRITTEN, Status.ALREADY, Status.CORRECT, Status.UNCHECKED)


@dataclass(frozen=True)
class FileStatus:
    """One row of the summary: a file, what became of it, why, and its size in bytes."""

    name: str
    status: Status
    detail: str = ""
    bytes: int = 0


@dataclass(frozen=True)
class Report:
    """The outcome of a run.

    - `action`: `encode`, `decode` or `verify`.
    - `files`: one row for each file, sorted by name.
    - `notes`: what concerns the release as a whole.
    - `changes`: file name -> changed weights of each of its tensors (`encode` only).
    """

    action: str
    files: tuple[FileStatus, ...]
    notes: tuple[str, ...] = ()
    changes: Mapping[str, tuple[TensorChange, ...]] = field(
        default_factory=dict[str, tuple[TensorChange, ...]]
    )

    @property
    def wrong(self) -> tuple[FileStatus, ...]:
        """The files that are not right."""
        return tuple(each for each in self.files if not each.status.right)

    def checked(self) -> Report:
        """This report; raises `FilesNotRight` if any file in it is not right."""
        if self.wrong:
            raise FilesNotRight(self)
        return self
