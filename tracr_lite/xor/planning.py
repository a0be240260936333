"""What `decode` has to do, file by file: from a manifest, or from a release without one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from tracr_lite.xor.codec import Compression, detect
from tracr_lite.xor.encoding import CLEAR
from tracr_lite.xor.errors import FileRefused, XorError
from tracr_lite.xor.manifest import MANIFEST, Entry, FileState, Manifest, read_manifest
from tracr_lite.xor.names import Tree
from tracr_lite.xor.report import FileStatus, Status
from tracr_lite.xor.running import size_of
from tracr_lite.xor.sums import Digest

FREE = 1 << 26  # bytes that a small payload may grow to where no base or manifest bounds it
SMALL_JSON = 1 << 24  # bytes


@dataclass(frozen=True)
class Rules:
    """How the caller wants releases to be read.

    - `compress`: None to go by the manifest, or by the first bytes.
    - `allow_length_mismatch`: without a manifest, the length of the payload rules.
    - `max_bytes`: most bytes that one payload may decompress to, where nothing else says so.
    """

    compress: Compression | None = None
    allow_length_mismatch: bool = False
    max_bytes: int | None = None
    base_sums: Mapping[str, Digest] | None = None
    target_sums: Mapping[str, Digest] | None = None


@dataclass(frozen=True)
class Job:
    """One file to decode, and all that is known about it; None and () where nothing is.

    - `base`: None if the payload is the file in clear.
    - `limit`: most bytes it may have. `target_bytes`: the bytes it has to have.
    - `padded`: whether payload and base may differ in length.
    """

    payload: Path
    base: Path | None
    compress: Compression
    limit: int
    base_state: FileState | None = None
    payload_state: FileState | None = None
    target_bytes: int | None = None
    base_digests: tuple[Digest, ...] = ()
    target_digests: tuple[Digest, ...] = ()
    padded: bool = True

    @property
    def too_long(self) -> str:
        """What to say when the payload has more bytes than it may."""
        if self.target_bytes is not None:
            return ""
        hint = "--max-bytes" if self.padded else "--allow-length-mismatch"
        return f": a length mismatch or a decompression bomb; {hint} allows more"


def find_manifest(payload: Tree, base: Tree, given: str | Path | None) -> Manifest | None:
    """The manifest given, or that of the release; None for a release of the existing script.

    **Raises:** `XorError` if there is one that cannot be used.
    """
    if given is not None:
        return read_manifest(Path(given))
    if path := payload.find(MANIFEST):
        return read_manifest(path)
    if MANIFEST in payload.folders:
        raise XorError(f"{str(payload.root / MANIFEST)!r} is a folder, not a manifest")
    if base.find(MANIFEST):
        raise XorError(
            f"BASE {str(base.root)!r} holds a release; the order is DST PAYLOAD BASE"
        )
    return None


def plan(
    payload: Tree, base: Tree, manifest: Manifest | None, rules: Rules
) -> tuple[dict[str, Job], dict[str, FileStatus]]:
    """The work to do, and rows for the files where it is clear that it cannot be done."""
    jobs: dict[str, Job] = {}
    rows: dict[str, FileStatus] = {}
    listed = set(rules.target_sums or ())
    names = (
        manifest.files.keys() if manifest else {*payload.files, *payload.refused} - {MANIFEST}
    )
    for name in sorted(names | listed):
        try:
            path = payload.find(name) if name in names else None
            if path is None:
                why = "the release does not contain it"
                rows[name] = FileStatus(name, Status.MISSING, why)
                continue
            entry = manifest.files[name] if manifest else None
            job = (
                _by_entry(path, base, name, entry) if entry else _bare(path, base, name, rules)
            )
            jobs[name] = _with_rules(job, name, rules)
        except FileRefused as error:
            rows[name] = FileStatus(name, Status.REFUSED, str(error))
        except OSError as error:
            rows[name] = FileStatus(name, Status.REFUSED, error.strerror or str(error))
    return jobs, rows


def _by_entry(path: Path, base: Tree, name: str, entry: Entry) -> Job:
    """A job as the manifest says."""
    has, wanted = size_of(path), entry.payload.bytes
    if has != wanted:
        word = "truncated" if has < wanted else "corrupt"
        raise FileRefused(f"the payload is {word}: it has {has} bytes instead of {wanted}")
    found = base.find(name) if entry.base else None
    if entry.base and found is None:
        raise FileRefused("wrong base: it does not have this file")
    return Job(
        path,
        found,
        entry.compress,
        entry.target.bytes,
        base_state=entry.base,
        payload_state=entry.payload,
        target_bytes=entry.target.bytes,
        base_digests=entry.base.digests[:1] if entry.base else (),
        target_digests=(Digest("sha256", entry.target.sha256),),
    )


def _bare(path: Path, base: Tree, name: str, rules: Rules) -> Job:
    """A job as the existing script would do it, save that it guesses and ignores nothing."""
    found = base.find(name)
    if name == CLEAR and (found is None or _is_json(path)):
        return Job(path, None, "none", size_of(path))
    if found is None:
        raise FileRefused(
            "the base does not have this file, and no manifest says that it is new"
        )
    compress = rules.compress or detect(path)
    size = size_of(found)
    limit = rules.max_bytes or max(FREE, 4 * size, size_of(path) if compress == "none" else 0)
    if compress == "none" and not rules.allow_length_mismatch and size_of(path) != size:
        raise FileRefused(mismatch(size_of(path), size))
    padded = rules.allow_length_mismatch
    return Job(path, found, compress, limit if padded else size, padded=padded)


def _with_rules(job: Job, name: str, rules: Rules) -> Job:
    """Adds what the caller's lists and choice of compression say."""
    if rules.compress and rules.compress != job.compress and name != CLEAR:
        raise FileRefused(f"its manifest says {job.compress}, you chose {rules.compress}")
    base = job.base_digests
    if rules.base_sums is not None and job.base is not None:
        base += (_listed(rules.base_sums, name, "--base-sums"),)
    target = job.target_digests
    if rules.target_sums is not None:
        target += (_listed(rules.target_sums, name, "--target-sums"),)
    return replace(job, base_digests=base, target_digests=target)


def _listed(sums: Mapping[str, Digest], name: str, option: str) -> Digest:
    if name not in sums:
        raise FileRefused(f"{option} has no sum for it")
    return sums[name]


def mismatch(payload: int, base: int) -> str:
    """Why a payload of one length does not go with a base of another."""
    return (
        f"length mismatch: the payload has {payload} bytes, the base {base}, and no manifest "
        "explains it; --allow-length-mismatch follows the old rule: cut or pad the base"
    )


def _is_json(path: Path) -> bool:
    """Whether this is the text itself; the XOR of two JSON texts begins with a NUL."""
    if size_of(path) > SMALL_JSON:
        return False
    try:
        json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return False
    return True
