"""The causal form of programs that read ahead, in the interpreter."""

import random

import pytest

from tests.targets.runtimes import transformers_of, wrong
from tracr_lite import catalog
from tracr_lite.compiler import lib
from tracr_lite.errors import CompileError
from tracr_lite.rasp import causal_eval, rasp
from tracr_lite.sampling import sample_program
from tracr_lite.targets import (
    GenerationError,
    after_separator,
    compile_rasp_to_gpt2,
    compile_rasp_to_llama,
    generate,
)
from tracr_lite.targets.forward import logits

NUMBERS = {"frac_prevs", "pair_balance", "running_mean"}  # they do not read ahead
TWO_LEVELS = {
    *("addition", "count_less_freq", "double_histogram", "dyck_k", "histogram_of_histograms"),
    *("last_occurrence", "most_frequent", "palindrome", "sort", "sort_freq", "sort_unique"),
    "stable_sort",
}
ENTRIES = {name: catalog.load(name) for name in catalog.names()}
FULL = [name for name, entry in ENTRIES.items() if not entry.causal]


def form_of(entry):
    return after_separator(entry.program, entry.vocab, entry.max_seq_len)


def assert_writes(form, program, xs):
    answers = ["None" if y is None else y for y in program(xs)]
    limits = {"max_seq_len": form.max_seq_len, "vocab": form.vocab}
    written = generate(form.program, form.prompt(xs), **limits)
    assert {*map(repr, written.tokens)} <= {*map(repr, form.vocab)}
    assert (list(written.tokens), written.ended) == (answers, True), xs


WRITABLE = [n for n in FULL if n not in NUMBERS | TWO_LEVELS]


@pytest.mark.parametrize("name", WRITABLE)
def test_programs_with_one_look_ahead_are_written_behind_a_separator(name):
    entry, rng = ENTRIES[name], random.Random(name)
    form = form_of(entry)
    for n in [*range(1, entry.max_seq_len + 1), *[entry.max_seq_len] * 5]:
        xs = [rng.choice(entry.vocab) for _ in range(n)]
        if entry.valid(xs):
            assert_writes(form, entry.program, xs)
    assert_writes(form, entry.program, [entry.vocab[0]] * entry.max_seq_len)


@pytest.mark.parametrize("name", sorted(TWO_LEVELS))
def test_programs_with_two_are_refused(name):
    with pytest.raises(CompileError, match="not known where it stands: it reads ahead"):
        form_of(ENTRIES[name])


@pytest.mark.parametrize("name", sorted(NUMBERS))
def test_numbers_are_no_tokens(name):
    with pytest.raises(CompileError, match="its answers are numbers"):
        form_of(ENTRIES[name])


def test_prompts_that_cannot_be_answered():
    form = form_of(ENTRIES["reverse"])
    for xs in ([], ["a"] * 11):
        with pytest.raises(GenerationError, match=f"{len(xs)} tokens; from 1 to 10"):
            form.prompt(xs)


def test_functions_are_called_only_with_what_a_prompt_can_hold():
    calls = []

    def table(x, i):
        calls.append((x, i))
        return "ab"[i % 2] if x == "a" else "x"

    program = rasp.Aggregate(
        rasp.Select(rasp.indices, rasp.length - 1 - rasp.indices, rasp.Comparison.EQ),
        rasp.SequenceMap(table, rasp.tokens, rasp.indices),
        default="x",
    )
    form = after_separator(program, "ab", 3)
    assert set(form.vocab) == {"a", "b", "x", "|"}
    for xs in (["a"], ["b", "a"], ["a", "a", "a"]):
        assert_writes(form, program, xs)
    assert {x for x, _ in calls} == {"a", "b"}
    assert {i for _, i in calls} == {0, 1, 2}


def test_numbers_keep_their_type_for_functions_that_tell():
    program = rasp.Map(lambda x: f"<{x}>", rasp.tokens)
    form = after_separator(program, [1, 2], 3)
    assert generate(form.program, form.prompt([2, 1])).tokens == ("<2>", "<1>")


@pytest.mark.parametrize("seed", [*range(50), 71, 145, 341, 387])
def test_random_programs_are_written_or_refused(seed):
    sample, rng = sample_program(seed), random.Random(seed)
    size = min(sample.max_seq_len, 5)
    reserved = {"separator": "<|>", "end": "<END>", "none": "<None>"}
    try:
        form = after_separator(sample.program, sample.vocab, size, **reserved)
    except CompileError:
        return
    for _ in range(5):
        xs = rng.choices(sorted(sample.vocab, key=repr), k=rng.randint(1, size))
        try:
            answers = ["<None>" if y is None else y for y in sample.program(xs)]
        except Exception:  # the program has no answer, so anything will do
            continue
        limits = {"max_seq_len": form.max_seq_len, "vocab": form.vocab, "end": form.end}
        found = generate(form.program, form.prompt(xs), **limits)
        assert (list(found.tokens), found.ended) == (answers, True), xs


