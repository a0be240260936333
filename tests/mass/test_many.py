"""compile_many: what comes out is what compile_rasp_to_model makes, in order, or an error."""

import copy
import itertools
import os
import pickle
import sys
import threading
import time

import numpy as np
import pytest

import tracr_lite
from tests.mass.programs import REVERSE, bits, children, endless, sampled
from tracr_lite import catalog, compiler
from tracr_lite.compiler import compile_many, compile_rasp_to_model, lib
from tracr_lite.compiler.compiling import compile_once
from tracr_lite.errors import CompileError
from tracr_lite.mass import MassError, NotSendable
from tracr_lite.mass.sent import dump_model, load_model
from tracr_lite.mass.worker import dump_error
from tracr_lite.rasp import rasp

REFUSED = rasp.Select(rasp.tokens, rasp.tokens, rasp.Comparison.EQ)  # no S-Op


def test_it_is_exported_as_the_compiler_is():
    assert tracr_lite.compile_many is compiler.compile_many is compile_many
    assert "compile_many" in compiler.__all__
    assert "compile_many" in tracr_lite.__all__


def test_models_from_workers_are_those_compiled_here_bit_by_bit():
    requests = sampled(80)
    failed = 0
    for item, (program, vocab, size, options) in zip(
        compile_many(requests, workers=2), requests, strict=True
    ):
        assert item.program is program
        if item.error is not None:
            with pytest.raises(CompileError) as caught:
                compile_rasp_to_model(program, vocab, size, **options)
            assert item.error.problems == caught.value.problems
            # compiling one program also looks for a length that would compile, and adds it
            assert str(caught.value).startswith(str(item.error))
            assert "largest max_seq_len" not in str(item.error)
            failed += 1
            continue
        model = compile_rasp_to_model(program, vocab, size, **options)
        assert bits(item.model.params) == bits(model.params)
        assert item.model.residual_labels == model.residual_labels
        assert item.model.nodes == model.nodes
        assert item.model.shape == model.shape
        assert str(item.model.trace.layers) == str(model.trace.layers)
        assert str(item.model.trace.values) == str(model.trace.values)
        assert str(item.model.graph) == str(model.graph)
    assert failed


@pytest.mark.parametrize("workers", [0, 1])
def test_a_model_runs_and_knows_the_expressions_of_its_program(workers):
    shift = 1
    plus = rasp.Map(lambda x: x + shift, rasp.indices)  # a closure
    program = rasp.Aggregate(
        rasp.Select(rasp.indices, plus, rasp.Comparison.EQ), rasp.tokens, "end"
    )
    (item,) = compile_many([(program, "ab", 4)], workers=workers)
    model = item.model
    assert (item.index, item.program, item.error) == (0, program, None)
    assert model.predict(["compiler_bos", "a", "b", "b"]) == ["b", "b", "end"]
    assert model.apply(["compiler_bos", "a", "b"]).decoded == ["compiler_bos", "b", "end"]
    assert model.node(plus).label in model.nodes
    assert model.node(program).columns
    assert model.graph.exprs[-1] is program
    assert model.graph.nodes[model.graph.node_of[id(plus)]].fn is plus.f
    assert not any(a.flags.writeable for g in model.params.values() for a in g.values())
    assert len(model.craft_model.blocks) > 0


