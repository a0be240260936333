"""Writing gzip nearly as small as level 9 of zlib does, in about a tenth of its time or less.

Level 9 spends nearly all its time on searching matches in noise. The XOR of two models is zeros
and noise, and three ways of compressing it differ by data, not by level alone:

    runs       run lengths with a good entropy code: fastest; 0.9 to 1.1 of level 9's size
    search     zlib-ng's level 7: slower by 8
    thorough   zlib-ng's level 9: slower by 30, smaller than zlib's

Each segment of a file is tried on a sample, then written by the cheapest mix of a fast way and
the thorough one that stays within `MARGIN` of level 9. Every change of way begins a new gzip
member; readers of gzip take members that follow each other as one file.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Protocol, cast

from zlib_ng import zlib_ng

SMALL = 1 << 20  # bytes; up to here zlib's level 9 costs nothing
SEGMENT = 1 << 26  # bytes that are tried, and then written, as one
PIECES = 16  # of a sample, evenly spread over its segment
PIECE = 1 << 13, 1 << 14  # bytes of each: least, most
MARGIN = 1.04  # of the size by level 9; a sample can be off by a hundredth
WORTH = 1 << 16  # bytes; a shorter member is not worth its overhead

Sample = Callable[[int, int], bytes]  # offset, length -> what will be compressed there


class Member(Protocol):
    """What zlib and zlib-ng have in common: one gzip member."""

    def compress(self, data: bytes | memoryview, /) -> bytes: ...

    def flush(self) -> bytes: ...


def _level_9() -> Member:
    return zlib.compressobj(9, zlib.DEFLATED, 31, 9)


def _runs() -> Member:
    return cast(Member, zlib.compressobj(1, zlib.DEFLATED, 31, 9, zlib.Z_RLE))


def _ng(level: int) -> Member:
    make = cast(Callable[..., Member], vars(zlib_ng)["compressobj"])  # its stub is incomplete
    return make(level, zlib_ng.DEFLATED, 31, 9, zlib_ng.Z_FILTERED)


def _search() -> Member:
    return _ng(7)


def _thorough() -> Member:
    return _ng(9)


Way = Callable[[], Member]
# CPU time on XORed weights, roughly; 6 of 7 for runs as they are slow to inflate again where
# matches would be longer
COST = {_runs: 7, _search: 8, _thorough: 30}


def share_of_ways(sample: bytes) -> tuple[Way, float]:
    """The fast way to use, and the share of the bytes that go the thorough way.

    The same sample gives the same answer: costs are not measured on the spot.
    """

    def size(way: Way) -> int:
        member = way()
        return len(member.compress(sample) + member.flush())

    runs, thorough = size(_runs), size(_thorough)
    if runs <= MARGIN * thorough:  # as small as anything; level 9 need not be asked
        return _runs, 0.0
    limit = MARGIN * size(_level_9)
    if thorough > limit:
        return _level_9, 0.0
    shares = {
        way: max(0.0, (has - limit) / (has - thorough)) if has > thorough else 0.0
        for way, has in ((_runs, runs), (_search, size(_search)))
    }
    cost = {way: COST[way] * (1 - s) + COST[_thorough] * s for way, s in shares.items()}
    best = min(cost, key=lambda way: cost[way])
    return best, shares[best]


class GzipWriter:
    """Compresses about `size` bytes, of which `sample` gives any part in advance.

    The same bytes give the same output: neither name nor time is stored.
    """

    def __init__(self, size: int, sample: Sample):
        self._plan = self._members(size, sample)
        self._member, self._left = next(self._plan)

    def _members(self, size: int, sample: Sample) -> Iterator[tuple[Member, int]]:
        """Members without end, and how many bytes each takes."""
        offset = 0
        if size <= SMALL:
            yield _level_9(), SMALL
        while True:
            left = size - offset
            length = left if 0 < left < SEGMENT else SEGMENT  # a file may grow meanwhile
            way, share = share_of_ways(_spread(sample, offset, length))
            slow = int(share * length) if share * length >= WORTH else 0
            if slow < length:
                yield way(), length - slow
            if slow:
                yield _thorough(), slow
            offset += length

    def compress(self, data: memoryview, /) -> bytes:
        out: list[bytes] = []
        while len(data):
            if not self._left:
                out.append(self._member.flush())
                self._member, self._left = next(self._plan)
            part = data[: self._left]
            out.append(self._member.compress(part))
            self._left -= len(part)
            data = data[len(part) :]
        return b"".join(out)

    def flush(self) -> bytes:
        return self._member.flush()


def _spread(sample: Sample, offset: int, length: int) -> bytes:
    least, most = PIECE
    step = length // PIECES
    piece = min(max(step // 32, least), most, step)
    return b"".join(sample(offset + index * step, piece) for index in range(PIECES))
