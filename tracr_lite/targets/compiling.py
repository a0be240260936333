"""From a RASP program to a stock checkpoint: all stages, in order."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tracr_lite.compiler.compiling import COMPILER_BOS, COMPILER_PAD, lengths_of
from tracr_lite.compiler.inputs import check_request
from tracr_lite.compiler.lowering.lower import Writers
from tracr_lite.compiler.tracing import trace
from tracr_lite.compiler.values.infer import infer
from tracr_lite.craft.bases import BasisDirection
from tracr_lite.craft.conventions import TOKENS
from tracr_lite.rasp import rasp
from tracr_lite.targets import heads, tables
from tracr_lite.targets.assembling import Request, assemble_llama
from tracr_lite.targets.causality import check_causal
from tracr_lite.targets.lowering import lower
from tracr_lite.targets.rope import THETA
from tracr_lite.targets.stock_model import StockModel
from tracr_lite.targets.traits import Traits

WRITERS = Writers(tables.write_one_hot, tables.write_number, tables.clean_one_hot, heads.write)
NO_END = object()


def compile_rasp_to_llama(
    program: rasp.SOp,
    vocab: Iterable[Any],
    max_seq_len: int,
    *,
    causal: bool = False,
    end: Any = NO_END,
    queries_per_key: int = 1,
    rope_theta: float = THETA,
) -> StockModel:
    """Compiles `program` into the weights of an unmodified Llama.

    For every input `xs` of 1 to `max_seq_len` tokens of `vocab` on which the evaluator does not
    raise, `model.decode(logits)` of BOS and `xs`, without the first row, is `program(xs)`.

    **Arguments:**
    - `causal`: the reference is `causal_eval.evaluate`, where selectors see earlier tokens
      only. Without it, a program that could read ahead is refused.
    - `end`: the output value that ends a generated text: its token is BOS, at which run.c
      stops, and the end of `generate` in transformers.
    - `queries_per_key`: query heads that share a key head (grouped queries).
    - `rope_theta`: base of the rotary frequencies; a greater one has more slow pairs, which
      selectors need, but run.c knows 10000 only.

    **Raises:** `CompileError` listing every problem found, where, and what to write instead.
    Source: Touvron et al. 2023, arXiv:2307.09288; Weiss et al. 2021, arXiv:2106.06981.
    """
    tokens, size = check_request(vocab, max_seq_len, COMPILER_BOS, COMPILER_PAD)
    graph = trace(program)
    lengths = lengths_of(graph, size)
    if not causal:
        check_causal(infer(graph, tokens, lengths, causal=False))
    values = infer(graph, tokens, lengths, causal=True)
    traits = Traits("float32", positions=False, gated=True, relative=True)
    lowered = lower(values, BasisDirection(TOKENS, COMPILER_BOS), traits, WRITERS)
    ends = end is not NO_END
    request = Request(program, tuple(tokens), size, causal, end if ends else None, ends)
    return assemble_llama(lowered, request, queries_per_key, rope_theta)
