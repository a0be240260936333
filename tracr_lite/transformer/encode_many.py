"""Encodes whole batches: what `encoder` does token by token, at the speed of numpy.

An encoder of a class of the user's own is called sequence by sequence.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import chain
from operator import itemgetter
from typing import Any, cast

import numpy as np

from tracr_lite.errors import InputError
from tracr_lite.transformer.encoder import CategoricalEncoder, Encoder
from tracr_lite.transformer.known_keys import KnownKeys

NUMBERS = frozenset({bool, int, float})
PLAIN = NUMBERS | {str, type(None)}
FEW = 2048  # tokens for which making a table of addresses takes longer than it saves


class ManyEncoder:
    """Sequences of tokens to ids. Holds tables, so keep it for the batches to come.

    Most tokens of a batch are the very objects of the vocabulary: small ints, letters and texts
    of a program's source exist once in Python. So their addresses are looked up first, which
    tells 1 from True as well; only the others are compared by value and type.
    """

    def __init__(self, encoder: Encoder | None):
        self.encoder = encoder
        self._ids: dict[Any, int] = {}
        self._typed: dict[tuple[type, Any], int] = {}
        self._small = False  # whether ids fit into a byte
        if type(encoder) is CategoricalEncoder and encoder.enforce_bos:
            ids = dict(encoder.encoding_map)
            if encoder.pad_token is not None and not encoder.allow_pad:
                del ids[encoder.pad_token]
            self._ids = ids
            # keyed by type too: 1, 1.0 and True are equal, but not the same token
            self._typed = {(type(v), v): i for v, i in ids.items()}
            self._small = len(encoder.basis) <= 256
        self._types = set(map(type, self._ids))
        self._plain = self._types <= PLAIN and len(self._types & NUMBERS) < 2
        self._addressed: _Addressed | None = None
        self._by_address = True  # whether that finds most tokens

    def encode(
        self,
        sequences: Sequence[Sequence[Any]],
        numbers: Sequence[int],
        lengths: Sequence[int] | None = None,
    ) -> np.ndarray:
        """The ids of all sequences, one after the other, int32.

        **Arguments:** `numbers`: what to call each sequence in messages; `lengths`: of the
        sequences, if they are known.
        **Raises:** `InputError` as the encoder does, with the number of the sequence.
        """
        if self._ids:
            flat: list[Any] = []
            for tokens in sequences:  # twice as fast as itertools.chain
                flat += tokens
            ids = self._at_once(flat)
            if lengths is None:
                lengths = list(map(len, sequences))
            if ids is not None and self._fits(lengths, ids):
                return ids
        pairs = zip(sequences, numbers, strict=True)
        parts = [self._one(tokens, number) for tokens, number in pairs]
        ids = np.array(list(chain.from_iterable(parts)))
        if ids.size and ids.dtype.kind not in "biu":
            raise InputError(f"ids must be whole numbers, but the batch holds {ids.dtype}")
        return ids.astype(np.int32, copy=False)

    def _at_once(self, flat: list[Any]) -> np.ndarray | None:
        """Ids of tokens that all are in the table; None sends them to the encoder."""
        if len(flat) < FEW or not self._by_address:
            return self._by_value(flat)
        if self._addressed is None:
            self._addressed = _Addressed(self._ids)
        objects = np.fromiter(flat, object, len(flat))
        ids, known = self._addressed.find(objects)
        if known.all():
            return ids
        others = self._by_value(objects[~known].tolist())
        self._by_address = bool(2 * np.count_nonzero(known) > len(flat))
        if others is None:
            return None
        ids[~known] = others
        return ids

    def _by_value(self, flat: list[Any]) -> np.ndarray | None:
        try:
            if not self._all_known(flat):
                pairs = zip(map(type, flat), flat, strict=True)
                found = tuple(map(self._typed.__getitem__, pairs))
            elif len(flat) > 1:  # the fastest way to look up many, which needs two
                found = cast("tuple[int, ...]", itemgetter(*flat)(self._ids))
            else:
                found = tuple(map(self._ids.__getitem__, flat))
        except (KeyError, TypeError):  # unknown or unhashable: found again, and named
            return None
        if self._small:  # numpy reads bytes faster than numbers
            return np.frombuffer(bytes(found), np.uint8).astype(np.int32)
        return np.fromiter(found, np.int32, len(found))

    def _all_known(self, flat: list[Any]) -> bool:
        """Whether each token is of the type of any known one that it equals."""
        if len(self._types) == 1:  # counting is faster than making a set
            return self._plain and list(map(type, flat)).count(*self._types) == len(flat)
        return self._plain and self._types.issuperset(map(type, flat))

    def _fits(self, lengths: Sequence[int], ids: np.ndarray) -> bool:
        """One BOS per sequence, in front, and no sequence too long."""
        encoder = self.encoder
        assert isinstance(encoder, CategoricalEncoder)
        sizes, limit = set(lengths), encoder.max_seq_len
        if not sizes or 0 in sizes or (limit is not None and max(sizes) > limit + 1):
            return False
        bos = ids == encoder.bos_encoding
        if len(sizes) == 1:
            starts = bos[:: sizes.pop()]
        else:
            starts = bos[np.cumsum([0, *lengths[:-1]])]
        return bool(starts.all()) and np.count_nonzero(bos) == len(lengths)

    def _one(self, tokens: Sequence[Any], number: int) -> list[Any]:
        if self.encoder is None:
            return list(tokens)
        try:
            ids = self.encoder.encode(list(tokens))
        except InputError as error:
            raise InputError(f"sequence {number} of the batch: {error}") from error
        if len(ids) != len(tokens):
            raise InputError(
                f"sequence {number} of the batch: the encoder made {len(ids)} ids of "
                f"{len(tokens)} tokens; a batch needs one per token, so use apply instead"
            )
        return ids


class _Addressed:
    """Ids by the address of the token.

    An address stands for one object only while that object lives, so the tokens are held here.
    """

    def __init__(self, ids: dict[Any, int]):
        # a text that was read from a file is another object than the one in Python's own table
        self._held = [sys.intern(v) if type(v) is str else v for v in ids]
        self._held += ids
        places = dict(zip(map(id, self._held), [*ids.values()] * 2, strict=True))
        self._ids = np.fromiter(places.values(), np.int32)
        self._known = KnownKeys(places)

    def find(self, objects: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The id of each object, int32, and whether it is right, bool."""
        addresses = np.frombuffer(objects, np.uintp).astype(np.uint64, copy=False)
        places, known = self._known.find(addresses)
        return self._ids.take(places), known
