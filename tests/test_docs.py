"""The documentation: its code runs, and what stands below the code is what it prints.

    python -m tests.test_docs     writes what is printed now, and the tables, into the pages

A page is run from top to bottom in one namespace, as a reader would type it. Blocks marked
`python` are executed, `tracr-lite` commands in blocks marked `bash` too; a block marked
`output` right below holds what they print. `text` is not run. The tutorial is run in an empty
folder, where its reader is, and comments before its blocks say what to do with a file:
`<!-- file: NAME -->` saves the block, `add to:` appends it, `in:` puts its line in the place of
the one that starts alike.
"""

import ast
import contextlib
import difflib
import io
import re
import runpy
import shlex
import sys
import tempfile
from pathlib import Path

import pytest

from tracr_lite import catalog

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "tracr_lite"
TESTED_ELSEWHERE = {"xor.md"}
PAGES = [ROOT / "README.md"] + [
    path for path in sorted((ROOT / "docs").glob("*.md")) if path.name not in TESTED_ELSEWHERE
]
IN_A_FOLDER_OF_ITS_OWN = {"tutorial.md"}
BLOCK = re.compile(
    r"(?:^<!-- (?P<action>file|add to|in): (?P<file>[\w.]+) -->\n)?"
    r"^```(?P<language>python|bash)\n(?P<code>.*?)^```\n"
    r"(?P<gap>\n*)(?:^```output\n(?P<output>.*?)^```\n)?",
    re.DOTALL | re.MULTILINE,
)
TABLE = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end of table -->)", re.DOTALL)
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)


def rewritten(page):
    """The page with the outputs and the tables as they are now."""
    if page.name not in IN_A_FOLDER_OF_ITS_OWN:
        return run_in(page, ROOT)
    with tempfile.TemporaryDirectory() as folder, own_modules(folder):
        return run_in(page, Path(folder))


def run_in(page, folder):
    namespace = {"__name__": "__main__"}

    def run(match):
        kind, code, gap = match["language"], match["code"], match["gap"]
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), contextlib.chdir(folder):
            if match["action"]:
                ACTIONS[match["action"]](Path(match["file"]), code)
            elif kind == "python":
                exec(compile(code, page.name, "exec"), namespace)
            else:
                run_commands(code)
        lines = [line.rstrip() for line in printed.getvalue().splitlines()]
        lines = [SECONDS.sub(r"\1...", line) for line in lines]
        comment = f"<!-- {match['action']}: {match['file']} -->\n" if match["action"] else ""
        head = f"{comment}```{kind}\n{code}```\n"
        if not lines:
            return head + gap
        shown = "\n".join(lines).strip("\n")
        after = gap if match["output"] is not None else "\n"
        more = "" if match["output"] is not None else gap
        return f"{head}{after}```output\n{shown}\n```\n{more}"

    text = BLOCK.sub(run, page.read_text(encoding="utf-8"))
    return TABLE.sub(lambda match: match[1] + TABLES[match[2]]() + match[3], text)


@contextlib.contextmanager
def own_modules(folder):
    """Imports find the files of a folder, and forget them afterwards."""
    before = set(sys.modules)
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
        forget(folder, set(sys.modules) - before)


def forget(folder, names):
    for name in names:
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(folder):
            del sys.modules[name]


def replace_line(path, code):
    """The line of the file that starts with the same word becomes this one."""
    word = code.split()[0]
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    (at,) = [i for i, line in enumerate(lines) if line.startswith(f"{word} ")]
    lines[at] = code
    path.write_text("".join(lines), encoding="utf-8")


ACTIONS = {
    "file": lambda path, code: path.write_text(code, encoding="utf-8"),
    "add to": lambda path, code: path.write_text(
        f"{path.read_text(encoding='utf-8')}\n\n{code}", encoding="utf-8"
    ),
    "in": replace_line,
}
SECONDS = re.compile(r"^(seconds\s+)[\d.]+.*$")  # what `tracr-lite verify` says of its time


def run_commands(code):
    """`tracr-lite`, and `python` with a file; what installs or tests is for .ci/run."""
    from tracr_lite.cli import app

    for part in re.split(r"&&|\n", code):
        typed = shlex.split(part, comments=True)
        if typed and Path(typed[0]).name == "tracr-lite":
            with contextlib.suppress(SystemExit), contextlib.redirect_stderr(sys.stdout):
                app.main(typed[1:])
        elif typed and typed[0] == "python" and len(typed) == 2:
            forget(str(Path.cwd()), list(sys.modules))
            runpy.run_path(typed[1], run_name="__main__")


def program_table():
    """All programs that come along, with the size of their models."""
    from tracr_lite.compiler import compile_rasp_to_model

    lines = [
        "| program | what it computes | layers | d_model | max_seq_len |",
        "|---|---|--:|--:|--:|",
    ]
    for entry in catalog.load_all():
        n = entry.max_seq_len
        model = compile_rasp_to_model(entry.program, entry.vocab, n, causal=entry.causal)
        layers, width = model.model_config.num_layers, len(model.residual_labels)
        file = f"[{entry.name}](../programs/{entry.name}.py)"
        lines.append(f"| {file} | {entry.summary} | {layers} | {width} | {n} |")
    return "\n".join(lines) + "\n"


TABLES = {"programs": program_table}


@every_page
def test_the_code_runs_and_prints_what_the_page_says(page):
    said, is_so = page.read_text(encoding="utf-8"), rewritten(page)
    diff = difflib.unified_diff(
        said.splitlines(), is_so.splitlines(), "page", "now", lineterm=""
    )
    assert said == is_so, "run `python -m tests.test_docs`:\n" + "\n".join(diff)


@every_page
def test_links_lead_to_files(page):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if target.startswith("performance/") and not (page.parent / "performance").exists():
            continue  # figures that `tracr-lite benchmark --out docs/performance` writes
        assert (page.parent / target).exists(), target


def test_every_fence_says_how_it_is_treated():
    for page in PAGES:
        fences = re.findall(r"^```(\w*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
        assert set(fences[::2]) <= {"python", "bash", "output", "text"}, page.name
        assert set(fences[1::2]) <= {""}, page.name


def test_the_readme_is_short():
    assert len(PAGES[0].read_text(encoding="utf-8").splitlines()) < 120


REFUSALS = {"Problem", "CannotLower", "BadValue", "TooMany", "_Refused", "Refused"}


def reasons():
    """The constant parts of all reasons for which the compiler refuses a program."""
    for path in sorted((PACKAGE / "compiler").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", None) in REFUSALS:
                at = 0 if node.func.id not in ("Problem", "CannotLower") else 1
                for part in ast.walk(node.args[at]):
                    if isinstance(part, ast.Constant) and isinstance(part.value, str):
                        text = part.value.strip(" ,:")
                        if len(text.split()) > 1:
                            yield text


def test_every_reason_for_refusing_is_explained():
    text = " ".join((ROOT / "docs" / "limits.md").read_text(encoding="utf-8").split())
    missing = sorted({reason for reason in reasons() if reason not in text})
    assert len(set(reasons())) > 15
    assert not missing


if __name__ == "__main__":
    for each in PAGES:
        new = rewritten(each)
        if new != each.read_text(encoding="utf-8"):
            each.write_text(new, encoding="utf-8")
            print(f"wrote {each.relative_to(ROOT)}")
