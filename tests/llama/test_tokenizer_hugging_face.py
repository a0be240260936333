"""tokenizer.json: written so that other programs get run.c's tokens, read, refused by name."""

import json
import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.llama.vocabularies import BASE, FILES, LETTERS, WORDS, golden, make, small
from tracr_lite.llama.errors import TokenizerError
from tracr_lite.llama.tokenizer import (
    Tokenizer,
    Vocabulary,
    hugging_face_files,
    load_tokenizer,
    ranks,
)
from tracr_lite.llama.tokenizer.files import parse_tokenizer
from tracr_lite.llama.tokenizer.hugging_face import parse_tokenizer_json
from tracr_lite.llama.tokenizer.ranks import merges_by_score

TEXT = st.text(st.sampled_from("abc  é€😀x\n<0x41></s>"), max_size=40)
ANY = st.text(st.characters(exclude_characters="\0\u2581", exclude_categories=["Cs"]))
SIZE = len(small())
ROUND = [name for name in FILES if "crafted" not in name]


def written(vocabulary, plain_spaces=False):
    return hugging_face_files(vocabulary, plain_spaces)["tokenizer.json"]


def edited(change):
    """The file of the small vocabulary with a change in it."""
    whole = json.loads(written(small()))
    change(whole)
    return json.dumps(whole).encode()


def setting(value, *keys):
    """A change that sets one value in the file."""

    def change(whole):
        for key in keys[:-1]:
            whole = whole[key]
        whole[keys[-1]] = value

    return change


# There and back


@settings(max_examples=100, deadline=None)
@given(st.one_of(TEXT, ANY), st.booleans())
def test_what_was_written_is_read_with_the_same_tokens(text, plain_spaces):
    found = parse_tokenizer_json(written(small(), plain_spaces))
    assert found.pieces == small().pieces
    assert Tokenizer(found).encode(text) == Tokenizer(small()).encode(text)


@pytest.mark.parametrize("name", ROUND)
def test_golden_vocabularies_come_back_with_the_same_tokens(name):
    tokenizer, expected = golden(name)
    again = Tokenizer(parse_tokenizer_json(written(tokenizer.vocabulary)))
    assert again.vocabulary.pieces == tokenizer.vocabulary.pieces
    for case in expected["cases"]:
        assert again.encode(bytes.fromhex(case["hex"])) == case["ids_bos"]


def test_scores_fall_in_the_order_of_the_merges():
    scores = parse_tokenizer_json(written(small())).scores
    made = [small().find(word) for word in WORDS]
    assert scores[made].tolist() == [0, -1, -2, -3, -4, -5, -6, -7, -8, -9]
    assert (scores[small().find(b"a")] < -9, scores[100]) == (True, 0)


def test_the_file_in_a_folder_is_found(tmp_path):
    (tmp_path / "tokenizer.json").write_bytes(written(small()))
    assert len(load_tokenizer(tmp_path, vocab_size=len(small()))) == len(small())
    with pytest.raises(TokenizerError, match="do not belong together"):
        load_tokenizer(tmp_path, vocab_size=len(small()) - 1)


# Against the real programs


@pytest.mark.parametrize("plain_spaces", [False, True])
def test_tokenizers_gets_the_same_tokens_and_texts(plain_spaces):
    tokenizers = pytest.importorskip("tokenizers", reason="pip install '.[clients]'")
    other = tokenizers.Tokenizer.from_str(written(small(), plain_spaces).decode())
    ours = Tokenizer(small())

    @settings(max_examples=300, deadline=None)
    @given(st.one_of(TEXT, ANY, ANY.map("▁".join) if plain_spaces else TEXT))
    def check(text):
        ids = ours.encode(text)
        assert other.encode(text).ids == ids
        assert other.decode(ids[1:]) == text

    check()


@pytest.mark.parametrize("name", ROUND)
def test_tokenizers_gets_the_golden_tokens(name):
    tokenizers = pytest.importorskip("tokenizers", reason="pip install '.[clients]'")
    tokenizer, expected = golden(name)
    other = tokenizers.Tokenizer.from_str(written(tokenizer.vocabulary).decode())
    for case in expected["cases"]:
        if case["text"] is not None and "▁" not in case["text"]:
            assert other.encode(case["text"]).ids == case["ids_bos"]
    rng = random.Random(0)
    for letters in ("a", "  x", "=-", "etaoin shrdlu\n", ".\n ", "01 "):  # many equal scores
        text = "".join(rng.choices(letters, k=2000))
        assert other.encode(text).ids == tokenizer.encode(text)


