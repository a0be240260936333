"""The text of a program shows what its functions do, and never what they once did."""

import linecache
import operator
from functools import partial

import pytest

from tracr_lite.compiler import lib
from tracr_lite.rasp import rasp
from tracr_lite.rasp.listing import listing
from tracr_lite.rasp.source import source_of
from tracr_lite.sampling import sample_program

T = rasp.tokens
OFFSET = 7


def double(x):
    # twice as much
    return 2 * x


def adder(n):
    return lambda x: x + n


def last(program):
    return listing(program).splitlines()[-1]


BOTH = (lambda x: x + 1), (lambda x: x - 1)
NESTED = lambda x: lambda y: x + y  # noqa: E731

LAMBDAS = [
    (lambda x: x * 3, "lambda x: x * 3"),
    (BOTH[0], "lambda x: x + 1"),
    (BOTH[1], "lambda x: x - 1"),
    (NESTED, "lambda x: lambda y: x + y"),
    (NESTED(4), "lambda y, *, x=4: x + y"),
    (adder(3), "lambda x, *, n=3: x + n"),
    (adder((1, "a")), "lambda x, *, n=(1, 'a'): x + n"),
    (adder(double), "lambda x: x + n"),
    (lambda x: x + OFFSET, "lambda x, *, OFFSET=7: x + OFFSET"),
    (
        lambda x: (
            x  # comments do not matter
            + 1
        ),
        "lambda x: x + 1",
    ),
    (lambda x, y=5: x + y, "lambda x, y=5: x + y"),
    (operator.neg, "neg"),
    (str, "str"),
    (len, "len"),
    (str.upper, "str.upper"),
]


@pytest.mark.parametrize(("function", "text"), LAMBDAS, ids=lambda each: str(each)[:20])
def test_functions_without_a_name_are_shown_where_they_stand(function, text):
    assert last(rasp.Map(function, T)) == f"x0 = rasp.Map({text}, rasp.tokens, True)"


def test_functions_with_a_name_are_shown_first():
    text = listing(rasp.Map(double, rasp.Map(double, T, False), False))
    assert text == (
        "def double(x):\n    # twice as much\n    return 2 * x\n\n\n"
        "x0 = rasp.Map(double, rasp.tokens, False)\n"
        "x1 = rasp.Map(double, x0, False)"
    )


def inner_functions(n):
    def f(x):
        return x + n

    return f


def test_two_functions_of_one_name_are_told_apart():
    one, two = inner_functions(1), inner_functions(2)
    text = listing(rasp.Map(one, T) + rasp.Map(two, T))
    assert "# n = 1\ndef f(x):\n    return x + n\n\n\n# here called f_2\n# n = 2\ndef f" in text
    assert "x0 = rasp.Map(f, rasp.tokens, True)\nx1 = rasp.Map(f_2, rasp.tokens, True)" in text


def test_a_predicate_and_a_combination_of_functions_are_shown():
    both = rasp.Select(T, T, lambda k, q: k < q) & rasp.Select(T, T, rasp.Comparison.EQ)
    text = listing(rasp.Aggregate(both, rasp.Map(lambda x: x + 1, T + 1), None).named("out"))
    assert "lambda k, q: k < q" in text
    assert "rasp.Comparison.EQ" in text
    assert "Composition((ConstantOp('+', 1, False), lambda x: x + 1,))" in text
    assert text.endswith(".named('out')")


def test_a_file_that_changed_is_not_believed(tmp_path):
    file = tmp_path / "program.py"

    def text_after(now):
        file.write_text("f = lambda x: x + 1\ndef g(x):\n    return x + 1\n")
        made = {"__name__": "changed"}
        exec(compile(file.read_text(), str(file), "exec"), made)
        file.write_text(now)
        linecache.checkcache(str(file))
        return listing(rasp.Map(made["f"], T) + rasp.Map(made["g"], T))

    assert "x + 1" in text_after("f = lambda x: x + 1\ndef g(x):\n    return x + 1\n")
    for now in ("f = lambda x: x + 2\ndef g(x):\n    return x + 2\n", "f = (", "", "\n\n\n"):
        text = text_after(now)
        assert "x0 = rasp.Map(<lambda of changed>, rasp.tokens, True)" in text
        assert "x1 = rasp.Map(g, rasp.tokens, True)" in text
        assert "x + " not in text


def test_a_function_that_was_typed_at_a_prompt_has_a_name_only():
    made = {"__name__": "typed"}
    exec("f = lambda x: x + 1", made)
    assert "<lambda of typed>" in listing(rasp.Map(made["f"], T))


class Odd:
    def __init__(self, text):
        self.made = text

    def __call__(self, x):
        return x

    def __repr__(self):
        return self.made()


def test_objects_are_shown_without_their_addresses():
    assert "0x" not in listing(rasp.Map(partial(double, 1), T))
    assert "(Odd.__call__, " in listing(rasp.Map(Odd(lambda: "").__call__, T))


def test_an_object_that_cannot_be_shown_does_not_cost_the_rest():
    shown = listing(rasp.Map(Odd(lambda: 1 / 0), T))
    assert "<Odd, whose repr raises ZeroDivisionError>" in shown
    assert len(listing(rasp.Map(Odd(lambda: "x" * 10**6), T))) < 3000


def test_programs_of_the_language_alone_are_shown_by_their_source():
    for program in (lib.make_hist(), lib.make_sort(T, T, max_seq_len=4, min_key=1)):
        assert listing(program) == source_of(program)
    for seed in range(50):
        program = sample_program(seed).program
        assert listing(program) == source_of(program)
