"""Metrics of written texts: BLEU, chrF, ROUGE-L, exact match, word error rate."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from ensuite.core.display import Display
from ensuite.core.score import Numbers, Score, ratio, ratio_of_two

ORDERS = 4
"""Default longest n-gram of BLEU."""

CHRF_ORDERS, CHRF_BETA = 6, 2
"""Longest n-gram of chrF, and the weight of recall relative to precision."""

References = Sequence[Sequence[str]]
"""The reference texts of each text; at least one."""


def bleu(texts: Sequence[str], references: References, orders: int = ORDERS) -> Score:
    """Return the corpus BLEU, 0 to 100, as computed by sacreBLEU; see :func:`bleu_signature`.

    Args:
        texts: The written texts.
        references: The reference texts of each.
        orders: Words of its longest n-gram. Where no text has as many, BLEU is 0.

    Sources:
        Papineni et al. (2002), https://aclanthology.org/P02-1040
        Post (2018), https://aclanthology.org/W18-6319
    """
    metric = _sacrebleu("BLEU", max_ngram_order=orders)
    return Score(_count(metric, texts, references), _bleu, display=Display(name="BLEU", points=1))


def orders_within(references: References) -> int:
    """Return ``ORDERS``, or the number of words of the longest reference if that is smaller.

    >>> orders_within([["a red car"], ["a car", "car"]])
    3
    """
    longest = max((len(_words(each)) for allowed in references for each in allowed), default=1)
    return max(1, min(ORDERS, longest))


def bleu_signature() -> str:
    """Return sacreBLEU's signature of its BLEU, without the number of references."""
    metric = _sacrebleu("BLEU")
    metric.corpus_score(["a"], [["a"]])  # there is no signature before a first score
    whole = str(metric.get_signature())
    return "|".join(part for part in whole.split("|") if not part.startswith("nrefs"))


def chrf(texts: Sequence[str], references: References) -> Score:
    """Return chrF2, 0 to 100: the F-score of character n-grams of 1 to 6, without spaces.

    Source:
        Popović (2015), https://aclanthology.org/W15-3049
    """
    statistics = _count(_sacrebleu("CHRF"), texts, references)
    return Score(statistics, _chrf, display=Display(name="chrF", points=1))


def exact_match(texts: Sequence[str], references: References) -> Score:
    """Return the share of texts that are equal to one of their references."""
    hits = [text in allowed for text, allowed in zip(texts, references, strict=True)]
    return Score.mean(hits, np.ones(len(hits), dtype=bool), display=Display(points=100))


def rouge_l(texts: Sequence[str], references: References) -> Score:
    """Return the mean ROUGE-L, 0 to 1: F1 of the longest common subsequence of words.

    Of several references the best one counts. Words are runs of letters and digits, lower-cased and
    not stemmed.

    Source:
        Lin (2004), https://aclanthology.org/W04-1013, section 3
    """
    values = [
        max(_rouge(_words(text), _words(reference)) for reference in allowed)
        for text, allowed in zip(texts, references, strict=True)
    ]
    display = Display(name="ROUGE-L", points=100)
    return Score.mean(values, np.ones(len(values), dtype=bool), display=display)


def word_error_rate(texts: Sequence[str], references: References) -> Score:
    """Return the word error rate: edit distance to the references over their number of words.

    Of several references the nearest one counts. If words are phonemes, it is the phoneme error
    rate.
    """
    statistics = np.zeros((len(texts), 2))
    for row, (text, allowed) in enumerate(zip(texts, references, strict=True)):
        words = text.split()
        pairs = [(edit_distance(words, each.split()), len(each.split())) for each in allowed]
        statistics[row] = min(pairs, key=lambda pair: pair[0] / max(1, pair[1]))
    return Score(statistics, ratio_of_two, False, Display(points=100))


def edit_distance(one: Sequence[Any], other: Sequence[Any]) -> int:
    """Return the Levenshtein distance: the fewest insertions, deletions and substitutions.

    >>> edit_distance("kitten", "sitting")
    3
    """
    row = list(range(len(other) + 1))
    for number, left in enumerate(one, 1):
        diagonal, row[0] = row[0], number
        for column, right in enumerate(other, 1):
            cost = min(row[column] + 1, row[column - 1] + 1, diagonal + (left != right))
            diagonal, row[column] = row[column], cost
    return row[-1]


@lru_cache
def _sacrebleu(name: str, **options: int) -> Any:
    import sacrebleu.metrics

    return getattr(sacrebleu.metrics, name)(**options)


def _count(metric: Any, texts: Sequence[str], references: References) -> Numbers:
    """Return sacreBLEU's statistics of each text, (texts, k), which it sums over a corpus."""
    if not texts:
        return np.zeros((0, 3 * CHRF_ORDERS))
    most = max(len(allowed) for allowed in references)
    streams = [[(*allowed, *[None] * most)[n] for allowed in references] for n in range(most)]
    return np.array(metric._extract_corpus_statistics(list(texts), streams), dtype=float)


def _bleu(sums: Numbers) -> Numbers:
    """Compute BLEU from summed statistics: two lengths, then matches and totals of each order.

    Orders without a match count as 1/2, 1/4, ... of a match (sacreBLEU's smoothing "exp").
    """
    length, wanted = sums[..., 0], sums[..., 1]
    right, total = np.split(sums[..., 2:], 2, axis=-1)
    misses = (right == 0).cumsum(-1)
    smoothed = np.where(right == 0, 0.5**misses, right)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(np.divide(smoothed, total)).mean(-1)
        brevity = np.minimum(0.0, 1 - wanted / length)
        value = 100 * np.exp(logs + brevity)
    nothing = (total == 0).any(-1) | (right[..., 0] == 0)
    return np.where(nothing, 0.0, value)


def _chrf(sums: Numbers) -> Numbers:
    """Compute chrF from the counts of each order: generated, reference and common n-grams."""
    counts = sums.reshape(*sums.shape[:-1], CHRF_ORDERS, 3)
    written, wanted, common = counts[..., 0], counts[..., 1], counts[..., 2]
    used = (written > 0) & (wanted > 0)
    orders = used.sum(-1)
    precision = _mean(common, written, used, orders)
    recall = _mean(common, wanted, used, orders)
    weight = CHRF_BETA**2
    value = 100 * ratio((1 + weight) * precision * recall, weight * precision + recall)
    whole: Numbers = np.nan_to_num(value)
    return whole


def _mean(common: Numbers, of: Numbers, used: Numbers, orders: Numbers) -> Numbers:
    shares = np.where(used, np.nan_to_num(ratio(common, of)), 0.0)
    mean: Numbers = np.nan_to_num(ratio(shares.sum(-1), orders))
    return mean


def _words(text: str) -> list[str]:
    return "".join(c if c.isalnum() else " " for c in text.lower()).split()


def _rouge(one: Sequence[str], other: Sequence[str]) -> float:
    common = _longest_common(one, other)
    return 2 * common / (len(one) + len(other)) if common else 0.0


def _longest_common(one: Sequence[str], other: Sequence[str]) -> int:
    row = [0] * (len(other) + 1)
    for left in one:
        diagonal = 0
        for column, right in enumerate(other, 1):
            best = diagonal + 1 if left == right else max(row[column], row[column - 1])
            diagonal, row[column] = row[column], best
    return row[-1]
