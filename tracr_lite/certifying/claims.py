"""What a certificate says the weights mean: nodes, their states, and how each follows from others.

This is the part of a certificate that comes from the program. It is plain data; the bounds are
computed from it and from the parameters, by code that knows no compiler.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal as Either

import numpy as np
from jaxtyping import Float, Int

EMBEDDINGS, ATTENTION, MLP = "embeddings", "attention", "mlp"
Half = Either["embeddings", "attention", "mlp"]


@dataclass(frozen=True)
class Held:
    """The residual columns of one node.

    **Arguments:**
    - `states`: what the columns hold in each state of the node, at a position with a token.
    - `at_bos`: what they hold at the BOS position.
    - `layer`, `half`: the half-layer that writes them.
    - `one_hot`: whether a state is one column that is 1; else the first column is a number.
    - `promise`: largest error of each state that leaves it to be told apart from the others.
    """

    name: str
    columns: Int[np.ndarray, " columns"]
    states: Float[np.ndarray, "states columns"]
    at_bos: Float[np.ndarray, " columns"]
    layer: int
    half: Half
    one_hot: bool
    promise: Float[np.ndarray, " states"]


@dataclass(frozen=True)
class Table:
    """An MLP that writes a function of other nodes.

    **Arguments:** `rows`: a state of each leaf; `output`: the state of `writes` that follows.
    """

    writes: str
    leaves: tuple[str, ...]
    rows: Int[np.ndarray, "rows leaves"]
    output: Int[np.ndarray, " rows"]


@dataclass(frozen=True)
class Literal:
    """One predicate of a head's selector, between states of two nodes.

    `truth`: 1 where the query's state selects the key's, 0 where not, -1 where they never meet.
    """

    keys: str
    queries: str
    truth: Int[np.ndarray, "key_states query_states"]


@dataclass(frozen=True)
class Head:
    """An attention head.

    **Arguments:**
    - `head`: its number in the layer. `literals`: its selector selects where all of them do.
    - `counts_bos`: BOS scores like a selected key, so that its weight tells the width.
    - `low`, `high`: least and most keys that can be selected, BOS aside.
    - `source`: the node whose value is read; None: only BOS has a value (a width).
    - `becomes`: for each state of `source` the state of `writes` when only keys in that state are
      selected (-1: such keys are never selected, or only averaged).
    - `averages`: whether keys with different numbers may be selected together.
    """

    writes: str
    head: int
    literals: tuple[Literal, ...]
    counts_bos: bool
    low: int
    high: int
    source: str | None
    becomes: Int[np.ndarray, " source_states"]
    averages: bool


@dataclass(frozen=True)
class Output:
    """How answers are read: argmax over `columns`, or one number and flags for None.

    `known`: values that a numerical answer is snapped to, from as far as `tolerance`.
    """

    node: str
    columns: Int[np.ndarray, " outputs"]
    categorical: bool
    known: Float[np.ndarray, " known"]
    tolerance: float


@dataclass(frozen=True)
class Claims:
    """All of it, for inputs of up to `max_seq_len` tokens.

    `one`, `bos`: the columns of the constant, and of BOS among the tokens; `open`: reasons why
    some node is not covered, by name.
    """

    max_seq_len: int
    causal: bool
    one: int
    bos: int
    held: tuple[Held, ...]
    tables: tuple[Table, ...]
    heads: tuple[Head, ...]
    output: Output
    open: tuple[tuple[str, str], ...]
