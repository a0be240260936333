"""Begins a data set, or finds where it was left."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from tracr_lite.mass.errors import DatasetError
from tracr_lite.mass.folder import holds_others, remove_parts, write_file
from tracr_lite.mass.manifest import MANIFEST, Manifest, read_manifest
from tracr_lite.mass.recipe import Recipe

DENSE_SHARD = 100  # samples, by default: a shard is held in memory


def begun(folder: Path, given: dict[str, Any]) -> Manifest:
    """The manifest of a new data set, written."""
    if holds_others(folder):
        raise DatasetError(
            f"{str(folder)!r} holds other files; choose a new or an empty folder"
        )
    manifest = Manifest(new_recipe(given))
    write_file(folder, MANIFEST, manifest.to_bytes())
    return manifest


def known(folder: Path, given: dict[str, Any]) -> Manifest:
    """The manifest in the folder. **Raises:** `DatasetError` if it cannot be continued so."""
    manifest = read_manifest(folder)
    arguments = manifest.recipe.to_json()
    wrong = [
        f"{name} is {value!r}, but was {arguments[name]!r}"
        for name, value in given.items()
        if _plain(value) != arguments[name]
    ]
    if wrong:
        raise DatasetError(
            f"{str(folder)!r} was begun with other arguments: {'; '.join(wrong)}. Leave them "
            "out to continue it, or choose another folder"
        )
    if manifest.made_by != (ours := Manifest(manifest.recipe).made_by):
        raise DatasetError(
            f"{str(folder)!r} was begun by {manifest.made_by}; this is {ours}, which may draw "
            "or compile other programs. Continue with that version, or choose another folder"
        )
    _check_sizes(folder, manifest)
    remove_parts(folder)
    return manifest


def _plain(value: Any) -> Any:
    return list(cast("tuple[Any, ...]", value)) if isinstance(value, tuple) else value


def new_recipe(given: dict[str, Any]) -> Recipe:
    """The recipe of a new data set. **Raises:** `DatasetError` if an argument is not right."""
    if "count" not in given:
        raise DatasetError("a new data set needs count, the number of samples")
    if given.get("storage") == "dense" and "shard_size" not in given:
        return Recipe(**given, shard_size=DENSE_SHARD)
    return Recipe(**given)


def _check_sizes(folder: Path, manifest: Manifest) -> None:
    """Raises `DatasetError` if a finished file is gone or has another size."""
    for shard in manifest.shards:
        for name, state in shard.files.items():
            path = folder / name
            size = path.stat().st_size if path.is_file() else None
            if size != state.bytes:
                found = "is missing" if size is None else f"has {size} bytes, not {state.bytes}"
                raise DatasetError(f"{str(path)!r} {found}; this data set is damaged")
