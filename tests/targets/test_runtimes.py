"""Exported programs in the runtimes that people use: the same texts, and the same values.

Each runtime is needed for its own tests only; `pip install '.[dev,clients,targets]'` and
llama-cpp-python, which is built from source, bring them.
"""

import dataclasses
import importlib
import json
import logging
import random
from contextlib import nullcontext
from functools import cache

import numpy as np
import pytest

from tests.targets.runtimes import inputs, transformers_of, wrong
from tracr_lite import catalog
from tracr_lite.llama import runtime
from tracr_lite.llama.errors import LlamaError, LlamaWarning
from tracr_lite.rasp import causal_eval
from tracr_lite.targets import compile_rasp_to_gpt2, compile_rasp_to_llama, generate
from tracr_lite.targets.export import export

WRITERS = [name for name in catalog.names() if catalog.load(name).prompts]
QUICK = ("generate_reverse",)
every_writer = pytest.mark.parametrize(
    "name",
    [pytest.param(x, marks=() if x in QUICK else pytest.mark.heavy) for x in WRITERS],
)
IMPLEMENTATIONS = pytest.mark.parametrize("attention", ["sdpa", "eager"])


COMPILERS = {"llama": compile_rasp_to_llama, "gpt2": compile_rasp_to_gpt2}
every_architecture = pytest.mark.parametrize("architecture", list(COMPILERS))


@cache
def compiled(name, architecture="llama"):
    entry = catalog.load(name)
    end = {} if entry.end is None else {"end": entry.end}
    return COMPILERS[architecture](
        entry.program, entry.vocab, entry.max_seq_len, causal=True, **end
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """(name, format, architecture) -> the folder it is exported to, once."""
    root, made = tmp_path_factory.mktemp("exports"), {}

    def get(*which):
        if which not in made:
            name, to, *rest = which
            made[which] = export(compiled(name, *rest), root / ".".join(which), to)
        return made[which]

    return get


def texts(name):
    """(prompt, whole text) as the interpreter writes them: those of the file, and more."""
    entry = catalog.load(name)
    prompts = [prompt for prompt, _ in entry.prompts]
    if "|" in entry.vocab:
        rng = random.Random(name)
        alphabet = [x for x in entry.vocab if x != "|" and str(x)[0] != "r"]
        longest = (entry.max_seq_len - 1) // 2
        for n in [longest, longest, *range(longest)]:
            prompts.append([*rng.choices(alphabet, k=n), "|"])
        prompts.append([*[alphabet[0]] * longest, "|"])
    for prompt in prompts:
        written = generate(entry.program, prompt, end=entry.end, max_seq_len=entry.max_seq_len)
        assert written.ended
        yield " ".join(map(str, prompt)), " ".join(map(str, [*prompt, *written.tokens]))


def sequences(name, count=6):
    """Full length, all equal, and others."""
    entry, rng = catalog.load(name), random.Random(name)
    yield [entry.vocab[0]] * entry.max_seq_len
    for n in [entry.max_seq_len, *(rng.randint(1, entry.max_seq_len) for _ in range(count))]:
        yield rng.choices(entry.vocab, k=n)


def assert_logits(model, found, tokens):
    """Values at every position, and the logits themselves."""
    expected = causal_eval.evaluate(model.program, tokens)
    assert model.decode(found[1:]) == expected, tokens
    ids = dict(model.vocabulary.outputs)
    for row, value in zip(found[1:], expected, strict=True):
        assert row[ids[value]] == pytest.approx(64.0, rel=1e-5)
        assert np.abs(np.delete(row, ids[value])).max() < 1e-3


@every_writer
def test_our_runtime_writes_the_same_texts(name, folder):
    model = runtime.load(folder(name, "llama2c") / "model.bin", folder(name, "llama2c"))
    pairs = list(texts(name))
    for found, (_, whole) in zip(
        model.generate([prompt for prompt, _ in pairs], temperature=0.0, n=0),
        pairs,
        strict=True,
    ):
        assert found.text == whole
    for tokens in sequences(name, 1):
        stock = compiled(name)
        assert_logits(stock, model.logits(stock.encode(tokens)), tokens)


def load_transformers(path, **more):
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("torch").set_num_threads(1)
    transformers.utils.logging.disable_progress_bar()
    tokenizer = transformers.AutoTokenizer.from_pretrained(path)
    return tokenizer, transformers.AutoModelForCausalLM.from_pretrained(path, **more)


@every_writer
@every_architecture
@IMPLEMENTATIONS
def test_transformers_writes_the_same_texts_with_its_cache(
    name, architecture, attention, folder
):
    path = folder(name, "hf", architecture)
    tokenizer, model = load_transformers(path, attn_implementation=attention)
    assert model.config._attn_implementation == attention
    for prompt, whole in texts(name):
        ids = tokenizer(prompt, return_tensors="pt")
        written = model.generate(**ids, use_cache=True)[0]
        assert written[-1] == 1, "END"
        assert tokenizer.decode(written, skip_special_tokens=True) == whole


@every_writer
@every_architecture
def test_transformers_has_the_values_at_every_position(name, architecture, folder):
    tokenizer, model = load_transformers(folder(name, "hf", architecture))
    torch, stock = pytest.importorskip("torch"), compiled(name, architecture)
    for tokens in sequences(name):
        ids = stock.encode(tokens)
        assert tokenizer(" ".join(map(str, tokens))).input_ids == ids
        with torch.no_grad():
            assert_logits(stock, model(torch.tensor([ids])).logits[0].numpy(), tokens)


def test_prompts_need_no_spaces_between_single_characters(folder):
    tokenizer, model = load_transformers(folder("generate_reverse", "hf", "llama"))
    written = model.generate(**tokenizer("abca|", return_tensors="pt"))[0]
    assert tokenizer.decode(written, skip_special_tokens=True) == "abca| a c b a"


@every_architecture
@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("generate_copy", "a b c"),  # without a separator, END is all it says
        ("previous_token", "['▁None', '▁a', '▁b']"),
        ("frac_prevs", "tensor([1.0000, 0.5000]"),
    ],
)
def test_the_code_of_the_page_runs(name, shown, architecture, tmp_path, capsys):
    load_transformers(export(compiled(name, architecture), tmp_path / "export"))
    page = (tmp_path / "export" / "README.md").read_text()
    code = [line[4:] for line in page.splitlines() if line.startswith("    ")]
    code = "\n".join(code).replace("this folder", str(tmp_path / "export"))
    capsys.readouterr()
    exec(code, {})
    assert capsys.readouterr().out.startswith(shown)


