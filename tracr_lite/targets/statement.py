"""What is exact in a stock model, in words."""

from __future__ import annotations

from tracr_lite.targets.lower import Lowered


def statement(lowered: Lowered, name: str, positions: int) -> str:
    """The exactness statement of a model in float32."""
    if lowered.output.number is not None:
        what = f"its output is a number, to {lowered.output.number.relative:.1g} relative"
    else:
        error = lowered.output.form.error if lowered.output.form else 0.0
        hot = "exactly 64.0" if error == 0 else f"64.0 to {error:.1g} relative"
        what = f"the logit of the right output is {hot}, all others are exactly 0.0"
        if name == "gpt2":  # LayerNorm rounds
            what = "the logit of the right output is 64 to 1e-4, all others are 0 to 1e-4"
    return f"In float32, for every input of at most {positions - 1} tokens after BOS, {what}."
