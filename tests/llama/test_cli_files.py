"""`tracr-lite llama convert` and `info`: what is typed, printed, and the exit codes."""

import json
import os
import struct
import subprocess
import sys

import pytest

from tests.llama.models import CONFIG, ROOT, SHARED, make_weights
from tracr_lite.cli import app
from tracr_lite.llama import Target, load_checkpoint, save_checkpoint
from tracr_lite.llama.cli_files import parse_size
from tracr_lite.llama.errors import CannotStore


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder to work in, with `in.bin`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    save_checkpoint("in.bin", SHARED, make_weights(SHARED), "v0")
    return tmp_path


def run(*words):
    with pytest.raises(SystemExit) as exit_:
        app.main(["llama", *words])
    return exit_.value.code


def test_the_commands_are_listed(capsys):
    assert run("--help") == 0
    printed = capsys.readouterr().out
    assert "convert" in printed
    assert "info" in printed


@pytest.mark.parametrize("format", ["v0", "v1", "v2", "v1-q80", "hf"])
def test_convert_writes_each_format(folder, capsys, format):
    assert run("convert", "in.bin", "out", "--to", format) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert "wrote " in printed.out
    assert ("largest error" in printed.out) == (format in ("v2", "v1-q80"))
    assert ("every number was kept" in printed.out) == (format in ("v0", "v1", "hf"))
    assert load_checkpoint("out").format == format


def test_convert_hands_its_options_on(folder, capsys):
    words = ("convert", "in.bin", "hf", "--to", "hf", "--dtype", "bf16")
    assert run(*words, "--shard-size", "2KB") == 0
    model = load_checkpoint("hf")
    assert len(model.paths) > 2
    assert model.source.dtype("w1", 0).name == "bfloat16"
    assert run("convert", "hf", "q.bin", "--to", "v2", "--group-size", "4") == 0
    assert load_checkpoint("q.bin").group_size == 4
    assert run("convert", "hf", "q.bin", "--to", "v2") == 2
    assert "--overwrite" in capsys.readouterr().err
    assert run("convert", "hf", "q.bin", "--to", "v2", "--overwrite") == 0
    assert load_checkpoint("q.bin").group_size == 16


REFUSED = [
    (("convert", "none.bin", "out", "--to", "v1"), "does not exist"),
    (("convert", "in.bin", "out"), "Missing option '--to'"),
    (("convert", "in.bin", "out", "--to", "v9"), "'v9' is not one of"),
    (("convert", "in.bin", "out", "--to", "v1", "--dtype", "float16"), "for hf only"),
    (("convert", "in.bin", "out", "--to", "v1", "--group-size", "4"), "no groups"),
    (("convert", "in.bin", "out", "--to", "hf", "--shard-size", "many"), "got 'many'"),
    (("info", "none.bin"), "does not exist"),
    (("info", "."), "config.json"),
]


@pytest.mark.parametrize(("words", "said"), REFUSED)
def test_what_is_refused_ends_with_two_and_says_why(folder, capsys, words, said):
    assert run(*words) == 2
    assert said in capsys.readouterr().err
    assert [path.name for path in folder.iterdir()] == ["in.bin"]


def test_info_shows_format_shape_sizes_types_and_digests(folder, capsys):
    assert run("info", "in.bin") == 0
    printed = capsys.readouterr().out
    for said in ("llama2.c v0", "n_kv_heads", "2 x 8 x 16", "float32", "sha256", "in.bin"):
        assert said in printed


def info(path, capsys):
    assert run("info", "--json", str(path)) in (0, 1)
    return json.loads(capsys.readouterr().out)


def test_the_digest_of_the_numbers_is_the_same_in_every_format(folder, capsys):
    run("convert", "in.bin", "v1.bin", "--to", "v1")
    run("convert", "in.bin", "hf", "--to", "hf", "--shard-size", "3KB")
    run("convert", "in.bin", "v2.bin", "--to", "v2")
    run("convert", "v2.bin", "q80.bin", "--to", "v1-q80")
    run("convert", "v2.bin", "back.bin", "--to", "v0")
    capsys.readouterr()
    found = {path.name: info(path.name, capsys) for path in folder.iterdir()}
    digests = {name: each["sha256"] for name, each in found.items()}
    assert digests["in.bin"] == digests["v1.bin"] == digests["hf"]
    assert digests["v2.bin"] == digests["q80.bin"] == digests["back.bin"]
    assert digests["v2.bin"] != digests["v1.bin"]
    assert found["hf"]["parameters"] == found["v2.bin"]["parameters"]
    names = [each["path"].split("/")[-1] for each in found["hf"]["files"]]
    assert names[:2] == ["config.json", "model.safetensors.index.json"]


def test_info_counts_what_is_not_finite(folder, capsys):
    data = bytearray((folder / "in.bin").read_bytes())
    struct.pack_into("<2f", data, 28, float("nan"), float("inf"))
    (folder / "in.bin").write_bytes(data)
    assert run("info", "in.bin") == 1
    assert "2 numbers are not finite" in capsys.readouterr().out
    assert info("in.bin", capsys)["tensors"][0]["not_finite"] == 2


def test_info_of_numbers_that_are_all_infinite(folder, capsys):
    """JSON has no NaN: what does not exist is null."""
    data = bytearray((folder / "in.bin").read_bytes())
    data[28 : 28 + 4 * 11 * 16] = struct.pack("<f", float("inf")) * (11 * 16)
    (folder / "in.bin").write_bytes(data)
    assert info("in.bin", capsys)["tensors"][0]["smallest"] is None
    assert run("info", "in.bin") == 1


def test_control_characters_in_names_are_not_printed(folder, capsys):
    assert run("convert", "in.bin", "\x1b[31m[red]x", "--to", "v1") == 0
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert "\\x1b[31m[red]x" in printed


def test_notes_are_printed(folder, capsys):
    save_checkpoint("hf", CONFIG, make_weights(CONFIG), Target("hf"))
    config = json.loads((folder / "hf" / "config.json").read_text())
    (folder / "hf" / "config.json").write_text(json.dumps(config | {"colour": 1}))
    assert run("convert", "hf", "out", "--to", "v0") == 0
    assert "note: config.json: not understood" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "size"), [("5", 5), ("2KB", 2000), ("3 mb", 3_000_000), ("1GB", 10**9)]
)
def test_sizes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "KB", "-1", "1.5GB", "1TB", "9" * 19])
def test_other_texts_are_no_sizes(text):
    with pytest.raises(CannotStore, match="as 5GB"):
        parse_size(text)


def test_files_are_handled_without_loading_jax(folder):
    """Converting starts in a fraction of a second."""
    code = (
        "import sys\nfrom tracr_lite.cli import app\n"
        "try: app.main(['llama', 'convert', 'in.bin', 'out.bin', '--to', 'v2'])\n"
        "except SystemExit as exit_: assert exit_.code == 0\n"
        "assert 'jax' not in sys.modules\n"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
