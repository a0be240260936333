"""Merges in an order of their own, as Hugging Face has them, against scores as run.c has them.

A list of merges says which two tokens may merge, and the first in the list goes first. Scores
say which token goes first, and any two tokens that spell it may merge. The two agree when

- every way to spell a token that is made by merges is in the list, and
- the list goes through the tokens by falling score, and
- between merges of equal score, where run.c takes the leftmost, the order makes no difference.

The last is a matter of neighbours x y z where both x y and y z could be merged, with equal
scores, and y z stands first in the list; or where x is only made by a merge of the score that
y z has, and then x y goes first as its score is higher (and so from the other side). All such
texts xyz are encoded both ways and compared. That is a test and no proof: inside a longer text
x y z may still stand side by side, in a way they do not on their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from tracr_lite.llama.tokenizer.merging import NEVER, Merger, Pair
from tracr_lite.llama.tokenizer.vocabulary import Vocabulary

Merge = tuple[int, int, int]  # two tokens, and what they make
MOST_TRIPLES = 200_000


def spellings(vocabulary: Vocabulary, token: int) -> list[Merge]:
    """All ways to put a token together from two others, the shortest first part first."""
    text, find = vocabulary.texts[token], vocabulary.find
    halves = ((find(text[:cut]), find(text[cut:])) for cut in range(1, len(text)))
    return [(first, second, token) for first, second in halves if first >= 0 and second >= 0]


def merges_by_score(vocabulary: Vocabulary) -> list[Merge]:
    """All merges run.c can make, by falling score."""
    scores = vocabulary.scores
    made = [i for i in range(len(vocabulary)) if vocabulary.find(vocabulary.texts[i]) == i]
    made = [i for i in made if scores[i] > NEVER]  # not so for NaN
    made.sort(key=lambda token: -float(scores[token]))
    return [merge for token in made for merge in spellings(vocabulary, token)]


def orders(vocabulary: Vocabulary) -> Iterator[list[Merge]]:
    """Orders of the merges that may give run.c's tokens where scores are equal.

    First the order of the ids, which is that of most files. Then that in which a token grows to
    the right as long as it can, as the leftmost one does among runs of spaces of equal score.
    """
    merges = merges_by_score(vocabulary)
    yield merges
    scores, texts = vocabulary.scores, vocabulary.texts
    yield sorted(merges, key=lambda each: (-float(scores[each[2]]), -len(texts[each[0]])))


def scores_of(merges: Sequence[Merge], vocabulary: Vocabulary) -> tuple[list[float], list[str]]:
    """Scores that make run.c merge in the order of `merges`; and where it would merge more.

    Tokens made by merges have 0, -1, -2, ... in the order of the list, the same where the list
    comes back to a token after others. Of the other tokens those that run.c could merge all the
    same have a score that never merges; the rest, which no score matters to, go on counting,
    but those up to the last byte have 0.
    """
    scores, problems = _falling(merges), list[str]()
    listed, below = set(merges), -len(scores)
    for token in range(len(vocabulary)):
        ways = spellings(vocabulary, token)
        if token not in scores:
            scores[token] = NEVER if ways else 0.0 if token < 259 else float(below - token)
        elif missing := [way for way in ways if way not in listed]:
            first, second = (vocabulary.texts[each] for each in missing[0][:2])
            problems.append(f"{first!r} and {second!r} spell a token, but are not merged")
    return [scores[token] for token in range(len(vocabulary))], problems


def _falling(merges: Sequence[Merge]) -> dict[int, float]:
    """The scores of the tokens made by merges."""
    last = {made: rank for rank, (_, _, made) in enumerate(merges)}
    scores: dict[int, float] = {}
    group, end = 0, -1
    for rank, (_, _, made) in enumerate(merges):
        group -= rank > end >= 0  # all tokens so far are complete
        end = max(end, last[made])
        scores.setdefault(made, float(group))
    return scores


def first_disagreement(merges: Sequence[Merge], vocabulary: Vocabulary) -> bytes | None:
    """A text that the list and the scores encode differently because of equal scores.

    Where very many merges have equal scores, the first that is not looked at any more is taken
    for one.
    """
    ranks = {(a, b): (float(rank), made) for rank, (a, b, made) in enumerate(merges)}

    def by_rank(first: int, second: int) -> Pair | None:
        return ranks.get((first, second))

    by_list, by_score = Merger(vocabulary, by_rank), Merger(vocabulary)
    texts, seen = vocabulary.texts, set[bytes]()
    disputed = chain(_disputed(merges, vocabulary), _overtaken(merges, vocabulary))
    for count, neighbours in enumerate(disputed):
        text = b"".join(texts[token] for token in neighbours)
        if count == MOST_TRIPLES:
            return text
        if text not in seen:
            seen.add(text)
            units = by_list.units(text)
            if by_list.merge(units) != by_score.merge(units):
                return text
    return None


def _disputed(merges: Iterable[Merge], vocabulary: Vocabulary) -> Iterator[Merge]:
    """Neighbours x y z where x y and y z merge with equal scores, and y z is listed first."""
    following: dict[tuple[float, int], list[int]] = {}  # score and y -> all z so far
    for first, second, made in merges:
        score = float(vocabulary.scores[made])
        yield from ((first, second, z) for z in following.get((score, second), ()))
        following.setdefault((score, first), []).append(second)


def _overtaken(merges: Sequence[Merge], vocabulary: Vocabulary) -> Iterator[Merge]:
    """Neighbours x y z of which one pair merges only after the other's score has come up.

    x is made at the score of y z, and x y then has a higher one; or the same with z and x y.
    """
    scores: list[float] = vocabulary.scores.tolist()
    made = {each for _, _, each in merges}
    before: dict[tuple[float, int], list[int]] = {}  # score and y -> all x with that x y
    after: dict[tuple[float, int], list[int]] = {}  # score and y -> all z with that y z
    for first, second, each in merges:
        before.setdefault((scores[each], second), []).append(first)
        after.setdefault((scores[each], first), []).append(second)
    for first, second, each in merges:
        if first in made and scores[first] < scores[each]:
            yield from ((first, second, z) for z in after.get((scores[first], second), ()))
        if second in made and scores[second] < scores[each]:
            yield from ((x, first, second) for x in before.get((scores[second], first), ()))
