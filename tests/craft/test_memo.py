"""What is kept from one program to the next is little."""

from tracr_lite.craft.memo import Memo


def test_a_memo_knows_what_was_kept_and_forgets_all_when_it_is_full():
    memo = Memo[str](3)
    assert memo.get(1) is None
    assert memo.keep(1, "one") == "one"
    memo.keep((2, "b"), "two")
    memo.keep(3, "three")
    assert [memo.get(key) for key in (1, (2, "b"), 3)] == ["one", "two", "three"]
    memo.keep(4, "four")
    assert [memo.get(key) for key in (1, (2, "b"), 3, 4)] == [None, None, None, "four"]
    assert len(memo) == 1
