"""The pictures of docs/visualize.md.

    python docs/visualize/make_pictures.py

The page of `tracr-lite show` is drawn by Chromium, and left as it is where there is none.
"""

import io
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))  # for a checkout that is not installed

from tracr_lite import catalog, visualize  # noqa: E402
from tracr_lite.compiler import compile_rasp_to_model  # noqa: E402

DPI = 110
WINDOW = "1200,1000"


def compiled(name):
    """A program that comes along, as a model."""
    entry = catalog.load(name)
    return compile_rasp_to_model(
        entry.program, set(entry.vocab), entry.max_seq_len, causal=entry.causal
    )


def save(name, figure):
    """Writes a picture in few colours, so that its file is small."""
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=DPI)
    Image.open(drawn).convert("RGB").quantize(64).save(HERE / f"{name}.png", optimize=True)
    print(f"{name}.png: {(HERE / name).with_suffix('.png').stat().st_size:,} bytes")


def main():
    """Draws all of them."""
    model, xs = compiled("most_frequent"), ["b", "a", "c", "a", "c", "c"]
    save("program_graph", visualize.program_graph(model))
    save("circuit", visualize.circuit(model, xs))
    save("attention", visualize.attention(model, xs))
    model, xs = compiled("reverse"), ["a", "b", "c", "d"]
    save("residual_stream", visualize.residual_stream(model, xs))
    save("neurons", visualize.neurons(model, xs, layer=0, theme="dark"))
    save("weights", visualize.weights(compiled("hist"), ["a", "b", "a"], layer=0))
    page_picture(model, xs)


def page_picture(model, xs):
    """A screenshot of the page."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        print("no chromium: page.png stays as it is")
        return
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        heading = visualize.Heading("reverse", catalog.load("reverse").summary)
        page.write_text(visualize.page(model, xs, heading), encoding="utf-8")
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        flags += [f"--user-data-dir={folder}/profile", f"--window-size={WINDOW}"]
        out = f"--screenshot={HERE / 'page.png'}"
        subprocess.run([chromium, *flags, out, page.as_uri()], check=True, capture_output=True)
    print(f"page.png: {(HERE / 'page.png').stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
