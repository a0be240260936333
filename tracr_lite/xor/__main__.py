"""`python -m tracr_lite.xor`: the commands of `tracr-lite xor` alone."""

from __future__ import annotations

import sys

import click

from tracr_lite.errors import TracrLiteError
from tracr_lite.xor.cli import app

if __name__ == "__main__":
    try:
        app(prog_name="tracr-lite xor")
    except TracrLiteError as error:
        click.echo(f"tracr-lite: {error}", err=True)
        sys.exit(2)
