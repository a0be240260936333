"""The benchmark measures what it says, and writes what it prints."""

import re

import pytest

from tracr_lite.benchmark import cases, growth, measure, report, table
from tracr_lite.benchmark.growth import Line, Panel
from tracr_lite.errors import TracrLiteError

TINY = cases.hist(4, 2)


@pytest.mark.parametrize(
    "case", [*cases.library(), cases.chain(6), cases.shared(6)], ids=lambda c: c.title
)
def test_every_case_compiles_anew_each_time(case):
    assert case.program() is not case.program()
    assert measure.build(case).trace is not None


def test_a_shared_graph_is_as_small_as_it_looks():
    (_, sizes) = next(
        (stage.name, dict(stage.sizes))
        for stage in measure.build(cases.shared(30)).trace.stages
    )
    assert sizes["nodes"] <= 33


def test_medians_are_of_runs_after_the_first():
    calls = []
    assert measure.median(lambda: calls.append(1), 5).wall >= 0
    assert len(calls) == 6


def test_calls_in_turn_run_equally_often():
    calls = []
    both = measure.in_turn([lambda: calls.append("a"), lambda: calls.append("b")], 5)
    assert calls == ["a", "b"] * 6
    assert len(both) == 2
    assert min(both) >= 0


def test_figures_of_compiling_belong_to_the_model():
    found = measure.compiling(TINY, runs=1)
    model = measure.build(TINY)
    arrays = [array for group in model.params.values() for array in group.values()]
    assert found.parameters == sum(array.size for array in arrays)
    assert found.bytes == 4 * found.parameters
    assert found.peak > 0
    assert 0 < found.nonzero < 0.5
    assert list(found.stages) == ["trace", "infer", "lower", "place", "assemble"]
    assert found.total.cpu > 0
    assert found.writing > 0


def test_tables_have_a_row_for_each_case():
    compiled = [measure.compiling(TINY, runs=1)]
    run = [measure.running(TINY, runs=1)]
    assert 0 < run[0].short < 1
    assert 0 < run[0].short_dense < 1
    assert min(run[0].batch, run[0].ids, run[0].pruned, run[0].dense) > 0
    for grid in (table.compiling(compiled), table.running(run)):
        assert all(len(row) == len(grid.head) for row in grid.rows)
        lines = grid.markdown().splitlines()
        assert lines[-1].startswith("| hist | 4 | 2 |")
        assert lines[-2].count("|") == lines[-1].count("|") == len(grid.head) + 1


def test_the_plots_show_a_line_for_each_program(tmp_path):
    pytest.importorskip("matplotlib")
    lines = (
        Line("hist", (2, 3), lambda n: cases.hist(n, 2)),
        Line("chain", (2, 4), cases.chain),
    )
    panel = Panel("growth_test", "n", lines)
    path = growth.draw(panel, list(growth.take(panel, 1)), tmp_path)
    text = path.read_text(encoding="utf-8")
    for label in ("hist", "chain", "only writing the arrays", "CPU milliseconds"):
        assert label in text


def test_the_quick_report_prints_both_tables(monkeypatch, capsys):
    monkeypatch.setattr(cases, "quick", lambda: [TINY])
    monkeypatch.setattr(report.mass, "lines", lambda count: [f"{count} programs"])
    report.run(quick=True, runs=1, out=None)
    out = capsys.readouterr().out
    assert re.search(r"^Compiling", out, re.MULTILINE)
    assert re.search(r"^Running", out, re.MULTILINE)
    assert "Machine:" in out
    assert "200 programs" in out


def test_what_cannot_be_written_is_refused_before_measuring(monkeypatch, tmp_path):
    monkeypatch.setattr(measure, "compiling", lambda case, runs: pytest.fail("measured"))
    (tmp_path / "file").write_text("")
    with pytest.raises(TracrLiteError, match=r"folder|matplotlib"):
        report.run(quick=True, runs=1, out=tmp_path / "file" / "inside")
    monkeypatch.setattr(report.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(TracrLiteError, match="plots need matplotlib"):
        report.run(quick=True, runs=1, out=tmp_path / "new")
