"""The notebooks: each runs from top to bottom, and shows what is stored in it.

    python -m tests.test_notebooks [NAME...]     runs notebooks and stores what they show

The `.ipynb` files in docs/notebooks are the source, outputs included. Each is run by a kernel
of its own, as Jupyter would. A cell that raises fails the test, and so does any text that
differs, or a picture that looks different.
"""

import base64
import difflib
import io
import itertools
import os
import sys
from pathlib import Path

import numpy as np
import pytest

nbformat = pytest.importorskip("nbformat", reason="pip install 'tracr_lite[dev]'")
nbclient = pytest.importorskip("nbclient", reason="pip install 'tracr_lite[dev]'")

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))
MAX_BYTES = 400_000
SECONDS = 300  # a cell that takes longer hangs
NEEDS = {"stock_llama": ("torch", "transformers")}  # beyond what every installation has
every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def run(path):
    """The notebook with the outputs of a fresh kernel."""
    notebook = nbformat.read(path, as_version=4)
    client = nbclient.NotebookClient(
        notebook,
        timeout=SECONDS,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
    )
    client.execute(env=os.environ | {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"})
    return cleaned(notebook)


def cleaned(notebook):
    """Without what changes from run to run and from machine to machine."""
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for number, cell in enumerate(notebook.cells, 1):
        cell.id, cell.metadata = f"cell-{number:02}", {}
        if cell.cell_type == "code":
            cell.outputs = [*merged(cell.outputs)]
    return notebook


def merged(outputs):
    """What was printed as one text, however it arrived; the best form of what has several."""
    last = None
    for output in outputs:
        if output.output_type == "stream" and last is not None and last.name == output.name:
            last.text += output.text
            continue
        for kind in ("image/png", "text/html"):
            if kind in output.get("data", {}):
                shown = output.data[kind]
                output.data = {kind: smaller(shown) if kind == "image/png" else shown}
                output.metadata = {}
        last = output if output.output_type == "stream" else None
        yield output


def smaller(encoded):
    """The picture in 64 colours: a third of the bytes, and nobody sees it."""
    out = io.BytesIO()
    opened(encoded).quantize(64).save(out, "PNG", optimize=True)
    return base64.b64encode(out.getvalue()).decode() + "\n"


def opened(encoded):
    from PIL import Image

    return Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGB")


def texts(notebook):
    """All that the notebook shows, but for the pixels of pictures, as lines."""
    for number, cell in enumerate(notebook.cells, 1):
        for output in cell.get("outputs", []):
            shown = output.get("text") or output.get("data", {})
            if isinstance(shown, str):
                shown = {output.name: shown}
            for kind, text in sorted(shown.items()):
                yield f"cell {number}: {kind}"
                yield from [] if kind == "image/png" else "".join(text).splitlines()


def pictures(notebook):
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                yield picture(output.data["image/png"])


def picture(encoded):
    """Size, and a small version in grey: equal for equal pictures in slightly other fonts."""
    image = opened(encoded).convert("L")
    return image.size, np.asarray(image.resize((24, 24)), dtype=float)


@every_notebook
def test_it_runs_and_shows_what_is_stored(path):
    for module in NEEDS.get(path.stem, ()):
        pytest.importorskip(module, reason="pip install 'tracr_lite[clients]'")
    stored, fresh = nbformat.read(path, as_version=4), run(path)
    diff = difflib.unified_diff([*texts(stored)], [*texts(fresh)], "stored", "now", lineterm="")
    assert not (lines := [*diff]), "run `python -m tests.test_notebooks`:\n" + "\n".join(lines)
    for old, new in zip(pictures(stored), pictures(fresh), strict=True):
        (width, height), was = old
        (new_width, new_height), now = new
        assert abs(width - new_width) < 20
        assert abs(height - new_height) < 20
        assert np.abs(was - now).mean() < 8  # of 255


@every_notebook
def test_the_file_is_small_and_was_run_from_top_to_bottom(path):
    assert path.stat().st_size < MAX_BYTES
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    counts = [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))
    kinds = {
        output.output_type for cell in notebook.cells for output in cell.get("outputs", [])
    }
    assert kinds <= {"stream", "display_data", "execute_result"}


@every_notebook
def test_it_reads_as_prose(path):
    """It starts with a title, and no code stands without words before it."""
    cells = nbformat.read(path, as_version=4).cells
    assert cells[0].source.startswith("# ")
    kinds = [cell.cell_type for cell in cells]
    assert kinds[0] == kinds[-1] == "markdown"
    assert ("code", "code") not in itertools.pairwise(kinds)


def test_a_cell_that_raises_and_an_output_that_is_stale_are_noticed(tmp_path):
    cell = nbformat.v4.new_code_cell
    notebook = nbformat.v4.new_notebook(cells=[cell("print(1 + 1)"), cell("assert 1 == 2")])
    nbformat.write(notebook, tmp_path / "wrong.ipynb")
    with pytest.raises(nbclient.exceptions.CellExecutionError, match="AssertionError"):
        run(tmp_path / "wrong.ipynb")
    notebook.cells = notebook.cells[:1]
    nbformat.write(notebook, tmp_path / "stale.ipynb")
    with pytest.raises(AssertionError, match="stdout"):
        test_it_runs_and_shows_what_is_stored(tmp_path / "stale.ipynb")


def main(names):
    known = {path.stem: path for path in NOTEBOOKS}
    if unknown := set(names) - known.keys():
        sys.exit(f"no notebook is called {', '.join(unknown)}; there are {', '.join(known)}")
    for name in names or known:
        nbformat.write(run(known[name]), known[name])
        print(f"ran {known[name].relative_to(ROOT)}")


if __name__ == "__main__":
    main(sys.argv[1:])
