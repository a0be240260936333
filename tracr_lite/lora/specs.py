"""What is to be done with each parameter: a tree of ints, one per array.

LORA_FREEZE (0): not trained. LORA_FULL (-1): trained densely. r > 0: low-rank, of rank r.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
# (jax is typed in part only)

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from rich.console import Console

from tracr_lite.lora.errors import LoraError
from tracr_lite.lora.paths import Patterns, path_name

LORA_FREEZE = 0
LORA_FULL = -1
NO_RANK = (LORA_FREEZE, LORA_FULL)  # these decisions make sense for vectors too

Decision = Callable[[Any, Any], int]  # (path, array) -> an int as above
Names = Sequence[str | re.Pattern[str]]


@dataclass
class XRapTureConfig:
    """Which parameters are trained, and how.

    **Arguments:**
    - `lora_dim`: the rank.
    - `fully_fine_tune_parameters`: names of what is trained densely.
    - `lora_fine_tune_parameters`: names of what gets low-rank weights.
    - `tune_vectors`: kept for code that sets it; the argument of `apply_lora` decides.
    - `verbose`: print a line per parameter that is trained.
    - `dtype`: of `a` and `b`.

    A name is a whole key of the path (for Haiku, the whole module name, as
    `mlp/~/linear_0`); or a glob, with `*` or `?`, for a key or for the whole path; or a
    compiled regular expression, which is searched for in the path.
    """

    lora_dim: int
    fully_fine_tune_parameters: Names | None = None
    lora_fine_tune_parameters: Names | None = None
    tune_vectors: bool = True
    verbose: bool = True
    dtype: Any = jnp.float32

    def __post_init__(self) -> None:
        for names in (self.fully_fine_tune_parameters, self.lora_fine_tune_parameters):
            if isinstance(names, str | re.Pattern):
                raise LoraError(f"names must be a list; write [{names!r}]")


def is_named(path: Sequence[Any], names: Names | None) -> bool:
    """Whether one of the names, as of `XRapTureConfig`, is that of a path."""
    keys = [str(key.key) for key in path if isinstance(key, jax.tree_util.DictKey)]
    whole = path_name(path)
    for name in names or ():
        if isinstance(name, re.Pattern):
            if name.search(whole):
                return True
        elif name in keys:
            return True
        elif any(sign in name for sign in "*?") and any(
            fnmatch.fnmatchcase(text, name) for text in (*keys, whole)
        ):
            return True
    return False


def base_decision(config: XRapTureConfig, path: Sequence[Any]) -> int:
    """Full before low-rank before frozen."""
    if is_named(path, config.fully_fine_tune_parameters):
        decision, how = LORA_FULL, "[green]trained densely[/green]"
    elif is_named(path, config.lora_fine_tune_parameters):
        decision, how = config.lora_dim, f"[cyan]low-rank, rank {config.lora_dim}[/cyan]"
    else:
        return LORA_FREEZE
    if config.verbose:
        console = Console(highlight=False)
        console.print(f"{path_name(path)}: ", end="", markup=False)
        console.print(how)
    return decision


def print_unused(config: XRapTureConfig, parameters: Any) -> None:
    """A line per name that is that of no parameter, if `verbose`: it may be misspelt."""
    paths = [path for path, _ in jax.tree_util.tree_flatten_with_path(parameters)[0]]
    for names in (config.fully_fine_tune_parameters, config.lora_fine_tune_parameters):
        for name in names or ():
            if config.verbose and not any(is_named(path, [name]) for path in paths):
                Console(highlight=False).print(f"no parameter is named {name!r}", markup=False)


def make_lora_specs(
    parameters: Any,  # any tree of arrays
    decision_fn: Decision | Mapping[str, int] | None = None,
    tune_vectors: bool = False,
) -> Any:
    """A tree like `parameters`, with an int per array.

    **Arguments:**
    - `decision_fn`: called with path and array of what has two or more axes; or regular
      expressions with their ranks, `{"attn/(query|value)/w": 8}`, of which the first that is
      found in the path counts, ranks for vectors aside; None freezes everything.
    - `tune_vectors`: train arrays with less than two axes densely, instead of freezing them.

    **Raises:** `LoraError` for a decision that is none, or a pattern that chooses nothing.
    """
    patterns = Patterns(decision_fn) if isinstance(decision_fn, Mapping) else None
    names: list[str] = []

    if patterns is None and decision_fn is not None and not callable(decision_fn):
        raise LoraError(f"decision_fn must be a function or a table; got {decision_fn!r}")

    def decide(path: Any, array: Any) -> int:
        names.append(path_name(path))
        is_vector = jnp.ndim(array) < 2
        if patterns is not None:
            found = patterns.find(names[-1], lambda each: not is_vector or each in NO_RANK)
            if found is not None:
                return checked(found, names[-1])
        if is_vector:
            return LORA_FULL if tune_vectors else LORA_FREEZE
        if patterns is not None or decision_fn is None or not callable(decision_fn):
            return LORA_FREEZE
        return checked(decision_fn(path, array), names[-1])

    specs = jax.tree_util.tree_map_with_path(decide, parameters)
    if patterns is not None:
        patterns.check_all_used(names)
    return specs


def checked(decision: Any, name: str) -> int:
    """**Raises:** `LoraError` unless it is an int, -1 or more."""
    if isinstance(decision, bool) or not hasattr(decision, "__index__"):
        raise LoraError(f"the decision for {name!r} must be an int; got {decision!r}")
    decision = int(decision)
    if decision < LORA_FULL:
        raise LoraError(
            f"the decision for {name!r} is {decision}; it must be a rank, {LORA_FREEZE} "
            f"(frozen) or {LORA_FULL} (trained densely)"
        )
    return decision


def aligned(parameters: Any, lora_spec: Any, is_leaf: Callable[[Any], bool]) -> Any:
    """Paths, leaves, decisions and structure of a tree; `is_leaf` as in `jax.tree.map`.

    **Raises:** `LoraError` if the spec has another structure.
    """
    pairs, structure = jax.tree_util.tree_flatten_with_path(parameters, is_leaf=is_leaf)
    try:
        decisions = structure.flatten_up_to(lora_spec)
    except (ValueError, TypeError) as error:
        raise LoraError(
            f"the spec has another structure than the parameters: {error}"
        ) from error
    names = [path_name(path) for path, _ in pairs]
    leaves = [leaf for _, leaf in pairs]
    return names, leaves, [*map(checked, decisions, names)], structure
