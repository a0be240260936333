"""The commands `convert` and `info`."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import click

from tracr_lite.llama import show
from tracr_lite.llama.errors import CannotStore
from tracr_lite.llama.formats.target import DTYPES, FORMATS, SHORT, Target
from tracr_lite.llama.info import describe
from tracr_lite.llama.progress import progress_bar
from tracr_lite.llama.saving import convert

DAMAGED = 1  # exit code of `info`; an input that is refused ends with 2, by the main command
PATH = click.Path(path_type=Path)
UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9}

ABOUT_CONVERT = """Write the checkpoint IN to OUT, in another format.

IN is a .bin file of llama2.c or a Hugging Face folder with safetensors; which one is found out.

\b
Formats
  v0      .bin, float32, legacy: what run.c reads
  v1      .bin, float32, with a header that names its version
  v2      .bin, Q8_0: what runq.c reads
  v1-q80  .bin, Q8_0, historical: all integers before all scales; shared classifiers only
  hf      a folder with config.json and safetensors, for transformers

\b
Examples
  tracr-lite llama convert stories15M.bin quantized.bin --to v2
  tracr-lite llama convert quantized.bin folder --to hf --dtype float16
  tracr-lite llama convert folder model.bin --to v0

Numbers are kept wherever the target can hold them; else the largest error of each tensor is
printed. What a target has no place for is refused by name. OUT appears only when it is whole.
"""

ABOUT_INFO = """Show format, sizes, tensors and digests of a checkpoint.

FILE is a .bin file of llama2.c, or a Hugging Face folder with safetensors. It is read from the
first byte to the last.

\b
Exit codes
  0  it can be read, and all its numbers are finite
  1  some number is not finite
  2  it is no checkpoint that is known, or it is damaged; the message says what is wrong
"""


def parse_size(text: str) -> int:
    """Bytes in a text such as `5GB`. Raises `CannotStore` if it is none."""
    match = re.fullmatch(r"(\d{1,18})\s*(|KB|MB|GB)", text.strip(), re.IGNORECASE)
    if match is None:
        raise CannotStore(f"a size is a number and perhaps KB, MB or GB, as 5GB; got {text!r}")
    return int(match[1]) * UNITS[match[2].upper()]


@click.command(
    "convert", help=ABOUT_CONVERT, short_help="Write a checkpoint in another format."
)
@click.argument("source", metavar="IN", type=PATH)
@click.argument("out", metavar="OUT", type=PATH)
@click.option("--to", "format", type=click.Choice(FORMATS), required=True)
@click.option(
    "--dtype",
    type=click.Choice((*DTYPES, *SHORT)),
    help="For hf. By default each tensor keeps its own; quantized ones become float32.",
)
@click.option(
    "--group-size",
    type=click.IntRange(min=1),
    metavar="N",
    help="For v2 and v1-q80: halved until it divides dim. By default that of IN, or 64.",
)
@click.option(
    "--shard-size",
    metavar="SIZE",
    help="For hf: most bytes of tensors in a file, as 500MB. By default 5GB.",
)
@click.option("--overwrite", is_flag=True, help="Replace the file OUT if it is there.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def convert_command(
    source: Path,
    out: Path,
    format: str,
    dtype: str | None,
    group_size: int | None,
    shard_size: str | None,
    overwrite: bool,
    quiet: bool,
) -> None:
    """`tracr-lite llama convert`"""
    size = None if shard_size is None else parse_size(shard_size)
    target = Target(format, SHORT.get(dtype or "", dtype), group_size, size)
    with progress_bar("converting", quiet) as progress:
        written = convert(source, out, target, overwrite=overwrite, progress=progress)
    show.print_written(written)


@click.command("info", help=ABOUT_INFO, short_help="Show what a checkpoint holds.")
@click.argument("path", metavar="FILE", type=PATH)
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def info_command(path: Path, as_json: bool, quiet: bool) -> None:
    """`tracr-lite llama info`"""
    with progress_bar("reading", quiet) as progress:
        info = describe(path, progress)
    (show.print_json if as_json else show.print_info)(info)
    sys.exit(DAMAGED if info.not_finite else 0)
