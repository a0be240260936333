"""Pictures: what they say, and that nothing is cut or left out in silence."""

import pytest
from matplotlib.figure import Figure

from tests.visualize.models import longest, model_of, odd, reading_of
from tracr_lite import visualize
from tracr_lite.visualize.errors import VisualizeError

DRAWN = (
    visualize.residual_stream,
    visualize.attention,
    visualize.program_graph,
    visualize.circuit,
    visualize.neurons,
    visualize.weights,
)
every_picture = pytest.mark.parametrize("draw", DRAWN, ids=lambda draw: draw.__name__)


def texts(figure):
    """All text in a figure."""
    found = [each.get_text() for each in figure.texts]
    return found + [each.get_text() for axes in figure.axes for each in axes.texts]


@every_picture
def test_a_model_and_an_input_give_a_figure(draw, tmp_path):
    figure = draw(model_of("reverse"), longest("reverse"))
    assert isinstance(figure, Figure)
    for kind in ("png", "svg"):
        figure.savefig(tmp_path / f"it.{kind}")
        assert (tmp_path / f"it.{kind}").stat().st_size > 1000


def test_the_head_is_titled_with_its_selector():
    found = texts(visualize.attention(reading_of("hist")))
    assert "layer 0 head 0 → hist_2" in found
    assert "same_tok_1: key tokens == query tokens" in found


@every_picture
def test_odd_values_are_drawn_as_they_are(draw, tmp_path):
    """No markup is read, no glyph is missing (a missing one would warn)."""
    model, xs = odd()
    figure = draw(model, xs)
    figure.savefig(tmp_path / "it.svg")
    assert any("<script>" in text for text in texts(figure))


@every_picture
def test_what_is_no_model_is_refused(draw):
    with pytest.raises(VisualizeError, match="a compiled model is needed"):
        draw("reverse", ["a"])
