"""Questions and contexts to ids: nothing of a context is cut, and offsets give the text back."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as some

from ensuite.core.errors import DataError
from ensuite.data.processors.questions import (
    CONTEXT,
    END,
    ID,
    NONE,
    PLACES,
    START,
    Questions,
    tokens_of,
)

PAIRS = [("La tour Eiffel mesure 324 m de haut.", "Quelle est sa hauteur ?"),
         ("Le chat dort sur la table.", "Où dort le chat ?")] * 2  # fmt: skip
ANY = some.text(some.characters(exclude_categories=["Cs"]), max_size=40)
UNITS = ("words", "characters", "pieces")
READERS = {unit: Questions(unit=unit, min_frequency=1).prepare(PAIRS) for unit in UNITS}
SMALL = Questions(unit="pieces", window=16, overlap=3).prepare(PAIRS)


@pytest.mark.parametrize("unit", UNITS)
@given(drawn=some.data())
def test_the_tokens_of_an_answer_hold_its_text(unit: str, drawn: some.DataObject) -> None:
    text = drawn.draw(ANY)
    start = drawn.draw(some.integers(0, len(text)))
    answer = text[start : drawn.draw(some.integers(start, len(text)))].strip()
    start = text.find(answer)
    (tokens,) = READERS[unit].encode([text])
    found = tokens_of(tokens, start, start + len(answer))
    if found is not None:
        first, last = found
        assert first <= last
        assert answer in text[tokens[first, START] : tokens[last, END]]
    if answer and unit == "pieces" and text.isascii():  # other texts may be composed otherwise
        assert found is not None


@given(some.integers(0, 60), some.integers(1, 6), some.integers(0, 20))
def test_windows_hold_every_token_of_the_context(length: int, question: int, overlap: int) -> None:
    reader = Questions(unit="words", window=20, overlap=overlap, min_frequency=1).prepare(PAIRS)
    context = " ".join(["chat"] * length)
    (windows,) = reader.windows([(context, " ".join(["dort"] * question))])
    held = [place for w in windows for place in range(w.before, w.before + len(w.context))]
    assert sorted(set(held)) == list(range(length))
    assert all(len(w.question) == question for w in windows)
    batch, _ = reader.collate(windows)
    assert batch.inputs["tokens"].shape[1] <= 20


@pytest.mark.parametrize("order", ["question", "context"])
def test_the_question_stands_first_or_last(order: str) -> None:
    reader = Questions(unit="words", order=order, min_frequency=1).prepare(PAIRS)  # type: ignore[arg-type]
    windows = [each for several in reader.windows(PAIRS[:2]) for each in several]
    batch, starts = reader.collate(windows)
    places, tokens = batch.inputs[PLACES], batch.inputs["tokens"]
    for row, window in enumerate(windows):
        context, none = starts[row]
        inside = (places[row] == CONTEXT).nonzero()[:, 0].tolist()
        assert inside == list(range(context, context + len(window.context)))
        assert tokens[row, inside].tolist() == window.context[:, ID].tolist()
        assert (places[row] == NONE).nonzero()[:, 0].tolist() == [none] == [0]
        segment = batch.inputs["segments"][row, context]
        assert segment == (1 if order == "question" else 0)


def test_without_cls_the_separator_stands_for_none() -> None:
    described = json.loads(READERS["words"].tokenizer)
    described["post_processor"] = None
    plain = replace(READERS["words"], tokenizer=json.dumps(described))
    (windows,) = plain.windows(PAIRS[:1])
    batch, starts = plain.collate(windows)
    context, none = starts[0]
    assert (context, none) == (len(windows[0].question) + 1, len(windows[0].question))
    assert batch.inputs["tokens"][0, none] == plain.special.separator
    assert "segments" not in batch.inputs


def test_a_question_longer_than_the_window_is_told() -> None:
    with pytest.raises(DataError, match=r"has 40 tokens, and a window of 16.*--set window=47"):
        SMALL.room(40, "Pourquoi")
    long = "pourquoi " * 40
    with pytest.raises(DataError, match='The question "pourquoi pourquoi'):
        SMALL.windows([("Le chat dort.", long)])


def test_an_overlap_is_not_negative() -> None:
    with pytest.raises(ValueError, match="overlap must be 0 or more"):
        Questions(overlap=-1)
