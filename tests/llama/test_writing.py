"""Files appear when they are whole: kills, full disks, two runs at once, what stood there."""

import errno
import os
import signal
import subprocess
import sys
import time

import pytest

from tests.llama.models import CONFIG, ROOT, SHARED, make_weights, same_bits
from tracr_lite.llama import LlamaConfig, Target, convert, load_checkpoint, save_checkpoint
from tracr_lite.llama.errors import CannotStore, CheckpointError
from tracr_lite.llama.formats import aside

BIG = LlamaConfig(256, 512, 4, 8, 4, 20000, 64, False)  # 50 MB
REFUSED = [
    (LlamaConfig(16, 32, 1, 2, 2, 9, 5, True, 5e5), "v0", "rope_theta is 500000"),
    (LlamaConfig(16, 32, 1, 2, 2, 9, 5, True, 1e4, 1e-6), "v1", "norm_eps is 1e-06"),
    (LlamaConfig(16, 24, 1, 2, 2, 9, 5, True), "v2", "hidden_dim 24"),
    (LlamaConfig(16, 24, 1, 2, 2, 9, 5, True), "v1-q80", "choose a group size of 8"),
    (CONFIG, "v1-q80", "classifier is not shared"),
    (LlamaConfig(16, 32, 1, 2, 2, 9, 1 << 31, True), "v1", "seq_len is 2147483648"),
]


@pytest.fixture
def saved(tmp_path):
    save_checkpoint(tmp_path / "in", CONFIG, make_weights(CONFIG), "v0")
    return tmp_path / "in"


@pytest.mark.parametrize(("config", "format", "said"), REFUSED)
def test_what_a_format_has_no_place_for_is_refused_by_name(tmp_path, config, format, said):
    with pytest.raises(CannotStore, match=said):
        save_checkpoint(tmp_path / "out", config, make_weights(config), format)
    assert not any(tmp_path.iterdir())


def test_all_that_cannot_be_stored_is_listed(tmp_path):
    config = LlamaConfig(16, 24, 1, 2, 2, 9, 5, False, 5e5, 1e-6)
    with pytest.raises(CannotStore) as error:
        save_checkpoint(tmp_path / "out", config, make_weights(config), "v1-q80")
    for said in ("rope_theta", "norm_eps", "classifier", "hidden_dim"):
        assert said in str(error.value)
    save_checkpoint(tmp_path / "hf", config, make_weights(config), "hf")
    assert load_checkpoint(tmp_path / "hf").config == config


CHOICES = [
    ({"format": "v3"}, "'v3' is not one of v0, v1, v2, v1-q80, hf"),
    ({"format": "hf", "dtype": "float64"}, "'float64' is not one of"),
    ({"format": "v0", "dtype": "float16"}, "for hf only; v0 is one file of float32"),
    ({"format": "v2", "shard_bytes": 5}, "for hf only; v2 is one file of Q8_0"),
    ({"format": "v1", "group_size": 8}, "v1 has no groups"),
    ({"format": "hf", "group_size": 8}, "hf has no groups"),
    ({"format": "hf", "shard_bytes": 0}, "holds nothing"),
    ({"format": "hf", "shard_bytes": 2.5}, "shard_bytes is 2.5, not an integer"),
    ({"format": "v2", "group_size": "8"}, "group_size is '8', not an integer"),
]


@pytest.mark.parametrize(("choice", "said"), CHOICES)
def test_choices_that_a_format_does_not_have_are_refused(choice, said):
    with pytest.raises(CannotStore, match=said):
        Target(**choice)


def test_group_sizes_below_one_are_refused(saved, tmp_path):
    for size in (0, -4):
        with pytest.raises(CannotStore, match=f"group size is {size}"):
            convert(saved, tmp_path / "out", Target("v2", group_size=size))


def test_nothing_is_replaced_unless_asked_for(saved, tmp_path):
    (tmp_path / "out").write_bytes(b"mine")
    with pytest.raises(CheckpointError, match="--overwrite"):
        convert(saved, tmp_path / "out", "v1")
    assert (tmp_path / "out").read_bytes() == b"mine"
    convert(saved, tmp_path / "out", "v1", overwrite=True)
    assert load_checkpoint(tmp_path / "out").format == "v1"


def test_the_checkpoint_that_is_read_is_never_replaced(saved, tmp_path):
    os.link(saved, tmp_path / "hard")
    (tmp_path / "soft").symlink_to(saved)
    before = saved.read_bytes()
    for path in (saved, tmp_path / "hard", tmp_path / "soft"):
        with pytest.raises(CheckpointError, match="that is read"):
            convert(saved, path, "v1", overwrite=True)
    assert saved.read_bytes() == before


def test_no_file_of_a_folder_that_is_read_is_replaced(saved, tmp_path):
    convert(saved, tmp_path / "hf", Target("hf", shard_bytes=3000))
    before = {path: path.read_bytes() for path in (tmp_path / "hf").iterdir()}
    assert {"config.json", "model.safetensors.index.json"} <= {path.name for path in before}
    for path in before:
        with pytest.raises(CheckpointError, match="that is read"):
            convert(tmp_path / "hf", path, "v1", overwrite=True)
    assert {path: path.read_bytes() for path in (tmp_path / "hf").iterdir()} == before
    convert(tmp_path / "hf", tmp_path / "hf" / "model.bin", "v1")