def test_programs_that_fail_yield_their_error_and_stop_nobody():
    class Leave(BaseException):
        """No Exception: it is not what functions of programs raise."""

    def angry(x):
        raise Leave("a program that leaves")

    requests = [
        (REVERSE, "abc", 3),
        (REFUSED, "abc", 3),
        (REVERSE, [], 3),
        "nonsense",
        (REVERSE, "abc", 3, {"casual": True}),
        (REVERSE, "abc", 3, "causal"),
        ("abc", "abc", 3),
        (REVERSE, 5, 3),
        (rasp.Map(angry, rasp.tokens), "abc", 3),
        (REVERSE, "abc", 3),
    ]
    for workers in (0, 2):
        if workers == 0:
            requests.pop(8)  # here, a program that leaves ends this process, as it would anyway
        items = list(compile_many(requests[:], workers=workers))
        assert [item.index for item in items] == list(range(len(requests)))
        good = [item for item in items if item.error is None]
        assert [item.index for item in good] == [0, len(requests) - 1]
        for item in items:
            if item.error is not None:
                with pytest.raises(type(item.error)) as caught:
                    _ = item.model
                assert caught.value is item.error
        texts = [str(item.error) for item in items]
        assert isinstance(items[1].error, CompileError)
        assert "a request is (program, vocab, max_seq_len)" in texts[3]
        assert "there is no option 'casual'" in texts[4]
        assert "are a mapping; got 'causal'" in texts[5]
        assert "is an S-Op; got 'abc'" in texts[6]
        if workers:
            assert isinstance(items[8].error, MassError)
            assert "Leave in a worker process" in texts[8]
        requests.insert(8, (rasp.Map(angry, rasp.tokens), "abc", 3))


class Needy(Exception):
    """Cannot be pickled: it needs two arguments, and passes on one."""

    def __init__(self, one, two):
        super().__init__(one)


def a_lookup_error():
    return [][1]


def a_local_error():
    class Local(Exception):
        pass

    raise Local("local")


def an_exit():
    raise SystemExit(3)


def a_needy_error():
    raise Needy("one", "two")


@pytest.mark.parametrize(
    ("fault", "kind"),
    [(a_lookup_error, IndexError), (a_needy_error, MassError), (an_exit, MassError)],
)
def test_any_error_of_a_worker_comes_back_and_shows_where_it_was_raised(fault, kind):
    try:
        fault()
    except BaseException as error:
        sent = pickle.loads(dump_error(error))
    assert type(sent) is kind
    text = str(sent) + "".join(getattr(sent, "__notes__", ()))
    assert "in a worker process:\nTraceback" in text
    assert f"in {fault.__name__}" in text


def test_an_error_of_a_class_made_in_a_function_comes_back():
    try:
        a_local_error()
    except Exception as error:
        sent = pickle.loads(dump_error(error))
    assert type(sent).__name__ == "Local"
    assert str(sent) == "local"


def test_options_are_common_or_of_one_request():
    causal = {"causal": True, "compiler_bos": "GO"}
    requests = [(lib.make_hist(), "ab", 3), (lib.make_hist(), "ab", 3, causal)]
    for workers in (0, 1):
        one, two = compile_many(requests, workers=workers, compiler_bos="START")
        assert one.model.predict(["START", "a", "a"]) == [2, 2]
        assert two.model.predict(["GO", "a", "a"]) == [1, 2]


@pytest.mark.parametrize("workers", [0, 2])
def test_an_endless_input_is_taken_only_as_needed(workers):
    taken = []

    def requests():
        for number, request in enumerate(endless()):
            taken.append(number)
            yield request

    items = compile_many(requests(), workers=workers, ahead=6)
    assert not taken
    for expected, item in zip(range(40), items, strict=False):
        assert item.index == expected
        assert item.model is not None
        assert len(taken) <= expected + 1 + 6
    items.close()
    assert not children()


def test_unordered_items_have_their_index(tmp_path):
    flag = str(tmp_path / "go on")

    def waits(x):
        end = time.monotonic() + 60
        while not os.path.exists(flag) and time.monotonic() < end:
            time.sleep(0.01)
        return x

    requests = [(rasp.Map(waits, rasp.tokens), [0, 1], 2), *itertools.islice(endless(), 30)]
    seen = []
    for item in compile_many(requests, workers=2, ordered=False):
        assert item.program is requests[item.index][0]
        seen.append(item.index)
        if len(seen) == 10:
            (tmp_path / "go on").touch()
    assert sorted(seen) == list(range(31))
    assert 0 not in seen[:10]


