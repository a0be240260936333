"""Makes the checkpoint of this folder: a storyteller whose weights are written by hand.

    python docs/story/make_story.py [FOLDER]      writes story.bin and tokenizer.bin

    Once upon a time there was a little girl named Lily. She saw a big dog. ...

Nothing is trained; each number below says something. One word is one direction of the residual
stream, one more direction is constant. In the single layer

- head 0 looks at the word before, as `a` goes on one way after `upon` and another after `saw`;
- head 1 looks for `girl` or `boy`, to know whether `She` or `He` comes next;
- head 2 looks at BOS and all verbs alike: each verb found makes it less likely to come again,
  and the share of BOS, 1 / (1 + number of verbs), tells how long the story is;
- head 3 does the same for things and their colours, so that none comes twice;
- the feed-forward layer has one neuron: after `.`, once there were three verbs, `The end.`

The classifier adds up what may follow the word, and what the heads found. The same files come
out on every machine: only sums, products and a few cosines are computed.
"""

from __future__ import annotations

import math
import struct
import sys
from pathlib import Path

import numpy as np

from tracr_lite.llama import LlamaConfig, LlamaWeights, save_checkpoint
from tracr_lite.llama.weights import shapes

VERBS = ["had", "saw", "found", "loved"]
LOOKS = ["red", "big", "new", "tiny"]
THINGS = ["ball", "dog", "cat", "bird", "tree"]
ACTS = ["play", "run", "sing"]
PLACES = ["sun", "rain", "park"]
SHE, HE, NAMES = "girl", "boy", {"girl": "Lily", "boy": "Tom"}
PREVIOUS = ["upon", "was", "saw", "end"]  # what head 0 tells apart; `saw` stands for all verbs
SENTENCES = 3

# word -> what may follow it, and how likely one is against another (a logarithm)
FOLLOWS: dict[str, dict[str, float]] = {
    "<s>": {"Once": 0},
    "Once": {"upon": 0},
    "upon": {"a": 0},
    "a": {"time": -12, "little": -12} | {look: -12 - i / 2 for i, look in enumerate(LOOKS)},
    "time": {"there": 0},
    "there": {"was": 0},
    "was": {"a": 0},
    "little": {SHE: 0.5, HE: 0},
    SHE: {"named": 0},
    HE: {"named": 0},
    "named": {"Lily": 0, "Tom": 0},
    "Lily": {".": 0},
    "Tom": {".": 0},
    ".": {"She": -12, "He": -12, "The": -12, "<s>": -16},
    "She": {"saw": 1, "loved": 0.5, "had": 0, "found": -0.5},
    "He": {"had": 1, "found": 0.5, "saw": 0, "loved": -0.5},
    **{verb: {"a": 0} for verb in VERBS if verb != "loved"},
    "loved": {"to": 0},
    "to": {act: -i / 4 for i, act in enumerate(ACTS)},
    **{act: {"in": 0} for act in ACTS},
    "in": {"the": 0},
    "the": {place: -i / 4 for i, place in enumerate(PLACES)},
    **{place: {".": 0} for place in PLACES},
    **{
        look: {thing: -abs(i - j) / 2 for j, thing in enumerate(THINGS)}
        for i, look in enumerate(LOOKS)
    },
    **{thing: {".": 0} for thing in THINGS},
    "The": {"end": 0},
    "end": {".": 0},
}
WORDS = list(FOLLOWS)

# Directions of the residual stream: the constant, the words, and what the heads write
SEEN = [f"before:{w}" for w in PREVIOUS] + [f"who:{w}" for w in (SHE, HE)]
SAID = [f"said:{w}" for w in (*VERBS, *LOOKS, *THINGS)] + ["share of <s>"]
DIRECTIONS = ["constant", *WORDS, *SEEN, *SAID, "enough"]
AT = {name: i for i, name in enumerate(DIRECTIONS)}
CONSTANT = 8.0  # so large that the norm of each vector is about the same
SHARP = 100.0  # scores of heads: what is not meant gets less than e^-20


def pieces() -> list[str]:
    """The vocabulary: three specials, all bytes, letters, and the words with all beginnings.

    Merging pairs of pieces builds a word letter by letter, each beginning has to be there.
    """
    plain = [word for word in WORDS if word not in ("<s>", ".")]
    letters = sorted({letter for word in plain for letter in word} | {" ", "."})
    starts = {f" {word[:end]}" for word in plain for end in range(1, len(word) + 1)}
    special = ["<unk>", "\n<s>\n", "\n</s>\n", *(f"<0x{byte:02X}>" for byte in range(256))]
    return special + letters + sorted(starts, key=lambda start: (len(start), start))


PIECES = pieces()
ID = {word: PIECES.index(f" {word}") for word in WORDS if word not in ("<s>", ".")}
ID |= {"<s>": 1, ".": PIECES.index(".")}

