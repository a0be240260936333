"""The arguments and options that `generate` and `chat` share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
import numpy as np

PATH = click.Path(path_type=Path)
F = TypeVar("F", bound=Callable[..., Any])  # what click decorates

OPTIONS = (
    click.argument("model", type=PATH),
    click.option(
        *("-z", "--tokenizer"),
        type=PATH,
        help="tokenizer.bin, tokenizer.json or a SentencePiece model. By default one in "
        "the folder of the model, or here.",
    ),
    click.option("-t", "--temperature", default=1.0, show_default=True, help="0 is greedy."),
    click.option(
        "-p", "--top-p", default=0.9, show_default=True, help="0 or 1 keeps all tokens."
    ),
    click.option(
        "-s", "--seed", default=0, help="As in run.c, a number of 32 bits; 0: the clock."
    ),
    click.option("--top-k", type=int, help="Keep only so many of the likeliest tokens."),
    click.option("--repetition-penalty", type=float, help="Above 1: fewer repetitions."),
    click.option(
        "--dtype",
        type=click.Choice(("float32", "bfloat16", "int8")),
        help="Of the matrices. By default int8 if the file is quantized, else float32.",
    ),
    click.option(
        "--activations",
        type=click.Choice(("float32", "q80")),
        default="float32",
        show_default=True,
        help="q80: rounded to int8 before each int8 matrix, as runq.c does.",
    ),
    click.option(
        "--engine",
        type=click.Choice(("auto", "jax", "native")),
        default="auto",
        show_default=True,
        help="native: kernels for CPUs, which need numba (pip install 'tracr_lite[fast]'); "
        "jax: XLA, on any device; auto: native where it can be had.",
    ),
    click.option(
        "--threads", type=click.IntRange(1), help="Of the native engine; by default the cores."
    ),
    click.option(
        "--lookahead",
        type=click.IntRange(0, 6),
        default=0,
        help="Run up to so many tokens (at most 6) together, guessed from the text so far: the "
        "same tokens, sooner where text repeats itself. Of the native engine.",
    ),
    click.option(
        "--like-run-c",
        is_flag=True,
        help="Print exactly the bytes of run.c, which leaves out control characters, and "
        "characters that are spelt byte by byte; and take -t below 0 as 0, -p outside of 0 to "
        "1 as 0.9.",
    ),
    click.option("--quiet", is_flag=True, help="Nothing on standard error but errors."),
)


def common(command: F) -> F:
    """Adds them to a command."""
    for each in reversed(OPTIONS):
        command = each(command)
    return command


def as_run_c_takes_them(temperature: float, top_p: float) -> tuple[float, float, list[str]]:
    """What run.c makes of -t and -p, which it compares as float32, and what to say about it.

    Source: llama2.c, run.c, `main` (350e04f).
    """
    notes: list[str] = []
    with np.errstate(over="ignore"):
        single_t, single_p = np.float32(temperature), np.float32(top_p)
    if single_t < 0:
        notes.append(f"-t {temperature:g} becomes 0, as in run.c")
        temperature = 0.0
    if single_p < 0 or single_p > 1:
        notes.append(f"-p {top_p:g} becomes 0.9, as in run.c")
        top_p = 0.9
    elif not 0 <= top_p <= 1:  # as float32 it is 0 or 1
        top_p = abs(float(single_p))
    if temperature < 0:
        temperature = 0.0
    return temperature, top_p, notes
