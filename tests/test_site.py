"""The documentation site: it builds strictly, holds what it should, and needs no other host."""

import html
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import unquote

import pytest

from tracr_lite import catalog

pytest.importorskip("sphinx", reason="pip install 'tracr_lite[docs]'")
pytest.importorskip("furo", reason="pip install 'tracr_lite[docs]'")
pytest.importorskip("myst_nb", reason="pip install 'tracr_lite[docs]'")

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
NOT_PART = {"tracr_lite.cli", "tracr_lite.benchmark", "tracr_lite.programs", "tracr_lite"}


def run(*command):
    command = [sys.executable, *command]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built once even where several processes share the tests."""
    run_id = os.environ.get("PYTEST_XDIST_TESTRUNUID")
    temporary = tmp_path_factory.getbasetemp()
    folder = temporary.parent / f"site-{run_id}" if run_id else temporary / "site"
    said = folder / "said"
    try:
        folder.mkdir()
    except FileExistsError:
        until = time.monotonic() + 600
        while not said.exists():
            assert time.monotonic() < until, "the process that builds the site has not finished"
            time.sleep(0.2)
    else:
        done = run(DOCS / "site", "--quick", folder / "out")
        (folder / "part").write_text(f"{done.stdout}{done.stderr}\n{done.returncode}\n")
        (folder / "part").rename(said)
    *text, code = said.read_text().splitlines()
    assert code == "0", "\n".join(text)
    assert "index.html" in "\n".join(text)
    return folder / "out"


@pytest.fixture(scope="module")
def pages(site):
    return {
        path.relative_to(site).as_posix(): path.read_text(encoding="utf-8")
        for path in site.rglob("*.html")
    }


def test_every_file_of_docs_is_a_page(pages):
    sources = [*DOCS.rglob("*.md"), *DOCS.rglob("*.ipynb")]
    sources = [path for path in sources if ".ipynb_checkpoints" not in path.parts]
    made = {path.relative_to(DOCS).with_suffix(".html").as_posix() for path in sources}
    assert len(made) > 25
    assert made <= pages.keys()


def test_every_link_and_every_anchor_of_every_page_is_there(site, pages):
    ids = {name: set(re.findall(r'\bid="([^"]+)"', text)) for name, text in pages.items()}
    missing = []
    for name, text in pages.items():
        for target in re.findall(r'(?:href|src)="([^"]+)"', text):
            if target == "#" or re.match(r"(https?|mailto|data|javascript):", target):
                continue
            path, _, anchor = unquote(target).partition("#")
            there = (site / name).parent / path.partition("?")[0] if path else site / name
            there = there.resolve()
            if not there.is_file():
                missing.append((name, target))
            elif anchor and there.suffix == ".html":
                found = ids[there.relative_to(site.resolve()).as_posix()]
                missing += [(name, target)] if anchor not in found else []
    assert not missing


def test_nothing_is_loaded_from_another_host(site, pages):
    loads = r'<(?:script|img|iframe|source)\b[^>]*\bsrc="(https?:)?//|<link\b[^>]*href="https?:'
    assert [name for name, text in pages.items() if re.search(loads, text)] == []
    sheets = [path.read_text(encoding="utf-8") for path in site.rglob("*.css")]
    assert len(sheets) > 2
    assert not [text for text in sheets if re.search(r"url\(['\"]?(https?:)?//|@import", text)]


def test_the_gallery_has_every_program_with_picture_sizes_and_code(pages):
    sections = re.split(r'<section id="', pages["gallery.html"])
    by_name = {section.partition('"')[0].replace("-", "_"): section for section in sections}
    for name, summary in catalog.summaries().items():
        section = by_name[name]
        assert "<svg" in section, name
        assert 'class="out"' in section, name
        assert "d_model" in section, name
        assert "Teaches:" in section, name
        assert "PROGRAM" in section, name
        assert summary.split()[-1].rstrip('?."') in section, name


@pytest.mark.heavy
def test_each_program_of_the_gallery_has_a_page_to_step_through(tmp_path):
    done = run(DOCS / "site", tmp_path)
    assert done.returncode == 0, done.stderr
    gallery = (tmp_path / "gallery.html").read_text(encoding="utf-8")
    for name, summary in catalog.summaries().items():
        assert f'href="show/{name}.html"' in gallery
        assert html.escape(summary) in (tmp_path / "show" / f"{name}.html").read_text("utf-8")


def test_every_package_is_in_the_api(pages):
    shown = " ".join(text for name, text in pages.items() if name.startswith("api/"))
    packages = {
        f"tracr_lite.{path.parent.name}" for path in ROOT.glob("tracr_lite/*/__init__.py")
    }
    missing = {name for name in packages - NOT_PART if name not in shown}
    assert not missing
    for name in ("rasp.rasp.SelectorWidth", "compiler.compiling.compile_rasp_to_model"):
        assert f'id="tracr_lite.{name}"' in shown


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[the other page](nowhere.md)", "nowhere.md"),
        ("[a heading](#no-such-heading)", "no-such-heading"),
        ("![a picture](nothing.png)", "nothing.png"),
        ("nothing wrong", ""),
    ],
)
def test_what_leads_nowhere_fails_the_build(tmp_path, text, said):
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "page.md").write_text(f"# A page\n\n{text}\n")
    options = ["-W", "--keep-going", "-c", DOCS / "site", "-D", "root_doc=page"]
    done = run("-m", "sphinx", *options, tmp_path / "source", tmp_path / "out")
    assert (done.returncode != 0) == bool(said), done.stderr
    assert said in done.stderr
