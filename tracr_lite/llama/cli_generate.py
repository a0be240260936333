"""The commands `generate` and `chat`. Standard output gets the text and nothing else."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tracr_lite.llama.cli_options import as_run_c_takes_them, common
from tracr_lite.llama.errors import LlamaError, LlamaWarning
from tracr_lite.llama.progress import note_after, progress_bar, say
from tracr_lite.llama.sampler_rng import run_c_seed

if TYPE_CHECKING:
    from tracr_lite.llama.chat import Chat
    from tracr_lite.llama.runtime import Llama

ABOUT_GENERATE = """Continue a text with the model MODEL.

MODEL is a .bin file of llama2.c of any version, or a Hugging Face folder. The text is printed
as it comes; how fast it came stands on standard error. With the same seed, the tokens are those
of run.c.

\b
Examples
  tracr-lite llama generate stories15M.bin -i "One day, Lily met a Shoggoth"
  tracr-lite llama generate model.bin -z tokenizer.bin -i "..." -t 0.8 -p 0.9 -n 256 -s 42
  tracr-lite llama generate model.bin -i "A cat" -i "A dog" -t 0     both in one batch
  tracr-lite llama generate quantized.bin --activations q80          the arithmetic of runq.c

BOS ends a text, EOS does not, as in run.c.
"""

ABOUT_CHAT = """Talk with the model MODEL, a chat model of the Llama 2 family.

Each line of standard input is a message, until it ends or the context is used up. Template,
turns and random numbers are those of run.c.

\b
Example
  tracr-lite llama chat llama2_7b_chat.bin -y "You are kind." -i "Hello"
