"""The commands of `tracr-lite llama`, each imported only when it is asked for."""

from __future__ import annotations

from importlib import import_module

import click

ABOUT = """Read, convert and run Llama models: .bin files of llama2.c, Hugging Face folders."""

# command -> the module that has it as `NAME_command`
COMMANDS: dict[str, str] = {
    "generate": "tracr_lite.llama.cli_generate",
    "chat": "tracr_lite.llama.cli_generate",
    "convert": "tracr_lite.llama.cli_files",
    "info": "tracr_lite.llama.cli_files",
    "bench": "tracr_lite.llama.cli_bench",
}


class _Later(click.Group):
    """Finds its commands in `COMMANDS`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """A command by name."""
        if cmd_name not in COMMANDS:
            return None
        return getattr(import_module(COMMANDS[cmd_name]), f"{cmd_name}_command")


@click.group(cls=_Later, help=ABOUT)
def app() -> None:
    """`tracr-lite llama`"""
