"""The baseline of answer: the sentence that has most words of the question."""

from hypothesis import given
from hypothesis import strategies as some

from ensuite.baselines.answer import BestOverlap, sentences
from ensuite.tasks.answer import Answer
from ensuite.tasks.answer_examples import Example, Span

TEXT = "The cat sleeps.\nA dog eats the bone. It rains."


@given(some.text(some.characters(exclude_categories=["Cs"]), max_size=60))
def test_sentences_are_parts_of_the_text(text: str) -> None:
    found = sentences(text)
    parts = [text[start:end] for start, end in found]
    assert "".join("".join(parts).split()) == "".join(text.split()) or not text.strip()
    assert all(part == part.strip() for part in parts if text.strip())


def test_the_sentence_with_most_words_of_the_question_is_taken() -> None:
    examples = [
        Example(TEXT, "Who eats a bone?", None, (Span("A dog", TEXT.index("A dog")),)),
        Example(TEXT, "Where?", None, (Span("cat", 4),)),
    ]
    task = Answer().prepare(examples)
    answers = BestOverlap.fit(task, examples, [], 0).predict(task, examples)
    assert [answer.text for answer in answers] == ["A dog eats the bone.", "The cat sleeps."]
    assert TEXT[answers[0].start : answers[0].end] == answers[0].text
    assert answers[0].odds == 2.0
