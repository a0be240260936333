"""Measures verify and certify on all of `programs/`, and writes the tables of this folder.

    python docs/trust/make_figures.py [NAME ...]

Without names: all programs, into docs/trust/programs.md. With names, the rows are printed.
"""

import sys
import time
import warnings
from pathlib import Path

from tracr_lite import catalog
from tracr_lite.certifying.certify import certify
from tracr_lite.certifying.surviving import survives
from tracr_lite.compiler import compile_rasp_to_model
from tracr_lite.verifying.verification import verify

HEADER = """# What is known of each program

Made by `docs/trust/make_figures.py`. Every program of `programs/`, compiled for its own
vocabulary and length.

- **inputs**: tried by `verify`, at most 20,000; *all* if these are all that there are.
- **margin**: least gap between the first and the second column of an answer (1 in theory).
- **error**: largest error of a number before it is snapped.
- **proof**: least share of a tolerance that is left, over all nodes, and seconds for it.
- **bfloat16**, **float16**: for at most 400 inputs (the longest of length n): *proved*, or
  *right* when run on all of them, or *fails*.

| program | n | inputs | mismatches | margin | error | s | proof | s | n | bfloat16 | float16 |
|---|---|---|---|---|---|---|---|---|---|---|---|
"""
SHORT = {"certified": "proved", "right on every input": "right", "fails": "fails"}


def number(extreme):
    return "" if extreme is None else f"{extreme.value:.3g}"


def short_length(entry):
    n = min(entry.max_seq_len, 4)
    while n > 1 and sum(len(entry.vocab) ** k for k in range(1, n + 1)) > 400:
        n -= 1
    return n


def row(entry):
    def model_of(n):
        return compile_rasp_to_model(entry.program, set(entry.vocab), n, causal=entry.causal)

    model = model_of(entry.max_seq_len)
    report = verify(model, budget=20_000, samples=2_000, progress=False)
    started = time.perf_counter()
    certificate = certify(model)
    seconds = time.perf_counter() - started
    shares = [1.0 - node.error / node.tolerance for node in certificate.nodes]
    left = f"{min(shares):.4f}" if certificate.holds else "no"
    small = model_of(n := short_length(entry))
    found = [survives(small, dtype).verdict for dtype in ("bfloat16", "float16")]
    tried = f"all {report.tried}" if report.exhaustive else str(report.tried)
    cells = [entry.name, entry.max_seq_len, tried, report.mismatches]
    cells += [number(report.margin), number(report.error), f"{report.seconds:.1f}", left]
    cells += [f"{seconds:.2f}", n, *(SHORT.get(each, each) for each in found)]
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def main(names):
    warnings.simplefilter("ignore")
    entries = [entry for entry in catalog.load_all() if not names or entry.name in names]
    lines = []
    for entry in entries:
        lines.append(row(entry))
        print(lines[-1], flush=True)
    if not names:
        text = HEADER + "\n".join(lines) + "\n"
        (Path(__file__).parent / "programs.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
