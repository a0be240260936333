"""The file for run.c, computed by plain C loops as optimising compilers build them.

run.c is not part of this repository. What is tested here is what its builds have in common:
`-O3` keeps the rules of floating point, `-Ofast` does not: gates below -88 become NaN, so only
the bounded mode can be right, and all else is rounded more coarsely.
"""

import shutil
import subprocess
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from tests.targets.runtimes import inputs, wrong
from tracr_lite import catalog
from tracr_lite.rasp import causal_eval
from tracr_lite.targets import compile_rasp_to_llama
from tracr_lite.targets.export import export

SOURCE = Path(__file__).parent / "plain_llama.c"
GCC = shutil.which("gcc")
pytestmark = pytest.mark.skipif(GCC is None, reason="needs gcc")
BUILDS = {
    "O3": ("-O3",),
    "Ofast": ("-Ofast",),
    "Ofast-native": ("-Ofast", "-march=native"),
}


@pytest.fixture(scope="module")
def runner(tmp_path_factory):
    """A function from a build to the path of its program."""
    folder = tmp_path_factory.mktemp("builds")

    @cache
    def build(name):
        command = [GCC, *BUILDS[name], "-o", folder / name, SOURCE, "-lm"]
        subprocess.run(command, check=True, capture_output=True)
        return folder / name

    return build


def bad_positions(program, name, build, mode, positions, folder, count=5):
    """(wrong positions, positions, largest error of a logit)"""
    entry = catalog.load(name)
    model = compile_rasp_to_llama(
        entry.program, entry.vocab, positions - 1, causal=True, mode=mode
    )
    path = export(model, folder / f"{name}.{mode}", "llama2c", overwrite=True) / "model.bin"

    def logits(ids):
        done = subprocess.run(
            [program(build), path, *map(str, ids)], capture_output=True, text=True, check=True
        )
        return np.array([line.split() for line in done.stdout.splitlines()], np.float32)

    given = inputs(entry.vocab, positions - 1, count, 0)
    return wrong(model, logits, lambda xs: causal_eval.evaluate(entry.program, xs), given)


@pytest.mark.parametrize(
    ("build", "mode"),
    [("O3", "wide"), ("O3", "bounded"), ("Ofast", "bounded"), ("Ofast-native", "bounded")],
)
@pytest.mark.parametrize("name", ["hist", "generate_copy"])
def test_all_positions_are_right(runner, name, build, mode, tmp_path):
    bad, total, error = bad_positions(runner, name, build, mode, 16, tmp_path)
    assert (bad, error < 1e-4) == (0, True), f"{bad} of {total}, {error}"


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("build", "mode", "positions"),
    [("O3", "wide", 64), ("Ofast", "bounded", 32), ("Ofast-native", "bounded", 32)],
)
@pytest.mark.parametrize("name", [each.name for each in catalog.load_all() if each.causal])
def test_all_causal_programs(runner, name, build, mode, positions, tmp_path):
    """With -Ofast in 32 positions: in 64 it rounds two of them to other answers."""
    bad, total, error = bad_positions(runner, name, build, mode, positions, tmp_path)
    assert (bad, error < 0.1) == (0, True), f"{bad} of {total}, {error}"
