"""What IPython shows of models, S-Ops and selectors."""

import re
import subprocess
import sys

import pytest

from tests.visualize.models import model_of, odd
from tracr_lite import load
from tracr_lite.compiler import compile_rasp_to_model
from tracr_lite.rasp import rasp


def cells(html):
    """The texts of all cells of data."""
    return re.findall(r"<td[^>]*>([^<]*)</td>", html)


def test_a_selector_is_a_grid_on_a_sample():
    before = rasp.Select(rasp.indices, rasp.indices, rasp.Comparison.LT)
    html = before.annotated(sample=["x", "y"])._repr_html_()
    assert cells(html) == ["", "", "●", ""]
    assert "&#x27;x&#x27;" in html


def test_an_sop_is_its_value_below_the_tokens():
    html = (rasp.tokens + 1)._repr_html_()  # raises on strings, so the sample is numbers
    assert cells(html) == ["1", "0", "2", "1", "2", "1", "3", "2"]


def test_where_no_sample_works_the_reader_may_choose_one():
    broken = rasp.Map(lambda x: x["<key>"], rasp.tokens)
    html = broken._repr_html_()
    assert "annotated(sample=[...])" in html
    assert "<key>" not in html
    assert cells(broken.annotated(sample=[{"<key>": 3}])._repr_html_())[-1] == "3"


def test_a_long_sample_is_cut_and_says_so():
    html = rasp.indices.annotated(sample=range(100))._repr_html_()
    assert "The first 24 of 100." in html
    assert cells(html)[-1] == "23"


def test_a_printed_model_is_one_line():
    model = model_of("reverse")
    config, d_model = model.model_config, len(model.residual_labels)
    assert repr(model) == (
        f"<AssembledTransformerModel: {config.num_layers} layer(s), d_model {d_model}, "
        f"{config.num_heads} head(s) of size {config.key_size}, {config.mlp_hidden_size} "
        "neurons a layer, not causal>"
    )


def test_names_are_no_markup():
    model, _ = odd()
    html = model._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


def test_a_model_is_a_table_of_layers(tmp_path):
    model = model_of("reverse")
    found = cells(model._repr_html_())
    assert found[:2] == ["2", "32"]
    assert found[6:9] == ["0", "0: length_2 by all_true_selector_1", "opp_idx-1_4 (100)"]
    loaded = load(model.save(tmp_path / "it"))
    assert "0: length_2" in cells(loaded._repr_html_())


def test_the_language_alone_shows_itself_without_jax():
    code = (
        "import sys\n"
        "from tracr_lite.rasp import rasp\n"
        "assert '<table>' in (rasp.tokens == 'a')._repr_html_()\n"
        "assert not {'jax', 'matplotlib', 'numpy'} & sys.modules.keys()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_ipython_asks_for_them():
    formatters = pytest.importorskip("IPython.core.formatters", reason="needs IPython")
    format_ = formatters.HTMLFormatter()
    assert "<table>" in format_(rasp.Select(rasp.tokens, rasp.tokens, rasp.Comparison.EQ))
    assert "<table>" in format_(compile_rasp_to_model(rasp.tokens, {"a"}, 2))
