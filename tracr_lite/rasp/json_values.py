"""RASP values in JSON and back, with their types: 1, 1.0 and True stay three values.

JSON has no tuples, its readers may round large integers, and it joins what looks like one
character in two halves; such values are written as an object with one key:

    (0, "a")             {"tuple": [0, "a"]}
    2 ** 60              {"int": "0x1000000000000000"}
    "\\ud83d\\ude00"       {"codes": [55357, 56832]}     a string with surrogates

All other values are written as themselves, and every value in one way only.
"""

from __future__ import annotations

import math
import re
import reprlib
from typing import Any, cast

DEEPEST = 100  # levels of tuples in tuples
EXACT = 2**53  # up to here, a reader that has only doubles reads an integer rightly
_HEX = re.compile(r"-?0x[1-9a-f][0-9a-f]*")
_SURROGATE = re.compile("[\ud800-\udfff]")
_LAST_CODE = 0x10FFFF


def to_json(value: Any) -> Any:
    """A value as `json.dumps` takes it.

    **Raises:** `ValueError` unless it is None, a bool, an int, a finite float, a str, or a
    tuple of such; or if tuples are nested more than 100 deep.
    """
    return _to_json(value, 0)


def from_json(found: Any) -> Any:
    """The value that `to_json` made this of. **Raises:** `ValueError` if there is none."""
    return _from_json(found, 0)


def _to_json(value: Any, depth: int) -> Any:
    kind = cast("type[Any]", type(value))
    if value is None or kind is bool:
        return value
    if kind is str:
        if _SURROGATE.search(value):
            return {"codes": [ord(character) for character in value]}
        return value
    if kind is int:
        return value if -EXACT < value < EXACT else {"int": hex(value)}
    if kind is float:
        if math.isfinite(value):
            return value
        raise ValueError(f"{value!r} is not finite")
    if kind is tuple:
        _check_depth(depth)
        return {"tuple": [_to_json(item, depth + 1) for item in value]}
    raise ValueError(
        f"{_shown(value)} of type {kind.__name__} is none of None, bool, int, float, str, tuple"
    )


def _from_json(found: Any, depth: int) -> Any:
    if isinstance(found, dict):
        fields = cast("dict[str, Any]", found)
        if len(fields) == 1:
            ((kind, inner),) = fields.items()
            if kind == "tuple":
                return _tuple(inner, depth)
            if kind in _MADE:
                return _MADE[kind](inner)
    elif not isinstance(found, list) and _to_json(found, depth) is found:
        return found
    raise ValueError(f"{_shown(found)} stands for no value")


def _check_depth(depth: int) -> None:
    if depth >= DEEPEST:
        raise ValueError(f"tuples are nested more than {DEEPEST} deep")


def _shown(value: Any) -> str:
    return reprlib.repr(value)  # short, also if the value is large or deep


def _tuple(inner: Any, depth: int) -> tuple[Any, ...]:
    if not isinstance(inner, list):
        raise ValueError(f"a tuple is written as a list; not as {_shown(inner)}")
    _check_depth(depth)
    return tuple(_from_json(item, depth + 1) for item in cast("list[Any]", inner))


def _integer(inner: Any) -> int:
    if isinstance(inner, str) and _HEX.fullmatch(inner):
        value = int(inner, 16)
        if abs(value) >= EXACT:
            return value
    raise ValueError(f"{_shown(inner)} is no large integer in hexadecimal digits")


def _string(inner: Any) -> str:
    codes = cast("list[Any]", inner) if isinstance(inner, list) else []
    if all(type(code) is int and 0 <= code <= _LAST_CODE for code in codes):
        value = "".join(map(chr, codes))
        if _SURROGATE.search(value):
            return value
    raise ValueError(f"{_shown(inner)} are no codes of characters with a surrogate among them")


_MADE = {"int": _integer, "codes": _string}
