"""The choice of `sampler.Sampler` as pure functions of arrays, for use inside compiled loops.

    state, how = random_state(seed), prepare(settings)
    token, state = sample(logits, state, how)     # also under jit, vmap, scan, while_loop

`how` is an argument like any array: other numbers of the same kind need no new compilation.

The tokens are those of `Sampler`, because every step is: the generator works on two halves of
32 bits (no 64-bit mode is needed), `exp_of_minus` is the same function, sums run in the same
order, and ties are broken alike. Two conditions remain: the machine must divide float32
correctly rounded, and it must not flush what matters to zero. CPUs divide so. A machine that
flushes numbers below 1.2e-38 skips tokens of such a probability when the number drawn is 0
exactly, once in 2**24 draws.

Sums from left to right cannot be shared among threads. Where that is too slow, as on GPUs, and
the tokens need not be those of run.c, `in_order=False` lets XLA choose the order. Then a token
differs when the number drawn falls within the rounding error of a boundary: on the CPU once in
a hundred draws among 512 to 32000 random logits, more rarely where few tokens are likely.
"""

# JAX leaves parts of its own signatures without types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

from dataclasses import dataclass, field

import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.tree_util import register_dataclass
from jaxtyping import Bool, Float, Int, UInt32

from tracr_lite.llama.errors import LlamaError
from tracr_lite.llama.sampler_exp import exp_of_minus
from tracr_lite.llama.sampler_rng import MULTIPLIER, Xorshift
from tracr_lite.llama.sampler_settings import SamplerSettings

NO_TOKEN = -1  # what `sample` answers where `Sampler` would raise
FIRST = 1024  # so many of the most likely tokens are tried before all are sorted

Numbers = Float[Array, " vocab"]  # float32
State = UInt32[Array, "2"]  # the upper and the lower half of the state


@register_dataclass
@dataclass(frozen=True)
class Prepared:
    """`SamplerSettings` for compiled code: the numbers are arrays, the kind is fixed."""

    temperature: Float[Array, ""]
    top_p: Float[Array, ""]
    penalty: Float[Array, ""]
    greedy: bool = field(metadata={"static": True})
    uses_top_p: bool = field(metadata={"static": True})
    uses_penalty: bool = field(metadata={"static": True})
    top_k: int | None = field(metadata={"static": True})


def prepare(settings: SamplerSettings) -> Prepared:
    """The settings as an argument of compiled functions."""
    penalty = settings.repetition_penalty
    return Prepared(
        jnp.float32(settings.temperature),
        jnp.float32(settings.top_p),
        jnp.float32(1.0 if penalty is None else penalty),
        settings.greedy,
        settings.uses_top_p,
        penalty is not None,
        settings.top_k,
    )


def random_state(seed: int) -> State:
    """The generator at `seed`. **Raises:** `LlamaError` as `Xorshift` does."""
    state = Xorshift(seed).state
    return jnp.array([state >> 32, state & 0xFFFFFFFF], jnp.uint32)


def state_number(state: State) -> int:
    """The state as one number, to go on with a `Sampler`."""
    high, low = np.asarray(state).tolist()
    return high << 32 | low


def draw(state: State) -> tuple[Float[Array, ""], State]:
    """The next number in [0, 1), and the state after it."""
    high, low = state[0], state[1]
    low, high = low ^ (low >> 12 | high << 20), high ^ high >> 12
    high, low = high ^ (high << 25 | low >> 7), low ^ low << 25
    low, high = low ^ (low >> 27 | high << 5), high ^ high >> 27
    m_high, m_low = jnp.uint32(MULTIPLIER >> 32), jnp.uint32(MULTIPLIER & 0xFFFFFFFF)
    bits = _high_half(low, m_low) + high * m_low + low * m_high
    coin = (bits >> 8).astype(jnp.float32) * jnp.float32(2**-24)
    return coin, jnp.stack([high, low])


def sample(
    logits: Numbers,
    state: State,
    how: Prepared,
    seen: Bool[Array, " vocab"] | None = None,
    *,
    in_order: bool = True,
) -> tuple[Int[Array, ""], State]:
    """The next token and the next state.

    **Arguments:**
    - `logits`: (vocab,), used as float32. `state`: from `random_state`.
    - `how`: from `prepare`.
    - `seen`: which tokens the repetition penalty holds against; needed if there is one.
    - `in_order`: whether sums run from left to right as in run.c.

    **Returns:** an int32, `NO_TOKEN` if a logit is NaN or there are no probabilities; and the
    state, which moves on by one draw, or stays when greedy.
    **Raises:** `LlamaError` when `seen` is missing.
    """
    values = logits.astype(jnp.float32)
    broken = jnp.isnan(values).any()
    if how.uses_penalty:
        if seen is None:
            raise LlamaError("a repetition penalty needs `seen`, a mask over the vocabulary")
        values = _penalized(values, seen, how.penalty)
    if how.greedy:
        return _checked(_first_largest(values), broken), state
    values = _divided(values, how.temperature)
    broken |= ~jnp.isfinite(values.max())
    probabilities = _softmax(_top_k(values, how.top_k), in_order)
    coin, state = draw(state)
    if how.uses_top_p:
        token = _choose_top_p(probabilities, how.top_p, coin, in_order)
    else:
        below = coin < _running_sums(probabilities, in_order)
        token = jnp.where(below.any(), jnp.argmax(below), len(probabilities) - 1)
    return _checked(token, broken), state


