"""Translate: what is read, what is learned from, what is written and how it is judged."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some

from ensuite.core.batch import DECODER, IGNORE, Batch, Outputs
from ensuite.core.errors import DataError, UsageError
from ensuite.core.model import Model
from ensuite.core.options import set_options
from ensuite.core.presentation import Ledger
from ensuite.data import readers
from ensuite.data.processors import Text
from ensuite.data.processors.tokenizer import NAMES
from ensuite.data.processors.writing import Writing
from ensuite.specs import model_options
from ensuite.tasks.translate import Example, Prediction, Translate
from ensuite.training.evaluate import predict

PAIRS = [
    Example("one two three four", "un deux trois quatre"),
    Example("two four", "deux quatre"),
    Example("one", "un"),
    Example("three one two one four two", "trois un deux un quatre deux"),
]
WORDS = Translate(
    processor=Text(unit="words", window=5, overlap=0, truncation="head"),
    writing=Writing(unit="words"),
)
TASK = WORDS.prepare(PAIRS)
EDGE = TASK.writing.start


def read(columns: Mapping[str, Any], **given: Any) -> list[Example]:
    asking = given.pop("asking", False)
    return Translate().read(readers.read(columns), given, asking=asking)[1]


def build(task: Translate, model: str = "seq2seq") -> Model:
    torch.manual_seed(0)
    backbone = model_options(model)[1].tiny().build(task.inputs)
    return Model(backbone, task.head(backbone)).eval()


def batch_of(task: Translate, examples: list[Example] = PAIRS) -> Batch:
    return task.collate(task.items(examples))


def test_sources_and_targets_are_columns_by_their_usual_names() -> None:
    assert read({"source": ["one"], "target": ["un"]}) == [Example("one", "un")]
    assert read({"id": ["x"], "Word": ["one"], "answer": ["un"]}) == [Example("one", "un")]
    assert read({"source": ["one"], "id": ["x"]}, asking=True) == [Example("one")]


def test_of_two_columns_the_first_is_the_source() -> None:
    assert read({"en": ["one"], "fr": ["un"]}) == [Example("one", "un")]
    named = read({"en": ["one"], "fr": ["un"]}, source="fr", target="en")
    assert named == [Example("un", "one")]


@pytest.mark.parametrize("wrong", ["", "  ", 3, None])
@pytest.mark.parametrize("role", ["source", "target"])
def test_a_row_without_a_text_is_named(role: str, wrong: Any) -> None:
    columns = {"source": ["one", "two"], "target": ["un", "deux"]}
    columns[role] = ["one", wrong]
    with pytest.raises(DataError, match=rf"row 2.*: the column {role} is empty or not a text"):
        read(columns)


def test_a_missing_column_is_told() -> None:
    with pytest.raises(DataError, match="has no column for the target"):
        read({"id": ["x"], "source": ["one"], "more": ["y"]})


@pytest.mark.parametrize("raw", ["", " \n", {"source": ""}, {"text": "x"}, 3])
def test_nothing_cannot_be_asked_about(raw: Any) -> None:
    with pytest.raises(DataError, match="There is nothing to write from"):
        TASK.ask(raw)


def test_what_can_be_asked() -> None:
    expected = Example("one")
    assert [TASK.ask(raw) for raw in ("one", {"source": "one"}, expected)] == [expected] * 3


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"beam": "0"}, r"beam must be 1 or more \(1 is greedy decoding\)"),
        ({"label_smoothing": "1"}, "label_smoothing must be from 0 to less than 1"),
        ({"scheduled_sampling": "1.5"}, "scheduled_sampling from 0 to 1"),
        ({"truncation": "windows"}, "truncation must be head or tail"),
        ({"target_longest": "0"}, "longest must be 1 or more"),
        ({"beams": "2"}, 'has no option "beams"; did you mean beam'),
    ],
)
def test_options_that_cannot_be(settings: dict[str, str], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        set_options(Translate(), settings, "task translate")


def test_targets_are_told_one_token_ahead() -> None:
    batch = batch_of(TASK)
    words, targets = batch.inputs[DECODER], batch.targets["token"]
    assert (words[:, 0] == EDGE).all()
    assert batch.counts == {"token": 4 + 2 + 1 + 6 + 4}  # the end of each too
    for row, example in enumerate(PAIRS):
        real = targets[row] != IGNORE
        *tokens, end = targets[row][real].tolist()
        assert end == EDGE
        assert TASK.writing.decode_batch([tokens]) == [example.target]
        assert words[row, 1 : len(tokens) + 1].tolist() == tokens


def test_of_a_long_source_the_head_is_read_and_the_rest_counted() -> None:
    long = "three one two one four"
    rows = batch_of(TASK).mask
    assert rows is not None
    assert rows.sum(1).tolist() == [4, 2, 1, 5]
    assert TASK.ledger(PAIRS) == Ledger(rows=1, tokens=1, total=13)
    model = build(TASK)
    whole, head = predict(TASK, model, [PAIRS[3], Example(long)])
    assert whole == head


def test_unknown_words_are_read_and_not_refused() -> None:
    (answer,) = predict(TASK, build(TASK), [Example("zebra 🦓 one")])
    assert isinstance(answer.text, str)


@given(some.text(min_size=1).filter(str.strip))
def test_any_text_can_be_asked(text: str) -> None:
    task = Translate().prepare(PAIRS)
    batch = task.collate(task.items([task.ask(text)]))
    assert batch.positions > 0


def test_units_are_chosen_by_what_is_read() -> None:
    words = Translate().prepare([Example("one", "w ah n"), Example("two", "t uw")])
    assert (words.processor.unit, words.writing.unit) == ("characters", "characters")
    sentences = Translate().prepare([Example("one two three four five", "un deux trois quatre")])
    assert (sentences.processor.unit, sentences.writing.unit) == ("pieces", "pieces")
    longer = [Example("one", "un")] * 1000 + [Example("one two three four five", "un deux")] * 1001
    assert Translate().prepare(longer).processor.unit == "pieces"  # whatever comes first


def test_only_positions_with_a_target_are_scored() -> None:
    model, batch = build(TASK), batch_of(TASK)
    outputs, whole = TASK.forward(model, batch), model(batch)
    real = batch.targets["token"] != IGNORE
    assert len(outputs.values.hidden) == batch.counts["token"]
    torch.testing.assert_close(outputs.values.scores(), whole.values[real])


def test_label_smoothing_is_a_mixture_of_the_target_and_of_all_tokens() -> None:
    model, batch = build(TASK), batch_of(TASK)
    outputs = TASK.forward(model, batch)
    log = outputs.values.scores().log_softmax(-1)
    targets = batch.targets["token"][batch.targets["token"] != IGNORE]
    right = -log.gather(-1, targets[:, None]).sum()
    for share in (0.0, 0.1, 0.5):
        expected = (1 - share) * right - share * log.mean(-1).sum()
        found = replace(TASK, label_smoothing=share).loss(outputs, batch).value
        torch.testing.assert_close(found, expected)


def values(task: Translate, model: Model, batch: Batch) -> torch.Tensor:
    outputs: Outputs = task.forward(model, batch)
    found: torch.Tensor = outputs.values.scores()
    return found


def test_no_scheduled_sampling_is_teacher_forcing_bit_by_bit() -> None:
    model, batch = build(TASK).train(), batch_of(TASK)
    forced = values(TASK, model, batch)
    assert torch.equal(values(replace(TASK, scheduled_sampling=0.0), model, batch), forced)
    start = replace(batch, progress=0.0)
    assert torch.equal(values(replace(TASK, scheduled_sampling=1.0), model, start), forced)


def test_at_the_end_of_full_scheduled_sampling_only_own_words_are_read() -> None:
    model, batch = build(TASK).train(), batch_of(TASK)
    task, read = replace(TASK, scheduled_sampling=1.0), []
    model.backbone.register_forward_pre_hook(lambda _, given: read.append(given[0].inputs[DECODER]))
    found = values(task, model, batch)
    true, mixed = read
    own = model(replace(batch, inputs={**batch.inputs, DECODER: true})).values.argmax(-1)
    assert (mixed[:, 0] == EDGE).all()
    assert torch.equal(mixed[:, 1:], own[:, :-1])
    assert not torch.equal(found, values(TASK, model, batch))
    assert torch.equal(
        values(task, model.eval(), batch), values(TASK, model, batch)
    )  # not learning


def test_scheduled_sampling_grows_with_the_budget() -> None:
    task = replace(TASK, scheduled_sampling=0.8)
    many = batch_of(TASK, PAIRS * 100)
    model, shares = build(TASK).train(), []
    true = many.inputs[DECODER][:, 1:]
    for progress in (0.25, 0.5, 1.0):
        mixed = task._with_own_words(model, replace(many, progress=progress)).inputs[DECODER]
        own = model(many).values.argmax(-1)[:, :-1]
        differ = own != true
        shares.append(float((mixed[:, 1:] != true)[differ].float().mean()))
    assert shares == pytest.approx([0.2, 0.4, 0.8], abs=0.05)


@pytest.mark.parametrize("beam", [1, 3])
@pytest.mark.parametrize("model", ["seq2seq", "seq2seq:feeding=true", "transformer"])
def test_where_a_model_looked_can_be_asked_for(model: str, beam: int) -> None:
    task = replace(TASK, return_attention=True, beam=beam)
    network = build(task, model)
    answers = predict(task, network, PAIRS)
    for answer, example in zip(answers, PAIRS, strict=True):
        assert answer.attention is not None
        assert list(answer.attention.read) == example.source.split()[:5]
        rows = torch.tensor(answer.attention.weights)
        assert rows.shape == (len(answer.attention.written) + 1, len(answer.attention.read))
        torch.testing.assert_close(rows.sum(1), torch.ones(len(rows)))
        words = [word for word in answer.attention.written if word not in NAMES]
        assert "".join(words) == answer.text
        assert task.records(example, answer)[0]["attention"] == answer.attention._asdict()
    quiet = predict(replace(task, return_attention=False), network, PAIRS)
    assert [each.attention for each in quiet] == [None] * 4
    assert [each.text for each in quiet] == [each.text for each in answers]


def test_without_attention_there_is_nothing_to_show() -> None:
    task = replace(TASK, return_attention=True)
    answers = predict(task, build(task, "seq2seq:attention=none"), PAIRS)
    assert [each.attention for each in answers] == [None] * 4


def test_answers_are_judged_by_all_that_a_source_may_become() -> None:
    examples = [Example("a", "un chat"), Example("a", "le chat noir dort ici"), Example("b", "oui")]
    answers = [Prediction("le chat noir dort ici")] * 2 + [Prediction("oui")]
    scores = TASK.score(answers, examples)
    assert next(iter(scores)) == "chrf"
    assert scores["bleu"].value < scores["bleu_all_references"].value == pytest.approx(100)
    assert scores["exact_match"].value == 1
    assert scores["word_error_rate"].value == 0


def test_what_a_check_says_of_the_targets() -> None:
    findings = {each.topic: each.sentence for each in TASK.check({"train": PAIRS})}
    assert findings["target"] == (
        "median 4 words, 95 % within 6, longest 6; answers end after 12 at the latest"
    )
    assert findings["bleu"].startswith("as sacreBLEU counts it: case:mixed|")
