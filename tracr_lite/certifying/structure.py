"""What may be nonzero where: each claimed column is written once, from claimed columns only."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from jaxtyping import Int

from tracr_lite.certifying.claims import (
    ATTENTION,
    BOS,
    EMBEDDINGS,
    INDICES,
    MLP,
    ONE,
    TOKENS,
    Claims,
    Held,
)
from tracr_lite.certifying.fitting import misfits
from tracr_lite.certifying.weights import HeadWeights, Weights

Faults = list[tuple[str, str]]  # name of the node, or "model", and what is wrong


def faults(weights: Weights, claims: Claims) -> Faults:
    """All that keeps the claims from being about these weights."""
    found: Faults = [("model", each) for each in weights.faults()]
    sizes = (
        weights.width,
        len(weights.params["token_embed"]["embeddings"]),
        len(weights.params["pos_embed"]["embeddings"]),
    )
    found += [("claims", each) for each in misfits(claims, *sizes)]
    if found:
        return found
    found += [("claims", each) for each in _names(weights, claims)]
    if found:
        return found
    found += [("embeddings", each) for each in _embeddings(weights, claims)]
    owner = np.full(weights.width, -1)
    for number, held in enumerate(claims.held):
        owner[held.columns] = number
    heads = {(claims_of(claims, h.writes).layer, h.head): h.writes for h in claims.heads}
    for layer in range(weights.sizes.num_layers):
        found += _heads(weights, claims, layer, owner, heads)
        found += _neurons(weights, claims, layer, owner)
    return found


def claims_of(claims: Claims, name: str) -> Held:
    return next(held for held in claims.held if held.name == name)


def _names(weights: Weights, claims: Claims) -> Iterable[str]:
    """Whether the claims make sense by themselves."""
    names = [held.name for held in claims.held]
    if len(set(names)) < len(names) or not {ONE, BOS} <= set(names):
        yield "names of nodes must be distinct, `one` and `bos` among them"
    columns = np.concatenate([held.columns for held in claims.held])
    if len(np.unique(columns)) < len(columns):
        yield "a residual column belongs to two nodes"
    if claims.causal != weights.sizes.causal:
        yield "the claims and the model differ on causal attention"
    for held in claims.held:
        if held.one_hot and not np.array_equal(held.states, np.eye(len(held.columns))):
            yield f"the states of {held.name} do not fit its columns"
        if held.half == EMBEDDINGS and held.name not in (ONE, BOS, TOKENS, INDICES):
            yield f"{held.name} is not what embeddings write"
        if held.half in (ATTENTION, MLP) and not 0 <= held.layer < weights.sizes.num_layers:
            yield f"{held.name} is written in a layer that is not there"
    written = [each.writes for each in (*claims.tables, *claims.heads)]
    computed = [held.name for held in claims.held if held.half != EMBEDDINGS]
    if sorted(written) != sorted(computed):
        yield "each node has to be written by one table or one head"


def _embeddings(weights: Weights, claims: Claims) -> Iterable[str]:
    """Tokens and positions must be one-hot exactly, and nothing else be there."""
    token = weights.array("token_embed", "embeddings")
    position = weights.array("pos_embed", "embeddings")
    columns = np.concatenate([held.columns for held in claims.held])
    wanted, place = np.zeros_like(token), np.zeros_like(position)
    wanted[:, claims_of(claims, ONE).columns] = 1.0
    wanted[claims.bos_row, claims_of(claims, BOS).columns] = 1.0
    for held in claims.held:
        if held.name == TOKENS:
            wanted[claims.token_rows, held.columns] = 1.0
        if held.name == INDICES:
            place[claims.position_rows, held.columns] = 1.0
    used = np.ones(len(token), bool)
    used[claims.pad_row] = False  # nothing is claimed at padded positions, and none is seen
    if not np.array_equal(token[np.ix_(used, columns)], wanted[np.ix_(used, columns)]):
        yield "the token embeddings are not those claimed"
    rows = np.arange(claims.max_seq_len + 1)
    if not np.array_equal(position[np.ix_(rows, columns)], place[np.ix_(rows, columns)]):
        yield "the position embeddings are not those claimed"
    covered = {claims.bos_row, claims.pad_row, *claims.token_rows.tolist()}
    if len(covered) < len(token):
        yield "some tokens are not among the states claimed"


def reads_of(head: HeadWeights, columns: Int[np.ndarray, " columns"]) -> np.ndarray:
    """Residual columns whose value may reach `columns`."""
    reach = (head.out[:, columns] != 0.0).any(axis=1)
    return np.flatnonzero((head.value[:, reach] != 0.0).any(axis=1))


def _heads(
    weights: Weights,
    claims: Claims,
    layer: int,
    owner: np.ndarray,
    heads: dict[tuple[int, int], str],
) -> Faults:
    found: Faults = []
    names = {held.name: number for number, held in enumerate(claims.held)}
    for number in range(weights.sizes.num_heads):
        head = weights.head(layer, number)
        lanes = (head.value != 0.0).any(axis=0)
        writes = np.flatnonzero((head.out[lanes] != 0.0).any(axis=0))
        own = heads.get((layer, number))
        allowed = -1 if own is None else names[own]
        owners: list[int] = owner[writes].tolist()
        for each in sorted(set(owners) - {allowed, -1}):
            name = claims.held[each].name
            found.append((name, f"head {number} of layer {layer} writes to it as well"))
    return found


def _neurons(weights: Weights, claims: Claims, layer: int, owner: np.ndarray) -> Faults:
    w2 = weights.array(f"transformer/layer_{layer}/mlp/linear_2", "w")
    found: Faults = []
    owners: list[int] = owner[np.flatnonzero(w2.any(axis=0))].tolist()
    for each in sorted(set(owners) - {-1}):
        held = claims.held[each]
        if held.half != MLP or held.layer != layer:
            found.append((held.name, f"the MLP of layer {layer} writes to it as well"))
    return found