def _checked(token: Int[Array, ""], broken: Bool[Array, ""]) -> Int[Array, ""]:
    return jnp.where(broken, NO_TOKEN, token).astype(jnp.int32)


def _first_largest(values: Numbers) -> Int[Array, ""]:
    """As `argmax`, which XLA computes one number at a time on CPUs; any number for NaNs."""
    ids = jnp.arange(len(values), dtype=jnp.int32)
    return jnp.where(values == values.max(), ids, len(values)).min()


def _divided(values: Numbers, divisor: Float[Array, ""]) -> Numbers:
    """`values / divisor`, correctly rounded.

    XLA would divide 1 by a scalar and multiply by that, with other last bits; so the divisor is
    made an array behind a barrier, where XLA cannot see that its elements are equal.
    """
    return values / lax.optimization_barrier(jnp.broadcast_to(divisor, values.shape))


def _high_half(a: Array, b: Array) -> Array:
    """The upper 32 of the 64 bits of a product of uint32."""
    a1, a0, b1, b0 = a >> 16, a & 0xFFFF, b >> 16, b & 0xFFFF
    middle = (a0 * b0 >> 16) + (a1 * b0 & 0xFFFF) + (a0 * b1 & 0xFFFF)
    return a1 * b1 + (a1 * b0 >> 16) + (a0 * b1 >> 16) + (middle >> 16)


def _penalized(
    values: Numbers, seen: Bool[Array, " vocab"], penalty: Float[Array, ""]
) -> Numbers:
    changed = jnp.where(values > 0, _divided(values, penalty), values * penalty)
    return jnp.where(seen, changed, values)


def _top_k(values: Numbers, k: int | None) -> Numbers:
    if k is None or k >= len(values):
        return values
    values = jnp.where(values == 0, 0.0, values)  # `lax.top_k` puts 0.0 above -0.0
    kept, ids = lax.top_k(values, k)  # of equals the lower id comes first
    return jnp.full_like(values, -jnp.inf).at[ids].set(kept)


def _softmax(values: Numbers, in_order: bool) -> Numbers:
    powers: Array = exp_of_minus(jnp, values.max() - values)
    return _divided(powers, _running_sums(powers, in_order)[-1])


def _running_sums(values: Numbers, in_order: bool) -> Numbers:
    if not in_order:
        return jnp.cumsum(values)

    def add(total: Array, value: Array) -> tuple[Array, Array]:
        return total + value, total + value

    return lax.scan(add, jnp.zeros((), values.dtype), values, unroll=8)[1]


def _choose_top_p(
    probabilities: Numbers, top_p: Float[Array, ""], coin: Float[Array, ""], in_order: bool
) -> Int[Array, ""]:
    """As `sampler.choose_top_p`; sorts all tokens only where the first ones do not suffice."""
    size = len(probabilities)
    cutoff = _divided(1 - top_p, jnp.float32(max(size - 1, 1)))
    kept = jnp.where(probabilities >= cutoff, probabilities, 0.0)
    count = (kept > 0).sum()

    def among(number: int) -> tuple[Int[Array, ""], Bool[Array, ""]]:
        """The choice among the `number` most likely; whether the others cannot matter."""
        values, ids = lax.top_k(kept, number)
        sums = _running_sums(values, in_order)  # zeros at the end change nothing
        above = sums > top_p
        last = jnp.where(above.any(), jnp.argmax(above), count - 1)
        below = coin * sums[last] < sums
        place = jnp.where(below.any(), jnp.minimum(jnp.argmax(below), last), last)
        return ids[place], above.any() | (count <= number)

    def all_of_them() -> Int[Array, ""]:
        return among(size)[0]

    if size <= FIRST:
        token = all_of_them()
    else:
        first, enough = among(FIRST)
        token = lax.cond(enough, lambda: first, all_of_them)
    return jnp.where(count > 0, token, jnp.argmax(probabilities))
