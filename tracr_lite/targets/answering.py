"""Programs that read ahead, as programs that answer after the whole prompt was read.

    reverse("abc") = "cba"        the causal form writes   a b c | c b a END

Behind the separator every position sees the prompt x1 .. xn. The position n + j, j from 0,
writes the answer of position j: it has index j and length n, reads the token of position j with
a head, and its selectors see the prompt only. What a selector compares with, its keys, is
computed where the prompt stands, where nothing later is known. So keys, and what is averaged,
may be made of tokens and indices, and of heads that look back only. Where they need more, one
look at the whole prompt is not enough, and the program is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tracr_lite.compiler.compiling import COMPILER_BOS, COMPILER_PAD
from tracr_lite.compiler.inputs import check_request
from tracr_lite.errors import CompileError, Problem
from tracr_lite.rasp import rasp
from tracr_lite.rasp.rasp import Value
from tracr_lite.targets.autoregressive import END, GenerationError
from tracr_lite.targets.prompt_form import PromptForm, without_none
from tracr_lite.targets.prompt_functions import EndIf
from tracr_lite.targets.reading_ahead import answers_of

SEPARATOR = "|"
STAGE = "after_separator"


@dataclass(frozen=True)
class AfterSeparator:
    """A program that writes the answers of another one.

    **Arguments:** `program`: causal; compile it with `causal=True`. `vocab`: its tokens: those
    of the other program, its answers, and the separator. `max_seq_len`: of prompt, separator
    and answers. `separator`, `end`: as given.
    """

    program: rasp.SOp
    vocab: tuple[Value, ...]
    max_seq_len: int
    separator: Value
    end: Value

    def prompt(self, xs: Iterable[Value]) -> list[Value]:
        """The tokens and the separator: the answers come next.

        **Raises:** `GenerationError` if there are no tokens, or too many.
        """
        tokens, longest = list(xs), self.max_seq_len // 2
        if not 0 < len(tokens) <= longest:
            raise GenerationError(f"{len(tokens)} tokens; from 1 to {longest} can be answered")
        return [*tokens, self.separator]


def after_separator(
    program: rasp.SOp,
    vocab: Iterable[Value],
    max_seq_len: int,
    *,
    separator: Value = SEPARATOR,
    end: Value = END,
    none: Value = "None",
) -> AfterSeparator:
    """The causal form of a program in which positions read ahead once.

    For prompts of 1 to `max_seq_len` tokens of `vocab`, what `generate` writes for
    `form.program` and `form.prompt(xs)`, with `vocab=form.vocab`, is `program(xs)`. Before the
    separator the form says something without a meaning.

    **Arguments:** `separator`, `end`, `none`: tokens that are neither in `vocab` nor among the
    answers; `none` is written for the answer None.
    **Raises:** `CompileError` listing what needs more than one look ahead, or why the answers
    cannot be tokens.
    """
    given, max_seq_len = check_request(vocab, max_seq_len, COMPILER_BOS, COMPILER_PAD)
    tokens = tuple(given)
    answers = answers_of(program, tokens, max_seq_len)
    reserved = {"separator": separator, "end": end}
    if answers is not None and None in answers:
        reserved["none"] = none
    form = PromptForm(program, tokens, max_seq_len, separator)
    numbers = rasp.is_numerical(program)
    problems = _not_tokens(form.label(program), numbers, tokens, answers, reserved)
    value = form.value(program)
    problems += form.problems
    if problems or answers is None:
        raise CompileError(STAGE, problems)
    if None in answers:
        value = without_none(value, none)
        answers = tuple(none if each is None else each for each in answers)
    written = rasp.SequenceMap(EndIf(end), value, form.done).named(program.name)
    new = [each for each in answers if each not in tokens]
    longest = 2 * max_seq_len + 1
    return AfterSeparator(written, (*tokens, separator, *new), longest, separator, end)


def _not_tokens(
    label: str,
    numbers: bool,
    tokens: tuple[Value, ...],
    answers: tuple[Value, ...] | None,
    reserved: Mapping[str, Value],
) -> list[Problem]:
    found: list[Problem] = []
    if numbers or answers is None or any(isinstance(each, float) for each in answers):
        fix = "write a Map that turns it into tokens"
        found.append(Problem(label, "its answers are numbers, and no tokens", fix))
        return found
    for name, value in reserved.items():
        others = [each for other, each in reserved.items() if other != name]
        if value in (*tokens, *answers, *others):
            reason = f"{value!r} is a token or an answer already"
            found.append(Problem(name, reason, f"choose another {name}"))
    return found
