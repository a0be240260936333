"""The checkpoint in docs/story: it is what its script makes, and it tells stories."""

import importlib.util
import re

import numpy as np
import pytest
from click.testing import CliRunner

from tests.llama.forward import forward
from tests.llama.models import ROOT
from tracr_lite.llama import convert, load_checkpoint
from tracr_lite.llama.cli import app
from tracr_lite.llama.weights import LlamaWeights, to_float32

FOLDER = ROOT / "docs" / "story"
BEGIN = "Once upon a time there was a little girl named Lily."
SENTENCE = (
    r"(She|He) ((saw|had|found) a (red|big|new|tiny) (ball|dog|cat|bird|tree)|"
    r"loved to (play|run|sing) in the (sun|rain|park))\."
)
STORY = re.compile(
    r"Once upon a time there was a little (girl named Lily|boy named Tom)\. "
    rf"({SENTENCE} ){{3}}The end\."
)


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("make_story", FOLDER / "make_story.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def tell(script, model, seed=None):
    """The tokens up to the next BOS; the likeliest each time, or drawn with a seed."""
    weights = LlamaWeights(**{n: to_float32(t) for n, t in model.weights.tensors().items()})
    ids, rng = [1], np.random.default_rng(seed)
    while len(ids) == 1 or ids[-1] != 1:
        assert len(ids) < model.config.seq_len
        logits = forward(model.config, weights, ids)[-1]
        chances = np.exp(logits - logits.max())
        greedy = seed is None
        drawn = rng.choice(len(logits), p=chances / chances.sum())
        ids.append(int(logits.argmax() if greedy else drawn))
    return "".join(script.PIECES[each] for each in ids[1:-1]).strip()


def test_the_script_makes_these_files(script, tmp_path):
    script.main(tmp_path)
    for name in ("story.bin", "tokenizer.bin"):
        assert (tmp_path / name).read_bytes() == (FOLDER / name).read_bytes()


def test_the_likeliest_story(script):
    told = tell(script, load_checkpoint(FOLDER / "story.bin"))
    assert told == (
        f"{BEGIN} She saw a red ball. She loved to play in the sun. She had a big dog. The end."
    )


@pytest.mark.parametrize("seed", range(8))
def test_every_story_is_a_story(script, seed):
    told = tell(script, load_checkpoint(FOLDER / "story.bin"), seed)
    assert STORY.fullmatch(told)
    verbs = re.findall(r" (had|saw|found|loved) ", told)
    assert len(set(verbs)) == 3
    assert ("She" in told) == ("Lily" in told) != ("He " in told)


def test_the_command_in_the_readme_prints_what_it_says():
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    (at,) = [
        i for i, line in enumerate(lines) if line.startswith("$ tracr-lite llama generate")
    ]
    words = [word.replace("docs", str(ROOT / "docs")) for word in lines[at].split()[3:]]
    told = CliRunner().invoke(app, words).stdout
    assert told.startswith(lines[at + 1].removesuffix("..."))
    assert told.endswith("The end.\n")


def test_the_quantized_storyteller_tells_the_same(script, tmp_path):
    convert(FOLDER / "story.bin", tmp_path / "q.bin", "v2")
    quantized = tell(script, load_checkpoint(tmp_path / "q.bin"))
    assert quantized == tell(script, load_checkpoint(FOLDER / "story.bin"))
