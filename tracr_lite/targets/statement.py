"""What is exact in a stock model, in words."""

from __future__ import annotations

from tracr_lite.targets.lowering import Lowered


def llama_statement(lowered: Lowered, positions: int) -> str:
    """The exactness statement of a Llama in float32."""
    if lowered.output.number is not None:
        what = f"its output is a number, to {lowered.output.number.relative:.1g} relative"
    else:
        error = lowered.output.form.error if lowered.output.form else 0.0
        hot = "exactly 64.0" if error == 0 else f"64.0 to {error:.1g} relative"
        what = f"the logit of the right output is {hot}, all others are exactly 0.0"
    return f"In float32, for every input of at most {positions - 1} tokens after BOS, {what}."
