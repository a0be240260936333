"""Pictures: what they say, and that nothing is cut or left out in silence."""

import subprocess
import sys
from itertools import combinations

import numpy as np
import pytest
from matplotlib.figure import Figure

from tests.visualize.models import broken, by_hand, longest, model_of, odd, reading_of
from tracr_lite import catalog, load, visualize
from tracr_lite.compiler import compile_rasp_to_model
from tracr_lite.visualize.errors import VisualizeError
from tracr_lite.visualize.parts import heads_of
from tracr_lite.visualize.reading import read
from tracr_lite.visualize.theme import DARK, LIGHT, luminance

DRAWN = (
    visualize.residual_stream,
    visualize.attention,
    visualize.program_graph,
    visualize.circuit,
    visualize.neurons,
    visualize.weights,
    visualize.overview,
)
every_picture = pytest.mark.parametrize("draw", DRAWN, ids=lambda draw: draw.__name__)


def texts(figure):
    """All text in a figure."""
    return [each.get_text() for axes in figure.axes for each in axes.texts]


def faults(figure):
    """Texts that are cut by the edge, too small, or over each other."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    renderer = canvas.get_renderer()
    shown = [t for axes in figure.axes for t in axes.texts if t.get_text().strip()]
    boxes = [(t.get_text(), t.get_window_extent(renderer)) for t in shown]
    width, height = canvas.get_width_height()
    found = [f"small: {t.get_text()}" for t in shown if t.get_size() < 6]
    for text, box in boxes:
        if box.x0 < -1 or box.y0 < -1 or box.x1 > width + 1 or box.y1 > height + 1:
            found.append(f"cut: {text}")
    for (text, a), (other, b) in combinations(boxes, 2):
        wide = min(a.x1, b.x1) - max(a.x0, b.x0)
        high = min(a.y1, b.y1) - max(a.y0, b.y0)
        if wide > 2 and high > 3:
            found.append(f"over each other: {text} | {other}")
    return found


@every_picture
def test_a_model_and_an_input_give_a_figure(draw, tmp_path):
    figure = draw(model_of("reverse"), longest("reverse"))
    assert isinstance(figure, Figure)
    for kind in ("png", "svg"):
        figure.savefig(tmp_path / f"it.{kind}")
        assert (tmp_path / f"it.{kind}").stat().st_size > 1000
    assert "matplotlib.pyplot" not in sys.modules


@every_picture
@pytest.mark.parametrize("name", ["sort", "flip_flop"])
def test_no_text_is_cut_or_covered(draw, name):
    assert faults(draw(reading_of(name))) == []


def test_a_text_over_another_one_would_be_found():
    figure = visualize.attention(reading_of("hist"))
    first = next(text for text in figure.axes[0].texts if text.get_text())
    figure.axes[0].text(*first.get_position(), "here")
    figure.axes[0].text(0.0, -1.0, "outside")
    assert {fault.partition(":")[0] for fault in faults(figure)} == {"cut", "over each other"}


@pytest.mark.heavy
@pytest.mark.parametrize("name", catalog.names())
def test_all_programs_can_be_drawn(name):
    reading = reading_of(name)
    for draw in DRAWN:
        figure = draw(reading, theme="dark")
        assert faults(figure) == []
        assert max(figure.get_size_inches()) < 60
    assert len(visualize.page(reading)) < 500_000


def test_long_inputs_and_large_vocabularies_stay_readable():
    entry = catalog.load("reverse")
    model = compile_rasp_to_model(entry.program, set("abcdefghijklmnopqrstuvwxyz"), 60)
    reading = read(model, list("thequickbrownfoxjumpsoverthelazydog" + "a" * 25))
    for draw in DRAWN[:1] + DRAWN[3:6]:
        assert max(draw(reading).get_size_inches()) < 40
    said = " ".join(texts(visualize.residual_stream(reading)))
    assert "One row that says the value, for lack of room: tokens, indices" in said
    said = " ".join(texts(visualize.weights(reading)))
    assert "60 of 3600 columns" in said
    assert "48 of 61 positions" in visualize.page(reading)


def test_what_is_left_out_is_said():
    said = texts(visualize.residual_stream(reading_of("reverse")))
    assert "1 of 4 half-layers write nothing: not shown." in said
    assert "6 more: 0" in said
    assert "12 columns stay zero (below 0.001) on this input: one row per node." in said
    reading = reading_of("most_frequent")
    said = texts(visualize.attention(reading, max_heads=2))
    heads = len(heads_of(reading))
    empty = reading.layers * reading.model.model_config.num_heads - heads
    assert f"{empty} heads without weights: not shown." in said
    assert f"Only the first 2 of {heads} heads are shown." in said
    said = texts(visualize.program_graph(reading_of("reverse"), fused=False))
    assert "3 nodes without columns: not shown." in said
    assert "opp_idx_3" not in said


def test_the_head_is_titled_with_its_selector():
    found = texts(visualize.attention(reading_of("hist")))
    assert "layer 0 head 0 → hist_2" in found
    assert "same_tok_1: key tokens == query tokens" in found


def test_the_circuit_says_where_the_model_is_wrong():
    found = texts(visualize.circuit(reading_of("sort")))
    assert not any(text.startswith("model") for text in found)
    found = texts(visualize.circuit(broken("sort"), longest("sort")))
    assert any(text.startswith("program") for text in found)
    assert any(text.startswith("model") for text in found)
    assert any("where interpreter and model differ" in text for text in found)


@every_picture
def test_odd_values_are_drawn_as_they_are(draw, tmp_path):
    """No markup is read, no glyph is missing (a missing one would warn)."""
    model, xs = odd()
    figure = draw(model, xs)
    figure.savefig(tmp_path / "it.svg")
    assert any("<script>" in text for text in texts(figure))
    assert not any("\U0001f600" in text for text in texts(figure))  # it has no glyph


def test_loaded_models_are_drawn_as_far_as_they_know_themselves(tmp_path):
    loaded = load(model_of("reverse").save(tmp_path / "it"))
    for draw in DRAWN:
        if draw is not visualize.circuit:
            assert isinstance(draw(loaded, ["a", "b"]), Figure)
    with pytest.raises(VisualizeError, match="no program with it"):
        visualize.circuit(loaded, ["a", "b"])


def test_models_packed_by_hand_are_drawn_under_the_names_of_their_columns():
    for draw in DRAWN:
        if draw in (visualize.circuit, visualize.program_graph):
            with pytest.raises(VisualizeError, match="program"):
                draw(by_hand(), [0, 1])
        else:
            assert faults(draw(by_hand(), [0, 1])) == []
    assert "out" in texts(visualize.residual_stream(by_hand(), [0, 1]))


@every_picture
def test_what_is_no_model_or_input_is_refused(draw):
    with pytest.raises(VisualizeError, match="a compiled model is needed"):
        draw("reverse", ["a"])
    with pytest.raises(VisualizeError, match="'light' or 'dark'"):
        draw(model_of("reverse"), ["a"], theme="blue")


def test_layers_that_are_not_there_are_refused():
    for draw in (visualize.neurons, visualize.weights):
        with pytest.raises(VisualizeError, match="layers 0 to 1; got 2"):
            draw(model_of("reverse"), ["a"], layer=2)


# Protanopia and deuteranopia. Source: Machado et al. 2009, doi:10.1109/TVCG.2009.113
BLIND = {
    "protan": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "deutan": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
}


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_colours_survive_print_and_colour_blindness(theme):
    colors = theme.colors(np.linspace(0, 1, 30), 1.0)
    brightness = [luminance(rgb) for rgb in colors]
    steps = np.diff(brightness if theme is DARK else brightness[::-1])
    assert (steps > 0).all()
    below, above = theme.colors([-1.0, 1.0], 1.0)
    for matrix in BLIND.values():
        assert np.abs(np.array(matrix) @ (below - above)).max() > 0.2
    for rgb in [*colors, *theme.colors(np.linspace(-1, 0, 30), 1.0)]:
        ink = luminance(rgb), 0.0 if theme.ink_on(rgb) == "#000000" else 1.0
        assert (max(ink) + 0.05) / (min(ink) + 0.05) >= 4.5


def test_without_matplotlib_the_extra_is_named_and_the_page_is_made():
    code = (
        "import sys\n"
        "sys.modules['matplotlib'] = None\n"
        "from tracr_lite import visualize\n"
        "from tracr_lite.compiler import compile_rasp_to_model\n"
        "from tracr_lite.rasp import rasp\n"
        "model = compile_rasp_to_model(rasp.tokens, {'a'}, 2)\n"
        "assert '<!doctype html>' in visualize.page(model, ['a'])\n"
        "try:\n"
        "    visualize.attention(model, ['a'])\n"
        "except visualize.MissingDependency as error:\n"
        "    assert 'tracr_lite[plots]' in str(error), error\n"
        "else:\n"
        "    raise SystemExit('no error')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
