"""Which inputs a comparison tries, from what was asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

from tracr_lite.compiler.assembled import AssembledTransformerModel
from tracr_lite.compiler.fitting import misfit
from tracr_lite.transformer.encoder import CategoricalEncoder
from tracr_lite.verifying.errors import VerifyError
from tracr_lite.verifying.inputs import GIVEN, Drawn, Space
from tracr_lite.verifying.judging import plain


@dataclass(frozen=True)
class Choice:
    """`drawn`: `total` inputs of `space`, which are all of it if `exhaustive`."""

    space: Space
    exhaustive: bool
    drawn: Iterator[Drawn]
    total: int


def choose(
    model: AssembledTransformerModel,
    own: bool,
    budget: int,
    samples: int | None,
    seed: int,
    lengths: Iterable[int] | None,
) -> Choice:
    """All inputs of a model, or a sample.

    **Arguments:** `own`: whether the program is the compiled one, so that lengths on which its
    constants raise are left out. Others as in `verify`.
    **Raises:** `VerifyError` if the arguments make no sense, or inputs cannot be listed.
    """
    require("budget", budget, 0)
    require("samples", 1 if samples is None else samples, 1)
    vocab = _vocabulary(model)
    if vocab is None:
        raise VerifyError("this model has no list of tokens to draw from; give it `inputs`")
    space = Space(vocab, _lengths(model, own, lengths))
    if space.size <= budget:
        return Choice(space, True, space.every(), space.size)
    count = min(samples or space.default_samples, space.size)
    return Choice(space, count == space.size, space.sampled(count, seed), count)


def chosen(model: AssembledTransformerModel, inputs: Iterable[Sequence[Any]]) -> Choice:
    """The inputs given.

    **Raises:** `VerifyError` if they are no sequences, or none.
    """
    given = _sequences(inputs)
    vocab = _vocabulary(model)
    if vocab is None:
        different: dict[Any, Any] = {(type(x), x): x for xs in given for x in xs}
        vocab = tuple(different.values())
    space = Space(vocab, tuple(sorted({len(xs) for xs in given})))
    return Choice(space, False, ((GIVEN, xs) for xs in given), len(given))


def require_model(model: object) -> None:
    """**Raises:** `VerifyError` unless it is a compiled model with parameters of its shape."""
    if not isinstance(model, AssembledTransformerModel):
        raise VerifyError(
            f"the first argument is a compiled model; got {type(model).__name__} {model!r}"
        )
    if model.shape is not None and (why := misfit(model.params, model.shape)):
        raise VerifyError(f"this model cannot be run: {why}")


def require(name: str, value: object, least: int) -> None:
    """**Raises:** `VerifyError` unless `value` is a whole number, `least` or more."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise VerifyError(f"{name} must be a whole number, {least} or more; got {value!r}")


def _sequences(inputs: Iterable[Sequence[Any]]) -> list[list[Any]]:
    if isinstance(inputs, str):
        raise VerifyError(
            f"inputs are sequences of tokens; got the text {inputs!r}, so [{inputs!r}]?"
        )
    try:
        given = [[plain(x) for x in xs] for xs in inputs]
    except TypeError as error:
        raise VerifyError(
            f"inputs are sequences of tokens, such as [['a', 'b'], ['a']]: {error}"
        ) from error
    if not given:
        raise VerifyError("there are no inputs to try")
    return given


def _vocabulary(model: AssembledTransformerModel) -> tuple[Any, ...] | None:
    """All tokens that an input may have; None if the encoder has no list of them."""
    encoder = model.input_encoder
    if not isinstance(encoder, CategoricalEncoder):
        return None
    special = {encoder.bos_token, encoder.pad_token} - {None}
    values = (direction.value for direction in encoder.basis)
    return tuple(v for v in values if not (isinstance(v, str) and v in special))


def _lengths(
    model: AssembledTransformerModel, own: bool, asked: Iterable[int] | None
) -> tuple[int, ...]:
    limit = getattr(model.input_encoder, "max_seq_len", None)
    if limit is None:
        limit = int(model.params["pos_embed"]["embeddings"].shape[0]) - 1
    if asked is None:
        if own and model.trace is not None:
            return tuple(int(n) for n in model.trace.values.keys.lengths)
        return tuple(range(1, cast(int, limit) + 1))
    try:
        found = sorted(set(asked))
    except TypeError as error:
        raise VerifyError(f"lengths are whole numbers, such as [1, 2, 8]: {error}") from error
    for n in found:
        require("a length", n, 1)
        if n > limit:
            raise VerifyError(f"the length {n} is more than the model takes, {limit} tokens")
    if not found:
        raise VerifyError("there are no lengths to try")
    return tuple(found)
