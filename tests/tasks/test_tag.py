"""Tag: one tag for every word, whatever its sentence is cut into."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some
from numpy.typing import NDArray

from ensuite import laws
from ensuite.core.batch import IGNORE
from ensuite.core.errors import DataError, UnknownLabelError
from ensuite.core.model import Model
from ensuite.core.presentation import Ledger
from ensuite.data import readers
from ensuite.data.processors import Words
from ensuite.misfit import fitting
from ensuite.problem import open_problem
from ensuite.specs import Settings, choose, model_options
from ensuite.tasks.tag import Example, Prediction, Tag, join
from ensuite.training.budget import Budget
from ensuite.training.evaluate import predict
from ensuite.training.loop import fit

NAMES = [
    Example(("Marie", "Curie", "saw", "Paris", "."), ("B-PER", "I-PER", "O", "B-LOC", "O")),
    Example(("He", "saw", "Rome"), ("O", "O", "B-LOC")),
    Example(("It", "rains", "."), ("O", "O", "O")),
]
PARTS = [
    Example(("She", "sings"), ("PRON", "VERB")),
    Example(("Birds", "sing", "."), ("NOUN", "VERB", "PUNCT")),
]
LONG = Example(("Marie", "saw", "Rome") * 7, ("B-PER", "O", "B-LOC") * 7)


def read(columns: Mapping[str, Any], task: Tag | None = None, **given: Any) -> list[Example]:
    asking = given.pop("asking", False)
    return (task or Tag()).read(readers.read(columns), given, asking=asking)[1]


def build(task: Tag) -> Model:
    backbone = model_options("lstm:bidirectional=true")[1].tiny().build(task.inputs)
    return Model(backbone, task.head(backbone)).eval()


def test_tokens_and_tags_are_lists_or_texts_between_white_space() -> None:
    lists = read({"tokens": [["Anna", "sings"]], "ner_tags": [[1, 0]]})
    assert lists == [Example(("Anna", "sings"), ("1", "0"))]
    assert read({"words": ["Anna sings"], "tags": ["B-PER O"]})[0].tags == ("B-PER", "O")
    named = read({"a": [["x"]], "b": [["y"]]}, tokens="a", tags="b")
    assert named == [Example(("x",), ("y",))]


@pytest.mark.parametrize(
    ("tokens", "tags", "said"),
    [
        (
            ["a", "b"],
            ["O"],
            r"row 2 of the data: the numbers of tokens \(2\) and of tags \(1\) differ; give",
        ),
        (None, ["O"], "row 2 of the data has no tokens; give a list"),
        (["a"], None, "row 2 of the data has no tags; give a list"),
        (["a", None], ["O", "O"], "row 2 of the data: number 2 of the tokens is not a text"),
        (["a"], [["O"]], "row 2 of the data: number 1 of the tags is not a text"),
    ],
)
def test_a_row_that_is_no_sentence_is_told(tokens: Any, tags: Any, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read({"tokens": [["x"], tokens], "tags": [["O"], tags]})


def test_a_tag_that_training_does_not_have_is_told() -> None:
    with pytest.raises(UnknownLabelError, match='"B-ORG"'):
        Tag().prepare(NAMES).verify(Example(("UN",), ("B-ORG",)))
    with pytest.raises(UnknownLabelError, match='"B-ORG"'):
        Tag().prepare(NAMES).items([Example(("UN",), ("B-ORG",))])


def test_one_tag_is_no_choice() -> None:
    with pytest.raises(DataError, match='the single tag "O": at least two'):
        Tag().prepare(NAMES[2:])
    with pytest.raises(DataError, match="have no tag"):
        Tag().prepare([Example(("a",))])


def test_tags_of_entities_are_chosen_together() -> None:
    assert (Tag().prepare(NAMES).crf, Tag().prepare(NAMES).entities) == (True, True)
    assert (Tag().prepare(PARTS).crf, Tag().prepare(PARTS).entities) == (False, False)
    assert Tag(crf=True).prepare(PARTS).crf


def test_what_is_typed_becomes_an_example() -> None:
    task = Tag().prepare(NAMES)
    assert task.ask("Rome, Paris.") == Example(("Rome", ",", "Paris", "."))
    assert task.ask(["Rome", ","]) == task.ask({"tokens": ("Rome", ",")}) == Example(("Rome", ","))
    assert task.ask({"tags": ["O", "O"], "words": ["Rome", ","]}) == Example(("Rome", ","))
    assert task.ask(NAMES[0]) is NAMES[0]
    for wrong in (["a", None], ["a", ["b"]]):
        with pytest.raises(DataError, match="The input: number 2 of the words is not a text"):
            task.ask(wrong)
    with pytest.raises(DataError, match="The input has no words"):
        task.ask(3)
    with pytest.raises(DataError, match="no words to tag"):
        task.ask({"tags": ["O", "O"]})
    assert read({"text": ["It rains."]}, task, asking=True) == [Example(("It", "rains", "."))]


def test_a_drawn_split_shows_training_every_tag() -> None:
    plain = [{"tokens": [f"w{n}", "x"], "tags": ["O", "O"]} for n in range(30)]
    rare = [{"tokens": [f"v{n}", "x"], "tags": [f"B-{n}", "O"]} for n in range(6)]
    problem = open_problem("tag", plain + rare)
    assert problem.task.labels.names == (*(f"B-{n}" for n in range(6)), "O")  # type: ignore[attr-defined]


def test_only_given_tags_are_counted() -> None:
    task = Tag().prepare(NAMES)
    batch = task.collate(task.items([NAMES[1], Example(("Who", "is", "it", "?")), Example(())]))
    assert batch.counts == {"tag": 3}
    assert (batch.targets["tag"] == IGNORE).sum() == 12 - 3
    assert (batch.mask is not None) and batch.mask.sum(1).tolist() == [3, 4, 1]


@pytest.mark.parametrize("crf", [True, False])
def test_every_word_gets_one_answer(crf: bool) -> None:
    task = Tag(crf=crf, processor=Words(window=4, overlap=2)).prepare([*NAMES, LONG])
    asked = [LONG, Example(()), NAMES[0], Example(("?",)), Example(("",))]
    answers = predict(task, build(task), asked, size=3)
    assert [a.tokens for a in answers] == [e.tokens for e in asked]
    for answer in answers:
        assert len(answer.tags) == len(answer.probabilities) == len(answer.tokens)
        assert all(0 <= sure <= 1 for sure in answer.probabilities)


@pytest.mark.parametrize("crf", [True, False])
def test_windows_that_hold_a_whole_sentence_change_nothing(crf: bool) -> None:
    whole = Tag(crf=crf).prepare([*NAMES, LONG])
    cut = replace(whole, processor=replace(whole.processor, window=21, overlap=20))
    model = build(whole)
    assert predict(whole, model, [LONG]) == predict(cut, model, [LONG])


def test_a_crf_is_as_sure_of_single_words_as_a_softmax_while_it_knows_nothing() -> None:
    alone = Tag(crf=False).prepare(NAMES)
    together = replace(alone, crf=True)
    model = build(alone)
    chain = together.head(model.backbone)
    chain.emissions = model.head  # type: ignore[assignment]
    one, other = (
        predict(alone, model, NAMES),
        predict(together, Model(model.backbone, chain), NAMES),
    )
    assert [p.tags for p in one] == [p.tags for p in other]
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a.probabilities, b.probabilities, atol=1e-6)


@given(some.integers(1, 9), some.data())
def test_windows_are_joined_where_each_word_is_far_from_an_edge(
    window: int, data: some.DataObject
) -> None:
    overlap = data.draw(some.integers(0, window - 1))
    length = data.draw(some.integers(1, 40))
    spans = Words(window=window, overlap=overlap).spans(("x",) * length)
    places: list[tuple[int, NDArray[Any]]] = [(s, np.arange(s, e)) for s, e in spans]
    assert join(places).tolist() == list(range(length))
    numbers = join([(s, np.full(e - s, n)) for n, (s, e) in enumerate(spans)])
    for word, number in enumerate(numbers.tolist()):
        margins = [
            min(word - s + (s == 0) * length, e - 1 - word + (e == length) * length)
            for s, e in spans
        ]
        assert spans[number][0] <= word < spans[number][1]
        assert margins[number] >= max(margins) - 1  # of two as far, or nearly, either will do


@pytest.mark.parametrize(("name", "reads"), [("lstm", True), ("transformer", False)])
def test_a_model_that_reads_no_characters_is_given_none(name: str, reads: bool) -> None:
    rows = [{"tokens": ["New", "York", "is", f"{n}"], "tags": ["B-LOC", "I-LOC", "O", "O"]}
            for n in range(20)]  # fmt: skip
    assert {"lstm", "transformer", "bert"} <= set(fitting(open_problem("tag", rows).task))
    (candidate,) = choose([name], open_problem("tag", rows), Settings(), torch.device("cpu"))
    training = candidate.begin(open_problem("tag", rows), Budget(1, "steps", None), seed=0)
    assert ("characters" in training.task.inputs) == reads
    assert len(list(fit(training))) == 1


def test_the_laws_hold_where_there_are_as_many_sentences_as_tags() -> None:
    task = Tag().prepare(NAMES)
    batch = task.collate(task.items([*NAMES, NAMES[0]]))
    assert len(batch) == len(task.labels)
    model = build(task)
    assert laws.padding_changes_nothing(model, batch).holds
    assert laws.alone_as_in_a_batch(model, batch).holds


def test_words_seen_once_are_unknown_at_times_in_training_alone() -> None:
    task = Tag().prepare(NAMES)
    model, batch = build(task), task.collate(task.items(NAMES))
    torch.testing.assert_close(task.forward(model, batch).values, model(batch).values)
    drawn = {task.loss(task.forward(model.train(), batch), batch).value.item() for _ in range(8)}
    assert len(drawn) > 1


def test_scores_of_entities_and_of_words() -> None:
    task = Tag().prepare(NAMES)
    wrong = Prediction(NAMES[0].tokens, ("B-PER", "O", "O", "B-LOC", "O"), (1.0,) * 5)
    right = Prediction(NAMES[1].tokens, NAMES[1].tags or (), (1.0,) * 3)
    unasked = Prediction(("a",), ("B-LOC",), (1.0,))
    scores = task.score([wrong, right, unasked], [*NAMES[:2], Example(("a",))])
    assert next(iter(scores)) == "entity_f1"
    values = {name: score.value for name, score in scores.items()}
    two_thirds = pytest.approx(2 / 3)
    assert values == {
        "entity_f1": two_thirds,
        "entity_precision": two_thirds,
        "entity_recall": two_thirds,
        "accuracy": 7 / 8,
    }
    assert list(Tag().prepare(PARTS).score([], [])) == ["accuracy"]


def test_answers_are_read_on_a_line() -> None:
    names, parts = Tag().prepare(NAMES), Tag().prepare(PARTS)
    answer = Prediction(NAMES[0].tokens, NAMES[0].tags or (), (0.9, 0.8, 1.0, 0.7, 1.0))
    assert names.describe(answer) == ("Marie Curie PER, Paris LOC", 0.7)
    assert names.truth(NAMES[0]) == names.describe(answer)[0]
    assert names.truth(NAMES[2]) == "none"
    assert names.show(NAMES[0]) == "Marie Curie saw Paris ."
    assert parts.truth(PARTS[0]) == "She/PRON sings/VERB"
    (record,) = names.records(NAMES[0], answer)
    assert record["answer"] == "Marie Curie PER, Paris LOC" and record["probability"] == 0.7
    assert record["tags"] == NAMES[0].tags and record["tokens"] == NAMES[0].tokens
    assert names.describe(Prediction((), (), ())) == ("none", 1.0)


def test_what_the_check_says() -> None:
    odd = Example(("New", "York"), ("I-LOC", "I-LOC"))
    task = Tag().prepare([*NAMES, odd])
    said = {f.topic: f.sentence for f in task.check({"train": [*NAMES, odd], "test": NAMES[:1]})}
    assert said["tags"] == (
        "5 on 18 words: O 50.0 %, B-LOC 16.7 %, B-PER 11.1 %, I-PER 11.1 %, I-LOC 11.1 %"
    )
    assert said["orphans"] == "tags that go on with no entity: 1; each begins one (conlleval)"
    assert said["unknown"] == "0.0 % of the test words are in no training row"
    assert task.ledger(NAMES) == Ledger(0, 0, 11)


def test_a_saved_run_needs_no_file_of_vectors(tmp_path: Path) -> None:
    from ensuite.network import Network
    from ensuite.predictor import Predictor

    vectors = tmp_path / "vectors.txt"
    vectors.write_text("Paris 1 0 0\nrome 0 1 0\n")
    task = Tag(processor=Words(vectors=vectors)).prepare(NAMES)
    options = model_options("lstm:bidirectional=true")[1].tiny()
    backbone = options.build(task.inputs)
    model = Model(backbone, task.head(backbone)).eval()
    run = Predictor("lstm", "tag", task, Network(model, options))
    run.save(tmp_path / "run")
    vectors.unlink()
    asked = ["Marie saw Rome", "Paris"]
    assert Predictor.load(tmp_path / "run").predict(asked) == run.predict(asked)


def test_real_sentences_are_read(data_folder: Path) -> None:
    folder = data_folder / "wikineural_en"
    test = readers.read(folder / "test.conllu.gz")
    examples = Tag().read(test, {})[1]
    assert len(examples) == 11_597
    assert examples[0].tags is not None
    task = Tag().prepare(examples[:300])
    assert task.entities and len(task.labels) == 9
