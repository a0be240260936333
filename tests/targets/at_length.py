"""Every program that a causal model can run, in transformers, at full length.

python -m tests.targets.at_length                 all, one after the other: an hour or two
python -m tests.targets.at_length hist llama 256  one of them

Each run replaces its lines in the table of docs/targets.md. A program that is refused at that
length runs at the largest that fits.
"""

from __future__ import annotations

import dataclasses
import gc
import random
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.targets.runtimes import wrong
from tracr_lite import catalog
from tracr_lite.compiler.compiling import lengths_of
from tracr_lite.compiler.tracing import trace
from tracr_lite.compiler.values.infer import infer
from tracr_lite.errors import CompileError
from tracr_lite.rasp import causal_eval
from tracr_lite.targets import after_separator, compile_rasp_to_gpt2, compile_rasp_to_llama
from tracr_lite.targets.causality import check_causal
from tracr_lite.targets.export import export

PAGE = Path(__file__).parent.parent.parent / "docs" / "targets.md"
PLACE = re.compile(r"(<!-- at length -->\n)(.*?)(<!-- end of at length -->)", re.DOTALL)
HEAD = (
    "| program | in | positions | parameters | compared | wrong, sdpa | wrong, eager | "
    "logits off by | to compile | to run |\n|---|---|--:|--:|--:|--:|--:|--:|--:|--:|\n"
)
COMPILERS = {"llama": compile_rasp_to_llama, "gpt2": compile_rasp_to_gpt2}
ATTENTION = ("sdpa", "eager")
FITS = re.compile(r"max_seq_len=(\d+), the largest that fits")


@dataclass(frozen=True)
class Found:
    """What came out for one program; `wrong` and `error` are by kind of attention."""

    name: str
    target: str
    positions: int
    parameters: int
    checked: int
    wrong: tuple[int, ...]
    error: float
    compiling: float
    running: float
    numeric: bool
    largest: bool  # the asked length was refused

    def line(self) -> str:
        """Of the table."""
        kind = "largest that fits: " if self.largest else ""
        off = "number" if self.numeric else "0" if self.error == 0 else f"{self.error:.0e}"
        bad = " | ".join(map(str, self.wrong))
        times = f"{self.compiling:.0f} s | {self.running:.0f} s"
        return (
            f"| {self.name} | {self.target} | {kind}{self.positions} | "
            f"{self.parameters / 1e6:.2f} M | {self.checked} | {bad} | {off} | {times} |\n"
        )


def kind_of(name: str) -> str:
    """ "as it is", "answering" behind a separator, or empty: it has no causal form."""
    entry = catalog.load(name)
    if entry.causal:
        return "as it is"
    graph = trace(entry.program)
    size = min(entry.max_seq_len, 5)
    try:
        check_causal(infer(graph, list(entry.vocab), lengths_of(graph, size), causal=False))
    except CompileError:
        try:
            after_separator(entry.program, entry.vocab, size)
        except CompileError:
            return ""
        return "answering"
    return "as it is"


