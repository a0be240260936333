"""What a data set is drawn from: `Recipe`, and the program that each number stands for."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from tracr_lite.mass.errors import DatasetError
from tracr_lite.rasp.base import topological
from tracr_lite.sampling import SampledProgram, sample_program
from tracr_lite.sampling.vocabularies import LARGEST

CAUSAL = {"no": False, "yes": True, "mixed": None}
STORAGES = ("sparse", "dense")
TRIES = 1000  # for one program of the wanted number of nodes


@dataclass(frozen=True)
class Recipe:
    """All that the bytes of a data set depend on.

    **Arguments:**
    - `count`: samples in all. `seed`: equal recipes give equal data sets.
    - `shard_size`: samples per shard, which is held in memory. `storage`: "sparse" or "dense",
      see docs/datasets.md.
    - `max_seq_len`, `vocab_size`: of every program.
    - `nodes`: least and most expressions of a program, tokens and indices among them.
    - `causal`: "no", "yes" or "mixed".
    - `max_parameters`: programs with larger models are refused; None: no limit.
    - `timeout`: seconds after which a program is refused; needs workers. The bytes then depend
      on the speed of the machine too. None: no limit.

    **Raises:** `DatasetError` naming the argument that is out of range.
    """

    count: int
    seed: int = 0
    shard_size: int = 1000
    max_seq_len: int = 5
    vocab_size: int = 5
    nodes: tuple[int, int] = (6, 10)
    causal: str = "no"
    max_parameters: int | None = None
    timeout: float | None = None
    storage: str = "sparse"

    def __post_init__(self) -> None:
        least = {"count": 1, "shard_size": 1, "max_seq_len": 1, "vocab_size": 1}
        for name, limit in least.items():
            if getattr(self, name) < limit:
                raise DatasetError(f"{name} is {getattr(self, name)}; it must be 1 or more")
        if self.vocab_size > LARGEST:
            raise DatasetError(f"vocab_size is {self.vocab_size}; it can be {LARGEST} at most")
        if not 1 <= self.nodes[0] <= self.nodes[1]:
            raise DatasetError(f"nodes is {self.nodes}; needed are a least and a most number")
        if self.max_parameters is not None and self.max_parameters < 1:
            raise DatasetError(f"max_parameters is {self.max_parameters}; it must be 1 or more")
        if self.timeout is not None and not 0 < self.timeout < math.inf:
            raise DatasetError(f"timeout is {self.timeout}; it must be a number of seconds")
        if self.causal not in CAUSAL:
            raise DatasetError(f"causal is {self.causal!r}; it can be {', '.join(CAUSAL)}")
        if self.storage not in STORAGES:
            raise DatasetError(f"storage is {self.storage!r}; it can be {', '.join(STORAGES)}")

    def to_json(self) -> dict[str, Any]:
        """As in the manifest."""
        return asdict(self) | {"nodes": list(self.nodes)}

    @classmethod
    def from_json(cls, arguments: dict[str, Any]) -> Recipe:
        """**Raises:** `TypeError`, `ValueError` for what is no recipe."""
        least, most = arguments["nodes"]
        changed: dict[str, Any] = arguments | {"nodes": (least, most)}
        return cls(**changed)

    def program(self, draw: int) -> SampledProgram:
        """The program of a number, in any process the same.

        **Raises:** `DatasetError` if none of so many nodes is found.
        """
        least, most = self.nodes
        for attempt in range(TRIES):
            sample = sample_program(
                f"{self.seed}/{draw}/{attempt}",
                nodes=self.nodes,
                max_seq_len=self.max_seq_len,
                vocab_size=self.vocab_size,
                causal=CAUSAL[self.causal],
            )
            if least <= len(topological(sample.program)) <= most:
                return sample
        raise DatasetError(
            f"none of {TRIES} programs had {least} to {most} nodes; widen the range of nodes"
        )
