"""The random numbers of run.c: xorshift64* of Vigna 2016, arXiv:1402.6246."""

from __future__ import annotations

from tracr_lite.llama.errors import LlamaError
from tracr_lite.llama.sampler_settings import is_positive_integer

MULTIPLIER = 0x2545F4914F6CDD1D
MASK = (1 << 64) - 1


def step(state: int) -> int:
    """The state after `state`; both are 64 bits wide."""
    state ^= state >> 12
    state ^= state << 25 & MASK
    return state ^ state >> 27


class Xorshift:
    """The generator; `state` is all it knows, and may be stored and set again.

    **Raises:** `LlamaError` if the seed is 0, where the generator stands still, or does not fit
    in 64 bits.
    """

    def __init__(self, seed: int):
        if not is_positive_integer(seed) or int(seed) > MASK:
            raise LlamaError(
                f"the seed is {seed!r}; it must be an integer from 1 to 2**64 - 1. "
                "(run.c reads the clock when it is given 0; the generator itself stays at 0.)"
            )
        self.state = int(seed)

    def next_u32(self) -> int:
        """The next 32 random bits."""
        self.state = step(self.state)
        return (self.state * MULTIPLIER & MASK) >> 32

    def next_f32(self) -> float:
        """The next number in [0, 1), a multiple of 2**-24, so that float32 holds it exactly."""
        return (self.next_u32() >> 8) / 16777216


def run_c_seed(argument: int) -> int:
    """The seed that run.c makes of the number after `-s`: 32 bits, with the sign carried on.

    So -1 is 2**64 - 1, and 2**32 + 1 is 1. Its `atoi` stops at the ends of 64 bits, as that of
    glibc does: 2**63 and all above are -1, too. For 0 run.c takes the time; here 0 comes back,
    and the caller decides.
    """
    low = max(-(1 << 63), min(argument, (1 << 63) - 1)) & 0xFFFFFFFF
    return low if low < 1 << 31 else low | (MASK ^ 0xFFFFFFFF)
