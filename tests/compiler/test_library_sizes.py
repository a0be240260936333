"""The library at sizes that matter: right on the hardest inputs, and in few layers."""

import random

import pytest

from tests.compiler.checking import check, compiled
from tracr_lite.compiler import compile_rasp_to_model, lib
from tracr_lite.rasp import rasp

T, I = rasp.tokens, rasp.indices
LETTERS, DIGITS = "abcd", (1, 2, 3, 4)


def sum_of_product(x, y, z):
    return x + y * z


# name: (program for max_seq_len n, vocabulary, n and layers of Tracr there)
LIBRARY = {
    "length": (lambda n: lib.make_length(), LETTERS, 5, 1),
    "reverse": (lambda n: lib.make_reverse(T), LETTERS, 5, 4),
    "pair_balance": (lambda n: lib.make_pair_balance(T, "(", ")"), "()abc", 10, 2),
    "shuffle_dyck": (lambda n: lib.make_shuffle_dyck(["()"]), "()ab", 5, 6),
    "shuffle_dyck2": (lambda n: lib.make_shuffle_dyck2(), "(){}", 5, 8),
    "shuffle_dyck3": (lambda n: lib.make_shuffle_dyck(["()", "{}", "[]"]), "(){}[]", 6, 9),
    "hist": (lambda n: lib.make_hist(), LETTERS, 5, 1),
    "sort_unique": (lambda n: lib.make_sort_unique(T, T), DIGITS, 5, 2),
    "sort": (lambda n: lib.make_sort(T, T, max_seq_len=n, min_key=1), DIGITS, 5, 3),
    "sort_freq": (lib.make_sort_freq, DIGITS, 5, 5),
    "frac_prevs": (lambda n: lib.make_frac_prevs(T == "a"), LETTERS, 5, 2),
    "shift_by": (lambda n: lib.shift_by(1, T), LETTERS, 5, 1),
    "detect_pattern": (lambda n: lib.detect_pattern(T, "abc"), LETTERS, 5, 3),
    "count_less_freq": (lambda n: lib.make_count_less_freq(2), LETTERS, 5, 2),
    "count": (lambda n: lib.make_count(T, "a"), LETTERS, 5, 1),
    "nary": (
        lambda n: lib.make_nary_sequencemap(sum_of_product, T, I, I % 2),
        (1, 2, 3),
        5,
        3,
    ),
}
every_program = pytest.mark.parametrize("name", LIBRARY)


def hard_inputs(vocab, n):
    """Equal tokens and full length among them; two tokens only; every length once."""
    rng = random.Random(n)
    yield from ([token] * n for token in vocab)
    yield from ([token] * (n - 1) for token in vocab)
    yield from ([token] for token in vocab)
    yield list(vocab[:1]) * (n - 1) + list(vocab[-1:])
    yield list(vocab[:1]) * (n // 2) + list(vocab[1:2]) * (n - n // 2)
    yield list(vocab[:2]) * (n // 2)
    yield from ([rng.choice(vocab[:2]) for _ in range(n)] for _ in range(5))
    yield from ([rng.choice(vocab) for _ in range(n)] for _ in range(5))
    for size in sorted({1, 2, 3, n // 3, n // 2, n - 2}):
        yield [rng.choice(vocab) for _ in range(max(size, 1))]


def check_at(name, n):
    make, vocab, _, _ = LIBRARY[name]
    batch = list(hard_inputs(vocab, n))
    return check(make(n), vocab, n, given=batch) > len(batch) // 2


@every_program
def test_library_program_is_right_on_all_short_inputs(name):
    make, vocab, n, _ = LIBRARY[name]
    assert check(make(n), vocab, n) > 50


@every_program
def test_library_program_is_right_on_hard_inputs_of_64_tokens(name):
    # sorting by (count, index) needs a direction per pair: gigabytes of weights at 64
    assert check_at(name, 20 if name == "sort_freq" else 64)


@pytest.mark.heavy
@pytest.mark.parametrize("name", ["length", "hist", "reverse", "sort", "shuffle_dyck"])
def test_library_program_is_right_on_hard_inputs_of_256_tokens(name):
    assert check_at(name, 256)


def layers_of(name):
    make, vocab, n, _ = LIBRARY[name]
    model = compiled(make(n), tuple(vocab), n)
    return model.model_config.num_layers


@every_program
def test_no_library_program_needs_more_layers_than_in_tracr(name):
    assert layers_of(name) <= LIBRARY[name][3]


def test_reverse_needs_two_layers():
    assert layers_of("reverse") == 2


def test_the_library_needs_at_most_36_layers_where_tracr_needs_53():
    assert len(LIBRARY) == 16
    assert sum(layers for *_, layers in LIBRARY.values()) == 53
    assert sum(map(layers_of, LIBRARY)) <= 36


@pytest.mark.parametrize("name", ["reverse", "sort_freq", "shuffle_dyck2"])
def test_two_compilations_give_the_same_model(name):
    make, vocab, n, _ = LIBRARY[name]
    first, second = (compile_rasp_to_model(make(n), vocab, n) for _ in range(2))
    assert first.residual_labels == second.residual_labels
    for module, group in first.params.items():
        for key, array in group.items():
            assert array.tobytes() == second.params[module][key].tobytes()
