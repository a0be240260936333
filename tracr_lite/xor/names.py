"""Names and folders that come from outside: which files a tree holds, and which are refused."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tracr_lite.xor.errors import FileRefused, XorError


def check_name(name: str) -> str:
    """Returns `name` if it is a plain path below a root, with `/` between its parts.

    **Raises:** `FileRefused` for an absolute name, an empty one, one with `.`, `..`, or
    empty parts, with a NUL, or that no disk can hold.
    """
    if name.startswith("/"):
        raise FileRefused(f"the name {name!r} is absolute")
    if "\0" in name:
        raise FileRefused(f"the name {name!r} holds a NUL")
    try:
        os.fsencode(name)
    except UnicodeEncodeError as error:
        raise FileRefused(f"the name {name!r} cannot be that of a file here") from error
    if any(part in ("", ".", "..") for part in name.split("/")):
        raise FileRefused(f"the name {name!r} has an empty part, '.' or '..'")
    return name


def parents(name: str) -> list[str]:
    """The folders above `name`, outermost first: `a/b/c` -> `a`, `a/b`."""
    return [str(each) for each in PurePosixPath(name).parents if str(each) != "."][::-1]


RESERVED = ("xor-manifest.json", ".xor-work")  # what a release or a run needs for itself


def reserved(names: Iterable[str]) -> list[str]:
    """Those of the names that no target can use at its top."""
    return sorted(name for name in names if name.split("/")[0] in RESERVED)


def check_tree(names: Iterable[str], folders: Iterable[str]) -> None:
    """Raises `FileRefused` if a name is unsafe, or is both a file and a folder."""
    files = {check_name(each) for each in names}
    above = {parent for name in files for parent in parents(name)}
    for folder in folders:
        above |= {check_name(folder), *parents(folder)}
    if both := sorted(files & above):
        raise FileRefused(f"{both[0]!r} is both a file and a folder")


@dataclass(frozen=True)
class Tree:
    """The files below a folder.

    - `files`: name -> where its bytes are.
    - `folders`: all subfolders, also empty ones.
    - `refused`: name -> why what lies there is not read.
    """

    root: Path
    files: dict[str, Path]
    folders: tuple[str, ...]
    refused: dict[str, str]

    def find(self, name: str) -> Path | None:
        """Where the bytes of `name` are, or None. Raises `FileRefused` if it is refused."""
        for each in [*parents(name), name]:
            if each in self.refused:
                raise FileRefused(f"{self.root / each} {self.refused[each]}")
        return self.files.get(name)


def walk(root: Path, what: str, *, follow_links: bool = False) -> Tree:
    """Lists a tree without opening anything in it.

    **Arguments:** `what`: the word for this folder in messages. `follow_links`: also read
    links to files that lie outside the tree, as in the caches of model hubs.
    **Raises:** `XorError` if `root` is not a folder that can be listed.
    """
    if not root.is_dir():
        raise XorError(f"{what} {str(root)!r} is not a folder")
    root = root.resolve()
    files: dict[str, Path] = {}
    folders: list[str] = []
    refused: dict[str, str] = {}
    for name, entry in _entries(root):
        if entry.is_dir(follow_symlinks=False):
            folders.append(name)
        elif reason := _refusal(root, entry, follow_links):
            refused[name] = reason
        else:
            files[name] = Path(entry.path)
    return Tree(root, dict(sorted(files.items())), tuple(sorted(folders)), refused)


def _entries(root: Path) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Everything below `root`, with its name; does not go through links."""
    todo = [(root, "")]
    while todo:
        folder, prefix = todo.pop()
        try:
            with os.scandir(folder) as found:
                entries = list(found)
        except OSError as error:
            raise XorError(f"cannot list {str(folder)!r}: {error.strerror}") from error
        for entry in entries:
            yield prefix + entry.name, entry
            if entry.is_dir(follow_symlinks=False):
                todo.append((Path(entry.path), f"{prefix}{entry.name}/"))


def _refusal(root: Path, entry: os.DirEntry[str], follow_links: bool) -> str:
    """Why this entry, which is no folder, is not read; empty if it is."""
    if entry.is_symlink():
        try:
            real = Path(entry.path).resolve(strict=True)
        except (OSError, RuntimeError):
            return "is a broken link"
        if real.is_dir():
            return "is a link to a folder"
        if not follow_links and not real.is_relative_to(root):
            return "is a link that leaves the tree (--follow-links would read it)"
    mode = entry.stat().st_mode
    return "" if stat.S_ISREG(mode) else "is not a regular file"


def resolve_dst(dst: Path, inputs: dict[str, Path]) -> Path:
    """The real path of `dst`, apart from every input.

    **Raises:** `XorError` if `dst` is an input, lies inside one, or has one inside it; also
    when that is so only through links or mounts.
    """
    real = _real(dst, "DST")
    if real.exists() and not real.is_dir():
        raise XorError(f"DST {str(dst)!r} is not a folder")
    for what, path in inputs.items():
        given = _real(path, what)
        if _same(real, given):
            raise XorError(f"DST {str(dst)!r} is {what} itself; choose another folder")
        if any(_same(above, given) for above in real.parents):
            raise XorError(f"DST {str(dst)!r} lies inside {what} {str(path)!r}")
        if any(_same(above, real) for above in given.parents):
            raise XorError(f"{what} {str(path)!r} lies inside DST {str(dst)!r}")
    return real


def _real(path: Path, what: str) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, a NUL
        raise XorError(f"{what} {str(path)!r} cannot be: {error}") from error


def apart(root: Path, *trees: Tree) -> None:
    """Raises `XorError` if an input is read, through a link, from the DST at `root`."""
    for tree in trees:
        for path in tree.files.values():
            if path.is_symlink() and path.resolve().is_relative_to(root):
                raise XorError(f"{str(path)!r} is a link into DST; choose another folder")


def _same(one: Path, other: Path) -> bool:
    return one == other or (one.exists() and other.exists() and os.path.samefile(one, other))
