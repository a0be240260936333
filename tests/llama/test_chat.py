"""Conversations: run.c's transcripts, and the rules of turns."""

import json

import numpy as np
import pytest

from tests.llama.models import GOLDEN, golden_json, needs_golden
from tests.llama.running import ENGINES, GQA, gentle_weights, letters, make_model
from tracr_lite.llama import LlamaConfig
from tracr_lite.llama.errors import LlamaError
from tracr_lite.llama.runtime import Llama, load
from tracr_lite.llama.sampler import Sampler
from tracr_lite.llama.tokenizer.pieces import printed

FOLDER = "models/m48_mha_unshared"
LONG = LlamaConfig(16, 24, 1, 4, 2, 40, 96, False)


@pytest.fixture(scope="module", params=ENGINES)
def model(request):
    bare = make_model(LONG, gentle_weights(LONG))
    return Llama(LONG, bare.params, letters(), request.param)


def transcript(model, messages, system, **options):
    """What run.c writes to standard output once it has the system prompt."""
    chat, out, asks = model.chat(system, **options), b"", False
    for message in messages:
        if not chat.room:
            break
        out += b"User: " * asks + b"Assistant: "
        for kind, piece in chat.turn(message):
            out += b"\n" if kind == "end" else printed(piece)
        asks = True
    return out + b"\n"


@needs_golden
@pytest.mark.parametrize("engine", ENGINES)
def test_transcripts_of_run_c(engine):
    folder = GOLDEN / FOLDER
    tokenizer = GOLDEN / json.loads((folder / "model.json").read_text())["tokenizer"]
    model = load(folder / "model_v0.bin", tokenizer, engine=engine)
    for case in golden_json(f"{FOLDER}/expected_chat.json"):
        lines = bytes.fromhex(case["stdin_hex"]).split(b"\n")[:-1]
        before = b""
        if case["system_hex"] is None:
            before = b"Enter system prompt (optional): User: "
            system, *messages = lines
        else:
            system = bytes.fromhex(case["system_hex"])
            messages = [bytes.fromhex(case["cli_user_hex"]), *lines]
        how = {name: case[name] for name in ("temperature", "seed")} | {"top_p": case["topp"]}
        assert before + transcript(model, messages, system, **how) == bytes.fromhex(
            case["stdout_hex"]
        ), case["tag"]


def by_hand(model, messages, seed):
    """run.c's loop, one whole pass per token."""
    sampler, ids, out = Sampler(model.config.vocab_size, 2.0, 1.0, seed), [], []
    for message in messages:
        prompt = model.tokenizer.encode(f"[INST] {message} [/INST]")
        for i, token in enumerate(prompt):
            ids.append(token)
            following = sampler.sample(model.logits(ids)[-1])
            if following == 2 and i < len(prompt) - 1:
                out.append("end")
        while True:
            out.append("end" if following == 2 else following)
            if len(ids) == model.config.seq_len:
                return out
            ids.append(following)
            ended = following == 2
            following = sampler.sample(model.logits(ids)[-1])
            if ended:
                out.append("end" if following == 2 else ("stray", following))
                break
    return out


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_turns_are_those_of_run_c_token_by_token(model, seed):
    """Among them are EOS within a message, EOS behind one, and a stray token."""
    chat, found = model.chat(seed=seed, temperature=2.0, top_p=1.0), []
    for message in ("AB", "CD", "EF"):
        for kind, piece in chat.turn(message) if chat.room else ():
            found.append((kind, piece))
    expected, previous = [], None
    for each in by_hand(model, ["AB", "CD", "EF"], seed):
        if each == "end":
            expected.append(("end", b""))
        else:
            kind, token = ("stray", each[1]) if isinstance(each, tuple) else ("reply", each)
            expected.append((kind, model.tokenizer.piece(previous, token)))
    assert found == expected


def test_say_gives_the_reply_only(model):
    pieces = list(model.chat(seed=5).turn("HELLO"))
    reply = b"".join(piece for kind, piece in pieces if kind == "reply")
    assert "".join(model.chat(seed=5).say("HELLO")) == reply.decode(errors="replace")


def test_a_message_that_does_not_fit_is_refused_and_changes_nothing(model):
    chat = model.chat(seed=5)
    with pytest.raises(LlamaError, match="only 96 of 96 are left: start a new conversation"):
        chat.say("A" * 100)
    assert chat.position == 0
    assert "".join(chat.say("A")) == "".join(model.chat(seed=5).say("A"))


def test_a_conversation_needs_a_tokenizer():
    with pytest.raises(LlamaError, match="needs a tokenizer"):
        make_model(GQA).chat()


def test_not_a_number_is_said():
    weights = gentle_weights(LONG)
    weights.final_norm[0] = np.nan
    with pytest.raises(LlamaError, match="nothing can be chosen after position 0"):
        list(make_model(LONG, weights, letters()).chat(seed=1).say("A"))


def test_texts_without_utf8_are_refused(model):
    with pytest.raises(LlamaError, match="half of a surrogate pair"):
        model.chat("\ud800")
    with pytest.raises(LlamaError, match="half of a surrogate pair"):
        model.chat("").say("\udfff")
