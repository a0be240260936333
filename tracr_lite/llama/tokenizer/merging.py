"""Byte-pair merging as run.c does it, in O(n log n) instead of O(n**2).

run.c looks through all neighbours again after every merge, and takes the pair that makes the
token of the highest score, the leftmost of equals. Here the pairs wait in a heap ordered by
(-score, place), and neighbours are linked lists. A pair in the heap may be gone when its turn
comes; it counts if the two tokens still stand at that place.

A merge never crosses two neighbours whose touching bytes occur side by side in no text of the
vocabulary. Such places cut a text into parts, mostly words, that can be merged each on its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, UInt8

from tracr_lite.llama.errors import TokenizerError
from tracr_lite.llama.tokenizer.vocabulary import FIRST_BYTE, Vocabulary

# One byte, and as many continuation bytes as make four together; no check that it is UTF-8.
_UNITS = re.compile(rb"[\x00-\xff][\x80-\xbf]{0,3}")
NEVER = -1e10  # scores up to this one never merge
KEPT_WORDS, KEPT_PAIRS, WORD = 1 << 16, 1 << 20, 64  # limits of what is remembered

Pair = tuple[float, int]  # of what two tokens make: minus the score, or the rank; and the id


class Merger:
    """Turns texts into tokens by the rules of a vocabulary; remembers words it has merged.

    **Arguments:** `rule`: what two tokens make; by default what their texts put together make,
    with the score of that token.
    """

    def __init__(
        self, vocabulary: Vocabulary, rule: Callable[[int, int], Pair | None] | None = None
    ):
        self._vocabulary = vocabulary
        self._rule = rule or self._by_score
        self._words: dict[tuple[int, ...], list[int]] = {}
        self._pairs: dict[tuple[int, int], Pair | None] = {}
        self._joined, self._first, self._last = _touching(vocabulary.texts)

    def units(self, text: bytes) -> list[int]:
        """The tokens before any merge: characters that are tokens, or else their bytes."""
        found: dict[bytes, tuple[int, ...]] = {}
        ids: list[int] = []
        for unit in _UNITS.findall(text):
            if unit not in found:
                found[unit] = self._unit(unit)
            ids += found[unit]
        return ids

    def _unit(self, unit: bytes) -> tuple[int, ...]:
        if (whole := self._vocabulary.find(unit)) >= 0:
            return (whole,)
        ids = tuple(byte + FIRST_BYTE for byte in unit)
        if max(ids) >= len(self._vocabulary):
            raise TokenizerError(
                f"{unit!r} has no token, and its bytes would be tokens {list(ids)}; the "
                f"vocabulary has only {len(self._vocabulary)}. Is it cut off too early?"
            )
        return ids

    def merge(self, ids: list[int]) -> list[int]:
        """The tokens that are left when nothing can be merged any more."""
        merged: list[int] = []
        for part in self._parts(ids):
            if len(part) > WORD:
                merged += self._merge_part(part)
                continue
            if (known := self._words.get(part)) is None:
                if len(self._words) >= KEPT_WORDS:
                    self._words.clear()
                known = self._words[part] = self._merge_part(part)
            merged += known
        return merged

    def _parts(self, ids: list[int]) -> list[tuple[int, ...]]:
        array = np.array(ids, np.int64)
        joined = self._joined[self._last[array[:-1]], self._first[array[1:]]]
        cuts = [0, *(np.flatnonzero(~joined) + 1).tolist(), len(ids)]
        return [tuple(ids[a:b]) for a, b in pairwise(cuts) if a < b]

    def _merge_part(self, part: tuple[int, ...]) -> list[int]:
        ids, size = list(part), len(part)
        left, right = list(range(-1, size - 1)), list(range(1, size + 1))
        heap: list[tuple[float, int, int, int, int]] = []
        for i in range(size - 1):
            if pair := self._pair(ids[i], ids[i + 1]):
                heap.append((pair[0], i, ids[i], ids[i + 1], pair[1]))
        heapify(heap)
        while heap:
            _, i, first, second, made = heappop(heap)
            j = right[i]
            if ids[i] != first or j >= size or ids[j] != second:
                continue
            ids[i], ids[j] = made, -1
            after, before = right[j], left[i]
            right[i] = after
            if after < size:
                left[after] = i
                if pair := self._pair(made, ids[after]):
                    heappush(heap, (pair[0], i, made, ids[after], pair[1]))
            if before >= 0 and (pair := self._pair(ids[before], made)):
                heappush(heap, (pair[0], before, ids[before], made, pair[1]))
        return [each for each in ids if each >= 0]

    def _pair(self, first: int, second: int) -> Pair | None:
        """What two neighbours make, if they merge at all."""
        key = (first, second)
        if key not in self._pairs:
            if len(self._pairs) >= KEPT_PAIRS:
                self._pairs.clear()
            self._pairs[key] = self._rule(first, second)
        return self._pairs[key]

    def _by_score(self, first: int, second: int) -> Pair | None:
        texts = self._vocabulary.texts
        made = self._vocabulary.find(texts[first] + texts[second])
        score = float(self._vocabulary.scores[made]) if made >= 0 else NEVER
        return (-score, made) if score > NEVER else None


Table = tuple[Bool[np.ndarray, "257 257"], np.ndarray, np.ndarray]


def _touching(texts: tuple[bytes, ...]) -> Table:
    """Which bytes stand side by side in some text; the first and the last byte of each text.

    A text without bytes has number 256 there, which touches everything.
    """
    joined = np.zeros((257, 257), bool)
    joined[256], joined[:, 256] = True, True
    whole: UInt8[np.ndarray, " n"] = np.frombuffer(b"".join(texts), np.uint8)
    ends = np.cumsum([len(text) for text in texts])
    inside = np.ones(max(len(whole) - 1, 0), bool)
    inside[ends[(ends > 0) & (ends < len(whole))] - 1] = False
    joined[whole[:-1][inside], whole[1:][inside]] = True
    first = np.array([text[0] if text else 256 for text in texts], np.int64)
    last = np.array([text[-1] if text else 256 for text in texts], np.int64)
    return joined, first, last
