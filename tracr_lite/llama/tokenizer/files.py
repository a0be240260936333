"""Tokenizers from files of any kind that is known here, and to tokenizer.bin."""

from __future__ import annotations

import warnings
from collections.abc import Collection
from pathlib import Path

from tracr_lite.llama.errors import LlamaWarning, TokenizerError
from tracr_lite.llama.tokenizer.binary import (
    parse_tokenizer_bin,
    read_whole,
    tokenizer_bin,
    write_whole,
)
from tracr_lite.llama.tokenizer.codec import Tokenizer
from tracr_lite.llama.tokenizer.hugging_face import parse_tokenizer_json
from tracr_lite.llama.tokenizer.sentencepiece import parse_sentencepiece
from tracr_lite.llama.tokenizer.vocabulary import Vocabulary

IN_FOLDERS = ("tokenizer.bin", "tokenizer.json", "tokenizer.model")  # the first one counts


def load_tokenizer(
    path: str | Path, vocab_size: int | None = None, ignore: Collection[str] | str = ()
) -> Tokenizer:
    """The tokenizer in a file: tokenizer.bin, tokenizer.json, or a SentencePiece model.

    The kind is told by the content.

    **Arguments:**
    - `path`: the file, or a folder with one of the usual name.
    - `vocab_size`: that of the model. A tokenizer.bin may have more tokens, which are left out
      as run.c leaves them; with the other kinds the numbers must be equal.
    - `ignore`: names of `differences.NAMES`: what may be lost of the other kinds.

    **Raises:** `TokenizerError` if it cannot be read or cannot be held.
    """
    path = _in_folder(Path(path))
    data = read_whole(path)
    try:
        vocabulary = parse_tokenizer(data, vocab_size, ignore)
    except TokenizerError as error:
        raise TokenizerError(f"{str(path)!r}: {error}") from error
    return Tokenizer(vocabulary)


def load_tokenizer_for(path: str | Path, vocab_size: int) -> Tokenizer:
    """The tokenizer in a file, for a model: the first tokens of a longer tokenizer.bin.

    A tokenizer with too few tokens comes as it is.

    **Raises:** `TokenizerError` as `load_tokenizer`, also for the other kinds with too many.
    **Warns:** `LlamaWarning` if tokens were left out.
    """
    whole = load_tokenizer(path)
    if len(whole) <= vocab_size:
        return whole
    first = load_tokenizer(path, vocab_size)
    warnings.warn(
        f"the tokenizer {str(path)!r} has {len(whole)} tokens, but the model {vocab_size}; the "
        "first ones are used, as run.c does. Do the two belong together?",
        LlamaWarning,
        3,
    )
    return first


def parse_tokenizer(
    data: bytes, vocab_size: int | None = None, ignore: Collection[str] | str = ()
) -> Vocabulary:
    """As `load_tokenizer`, from the bytes of the file."""
    if _is_json(data):
        vocabulary = parse_tokenizer_json(data, ignore)
    elif (
        data[:1] == b"\n" and data[3:4] != b"\0"
    ):  # pieces are field 1 of a SentencePiece model
        vocabulary = parse_sentencepiece(data, ignore)
    elif len(data) < 4 or data[3] == 0:  # max_token_length is below 2**24
        return parse_tokenizer_bin(data, vocab_size)
    else:
        raise TokenizerError(
            f"a file that starts with {data[:8]!r} is neither tokenizer.bin nor tokenizer.json "
            "nor a SentencePiece model"
        )
    if vocab_size not in (None, len(vocabulary)):
        raise TokenizerError(
            f"the tokenizer has {len(vocabulary)} tokens, the model {vocab_size}; they do not "
            "belong together"
        )
    return vocabulary


def save_tokenizer(path: str | Path, tokenizer: Tokenizer) -> None:
    """Writes a tokenizer.bin. **Raises:** `LlamaError` if the file cannot be written."""
    write_whole(path, tokenizer_bin(tokenizer.vocabulary))


def _in_folder(path: Path) -> Path:
    if not path.is_dir():
        return path
    for name in IN_FOLDERS:
        if (path / name).is_file():
            return path / name
    raise TokenizerError(f"the folder {str(path)!r} has none of {', '.join(IN_FOLDERS)}")


def _is_json(data: bytes) -> bool:
    """Whether a file starts with a bracket, and like a text at all."""
    start = data[:64]
    return start.lstrip()[:1] in (b"{", b"[") and not any(
        byte < 0x20 and byte not in b"\t\n\r" for byte in start
    )
