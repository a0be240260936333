"""From a RASP program to a stock checkpoint: all stages, in order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from tracr_lite.compiler.compiling import COMPILER_BOS, COMPILER_PAD, lengths_of
from tracr_lite.compiler.graph import Graph
from tracr_lite.compiler.inputs import check_request
from tracr_lite.compiler.lowering.lower import Writers
from tracr_lite.compiler.tracing import trace
from tracr_lite.compiler.values.infer import infer
from tracr_lite.craft.bases import BasisDirection
from tracr_lite.craft.conventions import TOKENS
from tracr_lite.errors import CompileError
from tracr_lite.rasp import rasp
from tracr_lite.targets import heads, tables
from tracr_lite.targets.architecture import Architecture
from tracr_lite.targets.assembling import Plan, Request, assemble, plan
from tracr_lite.targets.causality import check_causal
from tracr_lite.targets.gpt2 import RECENT as GPT2_RECENT
from tracr_lite.targets.gpt2 import TRAITS as GPT2
from tracr_lite.targets.gpt2 import GPT2Architecture
from tracr_lite.targets.largest import with_largest
from tracr_lite.targets.llama import RECENT as LLAMA_RECENT
from tracr_lite.targets.llama import TRAITS as LLAMA
from tracr_lite.targets.llama import LlamaArchitecture
from tracr_lite.targets.lower import Lowered, lower
from tracr_lite.targets.one_mean import with_one_mean
from tracr_lite.targets.rope import THETA
from tracr_lite.targets.stock_model import StockModel
from tracr_lite.targets.traits import Dtype, Indices, Mode, Traits, check_choices

WRITERS = Writers(tables.write_one_hot, tables.write_number, tables.clean_one_hot, heads.write)
NO_END = object()
FAMILIAR = 1e6  # rope_theta up to which heads find the latest key by angles


def compile_rasp_to_llama(
    program: rasp.SOp,
    vocab: Iterable[Any],
    max_seq_len: int,
    *,
    causal: bool = False,
    end: Any = NO_END,
    dtype: Dtype = "float32",
    mode: Mode = "wide",
    indices: Indices = "counts",
    queries_per_key: int = 1,
    rope_theta: float = THETA,
) -> StockModel:
    """Compiles `program` into the weights of an unmodified Llama.

    For every input `xs` of 1 to `max_seq_len` tokens of `vocab` on which the evaluator does not
    raise, `model.decode(logits)` of BOS and `xs`, without the first row, is `program(xs)`.

    **Arguments:**
    - `causal`: the reference is `causal_eval.evaluate`, where selectors see earlier tokens
      only. Without it, a program that could read ahead is refused.
    - `end`: the output that ends a generated text; its token is BOS, at which run.c stops.
    - `dtype`: of the runtime; what bfloat16 cannot tell apart is refused.
    - `mode`: "bounded" keeps gates above -88, where run.c built with -Ofast has no NaN yet; it
      takes a sublayer more for every number decoded.
    - `indices`: "rope" reads positions off rotary angles, with more heads; "counts" counts,
      which in bfloat16 is right up to 127 tokens.
    - `queries_per_key`: query heads that share a key head (grouped queries).
    - `rope_theta`: base of the rotary frequencies; selectors need slow pairs, of which a
      greater one has more, but run.c knows 10000 only.

    **Raises:** `CompileError` listing every problem found, where, and what to write instead.
    Source: Touvron et al. 2023, arXiv:2307.09288.
    """
    group, theta = queries_per_key, rope_theta
    check_choices(dtype=dtype, mode=mode, indices=indices, group=group, theta=theta)
    target = LlamaArchitecture(theta, group, _traits(dtype, mode, indices, theta))
    options = {"mode": mode, "indices": indices, "queries_per_key": group, "rope_theta": theta}
    return _compile(program, vocab, max_seq_len, (causal, end, options), target)


def _traits(dtype: Dtype, mode: Mode, indices: Indices, theta: float) -> Traits:
    recent = LLAMA_RECENT[dtype] if theta <= FAMILIAR else 0  # greater ones turn no slow pair
    return replace(LLAMA, dtype=dtype, mode=mode, indices=indices, recent=recent)


def compile_rasp_to_gpt2(
    program: rasp.SOp,
    vocab: Iterable[Any],
    max_seq_len: int,
    *,
    causal: bool = False,
    end: Any = NO_END,
    dtype: Dtype = "float32",
    mode: Mode = "wide",
) -> StockModel:
    """Compiles `program` into the weights of an unmodified GPT-2.

    As `compile_rasp_to_llama`, whose arguments and errors it shares; logits are right to about
    1e-6, as LayerNorm rounds where RMSNorm does not. Both modes are the same here, as GELU
    overflows nowhere.
    Source: Radford et al. 2019; Weiss et al. 2021, arXiv:2106.06981.
    """
    check_choices(dtype=dtype, mode=mode, indices="counts")
    noise = GPT2.noise if dtype == "float32" else 2.0**-8
    target = GPT2Architecture(
        traits=replace(GPT2, dtype=dtype, noise=noise, recent=GPT2_RECENT[dtype])
    )
    return _compile(program, vocab, max_seq_len, (causal, end, {"mode": mode}), target)


def _compile(
    program: rasp.SOp,
    vocab: Iterable[Any],
    max_seq_len: int,
    asked: tuple[bool, Any, dict[str, Any]],
    target: Architecture,
) -> StockModel:
    """The pipeline, for any architecture; `asked`: causal, the end, and further options."""
    causal, end, options = asked
    tokens, size = check_request(vocab, max_seq_len, COMPILER_BOS, COMPILER_PAD)
    graph = trace(program)
    if not causal:
        check_causal(infer(graph, tokens, lengths_of(graph, size), causal=False))
    graph = with_one_mean(graph, tokens, size)
    ends = end is not NO_END
    request = Request(
        program, tuple(tokens), size, causal, end if ends else None, ends, options
    )
    try:
        lowered, planned = _planned(graph, request, target)
    except CompileError as error:
        if error.stage not in ("infer", "lower", "place"):
            raise
        raise with_largest(error, size, lambda n: _fits(graph, request, target, n)) from error
    return assemble(lowered, request, target, planned)


def _planned(graph: Graph, request: Request, target: Architecture) -> tuple[Lowered, Plan]:
    lengths = lengths_of(graph, request.max_seq_len)
    values = infer(graph, list(request.tokens), lengths, causal=True)
    bos = BasisDirection(TOKENS, COMPILER_BOS)
    lowered = lower(values, bos, target.traits, WRITERS)
    return lowered, plan(lowered, request, target)


def _fits(graph: Graph, request: Request, target: Architecture, size: int) -> bool:
    """Whether the program can be compiled for inputs of at most `size` tokens."""
    try:
        _planned(graph, replace(request, max_seq_len=size), target)
    except CompileError:
        return False
    return True