def test_separators_and_ends_can_be_chosen():
    form = after_separator(rasp.tokens, ["|", "END"], 3, separator=0, end=1)
    written = generate(form.program, form.prompt(["|", "END"]), end=1)
    assert (written.tokens, written.ended) == (("|", "END"), True)
    assert (form.separator, form.end) == (0, 1)


@pytest.mark.parametrize(
    ("vocab", "given", "which"),
    [
        (["a", "|"], {}, "separator"),
        (["a", "END"], {}, "end"),
        (["a"], {"end": "|"}, "separator"),
    ],
)
def test_tokens_that_mean_two_things_are_refused(vocab, given, which):
    with pytest.raises(CompileError) as caught:
        after_separator(rasp.tokens, vocab, 3, **given)
    assert which in {problem.node for problem in caught.value.problems}


def test_none_needs_a_token_of_its_own():
    program = lib.shift_by(1, rasp.tokens)
    with pytest.raises(CompileError, match="none: 'a' is a token"):
        after_separator(program, "ab", 3, none="a")
    form = after_separator(program, "ab", 3, none="-")
    assert generate(form.program, form.prompt("ab")).tokens == ("-", "a")


def test_sequences_written_out_are_refused():
    constant = rasp.ConstantSOp(("a", "b", "c"))
    mixed = rasp.SequenceMap(lambda x, y: x if x == y else "d", constant, rasp.tokens)
    with pytest.raises(CompileError, match="written out"):
        after_separator(mixed, "abc", 3)
    rows = rasp.ConstantSelector(((1, 0), (0, 1)))
    with pytest.raises(CompileError, match="written out"):
        after_separator(rasp.Aggregate(rows, rasp.tokens), "ab", 2)


# Compiled


def written(form, entry, xs):
    """The prompt and its answers."""
    answers = ["None" if y is None else y for y in entry.program(xs)]
    tokens = {token: token for token in form.vocab}
    return [*form.prompt(xs), *(tokens[each] for each in answers)]


def check_compiled(compiler, name, size, run, count=4):
    """0 wrong positions, from the first token to END, on full prompts and all-equal ones."""
    entry, rng = ENTRIES[name], random.Random(name)
    form = after_separator(entry.program, entry.vocab, size)
    model = compiler(form.program, form.vocab, form.max_seq_len, causal=True, end=form.end)
    prompts = [[token] * size for token in entry.vocab[:2]]
    while len(prompts) < 2 + count:
        n = size if len(prompts) % 2 else rng.randint(1, size)
        prompts.append(rng.choices(entry.vocab, k=n))
    given = [written(form, entry, xs) for xs in prompts if entry.valid(xs)]
    assert given
    for network in run(model):
        bad, total, error = wrong(
            model, network, lambda xs: causal_eval.evaluate(form.program, xs), given
        )
        assert (bad, error < 1e-3) == (0, True), f"{bad} of {total}, {error}"
        for tokens in given:
            assert model.decode(network(model.encode(tokens)))[-1] == form.end


def in_numpy(model):
    yield lambda ids: logits(model, ids)


def in_transformers(model):
    pytest.importorskip("transformers")
    for attention in ("sdpa", "eager"):
        yield transformers_of(model, attention)


@pytest.mark.parametrize("compiler", [compile_rasp_to_llama, compile_rasp_to_gpt2])
@pytest.mark.parametrize("name", ["reverse", "hist", "modular_sum", "shuffle_dyck", "pointer"])
def test_forms_compile(name, compiler):
    check_compiled(compiler, name, 6, in_numpy)


@pytest.mark.heavy
@pytest.mark.parametrize("compiler", [compile_rasp_to_llama, compile_rasp_to_gpt2])
@pytest.mark.parametrize("name", WRITABLE)
def test_all_forms_in_64_positions_in_transformers(name, compiler):
    check_compiled(compiler, name, 31, in_transformers)


@pytest.mark.heavy
@pytest.mark.parametrize("compiler", [compile_rasp_to_llama, compile_rasp_to_gpt2])
@pytest.mark.parametrize("name", ["majority", "reverse", "rotate"])
def test_forms_in_256_positions_in_transformers(name, compiler):
    check_compiled(compiler, name, 127, in_transformers, count=2)
