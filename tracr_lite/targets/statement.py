"""What is exact in a stock model, in words."""

from __future__ import annotations

from tracr_lite.targets.lower import Lowered
from tracr_lite.targets.traits import Traits


def statement(lowered: Lowered, name: str, traits: Traits, positions: int) -> str:
    """The exactness statement of a model."""
    dtype, output = traits.dtype, lowered.output
    if output.number is not None:
        what = f"its output is a number, to {output.number.relative:.1g} relative, "
        what += "or nearer to the right one than to any other that it can be"
    else:
        what = _logits(name, traits, output.form.error if output.form else 0.0)
    return f"In {dtype}, for every input of at most {positions - 1} tokens after BOS, {what}."


def _logits(name: str, traits: Traits, error: float) -> str:
    if name == "gpt2":  # LayerNorm rounds
        return "the logit of the right output is the greatest: about 64, all others about 0"
    cold = "exactly 0.0" if traits.mode == "wide" else "below 1e-9"
    if traits.mode == "bounded":
        error = max(error, 1e-6)
    hot = "exactly 64.0" if error == 0 else f"64.0 to {error:.1g} relative"
    return f"the logit of the right output is {hot}, all others are {cold}"