def compiled(name: str, target: str, size: int):
    """(model, the texts that it is tried on) for inputs of at most `size` tokens."""
    entry, rng = catalog.load(name), random.Random(name)
    compiler = COMPILERS[target]
    if kind_of(name) == "as it is":
        model = compiler(entry.program, entry.vocab, size, causal=True)
        return model, [*_inputs(entry.vocab, size, rng), *_texts(name, size, rng)]
    form = after_separator(entry.program, entry.vocab, (size - 1) // 2)
    model = compiler(form.program, form.vocab, form.max_seq_len, causal=True, end=form.end)
    tokens = {token: token for token in form.vocab}
    prompts = _inputs(entry.vocab, (size - 1) // 2, rng)
    prompts = [xs for xs in prompts if entry.valid(xs)]
    given = []
    for xs in prompts:
        answers = ["None" if y is None else y for y in entry.program(xs)]
        given.append([*form.prompt(xs), *(tokens[each] for each in answers)])
    return model, given


def _inputs(vocab, size, rng):
    """All equal, and random, at full length; and a shorter one."""
    vocab = list(vocab)
    yield [vocab[0]] * size
    yield [vocab[-1]] * size
    yield rng.choices(vocab, k=size)
    yield rng.choices(vocab, k=max(1, size * 2 // 3))


def _texts(name, size, rng):
    """For programs that write: a whole text, as long as can be."""
    half = (size - 1) // 2
    xs = rng.choices("abc", k=half)
    numbers, bits = [rng.choice((1, 2, 3)) for _ in range(half)], rng.choices("01", k=half)
    remainders = [f"r{int(''.join(bits[: n + 1]), 2) % 3}" for n in range(half)]
    answers = {
        "generate_copy": (xs, xs),
        "generate_reverse": (xs, xs[::-1]),
        "generate_sorted": (numbers, sorted(numbers)),
        "generate_automaton": (bits, remainders),
    }
    if name in answers:
        prompt, answer = answers[name]
        yield [*prompt, "|", *answer]
    if name == "generate_binary_count":
        width = 5
        counted = [d for n in range(2**width) for d in [*map(int, f"{n:0{width}b}"), ","]]
        yield counted[:size]
    if name == "generate_sum":
        third = (size - 2) // 3
        a, b = (rng.randrange(10 ** (third - 1), 10**third) for _ in "ab")
        total = map(int, str(a + b).zfill(third)[::-1])
        yield [*map(int, str(a)), "+", *map(int, str(b)), "=", *total][:size]


def measured(name: str, target: str, positions: int = 256) -> Found:
    """Compiles, exports, loads in transformers, compares every position."""
    size, largest = positions - 1, False
    start = time.perf_counter()
    try:
        model, given = compiled(name, target, size)
    except CompileError as error:
        fitting = FITS.search(str(error))
        if fitting is None:
            raise
        largest, size = True, int(fitting[1])
        start = time.perf_counter()
        model, given = compiled(name, target, size)
    compiling = time.perf_counter() - start
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as place:
        folder = export(model, Path(place) / "model", "hf")
        parameters = model.parameters
        model = dataclasses.replace(model, tensors={})  # in the file now
        gc.collect()
        results = [wrong(model, run, _expected(model), given) for run in _runs(folder)]
    return Found(
        name, target, model.max_seq_len + 1, parameters, results[0][1],
        tuple(bad for bad, _, _ in results), max(error for _, _, error in results),
        compiling, time.perf_counter() - start, model.numeric, largest,
    )  # fmt: skip


def _expected(model):
    known = {}

    def evaluate(xs):
        key = tuple(xs)
        if key not in known:
            known[key] = causal_eval.evaluate(model.program, xs)
        return known[key]

    return evaluate


def _runs(folder):
    """The logits of transformers for some ids, with each kind of attention."""
    import torch
    import transformers

    torch.set_num_threads(2)
    transformers.utils.logging.disable_progress_bar()
    load = transformers.AutoModelForCausalLM.from_pretrained
    network = load(folder, dtype=torch.float32, attn_implementation=ATTENTION[0]).eval()

    def logits(ids) -> np.ndarray:
        with torch.no_grad():
            return network(torch.tensor([list(ids)])).logits[0].numpy()

    for attention in ATTENTION:
        network.set_attn_implementation(attention)
        assert network.config._attn_implementation == attention
        yield logits


def names() -> list[str]:
    """Every program that has a causal form."""
    return [name for name in catalog.names() if kind_of(name)]


def write(line: str) -> None:
    """Puts a line into the table of the page, in place of one for the same."""
    text = PAGE.read_text(encoding="utf-8")
    found = PLACE.search(text)
    assert found is not None, "the page has a place for the table"
    lines = [
        each for each in found[2].splitlines(keepends=True)[2:] if _key(each) != _key(line)
    ]
    table = HEAD + "".join(sorted([*lines, line], key=_key))
    PAGE.write_text(text[: found.start(2)] + table + text[found.end(2) :], encoding="utf-8")


def _key(line: str) -> list[str]:
    return [each.strip() for each in line.split("|")[1:3]]


if __name__ == "__main__":
    if sys.argv[1:]:
        asked = (sys.argv[1], sys.argv[2], int(sys.argv[3]) if sys.argv[3:] else 256)
        found = measured(*asked)
        print(found.line(), end="")
        write(found.line())
    else:  # a process each: the memory of one is free before the next
        for program in names():
            for target in COMPILERS:
                command = [sys.executable, "-m", "tests.targets.at_length", program, target]
                subprocess.run(command, check=False)
