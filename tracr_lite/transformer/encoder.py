"""Between the values of a program and what a model reads and writes.

Categorical values become ids, positions in a list of basis directions. Numbers stay numbers.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Any, Protocol, runtime_checkable

from tracr_lite.errors import InputError

Value = int | float | bool | str | tuple[Any, ...] | None


@runtime_checkable
class Direction(Protocol):
    """A basis direction, as far as an encoder needs to know it."""

    @property
    def value(self) -> Value:
        """What the direction stands for."""
        ...


class Encoder(ABC):
    """Encodes the input, or decodes the output, of a model."""

    @abstractmethod
    def encode(self, inputs: Iterable[Any]) -> list[Any]:
        """Values to what the model reads."""

    @abstractmethod
    def decode(self, encodings: Iterable[Any]) -> list[Any]:
        """What the model wrote to values."""

    @property
    def bos_token(self) -> str | None:
        """The token that starts every sequence, if there is one."""
        return None

    @property
    def pad_token(self) -> str | None:
        """The token that fills sequences up, if there is one."""
        return None

    @property
    def bos_encoding(self) -> int | None:
        """The id of `bos_token`."""
        return None

    @property
    def pad_encoding(self) -> int | None:
        """The id of `pad_token`."""
        return None


_PLAIN: set[type] = {bool, int, float}


class NumericalEncoder(Encoder):
    """Numbers, given back as the nearest value that is known to be possible, if any is known.

    **Arguments:**
    - `values`: finite numbers that the output can hold, in any order; none: nothing is snapped.
    - `tolerance`: a number further away than this from all of them is left as it is.

    **Raises:** `ValueError` for values that are not finite numbers, or a negative tolerance.
    """

    def __init__(self, values: Iterable[Any] | None = None, tolerance: float = math.inf):
        known = [] if values is None else list(values)
        kinds = set(map(type, known))
        for value in () if kinds <= _PLAIN and all(map(math.isfinite, known)) else known:
            if not isinstance(value, int | float) or not math.isfinite(value):
                raise ValueError(f"known values must be finite numbers; got {value!r}")
        if not tolerance >= 0:
            raise ValueError(f"tolerance must not be negative; got {tolerance}")
        self.values: tuple[int | float, ...] = tuple(sorted(dict.fromkeys(known)))
        self.tolerance = tolerance

    def encode(self, inputs: Iterable[Any]) -> list[Any]:
        return list(inputs)

    def decode(self, encodings: Iterable[Any]) -> list[Any]:
        """`encodings`: anything that `float` takes; NaN stands for `None`."""
        return [self._snap(float(number)) for number in encodings]

    def _snap(self, number: float) -> int | float | None:
        if math.isnan(number):
            return None
        above = bisect_left(self.values, number)
        neighbours = self.values[max(above - 1, 0) : above + 1]
        if not neighbours:
            return number
        nearest = min(neighbours, key=lambda value: abs(value - number))
        return nearest if abs(nearest - number) <= self.tolerance else number


class CategoricalEncoder(Encoder):
    """Values as their positions in a basis.

    **Arguments:**
    - `basis`: one direction per value, with distinct values; its order gives the ids.
    - `enforce_bos`: inputs must start with `bos_token`, and have it nowhere else.
    - `bos_token`, `pad_token`: values of the basis with a special role.
    - `max_seq_len`: limit on the number of input tokens, without BOS if that is enforced.
    - `exact_types`: a token must have the type of the value it equals, so 1 is not True.
    - `allow_pad`: inputs may contain `pad_token`; otherwise padding is left to the model.

    **Raises:** `ValueError` if two values are equal, or BOS or PAD is missing.
    """

    def __init__(
        self,
        basis: Sequence[Direction],
        enforce_bos: bool = False,
        bos_token: str | None = None,
        pad_token: str | None = None,
        max_seq_len: int | None = None,
        *,
        allow_pad: bool = False,
        exact_types: bool = False,
    ):
        self.basis = tuple(basis)
        self.encoding_map = {direction.value: i for i, direction in enumerate(self.basis)}
        if len(self.encoding_map) < len(self.basis):
            names = ", ".join(map(str, self.basis))
            raise ValueError(f"an encoder needs directions with distinct values; got {names}")
        if enforce_bos and bos_token is None:
            raise ValueError("enforce_bos needs a bos_token")
        for role, token in (("BOS", bos_token), ("PAD", pad_token)):
            if token is not None and token not in self.encoding_map:
                raise ValueError(f"the basis has no direction for the {role} token {token!r}")
        self.enforce_bos = enforce_bos
        self.max_seq_len = max_seq_len
        self.allow_pad = allow_pad
        self.exact_types = exact_types
        self._bos_token = bos_token
        self._pad_token = pad_token

    @property
    def vocab_size(self) -> int:
        """Number of ids, those of BOS and PAD included."""
        return len(self.basis)

    @property
    def bos_token(self) -> str | None:
        return self._bos_token

    @property
    def pad_token(self) -> str | None:
        return self._pad_token

    @property
    def bos_encoding(self) -> int | None:
        return None if self._bos_token is None else self.encoding_map[self._bos_token]

    @property
    def pad_encoding(self) -> int | None:
        return None if self._pad_token is None else self.encoding_map[self._pad_token]

    def encode(self, inputs: Iterable[Any]) -> list[int]:
        """Tokens to ids.

        **Raises:** `InputError` naming token, position and limit, if a token is unknown, BOS is
        missing or misplaced, PAD is given, or the sequence is too long.
        """
        tokens = list(inputs)
        if self.enforce_bos:
            self._check_bos(tokens)
        if self.max_seq_len is not None:
            length = len(tokens) - self.enforce_bos
            if length > self.max_seq_len:
                after = f" after {self._bos_token!r}" if self.enforce_bos else ""
                raise InputError(
                    f"the input has {length} tokens{after}, but the limit is max_seq_len = "
                    f"{self.max_seq_len}"
                )
        return [self._encode_token(token, position) for position, token in enumerate(tokens)]

    def _check_bos(self, tokens: list[Any]) -> None:
        wanted = f"it must start with {self._bos_token!r}"
        if not tokens:
            raise InputError(f"the input is empty; {wanted}")
        if not _is_token(tokens[0], self._bos_token):
            raise InputError(f"the input starts with {tokens[0]!r} at position 0; {wanted}")
        for position, token in enumerate(tokens[1:], start=1):
            if _is_token(token, self._bos_token):
                raise InputError(
                    f"{token!r} at position {position}: it may only be at position 0"
                )

    def _encode_token(self, token: Any, position: int) -> int:
        try:
            encoding = self.encoding_map.get(token)
        except TypeError as err:
            raise InputError(f"unhashable token {token!r} at position {position}") from err
        if encoding is None:
            special = (self._bos_token, self._pad_token)
            names = [repr(value) for value in self.encoding_map if value not in special]
            shown = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
            raise InputError(f"unknown token {token!r} at position {position}; known: {shown}")
        if self.exact_types:
            self._check_type(token, self.basis[encoding].value, position)
        if encoding == self.pad_encoding and not self.allow_pad:
            raise InputError(
                f"{token!r} at position {position}: leave it out, the model pads by itself"
            )
        return encoding

    @staticmethod
    def _check_type(token: Any, known: Value, position: int) -> None:
        """numpy's scalars count as the Python values that they hold."""
        plain = token.item() if hasattr(token, "item") else token
        if type(plain) is not type(known):
            raise InputError(
                f"{token!r} at position {position} equals the token {known!r}, but is of "
                "another type, which a program may tell apart; give the token itself"
            )

    def decode(self, encodings: Iterable[Any]) -> list[Value]:
        """Ids, ints of any kind, to the values of their directions.

        **Raises:** `InputError` for an id outside of 0..vocab_size-1.
        """
        return [self._decode_id(i, position) for position, i in enumerate(encodings)]

    def _decode_id(self, encoding: Any, position: int) -> Value:
        i = int(encoding)
        if i != encoding or not 0 <= i < self.vocab_size:
            raise InputError(
                f"no value has id {encoding} (position {position}); ids go from 0 to "
                f"{self.vocab_size - 1}"
            )
        return self.basis[i].value


def _is_token(token: Any, special: str | None) -> bool:
    """Whether a token is BOS; arrays and the like, which compare item by item, are not."""
    return isinstance(token, str) and token == special
