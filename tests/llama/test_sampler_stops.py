"""Stops: the tokens of run.c, and texts that end a stream wherever it is divided."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracr_lite.llama.errors import LlamaError
from tracr_lite.llama.sampler_stops import CHAT, GENERATE, StopText


def test_generate_stops_at_bos_and_chat_at_eos():
    assert (GENERATE.ids, CHAT.ids) == ({1}, {2})
    assert GENERATE.texts == CHAT.texts == ()


def cut(data, stops):
    """The rule on the whole: the stop that is complete first, the longest of those."""
    ends = [(data.find(stop) + len(stop), -len(stop)) for stop in stops if stop in data]
    return data[: min(ends)[0] + min(ends)[1]] if ends else data


WORDS = st.lists(st.sampled_from([b"a", b"b", b"ab", b"ba"]), max_size=12)
STOPS = st.lists(st.text("ab", min_size=1, max_size=5).map(str.encode), max_size=4)


@given(WORDS, STOPS)
def test_the_division_of_the_stream_makes_no_difference(parts, stops):
    stream = StopText(stops)
    found = [stream.push(part) for part in parts]
    whole = b"".join(parts)
    assert b"".join([*found, stream.finish()]) == cut(whole, stops)
    assert (stream.found is not None) == any(stop in whole for stop in stops)


@given(WORDS, STOPS)
def test_only_what_may_begin_a_stop_is_held_back(parts, stops):
    stream, given_out = StopText(stops), b""
    for i, part in enumerate(parts, 1):
        given_out += stream.push(part)
        held = b"".join(parts[:i]).removeprefix(given_out)
        if stream.found is None:
            assert not held or any(stop.startswith(held) and stop != held for stop in stops)


EXAMPLES = [
    (["END"], ["so E", "N", "D and on"], "so ", b"END"),
    (["END"], ["so E", "N", "so"], "so ENso", None),
    (["aab"], ["aaaab"], "aa", b"aab"),
    (["b", "ab"], ["aab"], "a", b"ab"),
    (["xaby", "ab"], ["xab"], "x", b"ab"),
    ("é", ["caf", "é!"], "caf", "é".encode()),
    ([], ["all", " of it"], "all of it", None),
]


@pytest.mark.parametrize(("stops", "parts", "expected", "by"), EXAMPLES)
def test_streams_end_before_the_stop(stops, parts, expected, by):
    stream = StopText(stops)
    found = b"".join(stream.push(part.encode()) for part in parts) + stream.finish()
    assert (found.decode(), stream.found) == (expected, by)
    assert stream.push(b"more") == (b"" if by else b"more")


def test_an_empty_stop_is_refused():
    with pytest.raises(LlamaError, match="empty text cannot end a text"):
        StopText(["x", b""])


def test_a_stop_without_utf8_is_refused():
    with pytest.raises(LlamaError, match=r"character 1 of the text, '\\ud800', is half"):
        StopText(["a\ud800"])