def test_transformers_loads_the_folder_and_gets_the_same_tokens(tmp_path):
    transformers = pytest.importorskip("transformers", reason="pip install '.[clients]'")
    for name, data in hugging_face_files(small()).items():
        (tmp_path / name).write_bytes(data)
    other = transformers.AutoTokenizer.from_pretrained(tmp_path)
    ours = Tokenizer(small())
    for text in ["abc", "  a", "<s>a</s>", "é€😀 x", "", "\n\n"]:
        assert other.encode(text) == ours.encode(text)
        assert other.decode(ours.encode(text), skip_special_tokens=True) == text
    assert (other.bos_token_id, other.eos_token_id) == (1, 2)


# Files of other programs: what makes no difference


METASPACE = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False}
SPECIALS = [
    {"id": i, "content": t, "special": True} for i, t in enumerate(("<unk>", "<s>", "</s>"))
]
HARMLESS = {
    "special added tokens": setting(SPECIALS, "added_tokens"),
    "no post-processor": setting(None, "post_processor"),
    "normalizer not in a sequence of one": setting(
        {
            "type": "Sequence",
            "normalizers": [
                {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}]},
                {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
            ],
        },
        "normalizer",
    ),
    "metaspace behind the normalizer": setting(METASPACE, "pre_tokenizer"),
    "no type": lambda whole: whole["model"].pop("type"),
    "no unk": setting(None, "model", "unk_token"),
    "merges as pairs": lambda whole: whole["model"].update(
        merges=[merge.split(" ") for merge in whole["model"]["merges"]]
    ),
    "empty affixes": lambda whole: whole["model"].update(
        continuing_subword_prefix="", end_of_word_suffix="", ignore_merges=None
    ),
}


@pytest.mark.parametrize("change", HARMLESS.values(), ids=HARMLESS)
def test_variants_that_mean_the_same_are_read(change):
    found = parse_tokenizer_json(edited(change))
    assert found.pieces == small().pieces
    assert found.scores.tolist() == parse_tokenizer_json(written(small())).scores.tolist()


# What makes one: the name to ignore it by, or None, and the message


def without(*keys):
    return setting(None, *keys)


def metaspace(**changes):
    def change(whole):
        whole.update(normalizer=None, pre_tokenizer=METASPACE | changes)

    return change


DIFFERENT = {
    "model": (setting("Unigram", "model", "type"), None, "model is 'Unigram'|type 'Unigram'"),
    "bytes": (setting(False, "model", "byte_fallback"), None, "byte_fallback False"),
    "dropout": (setting(0.1, "model", "dropout"), None, "dropout 0.1"),
    "suffix": (setting("</w>", "model", "end_of_word_suffix"), None, "suffix '</w>'"),
    "ignore_merges": (setting(True, "model", "ignore_merges"), None, "ignore_merges True"),
    "future": (setting(1, "model", "sparkle"), None, "setting 'sparkle', which is not known"),
    "nfkc": (setting({"type": "NFKC"}, "normalizer"), ("normalizer", "dummy_prefix"), "NFKC"),
    "prefix": (without("normalizer"), ("normalizer", "dummy_prefix"), "no space before a text"),
    "lower": (
        lambda whole: whole["normalizer"]["normalizers"].append({"type": "Lowercase"}),
        "normalizer",
        "Lowercase",
    ),
    "byte level": (setting({"type": "ByteLevel"}, "pre_tokenizer"), "split", "ByteLevel"),
    "leading": (metaspace(), "leading_space", "a text that starts with one"),
    "never": (metaspace(prepend_scheme="never"), "dummy_prefix", "no space before"),
    "old metaspace": (metaspace(add_prefix_space=True), "leading_space", "starts with one"),
    "other mark": (metaspace(replacement="_"), "split", "pre_tokenizer"),
    "split": (setting(METASPACE | {"split": True}, "pre_tokenizer"), "split", "cuts texts"),
    "decoder": (setting({"type": "WordPiece"}, "decoder"), "decoder", "WordPiece"),
    "no decoder": (without("decoder"), "decoder", "its decoder is"),
    "bert": (setting({"type": "BertProcessing"}, "post_processor"), "post_processor", "Bert"),
    "padding": (setting({"strategy": "x"}, "padding"), "truncation", "padding switched on"),
    "cut": (setting({"max_length": 5}, "truncation"), "truncation", "truncation switched"),
    "added": (
        setting([{"id": SIZE, "content": "<|im_start|>"}], "added_tokens"),
        "added_tokens",
        f"token {SIZE}, '<.im_start.>'",
    ),
    "unk": (setting("a", "model", "unk_token"), None, "token 0 is not 'a'"),
    "merge missing": (
        lambda whole: whole["model"]["merges"].remove("a bc"),
        "merges",
        "b'a' and b'bc' spell a token",
    ),
    "merges mixed": (
        lambda whole: whole["model"]["merges"].sort(),
        "merges",
        "no scores have the order of its merges, which matters for example in b' *abc'",
    ),
}


