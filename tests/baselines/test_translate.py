"""What a writer must beat."""

import pytest

from ensuite.baselines.translate import Copy, LeadSentence, NearestPair
from ensuite.core.baseline import Baseline
from ensuite.data.processors import Text
from ensuite.tasks.classify import Classify
from ensuite.tasks.translate import Example, Translate

PAIRS = [
    Example("the black cat sleeps", "le chat noir dort"),
    Example("the dog eats", "le chien mange"),
    Example("it is cold today", "il fait froid aujourd'hui"),
    Example("asked only"),
]
TASK = Translate(processor=Text(unit="words", window=9, overlap=0, truncation="head")).prepare(
    PAIRS
)


def answers(baseline: type[Baseline], *sources: str) -> list[str]:
    fitted = baseline.fit(TASK, PAIRS, [], 0)
    again = baseline.restore(fitted.arrays(), fitted.settings())
    asked = [Example(source) for source in sources]
    found = [prediction.text for prediction in fitted.predict(TASK, asked)]
    assert [prediction.text for prediction in again.predict(TASK, asked)] == found
    return found


def test_copy_answers_with_the_source() -> None:
    assert answers(Copy, "as it is") == ["as it is"]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("He won. She lost.", "He won."),
        ("Did he win? Yes.", "Did he win?"),
        ('"He won!" she said.', '"He won!'),
        ("A line\nand another.", "A line"),
        ("At 3.5 per cent. Less.", "At 3.5 per cent."),
        ("no end", "no end"),
        ("  \n He won. ", "He won."),
    ],
)
def test_the_lead_sentence_is_the_first(source: str, expected: str) -> None:
    assert answers(LeadSentence, source) == [expected]


def test_the_nearest_pair_answers_with_what_stood_beside_the_nearest_source() -> None:
    assert answers(NearestPair, "The dog sleeps and eats", "today is COLD") == [
        "le chien mange",
        "il fait froid aujourd'hui",
    ]
    assert len(answers(NearestPair, *["zebra"] * 600)) == 600  # of what is unlike all, any


def test_the_nearest_of_spelled_words_is_by_runs_of_characters() -> None:
    words = [Example("cats", "K AE T S"), Example("dogs", "D AO G Z")]
    task = Translate().prepare(words)
    assert task.processor.unit == "characters"
    baseline = NearestPair.fit(task, words, [], 0)
    assert baseline.predict(task, [Example("cat")])[0].text == "K AE T S"
    assert not LeadSentence.fits(task)
    assert LeadSentence.fits(TASK)


@pytest.mark.parametrize("baseline", [Copy, LeadSentence, NearestPair])
def test_other_tasks_are_not_written_for(baseline: type[Baseline]) -> None:
    assert not baseline.fits(Classify())
