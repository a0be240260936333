"""What another program's tokenizer does that tokenizer.bin cannot hold, collected and refused.

Every difference has a name. A caller who accepts one passes its name in `ignore`, and gets the
tokens of run.c where the two differ. Some cannot be accepted: there would be no tokenizer.
"""

from __future__ import annotations

from collections.abc import Collection

from tracr_lite.llama.errors import TokenizerError

# name -> what is different in the tokens of run.c when it is ignored
NAMES = {
    "added_tokens": "the tokens keep their ids, but no text is ever encoded to them",
    "decoder": "tokens are decoded to other text",
    "dummy_prefix": "a space is put before every text",
    "leading_space": "a space is put before a text that starts with one, too",
    "merges": "neighbours are merged by score, and by place where scores are equal",
    "normalizer": "texts are taken as they are",
    "post_processor": "nothing but BOS and EOS is put around a text",
    "remove_extra_whitespaces": "spaces at the ends and repeated spaces are kept",
    "special_pieces": "pieces that had rules of their own are merged like others",
    "split": "merges go across the places where the text was split",
    "truncation": "texts are neither cut nor filled up",
}


SHOWN = 20  # so many reasons are listed; the others are counted


class Differences:
    """Collects what is found while a tokenizer is imported; `ignore` may be a single name."""

    def __init__(self, source: str, ignore: Collection[str] | str):
        ignore = (ignore,) if isinstance(ignore, str) else ignore
        if unknown := sorted(set(ignore) - NAMES.keys()):
            raise TokenizerError(
                f"nothing called {unknown[0]!r} can be ignored; there are: {', '.join(NAMES)}"
            )
        self._source, self._ignore = source, frozenset(ignore)
        self._found: list[str] = []

    def add(self, name: str, reason: str) -> None:
        """A difference that can be ignored by its name."""
        if name not in self._ignore:
            self._found.append(f"{reason} (ignore={name!r} accepts that, then {NAMES[name]})")

    def require(self, holds: bool, reason: str) -> None:
        """Something without which there is no tokenizer.bin."""
        if not holds:
            self._found.append(reason)

    def refuse_if_any(self) -> None:
        """**Raises:** `TokenizerError` that lists all that was found."""
        if self._found:
            rows = [f"  - {each}" for each in self._found[:SHOWN]]
            if len(self._found) > SHOWN:
                rows.append(f"  - and {len(self._found) - SHOWN} more")
            title = f"{self._source} has what tokenizer.bin cannot hold:"
            raise TokenizerError("\n".join([title, *rows]))
