"""Which inputs are drawn: all kinds, every length, none twice, the same for the same seed."""

import collections
import itertools

import pytest

from tracr_lite.verifying.inputs import Space
from tracr_lite.verifying.strata import STRATA, spread


def drawn(space, count, seed=0):
    return [(name, tuple(xs)) for name, xs in space.sampled(count, seed)]


def test_every_input_comes_once_shortest_first():
    space = Space(("a", "b"), (1, 3))
    found = [tuple(xs) for _, xs in space.every()]
    expected = [*itertools.product("ab", repeat=1), *itertools.product("ab", repeat=3)]
    assert found == expected
    assert space.size == len(found) == 10


@pytest.mark.parametrize(("size", "longest"), [(1, 500), (2, 12), (3, 40), (5, 300), (60, 7)])
def test_inputs_are_different_and_as_many_as_asked_for(size, longest):
    space = Space(tuple(range(size)), tuple(range(1, longest + 1)))
    found = drawn(space, 400)
    assert len(found) == len({xs for _, xs in found}) == min(400, space.size)
    assert all(1 <= len(xs) <= longest and set(xs) <= set(range(size)) for _, xs in found)


@pytest.mark.parametrize("count", [1, 13, 14, 30, 31])
def test_small_spaces_are_drawn_to_the_last_input(count):
    space = Space((0, 1), (1, 2, 3, 4))
    assert len({xs for _, xs in drawn(space, count)}) == min(count, 30)


def test_equal_seeds_draw_the_same_and_others_do_not():
    space = Space(tuple("abcd"), tuple(range(1, 30)))
    assert drawn(space, 200, 1) == drawn(space, 200, 1)
    assert drawn(space, 200, 1) != drawn(space, 200, 2)


@pytest.mark.parametrize("longest", [6, 64, 256, 1000])
def test_every_length_is_drawn(longest):
    space = Space(tuple("abc"), tuple(range(1, longest + 1)))
    assert {len(xs) for _, xs in drawn(space, longest)} == set(space.lengths)
    names = collections.Counter(name for name, _ in drawn(space, 2 * longest))
    assert len(names) > 5, "many kinds"


@pytest.mark.parametrize("longest", [1, 10, 100, 256, 1000])
def test_a_default_sample_is_no_more_than_can_be_evaluated(longest):
    space = Space(tuple("abc"), tuple(range(1, longest + 1)))
    pairs = space.default_samples * sum(n * n for n in space.lengths) / longest
    assert 2 * longest <= space.default_samples <= 20_000
    assert pairs <= 1.02 * max(2**25, longest**3)


def test_all_equal_inputs_of_every_token_and_length_are_drawn():
    space = Space(tuple("abc"), tuple(range(1, 13)))
    found = {xs for _, xs in drawn(space, 1500)}
    assert all((token,) * n in found for token in "abc" for n in range(1, 13))


def test_boundary_counts_are_drawn_at_the_longest_length():
    space = Space(tuple("abc"), tuple(range(1, 257)))
    longest = [xs for _, xs in drawn(space, 6000) if len(xs) == 256]
    counts = {xs.count(token) for xs in longest for token in "abc"}
    assert {0, 1, 2, 128, 255, 256} <= counts


def test_sorted_reversed_periodic_and_mirrored_inputs_are_drawn():
    space = Space(tuple("abcdef"), tuple(range(1, 33)))
    long = [xs for _, xs in drawn(space, 4000) if len(xs) > 20 and len(set(xs)) > 2]
    assert any(list(xs) == sorted(xs) for xs in long)
    assert any(list(xs) == sorted(xs, reverse=True) for xs in long)
    assert any(xs[p:] == xs[:-p] for xs in long for p in (2, 3, 4))
    assert any(xs == xs[::-1] for xs in long)


def test_strata_share_evenly():
    space = Space(tuple("abcd"), tuple(range(1, 65)))
    names = collections.Counter(name for name, _ in drawn(space, 3000))
    assert set(names) == {"short", "random", *STRATA}
    for name in ("counts", "repeated", "ordered", "few tokens", "random"):
        assert names[name] > 200


@pytest.mark.parametrize("lengths", [[7], [1, 2], [1, 2, 3, 4, 5], list(range(3, 200, 3))])
def test_spread_keeps_all_lengths_with_both_ends_first(lengths):
    found = spread(lengths)
    assert sorted(found) == sorted(lengths)
    assert found[:2] == ([lengths[-1], lengths[0]] if len(lengths) > 1 else lengths)


def test_beginnings_of_spread_are_even():
    found = spread(range(1, 101))[:9]
    gaps = [b - a for a, b in itertools.pairwise(sorted(found))]
    assert max(gaps) <= 2 * min(gaps)
