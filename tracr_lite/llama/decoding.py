"""The compiled steps of generation: the whole prompt at once, then token after token in a loop.

Rows of a batch end at the same slot: short prompts have padding in front, and behind all of
them stands padding up to a round number, which the tokens to come overwrite.
"""

# JAX leaves parts of its own signatures without types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.tree_util import register_dataclass

from tracr_lite.llama.batches import CHUNK, NOTHING
from tracr_lite.llama.cache import Cache, empty_cache
from tracr_lite.llama.config import LlamaConfig
from tracr_lite.llama.model import forward, logits
from tracr_lite.llama.params import Params
from tracr_lite.llama.sampler_jax import NO_TOKEN, Prepared, sample


@register_dataclass
@dataclass(frozen=True)
class Fixed:
    """What does not change while a batch is generated.

    - `start`: (batch,), the slot of each row's first token.
    - `steps`: tokens of a row, its prompt included, that are run through the model at most.
    - `stops`: (any number,), ids after which a row ends.
    - `how`: how tokens are chosen.
    """

    start: Array
    steps: Array
    stops: Array
    how: Prepared


@register_dataclass
@dataclass(frozen=True)
class State:
    """A batch in the middle of generation.

    - `token`: (batch,), the last one of each row, which waits to be run; `slot`: its place,
      behind all that have been.
    - `random`: (batch, 2), the generators. `alive`: (batch,), which rows have not ended.
    - `seen`: (batch, vocab), for the repetition penalty; None if there is none.
    """

    cache: Cache
    token: Array
    slot: Array
    random: Array
    alive: Array
    seen: Array | None


@partial(jax.jit, static_argnames=("config", "slots"))
def begin(
    params: Params,
    config: LlamaConfig,
    tokens: Array,
    length: Array,
    random: Array,
    seen: Array | None,
    fixed: Fixed,
    slots: int,
) -> State:
    """Runs the prompts and chooses the first token of each row.

    **Arguments:** `tokens`: (batch, t) with padding on both sides; `length`: the slot after
    the last one that is no padding. `slots`: room for all tokens to come.
    """
    cache = empty_cache(config, tokens.shape[0], tokens.shape[1])
    x, cache = forward(params, config, tokens, fixed.start, cache)
    last = lax.dynamic_index_in_dim(x, length - 1, axis=1, keepdims=False)
    alive = jnp.ones(tokens.shape[0], bool)
    state = State(cache.grow(slots), tokens[:, 0], length - 1, random, alive, seen)
    return _choose(state, logits(params, last), fixed)


@partial(jax.jit, static_argnames=("config",), donate_argnames=("state",))
def advance(
    params: Params, config: LlamaConfig, state: State, count: Array, fixed: Fixed
) -> tuple[State, Array]:
    """Generates up to `count` tokens of each row that is alive, at most `CHUNK`.

    **Returns:** the state, and (batch, CHUNK) ids, `NOTHING` where there is none.
    """

    def goes_on(carry: tuple[State, Array, Array]) -> Array:
        state, _, i = carry
        return (i < count) & state.alive.any()

    def step(carry: tuple[State, Array, Array]) -> tuple[State, Array, Array]:
        state, found, i = carry
        tokens = jnp.maximum(state.token, 0)[:, None]
        x, cache = forward(params, config, tokens, fixed.start, state.cache, state.slot)
        after = _choose(replace(state, cache=cache), logits(params, x[:, 0]), fixed)
        ids = jnp.where(state.alive, after.token, NOTHING)
        return after, lax.dynamic_update_slice(found, ids[:, None], (0, i)), i + 1

    found = jnp.full((state.token.shape[0], CHUNK), NOTHING, jnp.int32)
    state, found, _ = lax.while_loop(goes_on, step, (state, found, jnp.int32(0)))
    return state, found


@partial(jax.jit, static_argnames=("config",), donate_argnames=("state",))
def extend(
    params: Params, config: LlamaConfig, state: State, tokens: Array, count: Array, fixed: Fixed
) -> tuple[State, Array]:
    """Runs given tokens from `state.slot` on, and samples behind each of them, as chat does.

    **Arguments:** `tokens`: (1, t), of which the first `count` count; the rest is padding.
    **Returns:** the state, whose token is the last one sampled, and all that were: (t,).
    """
    x, cache = forward(params, config, tokens, fixed.start, state.cache, state.slot)
    scores = logits(params, x[0])
    begun = replace(state, cache=cache, alive=jnp.ones(1, bool))

    def one(i: Array, carry: tuple[State, Array]) -> tuple[State, Array]:
        state, found = carry
        if state.seen is not None:
            state = replace(state, seen=state.seen.at[0, tokens[0, i]].set(True))
        state = _choose(replace(state, alive=jnp.ones(1, bool)), scores[i][None], fixed)
        return state, found.at[i].set(state.token[0])

    found = jnp.full(tokens.shape[1], NOTHING, jnp.int32)
    return lax.fori_loop(0, count, one, (begun, found))


def _choose(state: State, scores: Array, fixed: Fixed) -> State:
    """Chooses the token after that at `state.slot`, and says which rows go on behind it."""
    token, random = _sample_rows(scores, state.random, state.seen, fixed.how)
    seen = state.seen
    if seen is not None:
        seen = seen.at[jnp.arange(len(token)), token].set(True, mode="drop")
    stopped = (token[:, None] == fixed.stops).any(axis=1) | (token == NO_TOKEN)
    room = state.slot + 1 - fixed.start < fixed.steps
    return State(
        state.cache, token, state.slot + 1, random, state.alive & room & ~stopped, seen
    )


@jax.jit
def choose_tokens(
    scores: Array, random: Array, seen: Array | None, how: Prepared
) -> tuple[Array, Array]:
    """The next token of each row, for scores that were computed elsewhere."""
    return _sample_rows(scores, random, seen, how)


def _sample_rows(
    scores: Array, random: Array, seen: Array | None, how: Prepared
) -> tuple[Array, Array]:
    if len(scores) == 1:
        token, after = sample(scores[0], random[0], how, None if seen is None else seen[0])
        return token[None], after[None]

    def one(row: tuple[Array, Array, Array | None]) -> tuple[Array, Array]:
        return sample(row[0], row[1], how, row[2])

    # Row after row: under vmap, both sides of every condition in `sample` would be computed.
    return lax.map(one, (scores, random, seen))
