"""Certificates as JSON, and back: plain lists and numbers, checked field by field."""

from __future__ import annotations

import json
import math
from dataclasses import fields, is_dataclass
from typing import Any, cast

import numpy as np

from tracr_lite.certifying.certificate import Certificate, NodeBound
from tracr_lite.certifying.claims import (
    Claims,
    Head,
    Held,
    Literal,
    Output,
    Sum,
    Table,
    Value,
)
from tracr_lite.certifying.errors import CertifyError

FORMAT = "tracr_lite certificate 1"
IDENTITY = "one-hot"


def to_json(certificate: Certificate) -> str:
    """One object: format, dtype, whether it holds, bounds by node, and the claims."""
    return json.dumps(
        {
            "format": FORMAT,
            "dtype": certificate.dtype,
            "holds": certificate.holds,
            "problems": [list(each) for each in certificate.problems],
            "nodes": [_plain(node) for node in certificate.nodes],
            "claims": _plain(certificate.claims),
        }
    )


def _plain(value: Any) -> Any:
    if isinstance(value, Held):
        found = {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
        if value.one_hot:
            found["states"] = IDENTITY
        return found
    if is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, np.ndarray):
        array = cast(np.ndarray, value)
        data = [_plain(x) for x in array.ravel().tolist()]
        return {"shape": list(array.shape), "data": data}
    if isinstance(value, tuple):
        return [_plain(each) for each in cast(tuple[Any, ...], value)]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # JSON has no infinity
    return value


def from_json(text: str) -> Certificate:
    """**Raises:** `CertifyError` if the text is no certificate of this format."""
    try:
        raw = json.loads(text)
        if not isinstance(raw, dict) or cast(Any, raw).get("format") != FORMAT:
            raise CertifyError(f"this is no certificate: it does not begin with {FORMAT!r}")
        record = cast(dict[str, Any], raw)
        return Certificate(
            str(record["dtype"]),
            _claims(record["claims"]),
            tuple(_node(each) for each in record["nodes"]),
            _pairs(record["problems"]),
        )
    except CertifyError:
        raise
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise CertifyError(
            f"this certificate is damaged: {type(error).__name__} {error}"
        ) from error


def _node(raw: dict[str, Any]) -> NodeBound:
    error, tolerance, margin = (float(raw[name]) for name in ("error", "tolerance", "margin"))
    return NodeBound(str(raw["name"]), error, tolerance, margin, str(raw["reason"]))


def _pairs(raw: Any) -> tuple[tuple[str, str], ...]:
    return tuple((str(name), str(reason)) for name, reason in raw)


def _whole(raw: Any) -> np.ndarray:
    """An array of whole numbers."""
    found = np.array(raw["data"], float).reshape(raw["shape"])
    if not (np.isfinite(found).all() and (found == np.rint(found)).all()):
        raise ValueError("an array of whole numbers holds others")
    return found.astype(np.int64)


def _floats(raw: Any) -> np.ndarray:
    found = np.array([float(x) for x in raw["data"]], float).reshape(raw["shape"])
    if not np.isfinite(found).all():
        raise ValueError("an array holds numbers that are not finite")
    return found


def _held(raw: dict[str, Any]) -> Held:
    columns = _whole(raw["columns"])
    states = raw["states"]
    half = raw["half"]
    if half not in ("embeddings", "attention", "mlp"):
        raise ValueError(f"there is no half-layer {half!r}")
    return Held(
        str(raw["name"]),
        columns,
        np.eye(len(columns)) if states == IDENTITY else _floats(states),
        _floats(raw["at_bos"]),
        int(raw["layer"]),
        half,
        bool(raw["one_hot"]),
        int(raw["numbers"]),
        bool(raw["listed"]),
    )


def _sum(raw: dict[str, Any]) -> Sum:
    factors = tuple(_floats(each) for each in raw["factors"])
    return Sum(str(raw["name"]), tuple(map(str, raw["parts"])), factors, _floats(raw["states"]))


def _table(raw: dict[str, Any]) -> Table:
    leaves = tuple(map(str, raw["leaves"]))
    return Table(str(raw["writes"]), leaves, _whole(raw["rows"]), _whole(raw["output"]))


def _head(raw: dict[str, Any]) -> Head:
    literals = tuple(
        Literal(str(each["keys"]), str(each["queries"]), _whole(each["truth"]).astype(np.int8))
        for each in raw["literals"]
    )
    values = tuple(Value(str(each["source"]), _floats(each["rows"])) for each in raw["values"])
    return Head(
        str(raw["writes"]),
        int(raw["head"]),
        literals,
        bool(raw["counts_bos"]),
        int(raw["low"]),
        int(raw["high"]),
        values,
        bool(raw["copies"]),
        int(raw["default"]),
    )


def _output(raw: dict[str, Any]) -> Output:
    return Output(
        str(raw["node"]),
        _whole(raw["columns"]),
        bool(raw["categorical"]),
        _floats(raw["known"]),
        float(raw["tolerance"]),
    )


def _claims(raw: dict[str, Any]) -> Claims:
    return Claims(
        int(raw["max_seq_len"]),
        bool(raw["causal"]),
        _whole(raw["token_rows"]),
        _whole(raw["position_rows"]),
        int(raw["bos_row"]),
        int(raw["pad_row"]),
        tuple(_held(each) for each in raw["held"]),
        tuple(_sum(each) for each in raw["sums"]),
        tuple(_table(each) for each in raw["tables"]),
        tuple(_head(each) for each in raw["heads"]),
        _output(raw["output"]),
        _pairs(raw["open"]),
    )
