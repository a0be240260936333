"""`encode`: makes a release from a target and its base.

Payloads are finished aside; the manifest goes to DST first, then they follow. At every moment
DST is as it was, complete, or has a manifest that tells which payloads are missing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from tracr_lite.xor.changes import count_changes
from tracr_lite.xor.codec import COMPRESSIONS, Compression
from tracr_lite.xor.errors import XorError
from tracr_lite.xor.layouts import SUFFIXES
from tracr_lite.xor.manifest import MANIFEST, Entry, FileState, Manifest, read_manifest
from tracr_lite.xor.names import Tree, apart, parents, reserved, resolve_dst, walk
from tracr_lite.xor.report import FileStatus, Report, Status, TensorChange
from tracr_lite.xor.running import Progress, Runner, in_words, size_of
from tracr_lite.xor.store import INSIDE, Store, locked
from tracr_lite.xor.streaming import encode_stream
from tracr_lite.xor.sums import Tick, digests_of

CLEAR = "added_tokens.json"  # what the existing script copies, and cannot do without


@dataclass(frozen=True)
class _Job:
    target: Path
    base: Path | None
    compress: Compression


def encode(
    dst: str | Path,
    target: str | Path,
    base: str | Path,
    *,
    compress: Compression = "gzip",
    jobs: int | None = None,
    follow_links: bool = False,
    count_weights: bool = True,
    progress: Progress | None = None,
) -> Report:
    """Writes a release to `dst` from which `decode` and `base` make `target` again.

    **Arguments:**
    - `compress`: how payloads are stored. Files that the base does not have are stored in
      clear; XOR is not encryption, nor are the parts of a file beyond the end of its base.
    - `jobs`: files at once. `follow_links`: read links that leave an input folder.
    - `count_weights`: report the changed weights of checkpoints.
    - `progress`: called with the step, the bytes just done, and the bytes of the step.

    **Raises:** `XorError` if refused as a whole; `FilesNotRight` if a payload could not be
    made, and `dst` is as it was.
    """
    if compress not in COMPRESSIONS:
        raise XorError(f"compression {compress!r} is not in {', '.join(COMPRESSIONS)}")
    target, base, runner = Path(target), Path(base), Runner(jobs, progress)
    root = resolve_dst(Path(dst), {"TARGET": target, "BASE": base})
    source = walk(target, "TARGET", follow_links=follow_links)
    other = walk(base, "BASE", follow_links=follow_links)
    apart(root, source, other)
    _check_source(source)
    work = {name: _job(name, path, other, compress) for name, path in source.files.items()}
    with in_words("encode"), locked(root, keep_work=True) as store:
        _check_dst(root, work)
        changes, notes = _changes(runner, work) if count_weights else ({}, ())
        report = _encode(runner, store, work, source, other, changes)
    return replace(report, notes=report.notes + notes)


def _encode(
    runner: Runner,
    store: Store,
    work: dict[str, _Job],
    source: Tree,
    base: Tree,
    changes: dict[str, tuple[TensorChange, ...]],
) -> Report:
    entries, rows = _make_all(runner, store, work)
    report = Report("encode", tuple(rows[name] for name in sorted(rows)), (), changes)
    report.checked()
    manifest = Manifest(dict(sorted(entries.items())), _removed(source, base), source.folders)
    _publish(store, manifest)
    store.done = True
    return replace(report, notes=_notes(manifest))


def _job(name: str, path: Path, base: Tree, compress: Compression) -> _Job:
    found = base.find(name)
    # the script copies this one without looking whether it is compressed
    return _Job(path, found, "none" if name == CLEAR and found is None else compress)


def _check_source(source: Tree) -> None:
    if source.refused:
        rows = [f"  - {name} {why}" for name, why in sorted(source.refused.items())]
        raise XorError("\n".join(["TARGET holds what cannot be released:", *rows]))
    if taken := reserved([*source.files, *source.folders]):
        raise XorError(f"TARGET holds {taken[0]!r}, a name that is reserved; rename it")


def _check_dst(root: Path, work: dict[str, _Job]) -> None:
    """A file of an older release would be taken for one of this release by the old script."""
    found = walk(root, "DST", follow_links=True)
    strange = {*found.files, *found.refused} - work.keys() - {MANIFEST}
    if strange := sorted(each for each in strange if not each.startswith(f"{INSIDE}/")):
        names = ", ".join(strange[:5]) + (", ..." if len(strange) > 5 else "")
        raise XorError(
            f"DST {str(root)!r} holds files that are no part of the release: {names}"
        )


def _removed(source: Tree, base: Tree) -> tuple[str, ...]:
    return tuple(sorted({*base.files, *base.refused} - source.files.keys()))


def _changes(
    runner: Runner, work: dict[str, _Job]
) -> tuple[dict[str, tuple[TensorChange, ...]], tuple[str, ...]]:
    """Changed weights of all files in which both sides are checkpoints; notes on failures.

    One file at a time: this is fast, and the names of all tensors take memory.
    """
    found: dict[str, tuple[TensorChange, ...]] = {}

    def count(name: str, job: _Job, tick: Tick) -> None:
        if job.base and (changes := count_changes(job.target, job.base, tick)) is not None:
            found[name] = changes

    known = {name: job for name, job in work.items() if job.target.suffix in SUFFIXES}
    rows = runner.each("comparing", known, lambda job: size_of(job.target), count, jobs=1)
    notes = [f"weights of {row.name} not compared: {row.detail}" for row in rows.values()]
    return dict(sorted(found.items())), tuple(sorted(notes))


def _make_all(
    runner: Runner, store: Store, work: dict[str, _Job]
) -> tuple[dict[str, Entry], dict[str, FileStatus]]:
    """Finishes every payload aside."""
    entries: dict[str, Entry] = {}
    published = _published(store)

    def make(name: str, job: _Job, tick: Tick) -> FileStatus:
        entry, status = _again(store, name, job, published), Status.ALREADY
        if entry is None:
            with store.growing(store.aside(name)) as out:
                entry = encode_stream(job.target, job.base, out, job.compress, tick)
            record = Manifest({name: entry}).to_json()
            with store.growing(store.aside(name, "json")) as out:
                out.write(record)
            status = Status.WRITTEN
        entries[name] = entry
        return FileStatus(name, status, _detail(entry), entry.payload.bytes)

    rows = runner.each("encoding", work, lambda job: size_of(job.target), make)
    return entries, rows


def _published(store: Store) -> dict[str, Entry]:
    try:
        return read_manifest(store.root).files
    except XorError:
        return {}


def _again(store: Store, name: str, job: _Job, published: dict[str, Entry]) -> Entry | None:
    """The entry of a payload that an earlier run finished, if it still fits in every byte."""
    part = store.aside(name)
    if part.exists():
        try:
            entry = read_manifest(store.aside(name, "json")).files.get(name)
        except XorError:
            return None
    else:
        entry, part = published.get(name), store.root / name
    if entry is None or entry.compress != job.compress:
        return None
    for path, state in ((part, entry.payload), (job.target, entry.target)):
        if not path.is_file() or (path.is_symlink() and path == part) or not _is(path, state):
            return None
    same_base = entry.base is None if job.base is None else _is(job.base, entry.base)
    return entry if same_base else None


def _is(path: Path, state: FileState | None) -> bool:
    if state is None or size_of(path) != state.bytes:
        return False
    quick = state.digests[0]
    return quick in digests_of(path, {quick.algorithm})[1]


def _publish(store: Store, manifest: Manifest) -> None:
    """Moves everything to DST; after the first step a reader knows what has to be there."""
    for folder in manifest.folders:
        store.make_folder(folder)
    path = store.aside(MANIFEST)
    with store.growing(path) as out:
        out.write(manifest.to_json())
    store.publish(path, MANIFEST)
    for name in manifest.files:
        if (part := store.aside(name)).exists():
            store.publish(part, name)
    for left in store.work.iterdir():
        left.unlink()


def _detail(entry: Entry) -> str:
    if entry.base is None:
        return "new"
    more = entry.target.bytes - entry.base.bytes
    return (
        "" if not more else f"{abs(more)} bytes {'longer' if more > 0 else 'shorter'} than base"
    )


def _notes(manifest: Manifest) -> tuple[str, ...]:
    """What the existing script makes of this release, where it is not the target."""
    new = [name for name, entry in manifest.files.items() if entry.base is None]
    nested = [name for name in manifest.files if parents(name)]
    cannot = {
        "zstd payloads": any(each.compress == "zstd" for each in manifest.files.values()),
        "subfolders": bool(nested or manifest.folders),
        "new files": any(name != CLEAR for name in new),
        f"a release without {CLEAR}": CLEAR not in manifest.files,
    }
    if wrong := [what for what, applies in cannot.items() if applies]:
        return (f"the existing script cannot decode {', '.join(wrong)}; this program can",)
    return ()
