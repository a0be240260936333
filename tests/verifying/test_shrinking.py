"""Shrinking ends at an input of which nothing can be taken away."""

import random

import pytest

from tracr_lite.verifying import shrinking
from tracr_lite.verifying.report import Failure
from tracr_lite.verifying.shrinking import shrink

VOCAB = ("a", "b", "c", "d")


def failure(xs):
    return Failure(tuple(xs), (), (), ())


def recorder(wrong, seen):
    def test(candidates):
        seen.extend(tuple(xs) for xs in candidates)
        return [failure(xs) if wrong(xs) else None for xs in candidates]

    return test


def run(xs, wrong, lengths=range(1, 500)):
    seen = []
    found, minimal = shrink(failure(xs), VOCAB, lengths, recorder(wrong, seen))
    assert wrong(list(found.tokens))
    return "".join(found.tokens), minimal, seen


def smaller(xs):
    """All inputs that are one step smaller or simpler."""
    shorter = [xs[:i] + xs[i + 1 :] for i in range(len(xs))]
    simpler = [
        xs[:i] + other + xs[i + 1 :]
        for i in range(len(xs))
        for other in VOCAB[: VOCAB.index(xs[i])]
    ]
    return shorter + simpler


WRONG = {
    "has_d": lambda xs: "d" in xs,
    "two_c": lambda xs: xs.count("c") >= 2,
    "long": lambda xs: len(xs) >= 17,
    "odd": lambda xs: len(xs) % 2 == 1,
    "ends_alike": lambda xs: len(xs) > 3 and xs[0] == xs[-1] != "a",
    "d_before_b": lambda xs: "d" in xs and "b" in xs[xs.index("d") :],
    "always": lambda xs: True,
}


@pytest.mark.parametrize("name", WRONG)
def test_no_smaller_input_is_wrong(name):
    wrong = WRONG[name]
    rng = random.Random(name)
    for _ in range(20):
        xs = [rng.choice(VOCAB) for _ in range(rng.randint(1, 60))]
        if wrong(xs):
            found, minimal, _ = run(xs, wrong)
            assert minimal
            assert not any(wrong(list(each)) for each in smaller(found) if each)


def test_what_is_found_is_what_one_would_write():
    assert run("abcdabcdabcd", WRONG["has_d"])[0] == "d"
    assert run("abcdabcdabcd", WRONG["two_c"])[0] == "cc"
    assert run("dcba" * 10, WRONG["long"])[0] == "a" * 17
    assert run("abdab", WRONG["d_before_b"])[0] == "db"
    assert run("dcb", WRONG["always"])[0] == "a"


def test_only_lengths_that_the_model_takes_are_tried():
    found, minimal, seen = run("d" * 12, WRONG["has_d"], lengths={3, 6, 12})
    assert (len(found), found.count("d"), minimal) == (3, 1, True)
    assert {len(xs) for xs in seen} <= {3, 6, 12}


def test_the_search_ends_in_time(monkeypatch):
    monkeypatch.setattr(shrinking, "LIMIT", 50)
    xs = "".join(random.Random(0).choice("bcd") for _ in range(400))
    found, minimal, seen = run(xs, lambda ys: "".join(ys) == xs)
    assert (found, minimal) == (xs, False)
    assert len(seen) <= 50 + shrinking.AT_ONCE


def test_the_empty_input():
    assert run("", lambda xs: True, lengths={0})[:2] == ("", True)
