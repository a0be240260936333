"""Lists of sums: how they are read, and that both options refuse what they have to."""

import hashlib
import shutil
import subprocess

import pytest

from tests.xor.test_cli import run
from tests.xor.trees import GOLDEN, flip, grow, nearly, needs_golden, noise, read, script
from tracr_lite.xor import FilesNotRight, Status, XorError, decode, encode, sums
from tracr_lite.xor.sums import Digest, read_sums

A, B = "a" * 32, "b" * 64
ONE, TWO = Digest("md5", A), Digest("sha256", B)

LISTS = [
    (f"{A}  m\n{B}  n\n", {"m": ONE, "n": TWO}),
    (f"{A} *m\n{B} *n", {"m": ONE, "n": TWO}),
    (f"{A}  ./m\n{A}  ././sub/m\n", {"m": ONE, "sub/m": ONE}),
    (f"{A.upper()}  m\r\n\r\n{A}  n\r\n", {"m": ONE, "n": ONE}),
    (f"{A}   two  spaces \n", {" two  spaces ": ONE}),
    (f"{A} **star\n{A}  *star2\n", {"*star": ONE, "*star2": ONE}),
    (f"\\{A}  a\\nb\\\\c\\rd\n", {"a\nb\\c\rd": ONE}),
    (f"{A}  not\\nescaped\n", {"not\\nescaped": ONE}),
    (f"MD5 (m) = {A}\nSHA256 (sub/n (1) = 2) = {B}\n", {"m": ONE, "sub/n (1) = 2": TWO}),
    (f"\\MD5 (a\\nb) = {A}\n", {"a\nb": ONE}),
    (f"{A}  m\n\n{A}  ./m\n", {"m": ONE}),
]


@pytest.mark.parametrize(("text", "expected"), LISTS)
def test_lists_are_read(tmp_path, text, expected):
    (tmp_path / "list").write_bytes(text.encode())
    assert read_sums(tmp_path / "list") == expected


BAD_LINES = [
    "",
    "a file.bin",
    f"{A} m",
    f"{A}  ",
    f"{A[1:]}  m",
    f"{A}a  m",
    f"{'a' * 40}  sha1",
    f"{'a' * 128}  sha512",
    f"{'g' * 32}  m",
    f"# {A}  m",
    f"SHA256 (m) = {A}",
    f"SHA1 (m) = {'a' * 40}",
    f"{A}  /m",
    f"{A}  ../m",
    f"{A}  sub/../m",
    f"{A}  ./",
    f"{A}  sub//m",
    f"{A}  m\0",
    f"\\{A}  a\\tb",
    f"\\{A}  a\\",
    f"{'c' * 32}  given",
]


@pytest.mark.parametrize("line", BAD_LINES)
def test_a_malformed_line_is_named(tmp_path, line):
    head = f"{A}  given\n" if line else "\n"
    (tmp_path / "list").write_text(head + line + "\n")
    with pytest.raises(XorError, match="line 2" if line else "lists no sums"):
        read_sums(tmp_path / "list")


def test_a_list_that_cannot_be_read_is_refused(tmp_path, monkeypatch):
    for name in ("nowhere", "."):
        with pytest.raises(XorError, match="cannot read the sums"):
            read_sums(tmp_path / name)
    monkeypatch.setattr(sums, "MAX_LIST", 30)
    (tmp_path / "list").write_text(f"{A}  m\n")
    with pytest.raises(XorError, match="more than 30 bytes"):
        read_sums(tmp_path / "list")


@pytest.mark.skipif(not shutil.which("md5sum"), reason="needs md5sum of GNU coreutils")
@pytest.mark.parametrize("program", ["md5sum", "sha256sum"])
@pytest.mark.parametrize("option", ["--text", "--binary", "--tag"])
def test_what_the_programs_write_is_read(tmp_path, program, option):
    names = ["m", " a b ", "*star", "new\nline", "back\\slash", "re\rturn", "\udce9", "sub/x"]
    grow(tmp_path / "d", {name: name.encode(errors="surrogateescape") for name in names})
    done = subprocess.run(
        [program, option, "--", *names], cwd=tmp_path / "d", check=True, capture_output=True
    )
    (tmp_path / "list").write_bytes(done.stdout)
    algorithm = program.removesuffix("sum")
    expected = {
        name: Digest(algorithm, hashlib.new(algorithm, data).hexdigest())
        for name, data in read(tmp_path / "d").items()
    }
    assert read_sums(tmp_path / "list") == expected


