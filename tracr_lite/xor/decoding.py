"""`decode`: turns a release and the base into the target.

The base is checked before anything is written, the result before it gets its name.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from tracr_lite.xor.codec import COMPRESSIONS, Compression, PayloadReader
from tracr_lite.xor.errors import FileRefused, XorError
from tracr_lite.xor.manifest import Manifest
from tracr_lite.xor.names import apart, resolve_dst, walk
from tracr_lite.xor.planning import Job, Rules, find_manifest, mismatch, plan
from tracr_lite.xor.report import FileStatus, Report, Status
from tracr_lite.xor.running import Progress, Runner, in_words, reason, size_of
from tracr_lite.xor.store import Store, locked
from tracr_lite.xor.streaming import Decoded, decode_stream
from tracr_lite.xor.sums import Digest, Tick, check_file, no_tick, read_sums
from tracr_lite.xor.verifying import unexpected


def decode(
    dst: str | Path,
    payload: str | Path,
    base: str | Path,
    *,
    manifest: str | Path | None = None,
    compress: Compression | None = None,
    base_sums: str | Path | None = None,
    target_sums: str | Path | None = None,
    allow_length_mismatch: bool = False,
    check_base_first: bool = True,
    max_bytes: int | None = None,
    jobs: int | None = None,
    follow_links: bool = False,
    progress: Progress | None = None,
) -> Report:
    """Writes to `dst` the files whose XOR with `base` is `payload`.

    - `manifest`: by default the one in `payload`, if there is one.
    - `compress`: None tells by the manifest or the first bytes of each payload.
    - `base_sums`, `target_sums`: lists as md5sum writes them. Every file used has to be in
      them, and every file of `target_sums` has to come out.
    - `allow_length_mismatch`: without a manifest, a shorter base counts as continued with
      zeros, a longer one as cut, and a payload unpacks to at most `max_bytes`.
    - `check_base_first`: False hashes the base only if a result is wrong, to tell why; of
      files without a sum for the result, the base is hashed first all the same.
    - `jobs`, `follow_links`, `progress`: as for `encode`.

    **Raises:** `XorError` if refused as a whole; `FilesNotRight` if a file is not right.
    `dst` then holds what it held, and such new files as were checked.
    """
    rules = Rules(
        compress, allow_length_mismatch, max_bytes, _sums(base_sums), _sums(target_sums)
    )
    runner, folders = Runner(jobs, progress), (Path(dst), Path(payload), Path(base))
    with in_words("decode"):
        return _decode(
            *folders, manifest, rules, runner, follow_links, check_base_first
        ).checked()


def _sums(path: str | Path | None) -> dict[str, Digest] | None:
    return None if path is None else read_sums(Path(path))


def _decode(
    dst: Path,
    payload: Path,
    base: Path,
    manifest: str | Path | None,
    rules: Rules,
    runner: Runner,
    follow_links: bool,
    check_base_first: bool,
) -> Report:
    if rules.compress is not None and rules.compress not in COMPRESSIONS:
        raise XorError(f"compression {rules.compress!r} is not in {', '.join(COMPRESSIONS)}")
    root = resolve_dst(dst, {"PAYLOAD": payload, "BASE": base})
    packed = walk(payload, "PAYLOAD", follow_links=follow_links)
    other = walk(base, "BASE", follow_links=follow_links)
    apart(root, packed, other)
    known = find_manifest(packed, other, manifest)
    work, rows = plan(packed, other, known, rules)
    if not known and not rows and not work:
        raise XorError(f"PAYLOAD {str(payload)!r} holds neither files nor a manifest")
    with locked(root) as store:
        rows |= _run(runner, store, work, check_base_first)
        complete = all(row.status.right for row in rows.values())
        if known and complete:
            rows |= _folders(store, known)
        wanted = known or (Manifest({}) if rules.target_sums else None)
        rows |= unexpected(walk(root, "DST", follow_links=True), wanted, rows.keys())
        store.done = complete
    return Report("decode", tuple(rows[name] for name in sorted(rows)))


def _run(
    runner: Runner, store: Store, work: dict[str, Job], check_base_first: bool
) -> dict[str, FileStatus]:
    """All rows; nothing is written if the base is not right."""
    rows = runner.each("checking DST", work, _in_place(store), _Decoding(store).already)
    work = {name: job for name, job in work.items() if name not in rows}
    first = {
        name: job for name, job in work.items() if check_base_first or not job.target_digests
    }  # a wrong base can wait for the wrong result that it makes, if there is a sum to tell
    wrong = runner.each("checking base", first, _to_hash, _check_base)
    if wrong:
        why = "nothing is written while files of the base are wrong"
        rows |= {name: FileStatus(name, Status.SKIPPED, why) for name in work}
        return rows | wrong
    _check_space(store, work)
    decoding = _Decoding(store, check_base_first)
    return rows | runner.each(
        "decoding", work, lambda job: job.target_bytes or _size(job.base), decoding.make
    )


def _folders(store: Store, manifest: Manifest) -> dict[str, FileStatus]:
    """Makes all subfolders, also empty ones; rows for those that cannot be made."""
    rows: dict[str, FileStatus] = {}
    for folder in manifest.folders:
        try:
            store.make_folder(folder)
        except (FileRefused, OSError) as error:
            rows[f"{folder}/"] = FileStatus(f"{folder}/", Status.REFUSED, reason(error))
    return rows


def _size(path: Path | None) -> int:
    return 0 if path is None else size_of(path)


def _to_hash(job: Job) -> int:
    return _size(job.base) if job.base_digests else 0


def _in_place(store: Store) -> Callable[[Job], int]:
    return lambda job: (job.target_bytes or 0) if any(store.root.iterdir()) else 0


def _check_base(name: str, job: Job, tick: Tick) -> FileStatus | None:
    if job.base is not None:
        try:
            check_file(
                job.base, job.base_state and job.base_state.bytes, job.base_digests, tick
            )
        except FileRefused as error:
            raise FileRefused(f"wrong base: {job.base} {error}") from error
    return None


def _check_space(store: Store, work: dict[str, Job]) -> None:
    """Refuses what cannot fit, before hours are spent on it."""
    needed = sum(job.target_bytes or 0 for job in work.values())
    free = shutil.disk_usage(store.root).free
    if needed > free:
        raise XorError(
            f"DST needs {needed} bytes, its disk has {free} free; nothing was written"
        )


class _Decoding:
    """Makes single files."""

    def __init__(self, store: Store, base_checked: bool = True):
        self._store, self._base_checked = store, base_checked

    def already(self, name: str, job: Job, tick: Tick) -> FileStatus | None:
        """A row if an earlier run finished this file, and sums prove it."""
        path = self._store.place(name)
        if not job.target_digests or not path.is_file() or not self._plain(path):
            return None
        try:
            check_file(path, job.target_bytes, job.target_digests, tick)
        except FileRefused:
            return None
        if not self._store.claim(name):
            return None
        return FileStatus(name, Status.ALREADY, "", size_of(path))

    def _plain(self, path: Path) -> bool:
        return path.resolve() == path

    def make(self, name: str, job: Job, tick: Tick) -> FileStatus:
        """Decodes aside, checks, and renames."""
        part = self._store.aside(name)
        hashed = job.compress != "none" and job.payload_state is not None
        source = PayloadReader(job.payload, job.compress, hashed=hashed)
        try:
            with self._store.growing(part) as out:
                done = decode_stream(
                    source,
                    job.base,
                    out,
                    algorithms={each.algorithm for each in job.target_digests},
                    limit=job.limit,
                    too_long=job.too_long,
                    tick=tick,
                )
                note = self._check(job, done)
        finally:
            source.close()
        self._store.publish(part, name)
        status = Status.WRITTEN if job.target_digests else Status.UNCHECKED
        return FileStatus(name, status, note, done.bytes)

    def _check(self, job: Job, done: Decoded) -> str:
        """What to say about the lengths. Raises `FileRefused` if the result is not right."""
        length = _size(job.base) if job.base else done.bytes
        if not job.padded and done.bytes != length:
            raise FileRefused(mismatch(done.bytes, length))
        if job.payload_state and done.payload not in (None, job.payload_state.sha256):
            raise FileRefused("the payload is corrupt: its sha256 is not that of the manifest")
        if job.target_bytes not in (None, done.bytes) or not done.digests >= {
            *job.target_digests
        }:
            raise FileRefused(self._blame(job))
        if job.base is None or done.bytes == length:
            return ""
        if done.bytes > length:
            return f"base continued with {done.bytes - length} zero bytes"
        return f"base cut by {length - done.bytes} bytes"

    def _blame(self, job: Job) -> str:
        """Says which input made the result wrong."""
        if not self._base_checked:
            _check_base("", job, no_tick)
        if state := job.payload_state:
            try:
                wanted = (Digest("sha256", state.sha256),)
                check_file(job.payload, state.bytes, wanted, no_tick)
            except FileRefused as error:
                return f"the payload is corrupt: it {error}"
        return "the result has not the size or sum it should have: wrong base or payload"
