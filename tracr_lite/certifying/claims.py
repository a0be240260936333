"""What a certificate says the weights mean: nodes, their states, and how each follows from
others.

This is the part of a certificate that comes from the program. It is plain data; the bounds are
computed from it and from the parameters, by code that knows no compiler.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal as Either

import numpy as np
from jaxtyping import Float, Int

EMBEDDINGS, ATTENTION, MLP = "embeddings", "attention", "mlp"
ONE, BOS, TOKENS, INDICES = "one", "bos", "tokens", "indices"  # names of embedded nodes
Half = Either["embeddings", "attention", "mlp"]


@dataclass(frozen=True)
class Held:
    """The residual columns of one node.

    **Arguments:**
    - `states`: what the columns hold in each state of the node, at a position with a token.
    - `at_bos`: what they hold at the BOS position.
    - `layer`, `half`: the half-layer that writes them.
    - `one_hot`: whether state i is column i being 1; else the first column is a number (if
      `numbers` is 1), all others are 0 or 1.
    - `listed`: whether these are all states. If not, the number lies between the least and the
      greatest of them, and is zero or has the size of one of them, or more.
    """

    name: str
    columns: Int[np.ndarray, " columns"]
    states: Float[np.ndarray, "states columns"]
    at_bos: Float[np.ndarray, " columns"]
    layer: int
    half: Half
    one_hot: bool
    numbers: int
    listed: bool


@dataclass(frozen=True)
class Sum:
    """A linear combination of columns of nodes, read as if it were a node of one column.

    **Arguments:** `parts`: nodes; `factors`: of the columns of each; `states`: its numbers.
    """

    name: str
    parts: tuple[str, ...]
    factors: tuple[Float[np.ndarray, " columns"], ...]
    states: Float[np.ndarray, " states"]


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
class Value:
    """What a head reads of one node: a row of `writes` for each of its states."""

    source: str
    rows: Float[np.ndarray, "states columns"]


@dataclass(frozen=True)
class Head:
    """An attention head.

    **Arguments:**
    - `head`: its number in the layer. `literals`: its selector selects where all of them do.
    - `counts_bos`: BOS scores like a selected key, so that its weight tells the width.
    - `low`, `high`: least and most keys that can be selected, BOS aside.
    - `values`: what is read where it looks, a sum over nodes; nothing for a width.
    - `copies`: whether all keys selected at once have the same row; then each state of `writes`
      is such a row. Else the states are means of such rows.
    - `default`: the state where nothing is selected; -1 if that cannot be.
    """

    writes: str
    head: int
    literals: tuple[Literal, ...]
    counts_bos: bool
    low: int
    high: int
    values: tuple[Value, ...]
    copies: bool
    default: int


@dataclass(frozen=True)
class Output:
    """How answers are read: argmax over `columns`, or a number and flags for None.

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

    **Arguments:**
    - `token_rows`: row of the token embeddings for each state of `tokens`; `position_rows`
      likewise; `bos_row`, `pad_row`: those of BOS and of padding.
    - `open`: reasons why some node is not covered, by name.
    """

    max_seq_len: int
    causal: bool
    token_rows: Int[np.ndarray, " tokens"]
    position_rows: Int[np.ndarray, " positions"]
    bos_row: int
    pad_row: int
    held: tuple[Held, ...]
    sums: tuple[Sum, ...]
    tables: tuple[Table, ...]
    heads: tuple[Head, ...]
    output: Output
    open: tuple[tuple[str, str], ...]
