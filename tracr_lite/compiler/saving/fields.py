"""Takes JSON apart that comes from outside, and says where it is not as it should be."""

from __future__ import annotations

import math
import os
import reprlib
from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from tracr_lite.errors import SavedModelError
from tracr_lite.rasp.json_values import from_json

LARGEST = 2**31 - 1  # no count in a model is larger
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 80
_LONGEST = 1000  # characters of a message


class Fields:
    """An object with exactly the given names.

    **Arguments:** `where`: the path to it, for messages; empty for all of the file.
    **Raises:** `SavedModelError`, as all methods do, naming the entry and what it must be.
    """

    def __init__(self, found: object, where: str, names: Sequence[str]):
        here = where or "it"
        if not isinstance(found, dict):
            raise SavedModelError(f"{here} is {shown(found)}; it must be an object")
        self._found = cast("dict[str, Any]", found)
        self.where = where
        missing = [name for name in names if name not in self._found]
        unknown = [name for name in self._found if name not in names]
        if missing:
            raise SavedModelError(f"{here} lacks {shown(missing[0])}")
        if unknown:
            raise SavedModelError(f"{here} has an unknown entry {shown(unknown[0])}")

    def raw(self, name: str) -> Any:
        """Whatever is there."""
        return self._found[name]

    def path(self, name: str) -> str:
        """Where an entry is."""
        return f"{self.where}.{name}" if self.where else name

    def inner(self, name: str, names: Sequence[str]) -> Fields:
        """An object in this one."""
        return Fields(self.raw(name), self.path(name), names)

    def flag(self, name: str) -> bool:
        """true or false."""
        return self._checked(name, isinstance(self.raw(name), bool), "true or false")

    def count(self, name: str, least: int = 0, most: int = LARGEST) -> int:
        """A whole number."""
        return count(self.raw(name), self.path(name), least, most)

    def counts(self, name: str, most: int = LARGEST) -> tuple[int, ...]:
        """A list of whole numbers from 0 on."""
        return counts(self.raw(name), self.path(name), most)

    def number(self, name: str) -> int | float:
        """A finite number."""
        found = self.raw(name)
        good = type(found) in (int, float) and math.isfinite(found)
        return self._checked(name, good, "a finite number")

    def items(self, name: str) -> list[Any]:
        """A list."""
        return self._checked(name, isinstance(self.raw(name), list), "a list")

    def value(self, name: str) -> Any:
        """A value of RASP."""
        return value(self.raw(name), self.path(name))

    def text(self, name: str) -> str:
        """A string, of any characters."""
        return text(self.raw(name), self.path(name))

    def _checked(self, name: str, good: bool, wanted: str) -> Any:
        found = self.raw(name)
        if not good:
            raise SavedModelError(f"{self.path(name)} is {shown(found)}; it must be {wanted}")
        return found


def shown(found: object) -> str:
    """JSON, or what else there is, in few words: it may be large, deep, or hostile."""
    return printable(_SHORT.repr(found))


def printable(text: str) -> str:
    """Text that no terminal takes for a command, and that can be written in UTF-8."""
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)


def in_words(error: Exception) -> str:
    """What an error says; of one of the system, also of which file."""
    said = str(error)
    if isinstance(error, OSError) and error.strerror:
        where = "" if error.filename is None else f": {os.fsdecode(error.filename)!r}"
        said = f"{error.strerror}{where}"
    return printable(said if len(said) <= _LONGEST else f"{said[:_LONGEST]}...")


def plain(value: Any) -> Any:
    """A scalar of numpy as the Python value that it holds."""
    return cast("Any", value.item()) if isinstance(value, np.generic) else value


def value(found: object, where: str) -> Any:
    """A value of RASP that can be printed."""
    try:
        made = from_json(found)
    except ValueError as error:
        raise SavedModelError(f"{where}: {error}") from error
    try:
        repr(made)
    except ValueError as error:  # Python prints no numbers of more than 4300 digits
        raise SavedModelError(f"{where}: it has more digits than Python prints") from error
    return made


def text(found: object, where: str) -> str:
    """A string, of any characters."""
    inner = value(found, where)
    if not isinstance(inner, str):
        raise SavedModelError(f"{where} is {shown(found)}; it must be a string")
    return inner


def texts(found: list[Any], where: str) -> list[str]:
    """Strings."""
    return [text(each, f"{where}[{i}]") for i, each in enumerate(found)]


def count(found: object, where: str, least: int = 0, most: int = LARGEST) -> int:
    """A whole number within bounds."""
    if type(found) is not int or not least <= found <= most:
        wanted = f"a whole number from {least} to {most}" if least <= most else "absent"
        raise SavedModelError(f"{where} is {shown(found)}; it must be {wanted}")
    return found


def counts(found: object, where: str, most: int = LARGEST) -> tuple[int, ...]:
    """A list of whole numbers from 0 on."""
    if not isinstance(found, list):
        raise SavedModelError(f"{where} is {shown(found)}; it must be a list")
    items = cast("list[Any]", found)
    return tuple(count(each, f"{where}[{i}]", 0, most) for i, each in enumerate(items))