@pytest.fixture(params=["plain", "gzip"])
def old(request, tmp_path):
    """A release of the script at r, with base, target and both lists; paths below a folder."""
    base = {"m": noise(5000), "sub/n": noise(700, 4)}
    target = {name: nearly(data) for name, data in base.items()}
    for side, files in (("base", base), ("target", target)):
        grow(tmp_path / side, files)
        write_sums(tmp_path, side)
    for folder in ("", "sub"):
        (tmp_path / "target" / folder / "added_tokens.json").write_bytes(b"{}")
        packs = request.param == "gzip"
        source, goal = tmp_path / "target" / folder, tmp_path / "r" / folder
        script(goal, source, tmp_path / "base" / folder, encode=True, compress=packs)
        (tmp_path / "target" / folder / "added_tokens.json").unlink()
        (goal / "added_tokens.json").unlink()
    return tmp_path


def write_sums(root, side, change=dict):
    """An md5sum list of a folder at base.md5 or target.md5, in binary mode for the base."""
    found = {name: hashlib.md5(data).hexdigest() for name, data in read(root / side).items()}
    mark = "*" if side == "base" else " "
    lines = [f"{digest} {mark}./{name}\n" for name, digest in change(found).items()]
    (root / f"{side}.md5").write_text("".join(lines))


def outcome(root, through, *sides):
    """Decodes with lists: ({name: status}, detail of those not right, exit code)."""
    options = {f"{side}_sums": root / f"{side}.md5" for side in sides}
    if through == "command":
        words = [(f"--{side}-sums", root / f"{side}.md5") for side in sides]
        code, out, err = run("decode", root / "d", root / "r", root / "base", *sum(words, ()))
        assert not err
        rows = [[cell.strip() for cell in line.split("│")] for line in out.splitlines()]
        files = {row[1]: row[3:5] for row in rows if len(row) == 6}
        return {k: Status(v[0]) for k, v in files.items()}, str(files), code
    try:
        report, said = decode(root / "d", root / "r", root / "base", **options), ""
    except FilesNotRight as error:
        report, said = error.report, str(error)
    return {row.name: row.status for row in report.files}, said, int(bool(said))


both_ways = pytest.mark.parametrize("through", ["command", "function"])
ROWS = {"m", "sub/n"}


@both_ways
@pytest.mark.parametrize("sides", [(), ("base",), ("target",), ("base", "target")], ids=str)
def test_right_lists_pass(old, through, sides):
    rows, _, code = outcome(old, through, *sides)
    wanted = Status.WRITTEN if "target" in sides else Status.UNCHECKED
    assert (rows, code) == (dict.fromkeys(ROWS, wanted), 0)
    assert read(old / "d") == read(old / "target")
    if "target" in sides:
        assert set(outcome(old, through, *sides)[0].values()) == {Status.ALREADY}


@both_ways
def test_a_base_with_another_sum_is_refused_before_anything_is_written(old, through):
    write_sums(old, "base", lambda found: found | {"sub/n": "0" * 32})
    rows, said, code = outcome(old, through, "base")
    assert rows == {"m": Status.SKIPPED, "sub/n": Status.REFUSED}
    assert "wrong base" in said
    assert "md5" in said
    assert code == 1
    assert not (old / "d").exists()


@both_ways
def test_a_base_that_was_changed_is_refused(old, through):
    flip(old / "base/m", 8 * 4999)
    rows, said, code = outcome(old, through, "base", "target")
    assert (rows["m"], code) == (Status.REFUSED, 1)
    assert "wrong base" in said
    assert not (old / "d").exists()


@both_ways
def test_a_result_with_another_sum_is_refused(old, through):
    write_sums(old, "target", lambda found: found | {"m": "0" * 32})
    rows, said, code = outcome(old, through, "base", "target")
    assert rows == {"m": Status.REFUSED, "sub/n": Status.WRITTEN}
    assert "not the size or sum it should have" in said
    assert code == 1
    assert set(read(old / "d")) == {"sub/n"}