@pytest.mark.parametrize(("change", "names", "message"), DIFFERENT.values(), ids=DIFFERENT)
def test_each_difference_is_named_and_may_be_accepted(change, names, message):
    names = (names,) if isinstance(names, str) else names or ()
    with pytest.raises(TokenizerError, match=message) as error:
        parse_tokenizer_json(edited(change))
    assert re.findall(r"ignore='(\w+)'", str(error.value)) == list(names)
    if names:
        found = parse_tokenizer_json(edited(change), ignore=names)
        assert found.pieces[: len(small())] == small().pieces


def test_added_tokens_are_never_encoded_but_decoded():
    tokens = [{"id": SIZE, "content": "abca"}]
    found = parse_tokenizer_json(edited(setting(tokens, "added_tokens")), "added_tokens")
    tokenizer = Tokenizer(found)
    assert tokenizer.encode("abca") == Tokenizer(small()).encode("abca")
    assert tokenizer.decode([SIZE]) == b"abca"


def renamed(old, new):
    def change(whole):
        vocab = whole["model"]["vocab"]
        vocab[new] = vocab.pop(old)

    return change


BROKEN = {
    "no json": (b"{", "no tokenizer.json"),
    "a list": (b" [1, 2]", "no object 'the whole'"),
    "deep": (b'{"a":' * 100_000, "no tokenizer.json"),
    "no model": (b"{}", "no object 'model'"),
    "twice": (b'{"model": {"vocab": {"a": 0, "a": 1}}}', "a key occurs twice"),
    "no vocab": (edited(without("model", "vocab")), "no object 'vocab'"),
    "no merges": (edited(without("model", "merges")), "no list of merges"),
    "gap": (edited(setting(5000, "model", "vocab", "a")), "gaps, or two names for one id"),
    "same id": (edited(setting(5, "model", "vocab", "a")), "gaps, or two names for one id"),
    "id as text": (edited(setting("5", "model", "vocab", "a")), "not integers"),
    "bos elsewhere": (edited(renamed("<s>", "<bos>")), "token 1 is not '<s>'"),
    "byte renamed": (edited(renamed("<0x41>", "<x41>")), "not <0x00> to <0xFF>"),
    "no space": (edited(renamed("▁", "space")), "makes no token|not of two tokens|one space"),
    "space inside": (edited(renamed("<0x41>", "a b")), "can be in no text"),
    "nul": (edited(renamed("<0x41>", "a\0b")), "can be in no text"),
    "surrogate": (edited(renamed("<0x41>", "\ud800")), "surrogates not allowed"),
    "merge of three": (edited(setting(["a b c"], "model", "merges")), "merge 0 .* two tokens"),
    "merge of unknown": (edited(setting(["a q"], "model", "merges")), "merge 0 .* two tokens"),
    "merge to nothing": (edited(setting(["c c"], "model", "merges")), "merge 0 .* no token"),
    "merge twice": (edited(setting(["a b"] * 2, "model", "merges")), "merge 1 .* there twice"),
    "merge number": (edited(setting([7], "model", "merges")), "merge 0 .* two tokens"),
    "added twice": (
        edited(setting([{"id": 7, "content": "x"}], "added_tokens")),
        "added token 7 of tokenizer.json is 'x', but '<0x04>' in the vocab",
    ),
    "added gap": (edited(setting([{"id": 999, "content": "x"}], "added_tokens")), "leave gaps"),
    "added nothing": (edited(setting([{"id": 7}], "added_tokens")), "without id or text"),
}


@pytest.mark.parametrize(("data", "message"), BROKEN.values(), ids=BROKEN)
def test_files_without_sense_are_refused(data, message):
    with pytest.raises(TokenizerError, match=message):
        parse_tokenizer(data)


# Vocabularies that the file cannot hold