"""


@click.command("generate", help=ABOUT_GENERATE, short_help="Continue a text.")
@common
@click.option("-i", "--prompt", "prompts", multiple=True, help="Repeat it for a batch.")
@click.option(
    "-n",
    "--steps",
    type=int,
    help="Tokens at most, the prompt's among them. 0: the whole context. By default 256.",
)
@click.option("--stop", multiple=True, help="End before this text. May be repeated.")
@click.option("--no-echo", is_flag=True, help="Do not print the prompt.")
def generate_command(
    prompts: tuple[str, ...], stop: tuple[str, ...], no_echo: bool, **given: Any
) -> None:  # `given`: the options of `common`, and `steps`
    """`tracr-lite llama generate`"""
    quiet = given["quiet"]
    with _notes(quiet):
        model = _load(given)
        options = _options(given) | {
            **{
                "stop": [_typed(each) for each in stop],
                "echo": not no_echo,
                "printed": given["like_run_c"],
            },
            **{"errors": "surrogateescape"},
        }
        texts = [_typed(each) for each in prompts]
        if len(texts) > 1:
            _print_batch(model, texts, options, quiet)
        else:
            _print_stream(model, b"".join(texts), options, quiet)


def _print_stream(model: Llama, prompt: bytes, options: dict[str, Any], quiet: bool) -> None:
    stream = model.stream(prompt, **options)
    for piece in stream:
        _write(piece)
    _write("\n")
    if stream.result is not None and not quiet:
        count = len(stream.result.tokens) - 1
        _say_speed(model, count, stream.seconds, stream.result.seed)


def _print_batch(
    model: Llama, prompts: list[bytes], options: dict[str, Any], quiet: bool
) -> None:
    begun = time.monotonic()
    results = model.generate(prompts, **options)
    for result in results:
        _write(f"{result.text}\n")
    if not quiet:
        count = sum(len(result.tokens) for result in results)
        seconds, seed = time.monotonic() - begun, results[0].seed
        _say_speed(model, count, seconds, seed, ", compilation included")


def _say_speed(model: Llama, tokens: int, seconds: float, seed: int, note: str = "") -> None:
    speed = f"{tokens / seconds:.1f} tokens/s{note}" if tokens > 0 < seconds else "no speed"
    times = f"{max(tokens, 0)} tokens in {seconds:.2f} s"
    say(f"{speed} ({times}); engine {model.runner.name}; seed {seed}")


@click.command("chat", help=ABOUT_CHAT, short_help="Talk with a chat model.")
@common
@click.option("-i", "--prompt", help="The first message.")
@click.option("-y", "--system", help="The system prompt. By default it is asked for.")
@click.option(
    "-n", "--steps", default=0, help="Tokens of the conversation. By default the whole context."
)
def chat_command(prompt: str | None, system: str | None, **given: Any) -> None:
    """`tracr-lite llama chat`"""  # `given`: the options of `common`, and `steps`
    with _notes(given["quiet"]):
        model = _load(given)
        told = _ask("Enter system prompt (optional): ") if system is None else _typed(system)
        chat = model.chat(told or b"", **_options(given))
        message = _ask("User: ") if prompt is None else _typed(prompt)
        while message is not None:
            _write("Assistant: ")
            (_print_turn if given["like_run_c"] else _print_reply)(chat, message)
            if not chat.room:
                break
            message = _ask("User: ")
        _write("\n")
        if not chat.room and not given["quiet"]:
            say(f"the context of {chat.steps} tokens is used up")


def _print_turn(chat: Chat, message: bytes) -> None:
    from tracr_lite.llama.tokenizer.pieces import printed

    for kind, piece in chat.turn(message):
        _write("\n" if kind == "end" else printed(piece))


def _print_reply(chat: Chat, message: bytes) -> None:
    for kind, piece in chat.turn(message):
        if kind == "reply":
            _write(piece)
    if chat.room:
        _write("\n")


def _ask(label: str) -> bytes | None:
    """A line of standard input; None at its end."""
    _write(label)
    line = b"" if sys.stdin is None else sys.stdin.buffer.readline()
    return line.removesuffix(b"\n") if line else None


def _typed(text: str) -> bytes:
    """The bytes of a word of the command line, whatever they are."""
    return text.encode("utf-8", "surrogateescape")


def _write(text: str | bytes) -> None:
    """Writes at once, and exactly; nothing where standard output is closed."""
    if sys.stdout is None:
        return
    data = text if isinstance(text, bytes) else _typed(text)
    exact = getattr(sys.stdout, "buffer", None)  # notebooks have none
    if exact is None:
        sys.stdout.write(data.decode(errors="replace"))
    else:
        exact.write(data)
    sys.stdout.flush()


def _load(given: dict[str, Any]) -> Llama:
    from tracr_lite.llama.runtime import load

    path: Path = given["model"]
    tokenizer = given["tokenizer"] or _find_tokenizer(path)
    how = {
        name: given[name] for name in ("dtype", "activations", "engine", "threads", "lookahead")
    }
    with progress_bar("loading", given["quiet"]) as progress:
        model = load(path, tokenizer, **how, progress=progress)
    with note_after("compiling the native engine, which is done once", given["quiet"]):
        model.runner.prepare()
    return model


def _find_tokenizer(model: Path) -> Path:
    if not model.exists():
        raise LlamaError(f"there is no {str(model)!r}")
    folder = model if model.is_dir() else model.parent
    names = ("tokenizer.bin", "tokenizer.json", "tokenizer.model")
    for place in (*(folder / name for name in names), Path("tokenizer.bin")):
        if place.is_file():
            return place
    raise LlamaError(
        f"no tokenizer: there is none in {str(folder)!r} and no tokenizer.bin here; name one "
        "with -z"
    )


def _options(given: dict[str, Any]) -> dict[str, Any]:
    """What `Options` takes."""
    names = ("temperature", "top_p", "top_k", "repetition_penalty")
    # of the clock comes one that can be typed after -s, which has 32 bits
    seed = run_c_seed(given["seed"]) or time.time_ns() % ((1 << 31) - 1) + 1
    found = {name: given[name] for name in names} | {"n": given["steps"], "seed": seed}
    if given["like_run_c"]:
        *numbers, notes = as_run_c_takes_them(given["temperature"], given["top_p"])
        found |= dict(zip(("temperature", "top_p"), numbers, strict=True))
        for note in notes:
            warnings.warn(note, LlamaWarning, 2)
    return found


@contextmanager
def _notes(quiet: bool) -> Generator[None]:
    """Prints warnings of this part as notes."""

    def show(message: Warning | str, category: type[Warning], *rest: Any, **more: Any) -> None:
        if not issubclass(category, LlamaWarning):
            shown(message, category, *rest, **more)
        elif not quiet:
            say(f"note: {message}")

    with warnings.catch_warnings():
        warnings.simplefilter("always", LlamaWarning)
        shown, warnings.showwarning = warnings.showwarning, show
        yield
