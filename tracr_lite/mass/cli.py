"""The command `tracr-lite dataset`."""

from __future__ import annotations

import shlex
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import click

from tracr_lite.mass.beginning import DENSE_SHARD
from tracr_lite.mass.manifest import MANIFEST, Manifest, read_manifest
from tracr_lite.mass.reading import read_dataset
from tracr_lite.mass.recipe import CAUSAL, STORAGES, Recipe
from tracr_lite.mass.writing import write_dataset

INTERRUPTED = 130  # what shells report for a program that Ctrl-C ended

ABOUT = """Write COUNT random programs with their models to the folder OUT.

Each sample has the program as text, the weights of its transformer, and the labels that say
where in the weights each part of the program is. Read them with
`tracr_lite.mass.read_dataset`, or without this package: docs/datasets.md describes the files.

Stopped by Ctrl-C, a kill or a full disk? Run `tracr-lite dataset OUT` again: it continues where
it was, and ends with the same bytes.

\b
Examples
  tracr-lite dataset small --count 1000
  tracr-lite dataset small                     continue it
  tracr-lite dataset small --check             compare all files with their digests
  tracr-lite dataset long --count 200 --max-seq-len 12 --vocab-size 3 --nodes 3 6

\b
Exit codes
  0  all samples are there
  2  refused: the command, the folder or the disk is at fault
  3  tracr-lite itself failed
"""

POSITIVE = click.IntRange(min=1)


def _default(name: str) -> str:
    return str(Recipe.__dataclass_fields__[name].default).strip("()").replace(",", "")


@click.command(help=ABOUT, short_help="Write random programs with their weights to files.")
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--count", type=POSITIVE, help="Samples in all. Needed for a new data set.")
@click.option(
    "--seed", type=int, help=f"Another seed, other programs. [default: {_default('seed')}]"
)
@click.option(
    "--shard-size",
    type=POSITIVE,
    help="Samples per shard; one shard is held in memory. "
    f"[default: {_default('shard_size')}, dense: {DENSE_SHARD}]",
)
@click.option(
    "--max-seq-len",
    type=POSITIVE,
    help=f"Longest input, without BOS. [default: {_default('max_seq_len')}]",
)
@click.option(
    "--vocab-size",
    type=POSITIVE,
    help=f"Tokens, without BOS and padding. [default: {_default('vocab_size')}]",
)
@click.option(
    "--nodes",
    type=(POSITIVE, POSITIVE),
    metavar="LEAST MOST",
    help=f"Expressions in a program. [default: {_default('nodes')}]",
)
@click.option(
    "--causal",
    type=click.Choice(list(CAUSAL)),
    help=f"Whether positions see only what is before them. [default: {_default('causal')}]",
)
@click.option(
    "--max-parameters", type=POSITIVE, help="Leave out larger models. [default: no limit]"
)
@click.option(
    "--timeout",
    type=float,
    metavar="SECONDS",
    help="Leave out programs that take longer to compile. [default: no limit]",
)
@click.option(
    "--storage",
    type=click.Choice(STORAGES),
    help="Weights without their zeros, or as they are: a hundred times larger. "
    f"[default: {_default('storage')}]",
)
@click.option(
    "--workers", type=click.IntRange(min=0), help="Processes. [default: one per processor]"
)
@click.option("--check", is_flag=True, help="Only compare the files with their digests.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def app(
    out: Path,
    workers: int | None,
    check: bool,
    quiet: bool,
    **arguments: Any,  # those of a `Recipe`, handed on by name
) -> None:
    """`tracr-lite dataset`"""
    if check:
        _check(out, [name for name, value in arguments.items() if value is not None])
        return
    try:
        manifest = write_dataset(
            out, workers=workers, progress=False if quiet else None, **arguments
        )
    except KeyboardInterrupt:
        _stopped(out)
        sys.exit(INTERRUPTED)
    _report(out, manifest)


def _check(out: Path, given: list[str]) -> None:
    if given:
        option = given[0].replace("_", "-")
        raise click.UsageError(f"--check only reads; leave out --{option}")
    with read_dataset(out) as dataset:
        dataset.check()
        _report(out, dataset.manifest)


def _stopped(out: Path) -> None:
    if not (out / MANIFEST).exists():
        click.echo("tracr-lite: stopped; nothing is written yet", err=True)
        return
    manifest = read_manifest(out)
    click.echo(
        f"tracr-lite: stopped; {manifest.samples} of {manifest.recipe.count} samples are "
        f"written. To continue: tracr-lite dataset {shlex.quote(str(out))}",
        err=True,
    )


def _report(out: Path, manifest: Manifest) -> None:
    """What the folder holds, on standard output."""
    size = sum(file.bytes for shard in manifest.shards for file in shard.files.values())
    refused = sum(shard.refused for shard in manifest.shards)
    click.echo(
        f"{out}: {manifest.samples} of {manifest.recipe.count} samples in "
        f"{len(manifest.shards)} shard(s), {size / 1e6:.1f} MB; {refused} program(s) refused"
    )
    kinds = Counter(str(each["kind"]) for each in read_dataset(out).refused())
    for kind, count in sorted(kinds.items()):
        click.echo(f"  {kind}: {count}")