@pytest.mark.heavy
@every_architecture
def test_all_sums_of_two_digit_numbers_in_transformers(architecture, folder):
    _, model = load_transformers(folder("generate_sum", "hf", architecture))
    stock, torch = compiled("generate_sum", architecture), pytest.importorskip("torch")
    at = {value: each for value, each in stock.vocabulary.outputs}
    for first in range(100):
        rows = []
        for second in range(100):
            digits = [int(x) for x in f"{first + second:02}"[::-1]]
            prompt = [*divmod(first, 10), "+", *divmod(second, 10), "="]
            rows.append((stock.encode([*prompt, *digits]), [*digits, "END"]))
        for length in (9, 10):  # sums of two and of three digits
            some = [row for row in rows if len(row[0]) == length]
            if not some:
                continue
            with torch.no_grad():
                best = model(torch.tensor([ids for ids, _ in some])).logits.argmax(-1)
            wanted = torch.tensor([[at[x] for x in answer] for _, answer in some])
            assert (best[:, 6:] == wanted).all(), first


@every_writer
@pytest.mark.parametrize("positions", [16, 64])
def test_transformers_in_bfloat16_has_the_values(name, positions):
    pytest.importorskip("transformers")
    entry = catalog.load(name)
    model = compile_rasp_to_llama(entry.program, entry.vocab, positions - 1, causal=True)
    given = inputs(entry.vocab, positions - 1, 6, 0)
    found = wrong(
        model,
        transformers_of(model, dtype="bfloat16"),
        lambda xs: causal_eval.evaluate(entry.program, xs),
        given,
    )
    assert found[::2] == (0, 0.0)


def test_sampling_as_usual_writes_the_same_text(folder):
    tokenizer, model = load_transformers(folder("generate_reverse", "hf", "llama"))
    for prompt, whole in texts("generate_reverse"):
        ids = tokenizer(prompt, return_tensors="pt")
        written = model.generate(**ids, do_sample=True, temperature=1.0, top_p=0.9)[0]
        assert tokenizer.decode(written, skip_special_tokens=True) == whole


@every_writer
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_llama_cpp_writes_the_same_texts(name, dtype, tmp_path):
    llama_cpp = pytest.importorskip("llama_cpp")
    pytest.importorskip("gguf")
    stock = dataclasses.replace(compiled(name), dtype=dtype)
    path = export(stock, tmp_path / "gguf", "gguf") / "model.gguf"
    model = llama_cpp.Llama(str(path), n_ctx=64, n_threads=1, verbose=False)
    for prompt, whole in texts(name):
        found = model(prompt, temperature=0.0, max_tokens=64, echo=True)["choices"][0]
        assert (found["text"], found["finish_reason"]) == (whole, "stop")
    model.close()


@every_writer
@pytest.mark.parametrize("flash", [False, True])
def test_llama_cpp_has_the_values_at_every_position(name, flash, folder):
    llama_cpp = pytest.importorskip("llama_cpp")
    pytest.importorskip("gguf")
    path = folder(name, "gguf") / "model.gguf"
    model = llama_cpp.Llama(
        str(path), n_ctx=64, n_threads=1, verbose=False, logits_all=True, flash_attn=flash
    )
    for tokens in sequences(name):
        ids = compiled(name).encode(tokens)
        assert model.tokenize(" ".join(map(str, tokens)).encode()) == ids
        model.reset()
        model.eval(ids)
        found = np.array(model.scores[: len(ids)])
        expected = causal_eval.evaluate(compiled(name).program, tokens)
        assert compiled(name).decode(found[1:]) == expected
    model.close()


