"""Encoders and the directions of vector spaces, as JSON and back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, cast

from tracr_lite.compiler.saving.fields import Fields, plain, shown, text, value
from tracr_lite.craft.bases import BasisDirection
from tracr_lite.errors import SavedModelError
from tracr_lite.rasp.json_values import to_json
from tracr_lite.transformer.encoder import CategoricalEncoder, Encoder, NumericalEncoder

_CATEGORICAL = (
    "kind",
    "basis",
    "enforce_bos",
    "bos_token",
    "pad_token",
    "max_seq_len",
    "allow_pad",
    "exact_types",
)
_NUMERICAL = ("kind", "values", "tolerance")


def directions_to_json(basis: Sequence[Any]) -> list[Any]:
    """**Raises:** `SavedModelError` for objects of other classes than `BasisDirection`."""
    for direction in basis:
        if type(direction) is not BasisDirection:
            raise SavedModelError(
                f"a direction is of class {type(direction).__qualname__}; a file holds "
                "BasisDirection only"
            )
    return [[to_json(d.name), to_json(d.value)] for d in basis]


def directions_from_json(found: Sequence[object], where: str) -> list[BasisDirection]:
    """**Raises:** `SavedModelError` naming the direction that is wrong."""
    basis: list[BasisDirection] = []
    for i, each in enumerate(found):
        here = f"{where}[{i}]"
        pair = cast("list[Any]", each if isinstance(each, list) else [])
        if len(pair) != 2:
            told = shown(cast("object", each))
            raise SavedModelError(f"{here} is {told}; it must be a name and a value")
        basis.append(BasisDirection(text(pair[0], here), value(pair[1], here)))
    return basis


def encoder_to_json(encoder: Encoder | None) -> dict[str, Any] | None:
    """**Raises:** `SavedModelError` for an encoder of the user's own class."""
    if encoder is None:
        return None
    if type(encoder) is NumericalEncoder:
        limit = float(encoder.tolerance)
        return {
            "kind": "numerical",
            "values": [to_json(plain(number)) for number in encoder.values],
            "tolerance": None if math.isinf(limit) else limit,
        }
    if type(encoder) is CategoricalEncoder:
        return {
            "kind": "categorical",
            "basis": directions_to_json(encoder.basis),
            "enforce_bos": encoder.enforce_bos,
            "bos_token": to_json(encoder.bos_token),
            "pad_token": to_json(encoder.pad_token),
            "max_seq_len": plain(encoder.max_seq_len),
            "allow_pad": encoder.allow_pad,
            "exact_types": encoder.exact_types,
        }
    kind = type(encoder)
    raise SavedModelError(
        f"its encoder is of class {kind.__module__}.{kind.__qualname__}, which is code and so "
        "not stored; save the model with that encoder set to None, and set it after loading"
    )


def encoder_from_json(found: object, where: str) -> Encoder | None:
    """**Raises:** `SavedModelError` naming the entry that is wrong."""
    if found is None:
        return None
    fields = cast("dict[str, Any]", found if isinstance(found, dict) else {})
    if fields.get("kind") == "categorical":
        return _categorical(Fields(fields, where, _CATEGORICAL))
    if fields.get("kind") == "numerical":
        return _numerical(Fields(fields, where, _NUMERICAL))
    raise SavedModelError(
        f"{where} is {shown(cast('object', found))}; its kind must be categorical or numerical"
    )


def _categorical(entry: Fields) -> CategoricalEncoder:
    basis = directions_from_json(entry.items("basis"), entry.path("basis"))
    longest = None if entry.raw("max_seq_len") is None else entry.count("max_seq_len")
    try:
        return CategoricalEncoder(
            basis,
            enforce_bos=entry.flag("enforce_bos"),
            bos_token=entry.value("bos_token"),
            pad_token=entry.value("pad_token"),
            max_seq_len=longest,
            allow_pad=entry.flag("allow_pad"),
            exact_types=entry.flag("exact_types"),
        )
    except SavedModelError:
        raise
    except ValueError as error:
        raise SavedModelError(f"{entry.where}: {error}") from error


def _numerical(entry: Fields) -> NumericalEncoder:
    where = entry.path("values")
    known = [value(each, where) for each in entry.items("values")]
    limit = math.inf if entry.raw("tolerance") is None else entry.number("tolerance")
    try:
        return NumericalEncoder(known, limit)
    except OverflowError as error:
        raise SavedModelError(f"{where}: a number is past the range of a float") from error
    except ValueError as error:
        raise SavedModelError(f"{entry.where}: {error}") from error
