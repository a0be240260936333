"""The checker needs no compiler, and believes no number of a certificate."""

import ast
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.certifying.models import PROGRAMS, answers_rightly, compiled, copied, derived
from tracr_lite.certifying.certificate import Certificate
from tracr_lite.certifying.certify import certify
from tracr_lite.certifying.checker import check_certificate, main
from tracr_lite.certifying.errors import CertifyError
from tracr_lite.cli.app import app

FOLDER = Path(__file__).parents[2] / "tracr_lite" / "certifying"
WITH_COMPILER = {
    "extract.py",
    "extract_nodes.py",
    "extract_heads.py",
    "certify.py",
    "surviving.py",
}
INDEPENDENT = sorted(path for path in FOLDER.glob("*.py") if path.name not in WITH_COMPILER)


@pytest.mark.parametrize("path", INDEPENDENT, ids=lambda path: path.name)
def test_the_checker_imports_neither_the_compiler_nor_what_does(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        for name in names:
            if name.startswith("tracr_lite"):
                assert name == "tracr_lite.errors" or name.startswith("tracr_lite.certifying.")
                assert f"{name.rpartition('.')[2]}.py" not in WITH_COMPILER


def test_checking_loads_no_compiler():
    code = "import sys, tracr_lite.certifying.checker\n"
    code += "print('tracr_lite.compiler' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_certificate_survives_its_text_and_is_proved(name):
    model, found = compiled(name), derived(name)
    again = Certificate.from_json(found.to_json())
    assert again.nodes == found.nodes
    assert check_certificate(model.params, model.model_config, again) == []


@pytest.mark.parametrize("field", ["error", "tolerance", "margin"])
def test_numbers_that_are_too_good_are_refused(field):
    model, found = compiled("reverse"), derived("reverse")
    factor = 0.5 if field == "error" else 2.0
    better = replace(found.nodes[0], **{field: getattr(found.nodes[0], field) * factor})
    tampered = replace(found, nodes=(better, *found.nodes[1:]))
    lines = check_certificate(model.params, model.model_config, tampered)
    assert lines == [f"{better.name}: the certificate says more than can be proved"]


def test_a_certificate_of_another_model_is_refused():
    model = compiled("reverse")
    assert check_certificate(model.params, model.model_config, derived("hist"))


def test_weakened_parameters_are_refused():
    model = compiled("reverse")
    params = copied(model.params)
    params["transformer/layer_1/attn/query"]["w"] *= 0.1
    assert check_certificate(params, model.model_config, derived("reverse"))


@pytest.mark.parametrize("n", [3, 5])
def test_weakened_parameters_that_are_still_certified_answer_rightly(n):
    """The first layer only counts positions, so its sharpness matters for BOS alone: a tenth
    of it is enough for these lengths, and every input says so."""
    params = copied(compiled("reverse", n).params)
    params["transformer/layer_0/attn/query"]["w"] *= 0.1
    assert derived("reverse", params, n).holds
    assert answers_rightly("reverse", params, n)


def changed(path, value):
    """The text of a certificate with one field changed."""
    record = json.loads(derived("reverse").to_json())
    at = record
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return json.dumps(record)


DAMAGED = [
    pytest.param("", id="empty"),
    pytest.param("[]", id="a list"),
    pytest.param('{"format": "other"}', id="another format"),
    pytest.param(changed(["claims", "held", 3, "half"], "middle"), id="no such half-layer"),
    pytest.param(changed(["claims", "tables", 0, "rows", "shape"], [1, 1]), id="another shape"),
    pytest.param(changed(["claims", "tables", 0, "output", "data", 0], 0.5), id="half a state"),
    pytest.param(changed(["claims", "heads"], None), id="no heads"),
]


@pytest.mark.parametrize("text", DAMAGED)
def test_damaged_certificates_are_no_certificates(text):
    with pytest.raises(CertifyError):
        Certificate.from_json(text)


WRONG = [
    pytest.param(
        ["claims", "tables", 0, "output", "data", 0], 99, id="a state that is not there"
    ),
    pytest.param(["claims", "tables", 0, "rows", "data", 0], -1, id="the state of BOS"),
    pytest.param(["claims", "tables", 0, "leaves", 0], "nobody", id="a leaf that is not there"),
    pytest.param(["claims", "held", 3, "columns", "data", 0], 0, id="another column"),
    pytest.param(["claims", "heads", 0, "high"], 0, id="nothing is ever selected"),
    pytest.param(["claims", "heads", 1, "low"], 0, id="something may be empty"),
    pytest.param(["claims", "heads", 1, "head"], 7, id="a head that is not there"),
    pytest.param(["claims", "max_seq_len"], 4, id="longer than the model"),
    pytest.param(["claims", "causal"], True, id="causal"),
    pytest.param(["claims", "bos_row"], 0, id="another row of BOS"),
    pytest.param(["claims", "output", "node"], "length_2", id="another answer"),
    pytest.param(["holds"], True, id="nothing wrong"),
]


@pytest.mark.parametrize(("path", "value"), WRONG)
def test_claims_that_do_not_fit_are_refused(path, value, request):
    model = compiled("reverse")
    try:
        certificate = Certificate.from_json(changed(path, value))
        found = check_certificate(model.params, model.model_config, certificate)
    except CertifyError:
        found = ["refused"]
    assert bool(found) != (request.node.callspec.id == "nothing wrong")


def test_the_checker_runs_on_a_saved_model(tmp_path, capsys):
    folder = compiled("hist").save(tmp_path / "model")
    file = tmp_path / "hist.json"
    file.write_text(certify(compiled("hist")).to_json(), encoding="utf-8")
    assert main([str(folder), str(file)]) == 0
    assert "proved, in float32, for 1 to 3 tokens" in capsys.readouterr().out
    other = compiled("length").save(tmp_path / "other")
    assert main([str(other), str(file)]) in (1, 2)
    assert main([str(tmp_path / "nowhere"), str(file)]) == 2
    assert main([]) == 2


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        (["hist", "--max-seq-len", "40"], 0),
        (["hist", "--max-seq-len", "40", "--dtype", "bfloat16"], 0),
        (["length", "--vocab", "a", "--max-seq-len", "120", "--dtype", "bfloat16"], 1),
    ],
)
def test_the_command_prints_a_verdict(typed, code, tmp_path):
    out = tmp_path / "certificate.json"
    done = CliRunner().invoke(app, ["certify", *typed, "--out", str(out)])
    assert done.exit_code == code, done.output
    assert ("not certified" in done.output) == bool(code)
    assert ("bfloat16 has 8" in done.output) == bool(code)
    assert Certificate.from_json(out.read_text()).holds == (code == 0)
