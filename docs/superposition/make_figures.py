"""The figures of docs/superposition.md: two programs, compressed to several sizes.

    python docs/superposition/make_figures.py [--only sort_unique] [--sizes 14 16]

It can be stopped at any time; run again, it goes on where it was, from checkpoints in --state.
What is done is in results.json, and not done again. Takes about ten minutes on one free core,
and half a gigabyte.
"""

import argparse
import itertools
import json
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))  # for programs/, in a checkout

from programs import frac_prevs, sort_unique  # noqa: E402
from tracr_lite.compiler import compile_rasp_to_model  # noqa: E402
from tracr_lite.lora.superposition import Training, make_problem, train  # noqa: E402
from tracr_lite.lora.superposition.figures import draw_accuracy, draw_overlap  # noqa: E402

RESULTS = HERE / "results.json"
LENGTH = 5
PROGRAMS = {  # program, vocabulary, sizes
    "frac_prevs": (frac_prevs.PROGRAM, "wxyz", (3, 4, 5, 6, 7, 8, 10, 12)),
    "sort_unique": (
        sort_unique.PROGRAM,
        "abcde",
        (6, 8, 10, 12, 14, 16, 18, 20, 22, 24),
    ),
}
TRAINING = {
    "frac_prevs": {"steps": 3000, "batch": 64, "output_weight": 1000.0, "restarts": 16},
    "sort_unique": {"steps": 3000, "batch": 64, "output_weight": 30.0, "restarts": 8},
}
MAPS = {"frac_prevs": 6, "sort_unique": 12}  # sizes of the heat maps


def problem_of(name):
    program, letters, _ = PROGRAMS[name]
    model = compile_rasp_to_model(program, set(letters), LENGTH, compiler_bos="BOS")
    inputs = [t for n in range(1, LENGTH + 1) for t in itertools.product(letters, repeat=n)]
    if name == "sort_unique":  # where a token occurs twice, the program says nothing
        inputs = [t for t in inputs if len(set(t)) == len(t)]
    return make_problem(model, inputs)


def run(name, size, problem, folder, entry):
    """One training; its accuracy goes into the results."""
    training = Training(size, **TRAINING[name])
    result = train(problem, training, checkpoint=folder / f"{name}-{size}.safetensors")
    entry["accuracy"][str(size)] = round(result.accuracy, 4)
    print(f"{name}, size {size}: {result.accuracy:.4f} of {len(problem.answers)} inputs")
    if MAPS[name] == size:
        title = f"{name}: {problem.d_model} directions in {size} dimensions"
        labels = problem.model.residual_labels
        draw_overlap(HERE / f"{name}.png", result.overlap, labels, title)


def write(results):
    RESULTS.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")
    curves = {
        name: (
            entry["d_model"],
            entry["rank"],
            {int(size): value for size, value in entry["accuracy"].items()},
        )
        for name, entry in results.items()
    }
    draw_accuracy(HERE / "accuracy.png", curves)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=PROGRAMS, help="one program")
    parser.add_argument("--sizes", type=int, nargs="+", help="these sizes instead of all")
    parser.add_argument("--state", type=Path, help="folder of the checkpoints")
    options = parser.parse_args()
    folder = options.state or Path(tempfile.gettempdir()) / "tracr_lite_superposition"
    folder.mkdir(parents=True, exist_ok=True)
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name in [options.only] if options.only else PROGRAMS:
        problem = problem_of(name)
        sizes = {"d_model": problem.d_model, "rank": problem.rank, "accuracy": {}}
        entry = results.setdefault(name, sizes)
        for size in options.sizes or PROGRAMS[name][2]:
            if str(size) not in entry["accuracy"]:
                run(name, size, problem, folder, entry)
                write(results)


if __name__ == "__main__":
    main()
