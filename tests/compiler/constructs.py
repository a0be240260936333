"""Small programs over every construct of the language."""

from tracr_lite.compiler import lib
from tracr_lite.rasp import rasp
from tracr_lite.rasp.rasp import (
    Aggregate,
    Comparison,
    ConstantSelector,
    ConstantSOp,
    Full,
    LinearSequenceMap,
    Map,
    Select,
    SelectorAnd,
    SelectorNot,
    SelectorOr,
    SelectorWidth,
    SequenceMap,
    categorical,
    numerical,
)

T, I = rasp.tokens, rasp.indices
SAME = Select(T, T, Comparison.EQ)
BEFORE = Select(I, I, Comparison.LT)
UP_TO = Select(I, I, Comparison.LEQ)
PREVIOUS = Select(I, I, lambda k, q: k == q - 1)
ODD = Select(I, I, lambda k, q: (k + q) % 2)
NOTHING = Select(I, I, Comparison.FALSE)
NUMBER = numerical(Map(lambda x: x, T))
MEAN = Aggregate(BEFORE, T, default=0)
PREVIOUS_TOKEN = Aggregate(PREVIOUS, T)
TRIANGLE = [[1, 0, 0], [1, 1, 0], [0, 0, 0]]
NUMBERS, MIXED = (1, 2, 3), (None, True, 0, 2.5, "a", "True", (1, "b"), (True,))


def pair(a, b):
    return (a, b)


def show(x):
    return f"{type(x).__name__} {x!r}"