# Texts that are too long


@every_architecture
def test_transformers_warns_of_texts_that_are_too_long(architecture, folder, caplog):
    tokenizer, model = load_transformers(folder("generate_reverse", "hf", architecture))
    torch, longest = pytest.importorskip("torch"), compiled("generate_reverse").max_seq_len
    logging.getLogger("transformers").addHandler(caplog.handler)
    fitting = tokenizer(" ".join("a" * longest), return_tensors="pt").input_ids
    assert fitting.shape == (1, longest + 1) == (1, tokenizer.model_max_length)
    assert caplog.text == ""
    ids = tokenizer(" ".join("a" * (longest + 2)), return_tensors="pt").input_ids
    assert "longer than the specified maximum sequence length" in caplog.text
    with pytest.raises(ValueError, match="max_length"):
        model.generate(ids)
    with torch.no_grad(), nothing_or_index_error(architecture):
        assert model(ids).logits.shape[1] == longest + 3  # Llama computes on
    caplog.clear()
    with nothing_or_index_error(architecture):
        model.generate(fitting[:, :-2], max_new_tokens=9, eos_token_id=None)
    if architecture == "llama":  # the other is refused before it says so
        assert "exceeded the model's predefined maximum length" in caplog.text
    logging.getLogger("transformers").removeHandler(caplog.handler)


def nothing_or_index_error(architecture):
    """GPT-2 has no more positions than it was made for."""
    return pytest.raises(IndexError) if architecture == "gpt2" else nullcontext()


@pytest.mark.parametrize("to", ["hf", "llama2c"])
def test_our_runtime_refuses_ids_and_cuts_texts_that_are_too_long(to, folder):
    path = folder("generate_reverse", to)
    model = runtime.load(path if to == "hf" else path / "model.bin", path)
    ids = [1, *[compiled("generate_reverse").encode("a")[1]] * 13]
    assert model.logits(ids[:13]).shape[0] == 13
    with pytest.raises(LlamaError, match=r"14 tokens.*room for 13"):
        model.logits(ids)
    if to == "llama2c":
        with pytest.warns(LlamaWarning, match="14 tokens, of which 13 are run"):
            assert model.generate([" ".join("a" * 13)], temperature=0.0)


def variables(folder, stream, tokens):
    """Checks where `program.json` says that nodes are. `stream`: hook -> (tokens, columns)."""
    module = importlib.import_module("programs.generate_reverse")
    record, found = json.loads((folder / "program.json").read_text()), set()
    for node in record["nodes"]:
        name, _, number = node["label"].rpartition("_")
        if name not in ("in_prompt", "source") or not number.isdecimal():
            continue
        values = causal_eval.evaluate(getattr(module, name), tokens)
        for column in node["columns"]:
            value = column["stands_for"].partition(":")[2]
            held = stream(column["hook"])[1:, column["column"]]
            expected = [float(str(each) == value) for each in values]
            np.testing.assert_allclose(held, expected, atol=1e-5)
            found.add(name)
    return found


@every_architecture
def test_variables_are_in_the_stream_of_transformers(architecture, folder):
    path = folder("generate_reverse", "hf", architecture)
    _, model = load_transformers(path)
    torch, tokens = pytest.importorskip("torch"), list("abc|cb")
    with torch.no_grad():
        ids = torch.tensor([compiled("generate_reverse", architecture).encode(tokens)])
        states = model(ids, output_hidden_states=True).hidden_states

    def stream(hook):
        _, layer, place = hook.split(".")
        return states[int(layer) + (place == "hook_resid_post")][0].numpy()

    assert variables(path, stream, tokens) == {"in_prompt", "source"}


@every_architecture
def test_transformer_lens_has_the_hooks_that_the_record_names(architecture, folder):
    bridge = pytest.importorskip("transformer_lens.model_bridge").TransformerBridge
    path, tokens = folder("generate_reverse", "hf", architecture), list("abc|cb")
    tokenizer, model = load_transformers(path)
    torch, stock = pytest.importorskip("torch"), compiled("generate_reverse", architecture)
    lens = bridge.boot_transformers(
        str(path), hf_model=model, tokenizer=tokenizer, device="cpu"
    )
    with torch.no_grad():
        found, cache = lens.run_with_cache(torch.tensor([stock.encode(tokens)]))
    assert stock.decode(found[0].numpy()[1:]) == causal_eval.evaluate(stock.program, tokens)
    found = variables(path, lambda hook: cache[hook][0].numpy(), tokens)
    assert found == {"in_prompt", "source"}
    for node in json.loads((path / "program.json").read_text())["nodes"]:
        for part in [*node["heads"], *node["neurons"]]:
            hook, _, index = part["hook"].partition("[")
            last = index.removesuffix("]").split(", ")[-1]
            stop = int(last.rpartition(":")[2]) - (":" in last)
            assert stop < cache[hook].shape[-2 if "hook_z" in hook else -1]