CONFIG = LlamaConfig(
    dim=64,
    hidden_dim=64,
    n_layers=1,
    n_heads=4,
    n_kv_heads=2,
    vocab_size=len(PIECES),
    seq_len=128,
    shared_classifier=False,
)
HEAD = CONFIG.head_size
SLOW = HEAD - 2  # the pair that positions hardly turn: keys there mean the same anywhere


def make_weights() -> LlamaWeights:
    """All tensors of the model."""
    w = {name: np.zeros(shape, np.float32) for name, shape in shapes(CONFIG).items()}
    w["token_embedding"][:, AT["constant"]] = CONSTANT
    for word in WORDS:
        w["token_embedding"][ID[word], AT[word]] = 1
    for name in ("attention_norm", "ffn_norm", "final_norm"):
        # undoes the division by the norm, and makes the constant 1
        w[name][:] = math.sqrt((CONSTANT**2 + 1) / CONFIG.dim)
        w[name][..., AT["constant"]] /= CONSTANT
    attend(w["wq"][0], w["wk"][0], w["wv"][0], w["wo"][0])
    w["w1"][0, 0, [AT["constant"], AT["share of <s>"]]] = [
        100 * 2 / (2 * SENTENCES + 1),  # between 1 / SENTENCES and 1 / (1 + SENTENCES)
        -100,
    ]
    w["w3"][0, 0, AT["."]] = 1
    w["w2"][0, AT["enough"], 0] = 1
    classify(w["classifier"])
    return LlamaWeights(**w)


def attend(wq: np.ndarray, wk: np.ndarray, wv: np.ndarray, wo: np.ndarray) -> None:
    """Four query heads; two and two share keys and values."""
    previous, who, verbs, things = (slice(h * HEAD, (h + 1) * HEAD) for h in range(4))
    first, second = slice(0, HEAD), slice(HEAD, 2 * HEAD)
    for pair in range(3):  # head 0: the score is largest one position back
        turn = 10000 ** (-2 * pair / HEAD)
        wk[first][2 * pair, AT["constant"]] = 1
        wq[previous][2 * pair, AT["constant"]] = 2 * SHARP * math.cos(turn)
        wq[previous][2 * pair + 1, AT["constant"]] = -2 * SHARP * math.sin(turn)
    for query in (who, verbs):
        wq[query][SLOW, AT["constant"]] = SHARP
    wq[things][SLOW - 2, AT["constant"]] = SHARP
    for word in (SHE, HE):
        wk[first][SLOW, AT[word]] = 1
    for word in ("<s>", *VERBS):
        wk[second][SLOW, AT[word]] = 1
    for word in ("<s>", *LOOKS, *THINGS):
        wk[second][SLOW - 2, AT[word]] = 1
    for i, name in enumerate(SEEN):
        word = name.split(":")[1]
        for each in VERBS if word == "saw" else [word]:
            wv[first][i, AT[each]] = 1
        wo[AT[name], (who if name.startswith("who") else previous)][i] = 1
    for i, name in enumerate(SAID):
        wv[second][i, AT[name.split(":")[-1].removeprefix("share of ")]] = 1
        reader = things if name.split(":")[-1] in (*LOOKS, *THINGS) else verbs
        wo[AT[name], reader][i] = 1


def classify(table: np.ndarray) -> None:
    """What may follow gets 20 more than the rest; what the heads found moves it up or down."""
    table[:, AT["constant"]] = -20
    for word, after in FOLLOWS.items():
        for each, extra in after.items():
            table[ID[each], AT[word]] = 20 + extra
    for before, after in {"upon": ["time"], "was": ["little"], "saw": LOOKS}.items():
        table[[ID[word] for word in after], AT[f"before:{before}"]] = 12
    table[ID["<s>"], AT["before:end"]] = 40
    for who, pronoun in ((SHE, "She"), (HE, "He")):
        table[[ID[pronoun], ID[NAMES[who]]], AT[f"who:{who}"]] = 12
    for word in (*VERBS, *LOOKS, *THINGS):
        table[ID[word], AT[f"said:{word}"]] = -30
    table[ID["The"], AT["enough"]] = 6


def tokenizer_bytes() -> bytes:
    """The vocabulary as tokenizer.bin: longest piece, then score, length and bytes of each."""
    texts = [piece.encode() for piece in PIECES]
    entries = [struct.pack("<fi", -float(i), len(t)) + t for i, t in enumerate(texts)]
    return struct.pack("<I", max(map(len, texts))) + b"".join(entries)


def main(folder: Path) -> None:
    """Writes both files, in place of those that are there."""
    (folder / "tokenizer.bin").write_bytes(tokenizer_bytes())
    save_checkpoint(folder / "story.bin", CONFIG, make_weights(), "v0", overwrite=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