ON_NUMBERS = {  # vocabulary 1, 2, 3; up to four tokens
    "bare_tokens": T,
    "bare_indices": I,
    "bare_tokens_as_number": numerical(T),
    "bare_indices_as_number": numerical(I),
    "no_tokens": SelectorWidth(UP_TO),
    "no_tokens_map": Map(lambda i: i * i, I),
    "constant": ConstantSOp([3, 1, 4, 1], check_length=False),
    "constant_with_length": ConstantSOp([3, 1, 4]),
    "constant_mixed": ConstantSOp([None, "a", 2.5, (1,)], check_length=False),
    "constant_in_the_middle": SequenceMap(pair, T, ConstantSOp([3, 1, 4], check_length=False)),
    "constant_selector_width": SelectorWidth(ConstantSelector(TRIANGLE)),
    "constant_selector_aggregate": Aggregate(ConstantSelector(TRIANGLE, False), T),
    "constant_selector_combined": SelectorWidth(~(ConstantSelector(TRIANGLE, False) & SAME)),
    "full": Full(7),
    "full_as_number": numerical(Full(2.5)),
    "full_of_none": Full(None),
    "full_of_text": Full("x"),
    "full_in_the_middle": SequenceMap(pair, T, Full((1, None))),
    "full_as_key": SelectorWidth(Select(Full(2), T, Comparison.LT)),
    "width_of_and": SelectorWidth(SAME & BEFORE),
    "width_of_or": SelectorWidth(SAME | BEFORE),
    "width_of_not": SelectorWidth(~SAME),
    "width_of_unsimplified_not": SelectorWidth(SelectorNot(SelectorNot(SAME))),
    "aggregate_of_and": Aggregate(SAME & BEFORE, I),
    "aggregate_of_or": Aggregate(SAME | BEFORE, I),
    "aggregate_of_not": Aggregate(~SAME, I, default="all"),
    "depth_three": SelectorWidth(~((SAME & BEFORE) | (~ODD & PREVIOUS))),
    "depth_four": Aggregate((SAME | ~(BEFORE & ~ODD)) & ~(PREVIOUS | (SAME & ODD)), T),
    "depth_five_unsimplified": SelectorWidth(
        SelectorNot(SelectorOr(SelectorAnd(SelectorNot(SAME), ODD), SelectorNot(BEFORE)))
    ),
    "selector_of_counts": SelectorWidth(Select(SelectorWidth(SAME), I, Comparison.GT) | BEFORE),
    "selector_of_means": SelectorWidth(Select(MEAN, T, Comparison.LT)),
    "mean_of_tokens": Aggregate(UP_TO, T),
    "mean_of_negative_fractions": Aggregate(UP_TO, Map(lambda x: -x / 8, T)),
    "mean_of_bools": Aggregate(SAME, I == 0),
    "mean_of_means": Aggregate(UP_TO, MEAN),
    "mean_told_apart": Map(lambda x: x > 1.5, MEAN, simplify=False),
    "mean_as_text": Map(show, MEAN, simplify=False),
    "number_of_category": Aggregate(PREVIOUS, numerical(T), default=0),
    "category_of_number": categorical(Aggregate(PREVIOUS, NUMBER, default=0)),
    "number_aggregate_of_category": numerical(Aggregate(PREVIOUS, T, default=0)),
    "mean_as_number": numerical(Aggregate(UP_TO, NUMBER)),
    "numerical_keys": SelectorWidth(Select(NUMBER, T, Comparison.LT)),
    "numerical_queries": SelectorWidth(Select(T, numerical(I), Comparison.LT)),
    "numerical_mean_keys": SelectorWidth(Select(numerical(MEAN), NUMBER, Comparison.GEQ)),
    "sequence_map_of_numbers": SequenceMap(pair, NUMBER, numerical(I)),
    "sequence_map_mixed": SequenceMap(pair, NUMBER, T),
    "sequence_map_of_means": SequenceMap(pair, numerical(MEAN), Aggregate(SAME, NUMBER)),
    "sequence_map_of_widths": SequenceMap(pair, SelectorWidth(SAME), SelectorWidth(BEFORE)),
    "sequence_map_of_mean_and_width": SequenceMap(pair, MEAN, SelectorWidth(SAME)),
    "linear_of_categories": LinearSequenceMap(T, I, 2, -3),
    "linear_of_numbers": numerical(LinearSequenceMap(NUMBER, numerical(I), 0.5, -1)),
    "linear_mixed": LinearSequenceMap(NUMBER, I, 1, 1),
    "linear_of_text": LinearSequenceMap(Map(str, T), Map(str, T), 2, 1),
    "linear_of_means": numerical(LinearSequenceMap(numerical(MEAN), NUMBER, 2, -0.5)),
    "linear_of_none": LinearSequenceMap(Aggregate(PREVIOUS, NUMBER), T, 0.5, -1),
    "function_raises_on_unreached": Map(lambda x: 1 / (x - 5), T),
    "function_raises_on_unreached_parity": Map(lambda x: 6 / (x - 2), T % 2, simplify=False),
    "function_raises_on_unreached_pair": SequenceMap(lambda x, y: 1 / (x - y), T, T + 1),
    "function_raises_on_some_input": Map(lambda x: 1 / (x - 2), T),
    "predicate_raises_on_unreached": SelectorWidth(Select(T, T, lambda k, q: 1 / (k + q))),
    "predicate_raises_on_some_input": SelectorWidth(Select(T, I, lambda k, q: 1 / (k - q))),
    "function_returns_none": Map(lambda x: None if x == 2 else x, T),
    "none_into_sequence_map": SequenceMap(pair, PREVIOUS_TOKEN, T),
    "none_into_predicate": SelectorWidth(
        Select(PREVIOUS_TOKEN, T, lambda k, q: k is None or k < q)
    ),
    "none_copied": Aggregate(PREVIOUS, PREVIOUS_TOKEN),
    "none_beside_numbers_as_number": numerical(PREVIOUS_TOKEN),
    "only_none": Aggregate(NOTHING, T),
    "only_none_as_number": numerical(Aggregate(NOTHING, T)),
    "predicate_returns_text": SelectorWidth(Select(T, I, lambda k, q: "x" * max(k - q, 0))),
    "predicate_returns_list": SelectorWidth(Select(T, I, lambda k, q: [q] if k > q else [])),
    "predicate_returns_none": SelectorWidth(Select(T, I, lambda k, q: k if k > q else None)),
    "predicate_returns_number": Aggregate(Select(T, T, lambda k, q: k * (q - 2)), T, "none"),
    "floor_division": T // 2,
    "division_of_constant": 7 // T,
    "modulo": T % 2,
    "modulo_of_constant": 7 % T,
    "power": T**2,
    "power_of_constant": 2**T,
    "negative": -T,
    "absolute": abs(I - T),
    "less": T < I,
    "less_or_equal": T <= I,
    "greater": T > I,
    "greater_or_equal": T >= I,
    "equal_sops": T == PREVIOUS_TOKEN,
    "unequal_sops": T != I,
    "or_constant": (T % 2) | 3,
    "constant_or": 3 | (T % 2),
    "constant_and": 3 & (T % 2),
    "constant_minus": 5 - T,
    "not": ~(T == 1),
}
ON_MIXED = {  # vocabulary MIXED; up to two tokens
    "tokens": T,
    "previous": Aggregate(PREVIOUS, T, default="none"),
    "kinds": Map(show, T),
    "kinds_of_previous": Map(show, PREVIOUS_TOKEN, simplify=False),
    "pairs": SequenceMap(pair, T, Aggregate(PREVIOUS, T, default=False)),
    "equal": SelectorWidth(Select(T, T, lambda k, q: k == q)),
    "same_type": SelectorWidth(Select(T, T, lambda k, q: type(k) is type(q))),
    "tuples": SequenceMap(pair, T, I),
    "equals_none": SelectorWidth(Select(T, T, lambda k, q: k is None)),
    "first_of_its_text": Aggregate(SAME & UP_TO, Map(str, T), default="None"),
}
LARGE = tuple(range(40))  # many more values than positions
ON_LARGE = {
    "shift_by": lib.shift_by(1, T),
    "reverse": lib.make_reverse(T),
    "sort": lib.make_sort(T, T, max_seq_len=3, min_key=1),
}
