"""Measures how tight certificates are, on all of `programs/`, and writes tightness.md.

    python docs/trust/make_tightness.py

For each node: the largest error seen when inputs are run, and the one that is certified.
"""

import random
import warnings
from collections import defaultdict
from pathlib import Path

import numpy as np

from tracr_lite import catalog
from tracr_lite.certifying.bounds import derive_all, number_of
from tracr_lite.certifying.extract import claims_of_model
from tracr_lite.compiler import compile_rasp_to_model

INPUTS = 12
HEADER = f"""# How tight certificates are

Made by `docs/trust/make_tightness.py`, in float32: each program of `programs/` at its own
length, run on {INPUTS} random inputs. *Seen*: the largest distance of a column from its state.
*Certified*: the bound for that node. *Ratio*: certified over seen, where an error was seen.

| kind of node | nodes | always exact | seen | certified | median ratio | least | greatest |
|---|---|---|---|---|---|---|---|
"""


def kind_of(held, claims):
    if held.half == "attention":
        head = next(each for each in claims.heads if each.writes == held.name)
        return "count" if head.counts_bos else ("copied one-hot" if held.one_hot else "mean")
    table = next(each for each in claims.tables if each.writes == held.name)
    numbers = {each.name for each in claims.held if each.numbers}
    numbers |= {each.name for each in claims.sums}
    reads = "steps on a number" if numbers & set(table.leaves) else "table of one-hots"
    return f"{reads}, to {'one-hot' if held.one_hot else 'number'}"


def seen(model, held, inputs):
    most = 0.0
    for residuals in inputs:
        found = np.asarray(residuals[2 * held.layer + (held.half == "mlp")][0], float)
        off = np.abs(found[1:, None, held.columns] - held.states[None])
        most = max(most, float(off.max(axis=2).min(axis=1).max()))
    return most


def rows(entry):
    """Kind, error seen and error certified, of each node."""
    model = compile_rasp_to_model(
        entry.program, set(entry.vocab), entry.max_seq_len, causal=entry.causal
    )
    claims = claims_of_model(model)
    _, known = derive_all(model.params, model.model_config, claims, number_of("float32"))
    rng, vocab = random.Random(entry.name), list(entry.vocab)
    lengths = [rng.randint(1, entry.max_seq_len) for _ in range(INPUTS)]
    inputs = [[rng.choice(vocab) for _ in range(n)] for n in lengths]
    runs = [model.apply([model.input_encoder.bos_token, *xs]).residuals for xs in inputs]
    for held in claims.held:
        if held.half != "embeddings" and held.listed:
            error = float(known[held.name].error[:-1].max(initial=0.0))
            yield kind_of(held, claims), seen(model, held, runs), error


def main():
    warnings.simplefilter("ignore")
    found = defaultdict(list)
    for entry in catalog.load_all():
        for kind, *errors in rows(entry):
            found[kind].append(errors)
    lines = []
    for kind, errors in sorted(found.items()):
        real, bound = np.array(errors).T
        ratio = (bound / np.where(real > 0, real, 1.0))[real > 0]
        cells = [
            kind,
            len(real),
            int((real == 0).sum()),
            f"{real.max():.1e}",
            f"{bound.max():.1e}",
        ]
        cells += [f"{f(ratio):.1f}" if len(ratio) else "" for f in (np.median, np.min, np.max)]
        lines.append("| " + " | ".join(str(cell) for cell in cells) + " |")
        print(lines[-1], flush=True)
    text = HEADER + "\n".join(lines) + "\n"
    (Path(__file__).parent / "tightness.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
