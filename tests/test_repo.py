"""Rules about the repository itself: who imports whom, how long files are, what README says."""

import ast
import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "tracr_lite"
MAX_FILE, MAX_FUNCTION = 250, 40  # lines

# part of tracr_lite -> the parts it may import besides itself, `errors` and `__version__`
MAY_IMPORT = {
    "errors": set(),
    "rasp": set(),
    "craft": set(),
    "transformer": {"craft.bases"},
    "compiler": {"rasp", "craft", "transformer"},
    "sampling": {"rasp", "compiler.lib"},
    "mass": {"rasp", "craft", "transformer", "compiler", "sampling"},
    "catalog": {"rasp"},
    "benchmark": {"rasp", "catalog", "compiler", "sampling", "mass", "transformer"},
    "targets": {"rasp", "craft", "compiler", "llama"},
    "verifying": {"rasp", "transformer", "compiler", "mass"},
    "certifying": {"compiler", "rasp", "craft", "transformer", "verifying"},
    "visualize": {"rasp", "compiler"},
    "cli": {
        "visualize",
        "certifying",
        "verifying",
        "benchmark",
        "catalog",
        "compiler",
        "rasp",
        "xor",
        "llama",
        "lora",
        "mass",
        "targets",
    },
}
# what a package hands on from a part above it, imported when it is asked for
HANDED_ON = {
    "compiler/__init__.py": {"mass.many"},
    "compiler/settling.py": {"certifying.certify"},  # asked only where bounds are tight
}
# part -> what it may not import
MAY_NOT_IMPORT = {
    "rasp": {"jax", "jaxlib", "haiku", "matplotlib"},
    "craft": {"jax", "jaxlib", "haiku"},
    "llama": {"tracr_lite.compiler"},
    "lora": {"tracr_lite.compiler"},
    "xor": {"tracr_lite.compiler"},
}
BRIDGES = ()  # modules beside the compiler that may import it, as "llama/from_compiled.py"

MODULES = sorted(PACKAGE.rglob("*.py"))
PROGRAMS = sorted((ROOT / "programs").glob("[!_]*.py"))


def name_of(path):
    return path.relative_to(ROOT).as_posix()


every_module = pytest.mark.parametrize("path", MODULES, ids=name_of)


def imported(path):
    """The full names of the modules, or of the names in them, that a file imports."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*above, *filter(None, [node.module])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def is_within(name, parent):
    return name == parent or name.startswith(f"{parent}.")


def part_of(path):
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def test_every_part_has_a_rule():
    parts = {part_of(path) for path in MODULES} - {"__init__", "__main__"}
    assert parts <= MAY_IMPORT.keys() | MAY_NOT_IMPORT.keys()


@pytest.mark.parametrize(
    "path", [path for path in MODULES if part_of(path) in MAY_IMPORT], ids=name_of
)
def test_imports_go_downwards_only(path):
    part = part_of(path)
    handed_on = HANDED_ON.get(path.relative_to(PACKAGE).as_posix(), set())
    allowed = {part, "errors", "__version__"} | MAY_IMPORT[part] | handed_on
    for name in imported(path):
        if is_within(name, "tracr_lite"):
            inner = name.removeprefix("tracr_lite.")
            assert any(is_within(inner, each) for each in allowed), f"{part} imports {name}"


@every_module
def test_no_part_imports_what_is_forbidden_to_it(path):
    if path.relative_to(PACKAGE).as_posix() in BRIDGES:
        return
    for name in imported(path):
        for forbidden in MAY_NOT_IMPORT.get(part_of(path), ()):
            assert not is_within(name, forbidden), f"{part_of(path)} imports {name}"


@pytest.mark.parametrize("path", PROGRAMS, ids=name_of)
def test_programs_use_the_language_and_its_library_only(path):
    for name in imported(path):
        assert name in {"tracr_lite.rasp.rasp", "tracr_lite.compiler.lib"}


@every_module
def test_files_and_functions_are_short(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MAX_FILE
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            lines = node.end_lineno - node.lineno + 1
            assert lines <= MAX_FUNCTION, f"{node.name} has {lines} lines"


def test_every_package_is_installed():
    setup = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    folders = {path.parent.relative_to(ROOT) for path in MODULES} | {
        Path("tracr_lite/programs")
    }
    assert sorted(setup["packages"]) == sorted(".".join(folder.parts) for folder in folders)


def test_the_version_is_that_of_the_changelog():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"\n## {version}" in (ROOT / "CHANGELOG.md").read_text()


# The README

README = ROOT / "README.md"


def blocks(*languages):
    """The code in the README, by the language after the fence."""
    text = README.read_text(encoding="utf-8") if README.exists() else ""
    fenced = re.findall(r"^```(\w+)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return [code for language, code in fenced if language in languages]


def test_the_python_of_the_readme_runs(tmp_path):
    """One after the other, as a reader would type them."""
    code = "\n".join(blocks("python"))
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, env=environment)


def commands():
    """The calls of `tracr-lite` in the shell blocks; installing is for .ci/run."""
    for line in "\n".join(blocks("bash", "sh", "shell", "console")).splitlines():
        for part in line.removeprefix("$ ").split("&&"):
            typed = shlex.split(part, comments=True)
            if typed and Path(typed[0]).name == "tracr-lite":
                yield typed[1:]


@pytest.mark.parametrize("typed", list(commands()), ids=str)
def test_the_commands_of_the_readme_run(typed, monkeypatch):
    from tracr_lite.cli import app

    monkeypatch.chdir(ROOT)
    with contextlib.redirect_stdout(io.StringIO()), pytest.raises(SystemExit) as exit_:
        app.main(typed)
    assert exit_.value.code == 0