@both_ways
@pytest.mark.parametrize("side", ["base", "target"])
def test_a_file_that_a_list_lacks_is_refused(old, through, side):
    write_sums(old, side, lambda found: {"m": found["m"]})
    rows, said, code = outcome(old, through, side)
    assert rows["sub/n"] is Status.REFUSED
    assert f"--{side}-sums has no sum for it" in said
    assert code == 1
    assert "sub/n" not in read(old / "d")


@both_ways
def test_a_file_that_only_the_list_of_targets_has_is_missing(old, through):
    write_sums(old, "target", lambda found: found | {"sub/gone": "0" * 32})
    rows, _, code = outcome(old, through, "target")
    assert rows == dict.fromkeys(ROWS, Status.WRITTEN) | {"sub/gone": Status.MISSING}
    assert code == 1


def test_a_file_that_only_the_list_of_bases_has_does_not_matter(old):
    write_sums(old, "base", lambda found: found | {"sub/gone": "0" * 32})
    assert outcome(old, "function", "base")[2] == 0


@both_ways
@pytest.mark.parametrize("side", ["base", "target"])
def test_a_malformed_list_is_refused_as_a_whole(old, through, side):
    with (old / f"{side}.md5").open("a") as file:
        file.write("what is this\n")
    if through == "command":
        words = (f"--{side}-sums", old / f"{side}.md5")
        code, out, err = run("decode", old / "d", old / "r", old / "base", *words)
        assert (code, out) == (2, "")
        assert "line 3" in err
    else:
        with pytest.raises(XorError, match="line 3"):
            outcome(old, through, side)
    assert not (old / "d").exists()


def test_lists_are_checked_besides_a_manifest(old):
    shutil.rmtree(old / "r")
    encode(old / "r", old / "target", old / "base")
    assert outcome(old, "function", "base", "target")[2] == 0
    shutil.rmtree(old / "d")
    for side in ("base", "target"):
        whole = (old / f"{side}.md5").read_text()
        write_sums(old, side, lambda found: found | {"m": "0" * 32})
        rows, _, code = outcome(old, "function", side)
        assert (rows["m"], code) == (Status.REFUSED, 1)
        assert "m" not in (read(old / "d") or {})
        (old / f"{side}.md5").write_text(whole)


def test_a_wrong_base_is_named_also_when_it_is_checked_last(old):
    flip(old / "base/m", 9)
    options = {f"{side}_sums": old / f"{side}.md5" for side in ("base", "target")}
    with pytest.raises(FilesNotRight, match="m: refused; wrong base"):
        decode(old / "d", old / "r", old / "base", check_base_first=False, **options)
    assert set(read(old / "d")) == {"sub/n"}


def test_base_sums_count_even_where_no_target_sums_could_show_it(old):
    """Checking last needs a result that can be wrong; without one the base is hashed first."""
    flip(old / "base/m", 9)
    with pytest.raises(FilesNotRight, match="m: refused; wrong base"):
        decode(
            old / "d",
            old / "r",
            old / "base",
            base_sums=old / "base.md5",
            check_base_first=False,
        )
    assert "m" not in (read(old / "d") or {})


@needs_golden
@pytest.mark.parametrize("kind", ["plain", "gzip"])
def test_golden_releases_are_decoded_with_both_lists(tmp_path, kind):
    names = {path.name for path in (GOLDEN / f"payload_{kind}").iterdir()}
    lines = (GOLDEN / "MD5SUMS").read_text().splitlines(keepends=True)
    kept = [line for line in lines if line.rstrip("\n").split("./")[-1].split()[-1] in names]
    (tmp_path / "target.md5").write_text("".join(kept))
    grow(tmp_path / "base", read(GOLDEN / "base"))
    write_sums(tmp_path, "base")
    report = decode(
        tmp_path / "d",
        GOLDEN / f"payload_{kind}",
        GOLDEN / "base",
        base_sums=tmp_path / "base.md5",
        target_sums=tmp_path / "target.md5",
        allow_length_mismatch=True,
    )
    assert {row.status for row in report.files} == {Status.WRITTEN}
    assert {row.name for row in report.files} == names
