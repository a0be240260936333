"""Reads a data set back, sample by sample: `read_dataset`."""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any

from tracr_lite.mass.errors import DatasetError
from tracr_lite.mass.manifest import read_manifest
from tracr_lite.mass.records import Sample
from tracr_lite.mass.shards import OpenShard, check_file, read_refusals

OPEN = 8  # shards kept open


def read_dataset(folder: str | Path) -> Dataset:
    """The samples in a folder that `write_dataset` or `tracr-lite dataset` made.

    **Raises:** `DatasetError` if the manifest is missing, damaged, or of another version.
    """
    return Dataset(Path(folder))


class Dataset:
    """A sequence of `Sample`s, read from disk one at a time.

    A file is compared with its digest when it is first needed; damage raises `DatasetError`
    naming the file and the reason. Memory does not grow with the number of samples.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.manifest = read_manifest(folder)
        self._ends = list(accumulate(shard.samples for shard in self.manifest.shards))
        self._open: OrderedDict[int, OpenShard] = OrderedDict()

    @property
    def arguments(self) -> dict[str, Any]:
        """What the data set was made with, by name."""
        return self.manifest.recipe.to_json()

    @property
    def complete(self) -> bool:
        """Whether all samples that were asked for are there."""
        return self.manifest.complete

    def __len__(self) -> int:
        """How many samples there are now."""
        return self.manifest.samples

    def __getitem__(self, index: int) -> Sample:
        """One sample; -1 is the last. **Raises:** `IndexError`, `DatasetError`."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"there is no sample {index}; there are {len(self)}")
        index %= len(self)
        number = bisect_right(self._ends, index)
        shard = self._shard(number)
        sample = shard.sample(index - (self._ends[number - 1] if number else 0))
        if sample.index != index:
            raise DatasetError(f"sample {index} calls itself {sample.index}")
        return sample

    def __iter__(self) -> Iterator[Sample]:
        return (self[index] for index in range(len(self)))

    def refused(self) -> Iterator[dict[str, Any]]:
        """Programs that did not become samples: draw, kind, reason, program."""
        for number, entry in enumerate(self.manifest.shards):
            yield from read_refusals(self.folder, number, entry)

    def check(self) -> None:
        """Compares all files with their digests. **Raises:** `DatasetError` if any differs."""
        wrong: list[str] = []
        for entry in self.manifest.shards:
            for name, state in entry.files.items():
                try:
                    check_file(self.folder / name, state)
                except DatasetError as error:
                    wrong.append(str(error))
        if wrong:
            raise DatasetError(f"{str(self.folder)!r} is damaged: {'; '.join(wrong)}")

    def close(self) -> None:
        """Closes the files; they are opened again when a sample is asked for."""
        self._open.clear()

    def __getstate__(self) -> dict[str, Any]:
        """Another process opens files of its own."""
        return vars(self) | {"_open": OrderedDict[int, OpenShard]()}

    def __enter__(self) -> Dataset:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()

    def _shard(self, number: int) -> OpenShard:
        if number not in self._open:
            dense = self.manifest.recipe.storage == "dense"
            entry = self.manifest.shards[number]
            self._open[number] = OpenShard(self.folder, number, entry, dense=dense)
            if len(self._open) > OPEN:
                self._open.popitem(last=False)
        self._open.move_to_end(number)
        return self._open[number]
