"""A folder that appears when it is whole, and that never takes the place of anything else.

It grows as `.NAME.part/model`, and then gets its name, or changes places with an export that is
replaced, in one step of the file system.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from tracr_lite.compiler.saving.aside import exchange
from tracr_lite.llama.errors import LlamaError
from tracr_lite.llama.formats.aside import FOLDER, aside, publish
from tracr_lite.targets.export.errors import ExportError

RECORD, CARD = "program.json", "README.md"
RECORD_START = b'{\n "format": "tracr_lite stock model'
NAMES = frozenset(
    {
        *(RECORD, CARD, "config.json", "generation_config.json", "model.safetensors"),
        *("tokenizer.json", "tokenizer_config.json"),
        *("model.bin", "tokenizer.bin", "model.gguf"),
    }
)


def write_folder(
    folder: str | os.PathLike[str], write: Callable[[Path], None], *, overwrite: bool = False
) -> Path:
    """Lets `write` fill a new folder, and gives it the name `folder` when it is whole.

    **Arguments:** `overwrite`: whether an export that is there may be replaced; nothing else
    ever is.
    **Raises:** `ExportError` if the place is taken, or writing fails; what was there
    is then as before.
    """
    path = Path(folder)
    try:
        goal = _checked(path, overwrite)
        goal.parent.mkdir(parents=True, exist_ok=True)
        with aside(goal) as work:
            new = work / FOLDER
            new.mkdir()
            write(new)
            _checked(goal, overwrite)  # again: all that took a while
            if goal.exists() and any(goal.iterdir()):
                _replace(new, goal)
            else:
                publish(new, goal)
    except OSError as error:
        raise ExportError(f"cannot write {str(path)!r}: {error.strerror}") from error
    except LlamaError as error:
        raise ExportError(f"cannot write {str(path)!r}: {error}") from error
    return path


def check_place(folder: str | os.PathLike[str], *, overwrite: bool) -> None:
    """Raises `ExportError` if `write_folder` would, as far as that can be known before."""
    _checked(Path(folder), overwrite)


def _checked(path: Path, overwrite: bool) -> Path:
    """The place, links resolved."""
    try:
        goal = path.resolve()
    except RuntimeError as error:
        raise ExportError(f"{str(path)!r} is a link that leads to itself") from error
    except ValueError as error:  # a NUL
        raise ExportError(f"{str(path)!r} is no path: {error}") from error
    if not goal.name:
        raise ExportError(f"{str(path)!r} has no name to give to a folder")
    if not os.path.lexists(goal):
        return goal
    if not goal.is_dir():
        raise ExportError(f"{str(path)!r} is a file; choose another name, or remove it")
    inside = {each.name for each in goal.iterdir()}
    if not inside:
        return goal
    if others := sorted(inside - NAMES):
        raise ExportError(f"{str(path)!r} holds {others[0]!r}, which no export writes")
    if not _is_export(goal):
        raise ExportError(f"{str(path)!r} is not empty, and no export; choose another name")
    if not overwrite:
        raise ExportError(
            f"{str(path)!r} holds an export already; replace it with overwrite=True (--force "
            "on the command line), or choose another name"
        )
    if goal.samefile(Path.cwd()):
        raise ExportError("the current folder cannot be replaced; name another")
    return goal


def _is_export(folder: Path) -> bool:
    record = folder / RECORD
    if not record.is_file():
        return False
    with record.open("rb") as file:
        return file.read(len(RECORD_START)) == RECORD_START


def _replace(new: Path, goal: Path) -> None:
    if not exchange(new, goal):  # then the old one is in the folder that is removed
        raise ExportError(
            f"this file system cannot replace {str(goal)!r} in one step; remove it first"
        )