UNWRITABLE = {
    "no bytes": (Vocabulary([b"<unk>", b"\n<s>\n", b" "], [0] * 3), "not <0x00> to <0xFF>"),
    "twins": (make(b" ", b"a", b"a"), "several tokens have the text b'a'"),
    "nul": (make(b" ", b"a\0"), "token 260, .* has a NUL"),
    "half a character": (make(b" ", b"\xc3"), "token 260, .* is not UTF-8"),
    "mark": (make(b" ", "▁".encode()), r"has U\+2581 in it"),
    "special name": (make(b" ", b"</s>"), "the name of a special token"),
    "bos": (make(b" ", b"\n<s>\n "), "takes BOS up"),
    "eos": (make(b" ", b"\n</s>", b"\n"), "BOS or EOS can be merged"),
    "other bos": (Vocabulary([b"<unk>", b"<s>...", *BASE[2:], b" "], [0] * 260), "token 1 is"),
}


@pytest.mark.parametrize(("vocabulary", "message"), UNWRITABLE.values(), ids=UNWRITABLE)
def test_vocabularies_that_cannot_be_written_are_refused(vocabulary, message):
    with pytest.raises(TokenizerError, match=message):
        hugging_face_files(vocabulary)


def test_equal_scores_are_refused_where_the_order_would_decide():
    right = make(b"ab", b"bc", *LETTERS, scores=[-1.0, -1.0, *[-9.0] * len(LETTERS)])
    assert Tokenizer(parse_tokenizer_json(written(right))).encode("abcbc") == Tokenizer(
        right
    ).encode("abcbc")
    wrong = make(b"bc", b"ab", *LETTERS, scores=[-1.0, -1.0, *[-9.0] * len(LETTERS)])
    with pytest.raises(TokenizerError, match=r"equal scores.*for example for b'abc'"):
        written(wrong)


OVERTAKEN = {  # text -> scores: which of two merges of one score comes first decides
    "paepx": {"px": -1, "ae": -1, "pae": -1, "paep": 0},  # the left one, as paep is next
    "xpae": {"ae": -1, "xp": -1, "pae": 0},  # the left one, though pae is higher than both
}


@pytest.mark.parametrize("text", OVERTAKEN)
def test_equal_scores_are_refused_where_one_makes_way_for_a_higher_one(text):
    scores = {" ": -9, **dict.fromkeys("aepx", -9), **OVERTAKEN[text]}
    vocabulary = make(*map(str.encode, scores), scores=list(scores.values()))
    with pytest.raises(TokenizerError, match=rf"equal scores.*for example for b'{text}'"):
        hugging_face_files(vocabulary)


def in_pairs(vocabulary):
    """The merges in an order some files have: by score, then by the ids of the two parts."""
    merges = merges_by_score(vocabulary)
    scores = vocabulary.scores
    return sorted(merges, key=lambda merge: (-scores[merge[2]], merge[0], merge[1]))


def test_lists_that_come_back_to_a_token_are_read_as_equal_scores():
    spaces = [b" " * n for n in range(2, 9)]
    vocabulary = make(
        *spaces, b"ab", *LETTERS, scores=[-1e9] * 7 + [-1.0] + [-2e9] * len(LETTERS)
    )
    merges = in_pairs(vocabulary)
    assert [made for _, _, made in merges] != sorted(made for _, _, made in merges)
    whole = json.loads(written(vocabulary))
    names = {token: name for name, token in whole["model"]["vocab"].items()}
    whole["model"]["merges"] = [[names[a], names[b]] for a, b, _ in merges]
    found = parse_tokenizer_json(json.dumps(whole).encode())
    assert len({float(found.scores[found.find(text)]) for text in spaces}) < len(spaces)
    for count in range(40):
        text = " " * count + "ab" + " " * count
        assert Tokenizer(found).encode(text) == Tokenizer(vocabulary).encode(text)


def test_very_many_equal_scores_are_not_looked_at_without_end(monkeypatch):
    monkeypatch.setattr(ranks, "MOST_TRIPLES", 3)
    words = [b"a" * n for n in range(2, 9)]
    with pytest.raises(TokenizerError, match="equal scores"):
        written(make(*words, *LETTERS, scores=[-1.0] * (7 + len(LETTERS))))


def test_merges_below_the_threshold_are_not_written():
    vocabulary = make(b" ", b"a", b"aa", scores=[0, 0, -2e10])
    whole = json.loads(written(vocabulary))
    assert whole["model"]["merges"] == []
    assert Tokenizer(parse_tokenizer_json(written(vocabulary))).encode("aa")[2:] == [260, 260]
