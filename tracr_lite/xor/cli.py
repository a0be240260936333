"""The commands `encode`, `decode` and `verify`; `app` is mounted as `tracr-lite xor`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from tracr_lite.xor import show
from tracr_lite.xor.codec import COMPRESSIONS, Compression
from tracr_lite.xor.decoding import decode
from tracr_lite.xor.encoding import encode
from tracr_lite.xor.errors import FilesNotRight, XorError
from tracr_lite.xor.report import Report
from tracr_lite.xor.running import Progress
from tracr_lite.xor.verifying import SIDES, Side, verify

RIGHT, WRONG = 0, 1  # an input that is refused ends with 2, by the main command

ABOUT = """Ship a derived model as the XOR of its files with those of its base.

\b
  tracr-lite xor encode RELEASE TARGET BASE    make a release
  tracr-lite xor decode DST RELEASE BASE       make the target from it
  tracr-lite xor verify DST RELEASE            check a finished folder

Releases of the existing xor_codec.py script, plain or gzip, are decoded as well.

\b
Exit codes
  0  every file is right
  1  some file is not; the table says which, and why
  2  refused as a whole: the command, an input or the disk is at fault
"""

FOLDER = click.Path(path_type=Path)
F = TypeVar("F", bound=Callable[..., Any])  # what click decorates


@click.group(help=ABOUT)
def app() -> None:
    """`tracr-lite xor`"""


def _common(command: F) -> F:
    """The options of all commands."""
    options = [
        click.option("--jobs", type=click.IntRange(min=1), help="Files at once."),
        click.option(
            "--follow-links",
            is_flag=True,
            help="Read links to files outside an input folder, as in the caches of hubs.",
        ),
        click.option("--quiet", is_flag=True, help="No progress bar."),
    ]
    for option in options:
        command = option(command)
    return command


def _run(quiet: bool, action: Callable[[Progress | None], Report]) -> None:
    """Runs an action, prints its report, and exits."""
    try:
        with show.progress_bar(quiet) as progress:
            report = action(progress)
    except FilesNotRight as error:
        report = error.report
    try:
        show.print_report(report)
    except BrokenPipeError:  # nobody reads on, as with `| head`; click knows what to do
        raise
    except OSError as error:
        text = f"the run ended, but its table cannot be printed: {error.strerror}"
        raise XorError(text) from error
    sys.exit(WRONG if report.wrong else RIGHT)


@app.command("encode")
@click.argument("dst", type=FOLDER)
@click.argument("target", type=FOLDER)
@click.argument("base", type=FOLDER)
@click.option("--compress", type=click.Choice(COMPRESSIONS), default="gzip", show_default=True)
@click.option("--no-weights", is_flag=True, help="Do not count changed weights.")
@_common
def encode_command(
    dst: Path,
    target: Path,
    base: Path,
    compress: str,
    no_weights: bool,
    jobs: int | None,
    follow_links: bool,
    quiet: bool,
) -> None:
    """Write to DST a release from which TARGET can be made by those who have BASE."""
    chosen = cast(Compression, compress)
    _run(
        quiet,
        lambda progress: encode(
            dst,
            target,
            base,
            compress=chosen,
            jobs=jobs,
            follow_links=follow_links,
            count_weights=not no_weights,
            progress=progress,
        ),
    )


@app.command("decode")
@click.argument("dst", type=FOLDER)
@click.argument("payload", type=FOLDER)
@click.argument("base", type=FOLDER)
@click.option("--manifest", type=FOLDER, help="By default the one in PAYLOAD.")
@click.option(
    "--compress",
    type=click.Choice(("auto", *COMPRESSIONS)),
    default="auto",
    show_default=True,
    help="How payloads are compressed; auto goes by the manifest or their first bytes.",
)
@click.option("--base-sums", type=FOLDER, help="A list by md5sum or sha256sum, checked first.")
@click.option("--target-sums", type=FOLDER, help="Such a list of what has to come out.")
@click.option(
    "--allow-length-mismatch",
    is_flag=True,
    help="Without a manifest: continue a shorter base with zeros, cut a longer one.",
)
@click.option(
    "--check-base-last",
    is_flag=True,
    help="Hash a base only if the result is wrong; faster. Results are checked as always.",
)
@click.option("--max-bytes", type=click.IntRange(min=1), help="Most that a payload unpacks to.")
@_common
def decode_command(
    dst: Path,
    payload: Path,
    base: Path,
    compress: str,
    check_base_last: bool,
    quiet: bool,
    **others: Any,  # handed on to decode() by name
) -> None:
    """Write to DST the files whose XOR with BASE is PAYLOAD."""
    chosen = None if compress == "auto" else cast(Compression, compress)
    _run(
        quiet,
        lambda progress: decode(
            dst,
            payload,
            base,
            compress=chosen,
            check_base_first=not check_base_last,
            progress=progress,
            **others,
        ),
    )


@app.command("verify")
@click.argument("folder", type=FOLDER)
@click.argument("manifest", type=FOLDER)
@click.option(
    "--as",
    "side",
    type=click.Choice(SIDES),
    default="target",
    show_default=True,
    help="What FOLDER is.",
)
@_common
def verify_command(
    folder: Path, manifest: Path, side: str, jobs: int | None, follow_links: bool, quiet: bool
) -> None:
    """Check FOLDER against MANIFEST: the file, or the release that contains it."""
    chosen = cast(Side, side)
    _run(
        quiet,
        lambda progress: verify(
            folder,
            manifest,
            side=chosen,
            jobs=jobs,
            follow_links=follow_links,
            progress=progress,
        ),
    )
