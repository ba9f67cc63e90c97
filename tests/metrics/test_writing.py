"""Metrics of what was written, against sacreBLEU itself and against plain definitions."""

import numpy as np
import pytest
import sacrebleu
from hypothesis import given
from hypothesis import strategies as st

from ensuite.metrics.writing import (
    bleu,
    bleu_signature,
    chrf,
    edit_distance,
    exact_match,
    orders_within,
    rouge_l,
    word_error_rate,
)

words = st.lists(st.sampled_from(["le", "chat", "dort", "noir", "l'été", ",", "Ça", "12"]))
texts = words.map(" ".join)
pairs = st.lists(st.tuples(texts, st.lists(texts, min_size=1, max_size=3)), min_size=1, max_size=6)

TEXTS = ["le chat noir dort ici", "il fait très froid", "oui", ""]
REFERENCES = [
    ["le chat noir dort là", "le chat dort"],
    ["il fait froid aujourd'hui"],
    ["oui !"],
    ["non", "rien"],
]


def streams(references):
    most = max(map(len, references))
    return [[(*each, *[None] * most)[n] for each in references] for n in range(most)]


@pytest.mark.parametrize(("ours", "theirs"), [(bleu, "corpus_bleu"), (chrf, "corpus_chrf")])
@given(pairs)
def test_a_corpus_scores_what_sacrebleu_gives_it(ours, theirs, pairs):
    hypotheses, references = zip(*pairs, strict=True)
    expected = getattr(sacrebleu, theirs)(list(hypotheses), streams(references)).score
    assert ours(hypotheses, references).value == pytest.approx(expected, abs=1e-9)


@given(pairs, st.integers(1, 4))
def test_bleu_of_fewer_orders_is_sacrebleus(pairs, orders):
    hypotheses, references = zip(*pairs, strict=True)
    theirs = sacrebleu.metrics.BLEU(max_ngram_order=orders)
    expected = theirs.corpus_score(list(hypotheses), streams(references)).score
    assert bleu(hypotheses, references, orders).value == pytest.approx(expected, abs=1e-9)


def test_short_texts_that_are_right_score_100():
    texts = ["deux", "trois quatre"]
    references = [[text] for text in texts]
    assert bleu(texts, references).value == 0
    assert orders_within(references) == 2
    assert bleu(texts, references, 2).value == pytest.approx(100)
    assert orders_within([["un deux trois quatre cinq"]]) == 4
    assert orders_within([]) == orders_within([["!"]]) == 1


@pytest.mark.parametrize("metric", [bleu, chrf])
def test_draws_of_a_bootstrap_are_corpora_of_their_own(metric):
    score = metric(TEXTS, REFERENCES)
    weights = np.random.default_rng(0).multinomial(4, [0.25] * 4, size=20)
    found = score.function(weights @ score.statistics)
    for draw, value in zip(weights, found, strict=True):
        rows = np.repeat(np.arange(4), draw)
        again = metric([TEXTS[row] for row in rows], [REFERENCES[row] for row in rows])
        assert again.value == pytest.approx(value)


def test_the_signature_says_how_bleu_was_counted():
    counted = f"case:mixed|eff:no|tok:13a|smooth:exp|version:{sacrebleu.__version__}"
    assert bleu_signature() == counted


@pytest.mark.parametrize("metric", [bleu, chrf])
def test_what_is_right_to_the_letter_scores_100_and_nothing_0(metric):
    text = "le chat noir dort ici"
    assert metric([text], [[text]]).value == pytest.approx(100)
    assert metric([""], [[text]]).value == 0
    assert metric(["xyz qqq"], [["b"]]).value == 0


@pytest.mark.parametrize("metric", [bleu, chrf, exact_match, rouge_l, word_error_rate])
def test_another_reference_never_makes_an_answer_worse(metric):
    one = metric(TEXTS, [each[:1] for each in REFERENCES])
    more = metric(TEXTS, REFERENCES)
    better = more.value >= one.value if more.higher_is_better else more.value <= one.value
    assert better


def test_exact_match_is_to_the_letter():
    assert exact_match(["oui", "Oui", "non"], [["oui"], ["oui"], ["si", "non"]]).value == 2 / 3


@pytest.mark.parametrize(
    ("text", "reference", "expected"),
    [
        ("police killed the gunman", "police kill the gunman", 3 / 4),  # Lin (2004), section 3.1
        ("the gunman kill police", "police kill the gunman", 2 / 4),
        ("The Gunman!", "the gunman", 1),
        ("", "the gunman", 0),
        ("a b c", "d", 0),
        ("a b c d", "a c", 2 * 0.5 * 1 / 1.5),
    ],
)
def test_rouge_l_is_of_the_longest_common_subsequence(text, reference, expected):
    assert rouge_l([text], [[reference]]).value == pytest.approx(expected)


@given(st.text("abc", max_size=6), st.text("abc", max_size=6))
def test_the_edit_distance_is_its_recursion(one, other):
    def distance(i, j):
        if not i or not j:
            return i + j
        changed = distance(i - 1, j - 1) + (one[i - 1] != other[j - 1])
        return min(changed, distance(i - 1, j) + 1, distance(i, j - 1) + 1)

    assert edit_distance(one, other) == distance(len(one), len(other))


def test_word_error_rate_is_edits_over_the_words_of_the_nearest_reference():
    references = [["HH AH L OW", "HH EH L OW"], ["W ER L D"]]
    score = word_error_rate(["HH EH L", "W AO R L D"], references)
    assert score.value == (1 + 2) / (4 + 4)
    assert not score.higher_is_better


def test_no_text_at_all_is_not_a_score():
    for metric in (bleu, chrf):
        assert metric([], []).statistics.shape[0] == 0
