"""`verify`: is a finished folder what the manifest says?"""

from __future__ import annotations

from collections.abc import Set
from pathlib import Path
from typing import Literal

from tracr_lite.xor.errors import FileRefused, XorError
from tracr_lite.xor.manifest import MANIFEST, FileState, Manifest, read_manifest
from tracr_lite.xor.names import Tree, walk
from tracr_lite.xor.report import FileStatus, Report, Status
from tracr_lite.xor.running import Progress, Runner
from tracr_lite.xor.sums import Tick, check_file

Side = Literal["target", "payload", "base"]
SIDES: tuple[Side, ...] = ("target", "payload", "base")


def verify(
    folder: str | Path,
    manifest: str | Path,
    *,
    side: Side = "target",
    jobs: int | None = None,
    follow_links: bool = False,
    progress: Progress | None = None,
) -> Report:
    """Checks sizes and SHA-256 of all files in a folder; writes nothing.

    **Arguments:** `manifest`: the file, or the release that contains it. `side`: what
    `folder` is: the finished model, the release, or the base. The others: as for `encode`.

    **Raises:** `XorError` if folder or manifest cannot be read; `FilesNotRight` if a file is
    missing, differs, or (except in a base) does not belong there.
    """
    if side not in SIDES:
        raise XorError(f"side {side!r} is not one of {', '.join(SIDES)}")
    known = read_manifest(Path(manifest))
    tree = walk(Path(folder), "the folder", follow_links=follow_links)
    wanted = {name: _state(known, name, side) for name in known.files}
    work = {name: state for name, state in wanted.items() if state is not None}

    def check(name: str, state: FileState, tick: Tick) -> FileStatus:
        if (path := tree.find(name)) is None:
            return FileStatus(name, Status.MISSING, "the folder does not contain it")
        try:
            check_file(path, state.bytes, state.digests, tick)
        except FileRefused as error:
            raise FileRefused(f"it {error}") from error
        return FileStatus(name, Status.CORRECT, "", state.bytes)

    rows = Runner(jobs, progress).each("verifying", work, lambda state: state.bytes, check)
    if side != "base":
        rows |= unexpected(tree, known, rows.keys() | {MANIFEST} if side == "payload" else rows)
    if side == "target":
        rows |= _missing_folders(tree, known)
    return Report("verify", tuple(rows[name] for name in sorted(rows))).checked()


def _state(manifest: Manifest, name: str, side: Side) -> FileState | None:
    entry = manifest.files[name]
    return {"target": entry.target, "payload": entry.payload, "base": entry.base}[side]


def unexpected(
    tree: Tree, manifest: Manifest | None, known: Set[str] | dict[str, FileStatus]
) -> dict[str, FileStatus]:
    """A row for each file that is there and should not be; none if nobody can tell."""
    if manifest is None:
        return {}
    found = sorted({*tree.files, *tree.refused} - set(known))
    return {
        name: FileStatus(
            name,
            Status.UNEXPECTED,
            "the target has it removed" if name in manifest.removed else "not in the release",
        )
        for name in found
    }


def _missing_folders(tree: Tree, manifest: Manifest) -> dict[str, FileStatus]:
    return {
        f"{name}/": FileStatus(f"{name}/", Status.MISSING, "the folder is not there")
        for name in manifest.folders
        if name not in tree.folders
    }
