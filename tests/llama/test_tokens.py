import numpy as np
import pytest

from tests.llama.models import CONFIG
from tracr_lite.llama.errors import LlamaError
from tracr_lite.llama.tokens import check_tokens

BAD = [
    ([], "empty"),
    ([1, 11], "token 11 at position 1 is not in the vocabulary; ids go from 0 to 10"),
    ([-1], "token -1 at position 0"),
    ([1, 2.0], "2.0 at position 1 is not an integer"),
    ([1] * 7, "7 tokens, but the context of this model has room for 6"),
]


@pytest.mark.parametrize(("tokens", "said"), BAD)
def test_what_is_no_sequence_of_tokens_is_refused(tokens, said):
    with pytest.raises(LlamaError, match=said):
        check_tokens(tokens, CONFIG)


def test_integers_of_any_kind_are_tokens():
    found = check_tokens(np.array([1, 10], np.uint16), CONFIG)
    assert found == [1, 10]
    assert {type(each) for each in found} == {int}


def test_tokens_that_need_not_fit_into_the_context_are_checked_one_by_one():
    assert check_tokens([1] * 7, CONFIG, fits=False) == [1] * 7
    with pytest.raises(LlamaError, match="token 11 at position 7"):
        check_tokens([1] * 7 + [11], CONFIG, fits=False)
