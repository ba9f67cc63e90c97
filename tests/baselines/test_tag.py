"""The most frequent tag of each word."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from ensuite.baselines.tag import MostFrequentTag
from ensuite.data.processors import Words
from ensuite.tasks.tag import Example, Tag

SENTENCES = [
    Example(("the", "can", "is", "red"), ("DET", "NOUN", "VERB", "ADJ")),
    Example(("the", "dogs", "can", "run"), ("DET", "NOUN", "AUX", "VERB")),
    Example(("red", "dogs", "run", "The"), ("ADJ", "NOUN", "VERB", "NOUN")),
    Example((), ()),
]
TASK = Tag().prepare(SENTENCES)
BASELINE = MostFrequentTag.fit(TASK, SENTENCES, [], 0)


def tags(*words: str) -> tuple[str, ...]:
    return BASELINE.predict(TASK, [Example(words)])[0].tags


def test_each_word_gets_its_most_frequent_tag() -> None:
    assert tags("the", "red", "dogs", "run") == ("DET", "ADJ", "NOUN", "VERB")
    assert tags("The", "THE") == ("NOUN", "DET")  # looked up as the models look it up


def test_of_equals_the_first_in_the_order_of_tags() -> None:
    assert tags("can") == ("AUX",)


def test_an_unknown_word_gets_the_most_frequent_tag_of_all() -> None:
    prediction = BASELINE.predict(TASK, [Example(("zebra", "can"))])[0]
    assert prediction.tags == ("NOUN", "AUX")
    assert prediction.probabilities == (pytest.approx(4 / 12), 0.5)


def test_words_beyond_the_vocabulary_are_unknown_too() -> None:
    task = Tag(processor=Words(vocabulary_size=3)).prepare(SENTENCES)
    baseline = MostFrequentTag.fit(task, SENTENCES, [], 0)
    assert baseline.parameters == 3
    assert baseline.predict(task, [Example(("is",))])[0].tags == ("NOUN",)


def test_windows_do_not_count_a_word_twice() -> None:
    cut = Tag(processor=Words(window=2, overlap=1)).prepare(SENTENCES)
    whole = BASELINE.predict(TASK, SENTENCES)
    assert MostFrequentTag.fit(cut, SENTENCES, [], 0).predict(cut, SENTENCES) == whole


def test_unlabelled_sentences_teach_nothing() -> None:
    more = [*SENTENCES, Example(("can", "can"))]
    assert np.array_equal(MostFrequentTag.fit(TASK, more, [], 0).tags, BASELINE.tags)


@given(some.lists(some.lists(some.text(max_size=4), max_size=5).map(tuple), max_size=4))
def test_saved_and_restored_it_answers_the_same(sentences: list[tuple[str, ...]]) -> None:
    settings = json.loads(json.dumps(BASELINE.settings()))
    restored = MostFrequentTag.restore(BASELINE.arrays(), settings)
    asked = [Example(words) for words in sentences]
    answers = BASELINE.predict(TASK, asked)
    assert restored.predict(TASK, asked) == answers
    assert [len(a.tags) for a in answers] == [len(words) for words in sentences]