@pytest.mark.parametrize("workers", [0, 2])
def test_what_the_input_raises_comes_after_the_items_before_it(workers):
    def requests():
        yield from itertools.islice(endless(), 5)
        raise ZeroDivisionError("of the input")

    items = compile_many(requests(), workers=workers)
    assert [next(items).index for _ in range(5)] == list(range(5))
    with pytest.raises(ZeroDivisionError, match="of the input"):
        next(items)
    assert not children()


def test_a_very_long_timeout_is_one():
    (item,) = compile_many([(REVERSE, "ab", 2)], workers=1, timeout=1e12)
    assert item.error is None


def test_no_input_starts_no_process():
    assert list(compile_many([], workers=2)) == []


def test_a_program_that_cannot_be_sent_says_so_and_compiles_here():
    lock = threading.Lock()
    program = rasp.Map(lambda x: (lock.locked(), x)[1], rasp.tokens)
    (there,) = compile_many([(program, "ab", 2)], workers=1)
    assert isinstance(there.error, NotSendable)
    assert "workers=0" in str(there.error)
    (here,) = compile_many([(program, "ab", 2)], workers=0)
    assert here.model.predict(["compiler_bos", "b"]) == ["b"]


def test_a_deep_program_needs_no_deep_recursion():
    sop = rasp.tokens
    for _ in range(3 * sys.getrecursionlimit()):
        sop = rasp.Map(lambda x: not x, sop, simplify=False)
    (item,) = compile_many([(sop, [False, True], 2)], workers=1)
    assert item.model.node(sop).columns
    assert item.model.predict(["compiler_bos", True, False]) == sop([True, False])


def test_functions_of_a_module_that_only_this_process_has_are_sent(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "from tracr_lite.rasp import rasp\nPROGRAM = rasp.Map(len, rasp.tokens)\n"
        "def twice(x):\n    return 2 * x\n"
        "PROGRAM = rasp.Map(twice, rasp.tokens)\nVOCAB = {1, 2}\nMAX_SEQ_LEN = 2\n"
    )
    entry = catalog.load(f"{file}:PROGRAM")
    (item,) = compile_many([(entry.program, entry.vocab, 2)], workers=1)
    assert item.model.predict(["compiler_bos", 2, 1]) == [4, 2]


def test_equal_functions_stay_one_and_different_ones_stay_two():
    same = lambda x: x + 1  # noqa: E731
    one = rasp.SequenceMap(
        lambda x, y: x - y, rasp.Map(same, rasp.tokens), rasp.Map(same, rasp.tokens)
    )
    (item,) = compile_many([(one, [1, 2], 2)], workers=1)
    here = compile_rasp_to_model(one, [1, 2], 2)
    assert str(item.model.graph) == str(here.graph)
    assert bits(item.model.params) == bits(here.params)


def test_large_programs_and_models_pass_through():
    size = 40_000  # more bytes than fit into a pipe
    constant = rasp.ConstantSOp([i % 7 for i in range(size)], check_length=False)
    requests = [(constant + rasp.tokens, [0, 1], 5)] * 6
    items = list(compile_many(requests, workers=2))
    assert len({tuple(item.model.residual_labels) for item in items}) == 1
    wide = rasp.SequenceMap(lambda x, y: (x, y), rasp.tokens, rasp.indices)
    (item,) = compile_many([(wide, list(range(60)), 30)], workers=1)
    assert sum(a.size for g in item.model.params.values() for a in g.values()) > 1e6
    here = compile_rasp_to_model(wide, list(range(60)), 30)
    assert bits(item.model.params) == bits(here.params)


