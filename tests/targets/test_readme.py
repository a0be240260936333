"""The lines of the README that run an export under transformers print what they say."""

import contextlib
import io
import re
import shlex
from pathlib import Path

import pytest

from tracr_lite.cli import app

README = Path(__file__).parent.parent.parent / "README.md"


def test_the_lines_for_transformers_run(tmp_path, monkeypatch):
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("torch")
    transformers.utils.logging.disable_progress_bar()
    fences = re.findall(r"^```text\n(.*?)^```", README.read_text(), re.DOTALL | re.MULTILINE)
    (block,) = (each for each in fences if "import AutoModelForCausalLM" in each)
    lines = block[block.index("$ tracr-lite export") :].splitlines()
    code = [line.removeprefix(">>> ") for line in lines if line.startswith(">>> ")]
    shown = [line for line in lines[1:] if not line.startswith(">>> ")]
    assert len(code) <= 5
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="0"):
        app.main(shlex.split(lines[0])[2:])
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec("\n".join(code), {})
    assert printed.getvalue().splitlines() == shown
