"""The documentation site.

`python docs/site` builds it, strictly: whatever is broken, a link, an anchor, a reference, a
page that no list names, fails the build. Nothing is loaded from another host, neither while
building nor by a reader's browser.
The pages in docs/ are plain Markdown that also reads well as files; what only the site has
(lists of pages, API, gallery) is added to them while they are read.
"""

import re
import sys
import tomllib
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
DOCS = HERE.parent
sys.path[:0] = [str(HERE), str(DOCS.parent)]

import api_pages  # noqa: E402
import contents  # noqa: E402
import gallery  # noqa: E402

project = "tracr_lite"
release = tomllib.loads((DOCS.parent / "pyproject.toml").read_text())["project"]["version"]
copyright = "the authors of tracr_lite; Apache-2.0"
extensions = ["myst_nb"]
exclude_patterns = ["site", "**/.ipynb_checkpoints"]
root_doc = "index"

nb_execution_mode = "off"  # a test runs the notebooks, and keeps what is stored in them true
nb_merge_streams = True
myst_enable_extensions = ["attrs_block"]
myst_heading_anchors = 4
suppress_warnings = [
    "config.cache",
    "ref.python",  # types in signatures: two packages have a `Report`; links are Markdown
]

html_theme = "furo"
html_title = "tracr_lite"
html_static_path = ["static"]
html_css_files = ["style.css"]
html_show_sphinx = False
html_copy_source = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0b5cad", "color-brand-content": "#0b5cad"},
    "dark_css_variables": {"color-brand-primary": "#7ab8f5", "color-brand-content": "#7ab8f5"},
    "footer_icons": [],
}
pygments_style = "friendly"
pygments_dark_style = "monokai"
add_module_names = False  # the heading above says the module
python_maximum_signature_line_length = 72
python_use_unqualified_type_names = True
toc_object_entries_show_parents = "hide"

OUTPUT = re.compile(r"^```output$", re.MULTILINE)
PROGRAM_LINK = re.compile(r"\]\((?:\.\./)+programs/(\w+)\.py\)")


def read(app: Any, name: str, source: list[str]) -> None:
    """Turns what is written for readers of the files into what the site understands."""
    if Path(app.env.doc2path(name)).suffix != ".md":
        return
    text = OUTPUT.sub("```{code-block} text\n:class: output\n", source[0])
    text = PROGRAM_LINK.sub(
        lambda link: "](gallery.md)" if link[1] == "__init__" else f"](gallery.md#{link[1]})",
        text,
    )
    if not text.startswith("# "):  # a table that a command writes
        text = f"# {name.rpartition('/')[2].capitalize()}\n\n{text}"
    if name == "gallery":
        text += gallery.sections(app.tags.has("pages"))
    if name.startswith("api/"):
        text += api_pages.text(name.removeprefix("api/"))
    source[0] = text + contents.lists_of(name, DOCS)


def finish(app: Any, problem: Exception | None) -> None:
    """Writes the pages that are no part of Sphinx."""
    if app.tags.has("pages") and problem is None:
        gallery.write_pages(Path(app.outdir) / gallery.FOLDER)


def setup(app: Any) -> dict[str, bool]:
    app.connect("source-read", read)
    app.connect("build-finished", finish)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
