"""Which pages there are, and in which order. A page that is not named here is a guide."""

from __future__ import annotations

from pathlib import Path

from api_pages import PAGES

NOTEBOOKS = (
    "first_program",
    "craft_by_hand",
    "inside_the_weights",
    "how_exactness_works",
    "superposition",
    "adapters",
    "llama_from_bytes_to_text",
    "stock_llama",
)
SECTIONS = {  # page that holds the list -> caption -> pages
    "index": {
        "Start": ("tutorial", "notebooks/index", "gallery", "programs", "glossary"),
        "Compiling": ("pipeline", "limits", "exactness", "saving", "targets", "migrating"),
        "Looking and checking": ("visualize", "verifying", "certificates"),
        "Models and weights": ("llama", "lora", "superposition", "xor", "datasets"),
        "Reference": ("api/index", "performance", "performance/benchmark", "testing"),
    },
    "notebooks/index": {"": tuple(f"notebooks/{name}" for name in NOTEBOOKS)},
    "api/index": {"": tuple(f"api/{name}" for name in PAGES)},
}
REST = "Models and weights"  # where pages go that no list above names
SHORT = {  # what a list calls a page whose title is longer
    "tutorial": "Tutorial: fifteen minutes",
    "programs": "All programs, in a table",
    "pipeline": "The pipeline",
    "exactness": "Exactness",
    "verifying": "Verifying, blame, circuits",
    "llama": "Llama",
    "lora": "Low-rank adapters",
    "superposition": "Superposition",
    "xor": "Patches: xor",
    "datasets": "Data sets",
}


def lists_of(page: str, docs: Path) -> str:
    """The lists that a page holds, as hidden tables of contents."""
    if page not in SECTIONS:
        return ""
    lists = {caption: list(names) for caption, names in SECTIONS[page].items()}
    named = {
        name for section in SECTIONS.values() for names in section.values() for name in names
    }
    found = {p.relative_to(docs).with_suffix("").as_posix() for p in _files(docs)}
    more = sorted(name for name in found - named - {"index"} if _holder(name) == page)
    lists[REST if page == "index" else ""].extend(more)
    return "".join(
        "\n\n```{toctree}\n:hidden:\n"
        + (f":caption: {caption}\n\n" if caption else "\n")
        + "\n".join(_entry(name) for name in names if name in found)
        + "\n```\n"
        for caption, names in lists.items()
    )


def _entry(name: str) -> str:
    return f"{SHORT[name]} </{name}>" if name in SHORT else f"/{name}"


def _files(docs: Path) -> list[Path]:
    files = [*docs.rglob("*.md"), *docs.rglob("*.ipynb")]
    return [path for path in files if ".ipynb_checkpoints" not in path.parts]


def _holder(name: str) -> str:
    folder = name.rpartition("/")[0]
    return f"{folder}/index" if f"{folder}/index" in SECTIONS else "index"
