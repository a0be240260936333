"""Places of nodes: nothing overlaps, all edges go down, half-layers do not mix."""

from itertools import combinations, pairwise

from hypothesis import given
from hypothesis import strategies as st

from tests.visualize.models import reading_of
from tracr_lite.visualize.layout import placed
from tracr_lite.visualize.parts import parts_of


@st.composite
def graphs(draw):
    """Nodes that read earlier ones, in half-layers that never go back."""
    size = draw(st.integers(1, 14))
    names = [f"n{i}" for i in range(size)]
    slots = sorted(draw(st.lists(st.integers(-1, 4), min_size=size, max_size=size)))
    reads = {
        name: draw(st.lists(st.sampled_from(names[:i]), unique=True)) if i else []
        for i, name in enumerate(names)
    }
    return reads, dict(zip(names, slots, strict=True))


def check(reads, slots):
    found = placed(reads, slots, lambda name: (1.0 + 0.1 * len(name), 0.5))
    assert found.boxes.keys() == reads.keys()
    for a, b in combinations(found.boxes.values(), 2):
        apart = a.x + a.width <= b.x or b.x + b.width <= a.x
        assert apart or a.y + a.height <= b.y or b.y + b.height <= a.y
    assert {(a, b) for b, below in reads.items() for a in below} == found.paths.keys()
    for points in found.paths.values():
        assert all(p[1] <= q[1] for p, q in pairwise(points))
    for box in found.boxes.values():
        assert 0 <= box.x
        assert box.x + box.width <= found.width + 1e-9
        assert box.y + box.height <= found.height + 1e-9
    spans = [(top, bottom) for _, top, bottom in found.bands]
    assert all(a[1] < b[0] for a, b in pairwise(spans))


@given(graphs())
def test_any_graph(graph):
    check(*graph)


def test_a_large_program():
    parts = parts_of(reading_of("shuffle_dyck3"))
    reads = {x: [y for y in part.reads if y in parts] for x, part in parts.items()}
    check(reads, {x: part.slot for x, part in parts.items()})
