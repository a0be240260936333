"""Programs that write, in the interpreter."""

import itertools
import random

import pytest

from tracr_lite import catalog
from tracr_lite.rasp import rasp
from tracr_lite.targets import GenerationError, Written, generate

WRITERS = [name for name in catalog.names() if catalog.load(name).prompts]


def written(name, prompt, longest=64):
    entry = catalog.load(name)
    found = generate(entry.program, prompt, end=entry.end, max_seq_len=longest)
    assert found.ended, prompt
    return list(found.tokens)


def test_there_are_six_of_them():
    assert len(WRITERS) >= 6
    for name in WRITERS:
        entry = catalog.load(name)
        assert entry.causal, name
        assert not set(entry.vocab) & {entry.end}, name


@pytest.mark.parametrize("name", WRITERS)
def test_prompts_are_continued_as_the_file_says(name):
    entry = catalog.load(name)
    for prompt, following in entry.prompts:
        assert written(name, prompt) == list(following)
        assert len(prompt) + len(following) <= entry.max_seq_len


def prompts(vocab, count=40, longest=12, seed=0):
    rng = random.Random(seed)
    for _ in range(count):
        yield [rng.choice(vocab) for _ in range(rng.randrange(longest + 1))]


def test_copies_reverses_and_sorts_prompts_longer_than_the_file_asks_for():
    for xs in prompts("abc"):
        assert written("generate_copy", [*xs, "|"]) == xs
        assert written("generate_reverse", [*xs, "|"]) == xs[::-1]
    for xs in prompts((1, 2, 3)):
        assert written("generate_sorted", [*xs, "|"]) == sorted(xs)


def test_the_automaton_computes_remainders():
    for xs in prompts("01"):
        values = [int("".join(xs[: n + 1]), 2) % 3 for n in range(len(xs))]
        assert written("generate_automaton", [*xs, "|"]) == [f"r{value}" for value in values]


@pytest.mark.parametrize("bits", [1, 2, 3, 4])
def test_counting_goes_through_all_numbers(bits):
    numbers = [list(map(int, f"{n:0{bits}b}")) for n in range(1 << bits)]
    for start in range(0, 1 << bits, max(1, (1 << bits) // 4)):
        following = [x for number in numbers[start + 1 :] for x in [*number, ","]]
        assert written("generate_binary_count", [*numbers[start], ","], 100) == following


def add(first, second):
    """The digits of the sum, the ones first, as many as the program writes."""
    digits = max(len(first), len(second))
    total = str(int(first) + int(second)).zfill(digits)
    return [int(digit) for digit in total[::-1]]


def check_sum(first, second):
    prompt = [*map(int, first), "+", *map(int, second), "="]
    assert written("generate_sum", prompt) == add(first, second), prompt


def test_sums_of_all_lengths():
    for first, second in itertools.product(map(str, range(10)), repeat=2):
        check_sum(first, second)
    rng = random.Random(1)
    for digits in itertools.product(range(1, 7), repeat=2):
        first, second = ("".join(rng.choices("0189", k=count)) for count in digits)
        check_sum(first, second)


@pytest.mark.heavy
def test_all_sums_of_two_digit_numbers():
    for first, second in itertools.product(range(100), repeat=2):
        check_sum(f"{first:02}", f"{second:02}")


# What is not a text

NOTHING = rasp.Select(rasp.tokens, rasp.tokens, lambda k, q: False)


def test_a_text_without_end_stops_at_the_limit():
    same = rasp.Map(lambda x: x, rasp.tokens)
    assert generate(same, ["a"], max_seq_len=3) == Written(("a", "a", "a"), False)
    assert len(generate(same, ["a"]).tokens) == 256


def test_the_last_token_need_not_be_read():
    last = rasp.Map(lambda i: "END" if i == 2 else "a", rasp.indices)
    assert generate(last, ["a"], max_seq_len=3) == Written(("a", "a"), True)
    assert generate(last, ["a"], max_seq_len=2) == Written(("a", "a"), False)


def test_end_is_told_apart_by_type():
    ones = rasp.Map(lambda i: i, rasp.indices)
    assert generate(ones, ["a"], end=2).tokens == (0, 1)
    assert not generate(ones, ["a"], end=True, max_seq_len=5).ended


@pytest.mark.parametrize(
    ("program", "what"),
    [
        (rasp.Aggregate(NOTHING, rasp.tokens), "None"),
        (rasp.Map(lambda i: i + 0.5, rasp.indices), r"0\.5"),
    ],
)  # fmt: skip
def test_what_is_no_token_is_said(program, what):
    with pytest.raises(GenerationError, match=what):
        generate(program, ["a"])


def test_prompts_that_cannot_be_continued():
    for prompt in ([], ["a"] * 4):
        with pytest.raises(GenerationError, match=f"has {len(prompt)} tokens; from 1 to 3"):
            generate(rasp.tokens, prompt, max_seq_len=3)


def test_means_become_tokens_of_the_vocabulary():
    same = rasp.Select(rasp.indices, rasp.indices, rasp.Comparison.EQ)
    mean = rasp.Aggregate(same, rasp.Map(lambda x: not x, rasp.tokens))
    for vocab, kind in ([(False, True), bool], [(0.0, 1.0), float], [(), int]):
        (found,) = generate(mean, [0], max_seq_len=1, vocab=vocab).tokens
        assert (found, type(found)) == (1, kind)


def test_functions_are_asked_as_programs_are():
    def outputs(tokens):
        return [None] * (len(tokens) - 1) + ["END" if len(tokens) > 3 else tokens[0]]

    assert generate(outputs, ["x"]) == Written(("x", "x", "x"), True)