def test_it_may_be_used_inside_itself():
    def requests():
        for item in compile_many(itertools.islice(endless(), 3), workers=1):
            yield item.program, [0, 1], 2

    items = list(compile_many(requests(), workers=2))
    assert [item.model.predict(["compiler_bos", 1]) for item in items] == [[1], [2], [3]]
    assert not children()


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"workers": -1}, ValueError, "workers is -1"),
        ({"ahead": 0}, ValueError, "ahead is 0"),
        ({"workers": 1.5}, ValueError, "workers is 1.5"),
        ({"timeout": 0}, ValueError, "timeout is 0"),
        ({"timeout": float("inf")}, ValueError, "timeout is inf"),
        ({"timeout": float("nan")}, ValueError, "timeout is nan"),
        ({"timeout": 1, "workers": 0}, ValueError, "use workers=1 or more"),
        ({"casual": True}, TypeError, "there is no option 'casual'; there are causal, "),
    ],
)
def test_wrong_arguments_are_refused_at_once(arguments, error, text):
    with pytest.raises(error, match=text):
        compile_many([], **arguments)


def test_the_bar_counts_and_goes_to_standard_error(capfd):
    list(compile_many([(REVERSE, "ab", 2), (REFUSED, "abc", 2)], workers=0, progress=True))
    printed = capfd.readouterr()
    assert printed.out == ""
    assert "2/2" in printed.err
    assert "1 failed" in printed.err
    list(compile_many([(REVERSE, "ab", 2)], workers=0))
    assert capfd.readouterr().err == ""  # no terminal


def test_a_trace_is_as_good_as_one_compiled_here(monkeypatch):
    (item,) = compile_many([(REVERSE, (x for x in "ab"), 3, {"causal": True})], workers=1)
    model = item.model
    with monkeypatch.context() as patch:  # labels need no second compilation
        patch.setattr("tracr_lite.compiler.compiling.trace", None)
        assert model.nodes[model.graph.labels[-1]] == model.node(REVERSE)
        assert len(model.trace.stages) > 3
        with pytest.raises(AttributeError, match="no attribute 'nothing'"):
            _ = model.trace.nothing
    twin = copy.deepcopy(model)
    assert twin.node(REVERSE) == model.node(REVERSE)
    for copied in (copy.copy(model), copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        here = compile_rasp_to_model(REVERSE, "ab", 3, causal=True)
        assert copied.nodes == here.nodes
        assert str(copied.trace.layers) == str(here.trace.layers)
        assert str(copied.trace.values) == str(here.trace.values)
        assert len(copied.craft_model.blocks) == len(here.craft_model.blocks)
    assert str(model.trace.layers) == str(here.trace.layers)
    assert type(model.trace) is type(here.trace)
    assert np.array_equal(model.unembedding[0], copied.unembedding[0])


def test_a_trace_of_another_program_is_no_trace_of_this_one():
    blob = dump_model(compile_once(REVERSE, "ab", 3, sparse=True))
    other = load_model(blob, lib.make_hist(), (["a", "b"], 3, {}))
    assert other.nodes.keys() == load_model(blob, REVERSE, (["a", "b"], 3, {})).nodes.keys()
    with pytest.raises(MassError, match=r"workers=0"):
        _ = other.graph
    with pytest.raises(MassError, match=r"workers=0"):
        other.node(REVERSE)


def test_encoders_and_space_are_those_of_a_model_compiled_here():
    mixed = rasp.Map(lambda x: {1: None, 2: 0.5, 3: (1, "a"), 4: True}[x], rasp.tokens)
    for program, vocab in ((mixed, [1, 2, 3, 4]), (lib.make_frac_prevs(rasp.tokens), [0, 1])):
        here = compile_once(program, vocab, 3, sparse=True)
        there = load_model(dump_model(here), program, (vocab, 3, {}))
        assert there.space == here.space
        assert there.space.num_dims == here.space.num_dims == len(there.residual_labels)
        assert repr(there.space) == repr(here.space)
        assert there.model_config == here.model_config
        for name in ("input_encoder", "output_encoder"):
            one, two = getattr(here, name), getattr(there, name)
            assert type(one) is type(two)
            assert repr(sorted(vars(one).items())) == repr(sorted(vars(two).items()))
        assert list(there.params.shapes.items()) == list(here.params.shapes.items())
        assert there.trace.stages == here.trace.stages
