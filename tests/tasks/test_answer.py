"""Answer: spans of the original text, windows, questions without an answer, and what is refused."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some

import ensuite
from ensuite.core.batch import IGNORE, sum_counts
from ensuite.core.errors import DataError
from ensuite.core.model import Model
from ensuite.data import readers
from ensuite.data.processors.questions import PLACES
from ensuite.predictor import Predictor
from ensuite.problem import open_problem
from ensuite.specs import model_options
from ensuite.tasks.answer import NO_ANSWER, Answer, Prediction, span_scores
from ensuite.tasks.answer_examples import Example, Span
from ensuite.training.evaluate import predict

TOWER = "La tour Eiffel mesure 324 m de haut. Elle est à Paris."
ROWS = [
    {"context": TOWER, "question": "Quelle est sa hauteur ?", "answers": "324 m"},
    {"context": TOWER, "question": "Où est-elle ?", "answers": ["Paris"]},
    {"context": TOWER, "question": "Qui dort ?", "answers": []},
]
ANY = some.text(some.characters(exclude_categories=["Cs"]), max_size=40)


def read(rows: Any, **how: Any) -> list[Example]:
    return Answer().read(readers.read(rows), {}, **how)[1]


def task(examples: Sequence[Example], **options: Any) -> Answer:
    empty = Answer()
    words: Mapping[str, Any] = {"unit": "words", "min_frequency": 1, **options}
    return replace(empty, processor=replace(empty.processor, **words)).prepare(examples)


def build(made: Answer, name: str = "transformer") -> Model:
    return Model.build(model_options(name)[1].tiny(), made).eval().requires_grad_(False)


def test_answers_are_written_in_many_ways() -> None:
    span = Span("324 m", TOWER.index("324"))
    ways: list[Any] = [
        "324 m",
        ["324 m"],
        np.array(["324 m"]),
        [{"text": "324 m", "answer_start": span.start}],
        {"text": ["324 m"], "answer_start": [span.start]},
        {"text": "324 m", "answer_start": span.start},
    ]
    rows = [{"context": TOWER, "question": "?", "answers": way} for way in ways]
    assert [example.answers for example in read(rows)] == [(span,)] * len(ways)
    for way in ("", [], None, np.array([], dtype=str), {"text": [], "answer_start": []}):
        assert read([{"context": TOWER, "question": "?", "answers": way}])[0].answers == ()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"answers": "325 m"}, 'row 1 of the data: the answer "325 m" is not in the context'),
        (
            {"answers": [{"text": "324 m", "answer_start": 3}]},
            'the answer "324 m" does not stand at character 3 of the context, where "tour ',
        ),
        (
            {"answers": [{"text": "324 m", "answer_start": -5}]},
            "is to start at character -5 of a context of 54",
        ),
        ({"answers": [{"text": "324 m", "answer_start": "3"}]}, "'3', is not a whole number"),
        ({"answers": {"text": ["324 m"], "answer_start": [1, 2]}}, "1 answers and 2 places"),
        ({"answers": [" "]}, "an answer is empty or no text"),
        ({"answers": 324}, "324 is no answer; give its text"),
        ({"context": " "}, "row 1 of the data: the context is empty"),
        ({"context": None}, "the context is not a text"),
        ({"question": ""}, "the question is empty"),
    ],
)
def test_a_row_that_cannot_be_read_is_told(change: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said.replace("(", r"\(")):
        read([ROWS[0] | change])


def test_the_place_of_an_answer_may_be_a_column(tmp_path: Path) -> None:
    rows = [("a", "a b a", 4), ("a", "a b a", ""), ("", "a b a", "")]
    lines = [f"{context},q?,{answer},{start}" for answer, context, start in rows]
    (tmp_path / "a.csv").write_text(
        "\n".join(["context,question,answer,answer_start", *lines]), encoding="utf-8"
    )
    found = [example.answers for example in read(tmp_path / "a.csv")]
    assert found == [(Span("a", 4),), (Span("a", 0),), ()]
    row = {"context": "a b a", "question": "q?", "answers": ["a", "a"], "answer_start": [4, 0]}
    assert read([row])[0].answers == (Span("a", 4), Span("a", 0))
    with pytest.raises(DataError, match=r"row 1 of the data: the answer .* at character 3"):
        read([row | {"answers": "a", "answer_start": 3}])


def test_a_question_of_squad_without_the_key_of_its_answers_is_not_labelled(
    tmp_path: Path,
) -> None:
    given = [
        {"id": "one", "question": "q?", "answers": []},
        {"id": "two", "question": "r?", "is_impossible": True},
        {"id": "three", "question": "s?"},
    ]
    value = {"data": [{"title": "t", "paragraphs": [{"context": TOWER, "qas": given}]}]}
    (tmp_path / "a.json").write_text(json.dumps(value), encoding="utf-8")
    said = r"row 3 of a.json \(id three\): its answers are missing"
    with pytest.raises(DataError, match=said):
        read(tmp_path / "a.json")
    assert len(read(tmp_path / "a.json", asking=True)) == 3


def test_answers_may_be_absent_only_where_they_are_asked_for() -> None:
    row = {"context": TOWER, "question": "?"}
    with pytest.raises(DataError, match="has no column for the answers"):
        read([row])
    assert read([row], asking=True) == [Example(TOWER, "?")]


def test_what_is_asked_needs_a_context_and_a_question() -> None:
    asked = Answer().ask({"context": TOWER, "question": "Où ?"})
    assert asked == Answer().ask((TOWER, "Où ?")) == Answer().ask(asked) == Example(TOWER, "Où ?")
    for wrong in ("Où ?", {"question": "Où ?"}, 3):
        with pytest.raises(DataError, match="Give a text and a question about it"):
            Answer().ask(wrong)
    with pytest.raises(DataError, match="nothing to answer: the context is empty"):
        Answer().ask({"context": "", "question": "Où ?"})


def test_questions_on_one_article_stay_in_one_part() -> None:
    rows = [
        {"title": f"T{n // 4}", "context": f"text {n // 2}", "question": f"q{n}?", "answers": []}
        for n in range(80)
    ]
    for named in (True, False):
        given = rows if named else [{k: v for k, v in r.items() if k != "title"} for r in rows]
        problem = open_problem("answer", given)
        places = {
            part: {e.article or e.context for e in examples}
            for part, examples in problem.parts.items()
        }
        assert not places["train"] & (places["valid"] | places["test"])
        assert problem.task.blocks(problem.parts["test"]) is not None


@pytest.mark.parametrize("order", ["question", "context"])
@pytest.mark.parametrize("window", [12, 384])
def test_targets_are_the_tokens_of_the_answer(order: str, window: int) -> None:
    examples = read(ROWS)
    made = task(examples, order=order, window=window, overlap=2)
    assert made.unanswerable
    items = made.items(examples)
    batch = made.collate(items)
    tokens = batch.inputs["tokens"]
    for row, item in enumerate(items):
        first, last = (int(batch.targets[name][row]) for name in ("start", "end"))
        (answer,) = (
            made.processor.encode([examples[item.example].answers[0].text])
            if examples[item.example].answers
            else (None,)
        )
        if item.span is None:
            assert (first, last) == (0, 0)
        else:
            assert tokens[row, first : last + 1].tolist() == answer[:, 0].tolist()
    held = {item.example for item in items if item.span is not None}
    assert held == {0, 1}
    assert batch.counts == {"start": len(items), "end": len(items)}


def test_an_example_without_its_answer_counts_nothing() -> None:
    made = task(read(ROWS))
    batch = made.collate(made.items([Example(TOWER, "Où ?")]))
    assert batch.counts == {"start": 0, "end": 0}
    assert batch.targets["start"].tolist() == [IGNORE]
    loss = made.loss(build(made)(batch), batch)
    assert float(loss.value) == 0.0


def test_the_loss_is_that_of_the_places_an_answer_may_be() -> None:
    made = task(read(ROWS))
    examples = read(ROWS)
    batch = made.collate(made.items(examples))
    outputs = build(made)(batch)
    loss = made.loss(outputs, batch) / sum_counts([batch])
    expected = 0.0
    for row in range(3):
        places = (batch.inputs[PLACES][row] > 0).nonzero()[:, 0]
        for name, column in (("start", 0), ("end", 1)):
            logs = outputs.values[row, places, column].log_softmax(-1)
            target = int(batch.targets[name][row])
            expected -= float(logs[places.tolist().index(target)]) / 6
    assert float(loss.value) == pytest.approx(expected, rel=1e-5)


@given(context=ANY, question=some.text(some.characters(exclude_categories=["Cs"]), max_size=4))
def test_an_answer_is_a_part_of_the_context(context: str, question: str) -> None:
    if not context.strip() or not question.strip():
        return
    asked = [Example(context, question), Example(TOWER, "Où ?")]
    for made, model in MODELS:
        for example, answer in zip(asked, predict(made, model, asked), strict=True):
            if answer.text:
                assert answer.text == example.context[answer.start : answer.end]
                assert answer.text == answer.text.strip()
                assert answer.probability is not None
                assert 0 <= answer.probability <= 1 + 1e-6


def models() -> list[tuple[Answer, Model]]:
    torch.manual_seed(0)
    made = [
        task(read(ROWS), unit=unit, window=24, overlap=4)
        for unit in ("words", "pieces", "characters")
    ]
    return [(each, build(each)) for each in made]


MODELS = models()


def test_the_best_span_is_the_one_of_the_highest_odds() -> None:
    made = replace(task(read(ROWS)), unanswerable=False, longest=3)
    model, example = build(made), Example(TOWER, "Où ?")
    (item,) = made.items([example], asking=True)
    batch = made.collate([item])
    values = model(batch).values[0]
    inside = (batch.inputs[PLACES][0] == 1).nonzero()[:, 0].tolist()
    odds = {
        (a, b): float(values[a, 0] + values[b, 1] - values[0].sum())
        for a in inside
        for b in range(a, min(a + 3, inside[-1] + 1))
    }
    (first, last), best = max(odds.items(), key=lambda pair: pair[1])
    (piece,) = made.predict(model, batch)
    assert (piece.first, piece.last) == (first - inside[0], last - inside[0])
    assert piece.odds == pytest.approx(best, abs=1e-4)
    total = sum(math.exp(each) for each in odds.values())
    assert piece.probability == pytest.approx(math.exp(best) / total, rel=1e-3)


def test_spans_begin_before_they_end_and_are_not_too_long() -> None:
    start, end = torch.arange(4.0)[None], 10 * torch.arange(4.0)[None]
    found = span_scores(start, end, 2)
    assert found[0].tolist() == [[0, 11, 22, 33], [10, 21, 32, -math.inf]]


def test_a_threshold_is_chosen_on_held_out_questions() -> None:
    made = task(read(ROWS))
    examples = read(ROWS)
    predictions = [
        Prediction("324 m", 0.5, 22, 27, 3.0, "324 m"),
        Prediction("Paris", 0.5, 48, 53, 2.5, "Paris"),
        Prediction("haut", 0.5, 31, 35, 2.0, "haut"),
    ]
    calibrated = made.calibrate(predictions, examples)
    assert 2.0 < calibrated.threshold <= 2.5
    decided = [calibrated.decide(each) for each in predictions]
    assert [each.text for each in decided] == ["324 m", "Paris", ""]
    assert decided[2].start is None
    assert decided[2].probability == pytest.approx(0.5 * math.exp(-2.0))
    assert calibrated.describe(decided[2])[0] == NO_ANSWER == made.truth(examples[2])
    assert calibrated.score(decided, examples)["f1"].value == 1.0
    unread = [Prediction("", odds=-math.inf), *predictions]  # a context without a token
    assert made.calibrate(unread, [examples[2], *examples]) == calibrated
    answerable = replace(made, unanswerable=False)
    assert answerable.calibrate(predictions, examples) == answerable
    assert answerable.decide(predictions[2]) == predictions[2]


def test_long_answers_are_told_in_the_data_check() -> None:
    examples = read([ROWS[0] | {"answers": "324 m de haut"}])
    made = replace(task(examples), longest=2)
    findings = {each.topic: each.sentence for each in made.check({"train": examples})}
    assert findings["long answers"].startswith("1 are longer than 2 tokens")
    assert findings["long answers"].endswith("--set task.longest=N")  # BERT has one too
    assert findings["windows"].startswith("0 of 1 questions")
    assert made.ledger(examples).tokens == 0


def test_a_question_longer_than_the_window_is_told() -> None:
    made = task(read(ROWS), window=16)
    long = Example(TOWER, "pourquoi " * 20)
    with pytest.raises(DataError, match="has 20 tokens, and a window of 16 has no room"):
        made.verify(long)
    with pytest.raises(DataError, match="unless the model reads no more at once, --set window="):
        made.items([long])


def test_a_run_is_saved_and_answers_as_before(tmp_path: Path) -> None:
    rows = [
        {"context": f"{TOWER} {n}", "question": "Où est-elle ?", "answers": "Paris"}
        for n in range(8)
    ]
    run = ensuite.train(
        "answer", rows, model="transformer:width=8,layers=1,heads=2", budget="3steps",
        settings={"order": "context"}, out=str(tmp_path / "run"),
    )  # fmt: skip
    asked = {"context": TOWER, "question": "Où ?"}
    again = Predictor.load(tmp_path / "run")
    assert again.task.processor.order == "context"
    assert again.predict([asked]) == run.predict([asked])
    assert set(again.evaluate(rows)) == {"f1", "exact_match"}
    (record,) = again.task.records(again.task.ask(asked), again.predict([asked])[0])
    assert set(record) == {"answer", "probability", "start", "end"}