def test_folders_are_only_made_anew(saved, tmp_path):
    (tmp_path / "empty").mkdir()
    convert(saved, tmp_path / "empty", "hf")
    for path in ("empty", "in"):
        with pytest.raises(CheckpointError, match=r"new folder|that is read"):
            convert(saved, tmp_path / path, "hf", overwrite=True)
    with pytest.raises(CheckpointError, match="not a file"):
        convert(saved, tmp_path / "empty", "v0", overwrite=True)


def test_places_that_cannot_be_written_to(saved, tmp_path):
    with pytest.raises(CheckpointError, match="no folder"):
        convert(saved, tmp_path / "not" / "there", "v1")
    with pytest.raises(CheckpointError, match="not a file"):
        convert(saved, "/dev/null", "v1", overwrite=True)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(CheckpointError, match="cannot write"):
        convert(saved, tmp_path / "loop", "v1")
    with pytest.raises(CheckpointError, match="too long"):
        convert(saved, tmp_path / ("a" * 255), "v1")


def test_a_link_is_followed(saved, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "real")
    convert(saved, tmp_path / "link", "v1")
    assert (tmp_path / "link").is_symlink()
    assert load_checkpoint(tmp_path / "real").format == "v1"


@pytest.mark.parametrize("format", ["v0", "hf"])
def test_a_full_disk_leaves_what_was_there(saved, tmp_path, monkeypatch, format):
    def fail(self, offset, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(aside.Writer, "write_at", fail)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(CheckpointError, match="No space left"):
        convert(saved, tmp_path / "out", format)
    assert sorted(tmp_path.iterdir()) == before


def test_a_model_that_has_no_room_is_refused_before_it_is_begun(saved, tmp_path, monkeypatch):
    usage = type("Usage", (), {"free": 100})
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)
    with pytest.raises(CannotStore, match="the disk has 100 free"):
        convert(saved, tmp_path / "out", "v1")


def test_two_runs_to_the_same_place(saved, tmp_path):
    with aside.aside(tmp_path / "out"):
        with pytest.raises(CheckpointError, match="another run"):
            convert(saved, tmp_path / "out", "v1")
        convert(saved, tmp_path / "other", "v1")
    convert(saved, tmp_path / "out", "v1")


def test_what_is_in_the_way_of_the_work_is_not_followed(saved, tmp_path):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").touch()
    (tmp_path / ".out.part").symlink_to(tmp_path / "precious")
    (tmp_path / ".two.part").touch()
    (tmp_path / "precious").rename(tmp_path / ".three.part")
    (tmp_path / "precious").symlink_to(tmp_path / ".three.part")
    for name in ("out", "two", "three"):
        with pytest.raises(CheckpointError, match="is in the way; remove it"):
            convert(saved, tmp_path / name, "v1")
    assert (tmp_path / "precious" / "file").exists()


SLOW = """
import sys, time
from tracr_lite.llama import Target, convert
def slowly(done, total):
    time.sleep(0.02)
convert(sys.argv[1], sys.argv[2], Target(sys.argv[3]), progress=slowly)
"""


@pytest.mark.parametrize("format", ["v1", "v2", "hf"])
def test_a_killed_run_leaves_no_half_file_and_the_next_one_works(tmp_path, format):
    save_checkpoint(tmp_path / "in", BIG, make_weights(BIG), "v0")
    words = [sys.executable, "-c", SLOW, tmp_path / "in", tmp_path / "out", format]
    run = subprocess.Popen(words, env=os.environ | {"PYTHONPATH": str(ROOT)})
    part = tmp_path / ".out.part"
    while not part.exists() or not list(part.rglob("model*")):
        assert run.poll() is None
        time.sleep(0.01)
    time.sleep(0.1)
    run.send_signal(signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL
    assert part.exists()
    assert not (tmp_path / "out").exists()
    convert(tmp_path / "in", tmp_path / "out", format)
    assert not part.exists()
    assert load_checkpoint(tmp_path / "out").config == BIG


MEMORY = """
import re, sys, threading
from pathlib import Path
from tracr_lite.llama import Target, convert
def anonymous():
    return int(re.search(r"RssAnon:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
convert(sys.argv[1], sys.argv[4], Target("v0"))
before, most = anonymous(), 0
def watch(done, total):
    global most
    most = max(most, anonymous())
convert(sys.argv[2], sys.argv[3], Target(sys.argv[5]), progress=watch)
print(most - before)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="memory is read from /proc")
@pytest.mark.parametrize("format", ["v1", "v2", "hf"])
def test_memory_does_not_grow_with_the_model(tmp_path, format):
    """56 MB of weights in 30 MB at most; the first conversion loads all modules."""
    save_checkpoint(tmp_path / "small", CONFIG, make_weights(CONFIG), "v0")
    save_checkpoint(tmp_path / "in", BIG, make_weights(BIG), "v1")
    words = [tmp_path / "small", tmp_path / "in", tmp_path / "out", tmp_path / "tiny", format]
    run = [sys.executable, "-c", MEMORY, *words]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(run, env=environment, check=True, capture_output=True, text=True)
    assert int(done.stdout) < 30_000  # kB


@pytest.mark.parametrize("format", ["v0", "v1", "v2", "hf"])
def test_progress_adds_up_to_all_numbers(saved, tmp_path, format):
    calls = []
    convert(saved, tmp_path / "out", format, progress=lambda *call: calls.append(call))
    assert sum(count for count, _ in calls) == calls[0][1]
    assert {total for _, total in calls} == {calls[0][1]}


def test_weights_are_not_changed_by_writing(tmp_path):
    weights = make_weights(SHARED)
    for format in ("v0", "v2", "v1-q80", "hf"):
        save_checkpoint(tmp_path / format, SHARED, weights, format)
    assert same_bits(weights, make_weights(SHARED))
