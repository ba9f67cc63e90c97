"""The unigram baseline: frequencies, whatever stands around a hidden token."""

from dataclasses import replace

import numpy as np
import pytest

from ensuite.baselines.fill import Unigram
from ensuite.tasks.fill import Fill
from ensuite.tasks.fill_examples import Example

TRAIN = [Example("a a a b"), Example("c", document=1)]


def task(**options: object) -> Fill:
    empty = Fill(**options)  # type: ignore[arg-type]
    words = replace(empty.reading, unit="words", min_frequency=1)
    return replace(empty, reading=words).prepare(TRAIN)


def test_bits_are_those_of_the_frequencies() -> None:
    made = task()
    baseline = Unigram.fit(made, TRAIN, [], 0)
    assert baseline.shares.sum() == pytest.approx(1.0)
    (answer,) = baseline.predict(made, [Example("a b zebra")])
    # Of 5 tokens and 4 kinds, each counted once more: a 4, b 2, c 2, unknown 1.
    shares = np.array([4, 2, 1]) / 9
    assert answer.bits == pytest.approx(-np.log2(shares).sum() + 8 * len("zebra"))
    assert (answer.tokens, answer.right, answer.bytes) == (3, 1, 9)


def test_questions_get_the_most_frequent_tokens() -> None:
    made = task(k=2)
    (answer,) = Unigram.fit(made, TRAIN, [], 0).predict(made, [made.ask("b [MASK]")])
    assert [token for token, _ in answer.masks[0]] == ["a", "b"]


def test_half_of_the_pairs_are_told_right() -> None:
    examples = [Example("a. A b."), Example("c. C a.", document=1)]
    made = replace(task(), next_sentence=True)
    paired = made.paired(examples)
    answers = Unigram.fit(made, paired, [], 0).predict(made, paired)
    assert made.score(answers, paired)["next_sentence_accuracy"].value == 0.5
