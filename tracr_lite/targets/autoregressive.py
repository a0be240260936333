"""Programs that write: the output at the last position is the next token, until it is END.

    generate(program, ["a", "b", "|"])  ->  Written(("a", "b"), ended=True)

The interpreter is the reference. What runs an exported model does the same, greedily, with its
own `generate`; there END is the id that ends a text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from tracr_lite.errors import TracrLiteError
from tracr_lite.rasp import causal_eval, rasp
from tracr_lite.rasp.rasp import Value

END = "END"
MOST = 256  # tokens

Outputs = Callable[[list[Value]], Sequence[Value]]  # of a sequence, one for each position


class GenerationError(TracrLiteError, ValueError):
    """A program cannot go on: what it says is no token, or the prompt is empty."""


@dataclass(frozen=True)
class Written:
    """What came of a prompt.

    **Arguments:** `tokens`: without the prompt and without END; `ended`: whether END came, and
    not the limit.
    """

    tokens: tuple[Value, ...]
    ended: bool


def generate(
    program: rasp.SOp | Outputs,
    prompt: Sequence[Value],
    *,
    end: Value = END,
    max_seq_len: int = MOST,
    vocab: Iterable[Value] = (),
) -> Written:
    """Continues a prompt, each time with the output at the last position.

    A whole number such as 2.0, a mean, becomes the token of `vocab` that equals it, or 2.

    **Arguments:**
    - `program`: an S-Op, evaluated with causal attention; or a function from tokens to
      outputs, which is how compiled models are asked.
    - `prompt`: at least one token.
    - `end`: the output that ends a text.
    - `max_seq_len`: the longest sequence that is read.
    - `vocab`: the tokens, where their types matter: models tell 1 from True.

    **Raises:** `GenerationError` if the prompt is empty or too long, or an output is None or a
    fraction; and what the program raises.
    """
    outputs = _interpreted(program) if isinstance(program, rasp.SOp) else program
    text, known = list(prompt), {each: each for each in vocab}
    if not 0 < len(text) <= max_seq_len:
        raise GenerationError(
            f"the prompt has {len(text)} tokens; from 1 to {max_seq_len} can be continued"
        )
    while len(text) <= max_seq_len:
        following = _token(outputs(text)[-1], known, len(text))
        if following == end and type(following) is type(end):
            return Written(tuple(text[len(prompt) :]), True)
        text.append(following)
    return Written(tuple(text[len(prompt) :]), False)


def _interpreted(program: rasp.SOp) -> Outputs:
    def outputs(tokens: list[Value]) -> Sequence[Value]:
        return cast(Sequence[Value], causal_eval.evaluate(program, tokens))  # an S-Op's

    return outputs


def _token(output: Value, known: Mapping[Value, Value], position: int) -> Value:
    if output in known:
        return known[output]
    if isinstance(output, float) and output.is_integer():
        return int(output)
    if output is None or isinstance(output, float):
        raise GenerationError(
            f"after {position} tokens the program says {output!r}, which is no token; a "
            "program that writes has a token or END at the last position"
        )
    return output
