"""Guesses at what comes next: what followed when the last tokens stood in the text before.

Guessed tokens are run in the pass of the token before them. Those that the model chooses too
are kept, and have cost no reading of the weights; what it chose instead of the first wrong one
follows them. So the tokens are those that come one by one.

Source: Saxena 2023, "Prompt Lookup Decoding"; checked as in Leviathan et al. 2023,
arXiv:2211.17192, section 2.3, for a guess that is certain of itself.
"""

from __future__ import annotations

from collections.abc import Sequence

SIZES = (3, 2)  # of the ends that are looked up, the longer one first
FIRST = 2  # tokens of the first guess
LONGEST = 16  # tokens between two looks, where text never repeats itself


class Lookahead:
    """The text so far, and how far ahead guesses have been right.

    **Arguments:** `most`: tokens of a guess at most.
    """

    def __init__(self, most: int):
        self._most, self._length, self._pause = most, min(FIRST, most), 1
        self._text = list[int]()
        self._followed = dict[tuple[int, ...], int]()  # where what followed an end stands

    def see(self, tokens: Sequence[int]) -> None:
        """Tokens that the text goes on with."""
        for token in tokens:
            for size in SIZES:
                if len(self._text) >= size:
                    self._followed[tuple(self._text[-size:])] = len(self._text)
            self._text.append(token)

    def guess(self, most: int) -> list[int]:
        """Up to so many tokens; none where the end of the text is new.

        A guess that reaches the end of the text goes on with itself, as in a loop.
        """
        for size in SIZES:
            start = self._followed.get(tuple(self._text[-size:]))
            if start is None:
                continue
            self._pause = 1
            found, loop = list[int](), len(self._text) - start
            for i in range(min(most, self._length)):
                found.append(self._text[start + i] if i < loop else found[i - loop])
            return found
        return []

    def pause(self) -> int:
        """How many tokens to run one by one, as nothing was guessed: more each time."""
        self._pause = min(2 * self._pause, LONGEST)
        return self._pause

    def learn(self, guessed: int, right: int) -> None:
        """How many of the tokens guessed were right: the next guess is longer, or shorter."""
        if right == guessed:
            self._length = min(self._most, 2 * self._length)
        else:
            self._length = max(1, min(self._length, right + 1))
