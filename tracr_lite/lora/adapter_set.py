"""Several adapters of one model: switch between them, or sum them up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tracr_lite.lora.adapters import Adapter, attach
from tracr_lite.lora.combining import concatenate
from tracr_lite.lora.errors import LoraError


@dataclass(frozen=True)
class AdapterSet:
    """Several adapters of one model, to switch between.

    **Arguments:** `base`: plain parameters, shared by all; `adapters`: by name.
    **Raises:** `LoraError` if one of them does not fit the base.
    """

    base: Any
    adapters: Mapping[str, Adapter] = field(default_factory=dict[str, Adapter])

    def __post_init__(self) -> None:
        for name, adapter in self.adapters.items():
            try:
                attach(self.base, adapter)
            except LoraError as error:
                raise LoraError(f"adapter {name!r}: {error}") from error

    def with_adapter(self, name: str, adapter: Adapter) -> AdapterSet:
        """One more, or another one under the same name."""
        return AdapterSet(self.base, {**self.adapters, name: adapter})

    def use(self, names: str | Mapping[str, float] | None = None) -> Any:
        """The parameters with one adapter, with a weighted sum of several, or with none.

        **Raises:** `LoraError` for an unknown name.
        """
        weights = {names: 1.0} if isinstance(names, str) else dict(names or {})
        unknown = [name for name in weights if name not in self.adapters]
        if unknown:
            known = ", ".join(self.adapters) or "none"
            raise LoraError(f"no adapter is named {', '.join(unknown)}; there are: {known}")
        if not weights:
            return self.base
        chosen = [self.adapters[name] for name in weights]
        return attach(self.base, concatenate(chosen, list(weights.values())))
