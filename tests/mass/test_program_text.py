"""The text of a program is read without running it, and is that program."""

import pytest

from tracr_lite.mass import DatasetError
from tracr_lite.mass.program_text import read_program
from tracr_lite.sampling import sample_program, source_of
from tracr_lite.sampling.source import IMPORTS

REST = "program = x0\nvocab, max_seq_len, causal = (1, 2), 3, False\n"


def executed(text):
    names = {}
    exec(text, names)
    return names


@pytest.mark.parametrize("seed", range(150))
def test_what_is_read_is_what_running_gives(seed):
    sample = sample_program(seed)
    read, run = read_program(sample.text), executed(sample.text)
    assert source_of(read.program) == source_of(run["program"]) == source_of(sample.program)
    found = [getattr(read, name) for name in ("vocab", "max_seq_len", "causal")]
    assert repr(found) == repr([run["vocab"], run["max_seq_len"], run["causal"]])


def test_what_is_read_computes_the_same():
    tried = 0
    for seed in range(60):
        sample = sample_program(seed, causal=False)
        read = read_program(sample.text).program
        for xs in sample.inputs(seed, 4):
            try:
                expected = sample.evaluate(xs)
            except Exception:  # whatever the functions of the program raise
                continue
            assert repr(read(xs)) == repr(expected)
            tried += 1
    assert tried > 200


@pytest.mark.parametrize(
    "line",
    [
        "x0 = open('/etc/passwd')",
        "x0 = __import__('os').system('true')",
        "x0 = rasp.Map(print, rasp.tokens)",
        "x0 = rasp.Map(lambda x: x, rasp.tokens)",
        "x0 = rasp.rasp.evaluate(rasp.tokens, (1,))",
        "x0 = rasp.evaluate(rasp.tokens, (1,))",
        "x0 = rasp.tokens.__class__",
        "x0 = rasp.tokens + 1",
        "x0 = rasp.Comparison.NOTHING",
        "x0 = [x for x in (1, 2)]",
        "x0 = f'{1}'",
        "x0 = square(3)",
        "x0 = compose(square, square)",
        "x0 = rasp.Map(square, rasp.nothing)",
        "x0 = rasp.Map(square)",
        "x0 = rasp.Map(square, rasp.tokens, **{'simplify': True})",
        "x0 = rasp.tokens.named(*'ab')",
        "x0, x1 = rasp.tokens, rasp.indices, rasp.length",
        "x0.f = rasp.tokens",
        "x0 += 1",
        "import os",
        "exec('1')",
        "for x in (1,): pass",
        "x0 = y",
        "x0 = 9 ** 9 ** 9",
        "x0 = " + "-" * 50 + "1",
    ],
)
def test_anything_else_is_refused_with_the_line(line):
    with pytest.raises(DatasetError, match="line 1 of the program text is refused"):
        read_program(f"{line}\n{REST}")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x0 = (",
        "x0 = rasp.tokens\n",
        "x0 = rasp.tokens\nprogram = x0\nvocab, max_seq_len, causal = (1,), True, False",
        "x0 = rasp.tokens\nprogram = x0\nvocab, max_seq_len, causal = [1], 3, False",
        "program = 3\nvocab, max_seq_len, causal = (1,), 3, False",
        "x0 = " + "(" * 5000 + ")" * 5000,
        "x0 = \0",
    ],
)
def test_texts_that_are_no_program_are_refused(text):
    with pytest.raises(DatasetError, match="program text"):
        read_program(IMPORTS + text)


def test_maps_that_were_left_apart_stay_apart():
    """The text of a Map above a Map says that the two are not to be made one."""
    found = 0
    for seed in range(1400):
        if found == 2:
            break
        text = sample_program(seed).text
        if ", False)" in text and "Map(" in text:
            found += source_of(read_program(text).program) in text
    assert found == 2
