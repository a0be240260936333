"""Programs for the tests of mass compiling, and what is asked of models."""

import os
from pathlib import Path

import numpy as np

from tracr_lite.compiler import lib
from tracr_lite.rasp import rasp
from tracr_lite.sampling import sample_program

REVERSE = lib.make_reverse(rasp.tokens)


def sampled(count, **arguments):
    """Requests for programs as they are drawn, and of which some do not compile."""
    samples = [sample_program(f"mass/{i}", max_seq_len=4, **arguments) for i in range(count)]
    return [(s.program, s.vocab, s.max_seq_len, {"causal": s.causal}) for s in samples]


def endless():
    """Small programs, each another one, without end."""
    number = 0
    while True:
        yield rasp.Map(lambda x, number=number: x + number, rasp.tokens), [0, 1], 3
        number += 1


def bits(params):
    """Parameters as bytes, in their order."""
    return [
        (module, leaf, array.shape, array.dtype, array.tobytes())
        for module, group in params.items()
        for leaf, array in group.items()
    ]


def same_weights(one, two):
    """Whether two parameter dictionaries hold equal numbers under equal names, in one order."""
    flat = [
        [(m, n, a) for m, g in params.items() for n, a in g.items()] for params in (one, two)
    ]
    return len(flat[0]) == len(flat[1]) and all(
        x[:2] == y[:2] and np.array_equal(x[2], y[2]) for x, y in zip(*flat, strict=True)
    )


def children(of=None):
    """Ids of the processes that a process has started, dead ones not yet waited for too."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        if int(fields[1]) == (of or os.getpid()):
            found.append(int(stat.parent.name))
    return found


def memory(process):
    """Bytes of memory that a process has to itself or shares."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
