"""Fill: hidden tokens, pairs of texts, questions, and what is refused."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ensuite.core.batch import IGNORE, sum_counts
from ensuite.core.errors import DataError, UsageError
from ensuite.core.model import Model
from ensuite.core.recipe import Recipe
from ensuite.data import prose, readers, stretches
from ensuite.data.pairs import FOLLOWS
from ensuite.data.processors.documents import ID, Documents
from ensuite.misfit import fitting
from ensuite.predictor import Predictor
from ensuite.problem import open_problem
from ensuite.specs import model_options
from ensuite.start import Start
from ensuite.tasks import answer as answering
from ensuite.tasks.fill import Fill
from ensuite.tasks.fill_answers import choose
from ensuite.tasks.fill_examples import PARTS, Example, read_prose
from ensuite.training.budget import Budget
from ensuite.training.evaluate import predict
from ensuite.training.loop import fit
from ensuite.training.training import Training
from stress.harness import check_equal, cut

LINES = [
    "Le chat est doux.",
    "Il dort.",
    "",
    "Le chien court.",
    "Il mange.",
    "",
    "La vache rit.",
    "",
]
WORDS = {"unit": "words", "min_frequency": 1}


def task(examples: Sequence[Example], words: Mapping[str, Any] = WORDS, **options: Any) -> Fill:
    empty = Fill(**options)
    return replace(empty, reading=replace(empty.reading, **words)).prepare(examples)


def documents(**options: Any) -> tuple[Fill, list[Example]]:
    examples = [Example(text, document=n) for n, text in enumerate(three())]
    made = task(examples, **options)
    return made, made.paired(examples)


def three() -> list[str]:
    return ["Le chat est doux.\nIl dort.", "Le chien court.\nIl mange.", "La vache rit."]


def build(made: Fill) -> Model:
    return Model.build(model_options("transformer")[1].tiny(), made).eval().requires_grad_(False)


def test_a_file_of_many_documents_is_divided_between_them() -> None:
    found = read_prose([*LINES, ""] * 4)
    assert [example.text for example in found[:3]] == three()
    assert {example.place for example in found} == {None}
    assert [example.document for example in found] == list(range(12))


def test_a_file_of_few_documents_is_divided_by_position() -> None:
    found = read_prose([f"Sentence {n} of one text." for n in range(2 * PARTS)])
    assert PARTS / 2 <= len(found) <= PARTS
    assert [example.place for example in found] == list(range(len(found)))
    assert {example.document for example in found} == {0}
    problem = open_problem("fill", prose_table(found))
    assert [e.place for e in problem.parts["train"]] == list(range(len(problem.parts["train"])))
    assert problem.task.blocks(problem.parts["test"])


def prose_table(examples: Sequence[Example]) -> Any:
    lines = [line for example in examples for line in str(example.text).splitlines()]
    return replace(readers.read({"text": lines}), prose=True)


def test_rows_of_a_table_are_documents(tmp_path: Path) -> None:
    made, found = Fill().read(readers.read({"text": ["a b", "c"]}), {})
    assert found == [Example("a b"), Example("c", document=1)]
    with pytest.raises(DataError, match="row 2 of the data: None is not a text"):
        Fill().read(readers.read({"text": ["a", None]}), {})
    with pytest.raises(DataError, match="has no text: all of it is blank"):
        Fill().read(readers.read({"text": [" ", ""]}), {})
    assert made.blocks(found) is None


def test_training_hides_other_tokens_in_every_epoch() -> None:
    made, examples = documents()
    items = made.items(examples)
    assert made.lengths(items).tolist() == [made.length(item) for item in items]
    batches = [made.collate(items, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)]
    first, again, other = (batch.targets["token"] for batch in batches)
    assert first.equal(again)
    assert not first.equal(other)
    hidden = first != IGNORE
    assert hidden.sum(1).tolist() == [1, 1, 1]  # 15 % of few tokens
    assert batches[0].counts == {"token": 3}
    whole = made.collate(items).inputs["tokens"]
    assert first[hidden].equal(whole[hidden])


def test_shares_are_an_option() -> None:
    made, examples = documents(shares=(1.0, 0.0, 0.0), hidden=0.5)
    batch = made.collate(made.items(examples), torch.Generator().manual_seed(0))
    hidden = batch.targets["token"] != IGNORE
    assert (batch.inputs["tokens"][hidden] == made.reading.mask_id).all()
    for options in ({"shares": (0.5, 0.1, 0.1)}, {"hidden": 0.0}, {"k": 0}):
        with pytest.raises(ValueError, match="must be"):
            Fill(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize("window", [128, 8])
def test_evaluation_hides_each_token_once(window: int) -> None:
    examples = [Example("Le chat est doux. Il dort. La vache rit." * 3), Example("Il"), Example("")]
    made = task(examples, {**WORDS, "window": window})
    items = made.items(examples, asking=True)
    for number, ids in enumerate(made.reading.encode([e.text for e in examples])):
        own = [item for item in items if item.example == number]
        hidden = sum(int(item.hidden.sum()) for item in own if item.hidden is not None)
        assert hidden == len(ids)
        assert sorted(
            token for item in own for token in item.first[item.hidden, ID].tolist()
        ) == sorted(ids[:, ID].tolist())
        assert all(len(item.first) <= window - 2 for item in own)
    batch = made.collate(items)
    targets = batch.targets["token"]
    assert (batch.inputs["tokens"][targets != IGNORE] == made.reading.mask_id).all()
    assert batch.counts["token"] == sum(
        len(ids) for ids in made.reading.encode(made.raws(examples))
    )


def test_what_is_scored_is_encoded_together_as_it_is_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made, examples = documents(next_sentence=True)
    asked = [made.ask("Le [MASK] dort."), *examples, Example(""), made.ask("Il")]
    alone = [made.items([example], asking=True) for example in asked]
    calls, encode = [], Documents.encode
    monkeypatch.setattr(Documents, "encode", lambda *args: calls.append(1) or encode(*args))
    together = made.items(asked, asking=True)
    assert len(calls) == 2  # the texts, and those of the false pairs
    items = [item._replace(example=n) for n, own in enumerate(alone) for item in own]
    assert len(together) == len(items) > len(asked)
    for one, other in zip(together, items, strict=True):
        assert all(map(np.array_equal, one, other))


def test_two_halves_of_an_evaluation_loss_add_to_the_whole() -> None:
    made, examples = documents(next_sentence=True)
    model, items = build(made), made.items(examples, asking=True)
    halves = [made.collate(items[:5]), made.collate(items[5:])]
    whole = made.collate(items)
    counts = sum_counts(halves)
    assert counts == sum_counts([whole])
    assert counts["follows"] == 4  # of the two documents of two sentences
    losses = [made.loss(made.forward(model, each), each) / counts for each in halves]
    together = made.loss(made.forward(model, whole), whole) / counts
    torch.testing.assert_close((losses[0] + losses[1]).value, together.value)


def test_training_with_pairs_reads_them_between_separators() -> None:
    made, examples = documents(next_sentence=True)
    batch = made.collate(made.items(examples), torch.Generator().manual_seed(3))
    assert set(made.inputs) == {"tokens", "segments"}
    answers = batch.targets["follows"].tolist()
    assert [answer == IGNORE for answer in answers] == [False, False, True]
    assert batch.counts["follows"] == 2
    separators = (batch.inputs["tokens"] == made.reading.special.separator).sum(1).tolist()
    assert separators == [2, 2, 1]
    assert batch.inputs["segments"].max() == 1


def test_bits_are_those_of_the_probabilities() -> None:
    made, examples = documents()
    model = build(made)
    items = made.items(examples[:1], asking=True)
    bits = 0.0
    for item in items:
        batch = made.collate([item])
        targets = batch.targets["token"]
        logs = model(batch).values.log_softmax(-1)
        hidden = targets != IGNORE
        bits -= float(logs[hidden].gather(1, targets[hidden][:, None]).sum()) / np.log(2)
    (prediction,) = predict(made, model, examples[:1])
    assert prediction.bits == pytest.approx(bits, rel=1e-5)
    assert prediction.bytes == len("Le chat est doux.Il dort.")
    assert prediction.tokens == 8
    scores = made.score([prediction], examples[:1])
    assert scores["bits_per_byte"].value == pytest.approx(bits / 25, rel=1e-5)


def test_a_question_is_answered_with_the_most_probable_tokens() -> None:
    made, _ = documents(k=3)
    model = build(made)
    asked = [made.ask("Le [MASK] est [MASK]."), made.ask({"text": "[MASK]"})]
    two, one = predict(made, model, asked)
    assert [len(choices) for choices in (*two.masks, *one.masks)] == [3, 3, 3]
    shares = [share for _, share in one.masks[0]]
    assert shares == sorted(shares, reverse=True)
    batch = made.collate(made.items(asked[1:], asking=True))
    place = (batch.inputs["tokens"] == made.reading.mask_id).nonzero()[0]
    probabilities = model(batch).values[place[0], place[1]].softmax(-1)
    assert shares[0] == pytest.approx(float(probabilities[5:].max()), rel=1e-5)
    assert made.distribution(one) == dict(one.masks[0])
    assert made.distribution(two) == {}
    assert made.describe(one)[0].count(",") == 2
    (record,) = made.records(asked[0], two)
    assert [len(each) for each in record["masks"]] == [3, 3]


def test_tokens_that_look_alike_are_told_as_one() -> None:
    made = task([Example("a? b ? c?")], {"unit": "pieces", "min_frequency": 1})
    reading = made.reading
    shares = np.full(reading.size, 1e-6)
    marks, blanks = (reading.encode([text])[0][-1, 0] for text in ("a?", "b ?"))
    shares[marks], shares[blanks] = 0.3, 0.2
    assert marks != blanks
    assert choose(shares, reading, 3)[0] == ("?", 0.5)


def test_a_long_question_is_answered_in_a_window_around_each_mask_token() -> None:
    examples = [Example("a b c d e f g h i j k l m n o p " * 4)]
    made = task(examples, {**WORDS, "window": 12})
    asked = made.ask("a b c d e f g h [MASK] i j k l m n o p a b c d [MASK]")
    items = made.items([asked], asking=True)
    assert [len(item.first) for item in items] == [10, 10]
    (answer,) = predict(made, build(made), [asked])
    assert len(answer.masks) == 2


def test_a_text_without_a_mask_token_is_told() -> None:
    made, _ = documents()
    with pytest.raises(DataError, match=r'"Le chat" has no \[MASK\]: write \[MASK\]'):
        predict(made, build(made), [made.ask("Le chat")])
    with pytest.raises(DataError, match="no text to answer"):
        made.ask({"question": "x"})


def test_rows_of_a_file_are_questions_or_scored() -> None:
    made, _ = documents(next_sentence=True)
    _, found = made.read(readers.read({"text": ["Le [MASK].", "Il dort."]}), {}, asking=True)
    assert [example.asked for example in found] == [True, False]
    assert [made.ask_line(line) for line in ("Le [MASK].", "Il dort.")] == found
    table = readers.read({"text": ["Il dort."], "text_pair": ["Il mange."]})
    _, (pair,) = made.read(table, {}, asking=True)
    assert (pair.text, pair.pair) == ("Il dort.", "Il mange.")
    assert made.ask(("Il dort.", "Il mange.")) == pair
    (answer,) = predict(made, build(made), [pair])
    assert answer.follows is not None
    assert 0 <= answer.follows <= 1
    said, probability = made.describe(answer)
    assert probability == max(answer.follows, 1 - answer.follows)
    assert made.records(pair, answer)[0]["follows"] == answer.follows
    assert said in ("follows", "does not follow")


def test_pairs_are_asked_only_of_a_model_that_learned_them() -> None:
    made, _ = documents()
    with pytest.raises(UsageError, match="--set next_sentence=true"):
        made.ask({"text": "a", "text_pair": "b"})


def test_pairs_need_two_documents_and_two_sentences() -> None:
    with pytest.raises(DataError, match="has one document"):
        task([Example("Il dort.\nIl mange."), Example("Il rit.")], next_sentence=True)
    alone = [Example("Il dort."), Example("Il rit.", document=1)]
    with pytest.raises(DataError, match="No document of the training part has two sentences"):
        task(alone, next_sentence=True)


def test_the_false_pair_is_of_another_document_of_the_same_part() -> None:
    lines = {"text": [f"Text {n}. It goes on." for n in range(40)]}
    problem = open_problem("fill", lines, settings={"next_sentence": "true"})
    for part in problem.parts.values():
        texts = {example.text for example in part}
        for example in part:
            assert example.other in texts - {example.text} or len(texts) == 1


def test_a_large_file_is_read_stretch_by_stretch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "long.txt"
    text = "\n".join(["", " = A = ", "", "One. Two.", "Three.", "", " = B = ", "", "Four."] * 60)
    path.write_text(text, encoding="utf-8")
    monkeypatch.setattr(stretches, "LARGE", 100)
    monkeypatch.setattr(stretches, "STRETCH", 100)
    made, found = Fill(next_sentence=True).read(readers.read(path), {})
    assert made.reading.borders == "heading"
    assert len(found) > 10
    assert all(isinstance(example.text, stretches.Stretch) for example in found)
    made = made.prepare(found)
    rows = made.items(found)
    assert len(np.unique(rows.pool.documents)) >= 120  # type: ignore[attr-defined]
    answers = predict(made, build(made), found[:2])
    assert answers[0].bytes == prose.count_bytes(found[0].text) > 20
    windows = made.reading.windows([found[0].text], made.reading.room())
    assert answers[0].pairs == 2 * len(windows.pieces) > 2  # none crosses the end of a document


def test_each_window_of_a_document_is_asked_about_a_true_and_a_false_pair() -> None:
    texts = ["Le chat dort. Il rit. " * 20, "La vache mange. Elle court. " * 3, "Un seul mot"]
    examples = [Example(text, document=n) for n, text in enumerate(texts)]
    words = {**WORDS, "window": 16}
    made = task(examples, words, next_sentence=True)
    examples = made.paired(examples)
    windows = [len(made.reading.windows([text], made.reading.room()).pieces) for text in texts]
    assert windows[0] > 5
    answers = predict(made, build(made), examples)
    assert [answer.pairs for answer in answers] == [2 * windows[0], 2 * windows[1], 0]
    asked = [item for item in made.maker.to_answer(examples) if item.second is not None]
    assert sum(item.answer == FOLLOWS for item in asked) == len(asked) / 2
    assert max(made.length(item) for item in asked) <= made.reading.room(pairs=True)


def test_a_run_is_saved_and_opened_and_embeds(tmp_path: Path) -> None:
    import ensuite

    run = ensuite.train(
        "fill", {"text": [f"{text} {n}." for n, text in enumerate(three() * 5)]},
        model="transformer:width=8,layers=1,heads=2", budget="3steps", out=str(tmp_path / "run"),
    )  # fmt: skip
    again = Predictor.load(tmp_path / "run")
    (answer,) = run.predict(["Le [MASK] est doux."])
    assert again.predict(["Le [MASK] est doux."]) == [answer]
    assert again.embed("Le chat est doux.").shape[0] == 1
    assert again.embed("Le chat est doux.", pool=True).shape == (1, 8)
    values = again.evaluate({"text": three()})
    assert set(values) == {"bits_per_byte", "accuracy"}
    examples = [Example(text, document=n) for n, text in enumerate(three())]
    start = Start.open(tmp_path / "run")
    made = Fill().prepare(examples, None, start.pretrained())
    training = Training.start(
        made, start.options, examples, examples,
        recipe=Recipe(), budget=Budget(1, "steps", None), seed=7,
    )  # fmt: skip
    start.initialise(training)
    for name, tensor in training.model.state_dict().items():
        assert tensor.equal(run.model.state_dict()[name])
    pairs = [answering.Example(text, "Qui ?", None, ()) for text in three()]
    asking = answering.Answer().prepare(pairs, None, start.pretrained())
    assert "segments" in asking.inputs  # which the run did not read
    training = Training.start(
        asking, start.options, pairs, pairs,
        recipe=Recipe(), budget=Budget(1, "steps", None), seed=7,
    )  # fmt: skip
    start.initialise(training)
    again_embedded = training.model.backbone.encoder.embed.weight  # type: ignore[union-attr]
    assert again_embedded.equal(run.model.backbone.encoder.embed.weight)
    plain = replace(asking, processor=replace(asking.processor, segments=False))
    assert "segments" not in plain.inputs


def test_what_fits_sees_both_sides() -> None:
    made, _ = documents()
    assert {"conv", "transformer"} <= set(fitting(made))
    assert not {"mlp", "seq2seq"} & set(fitting(made))


def test_an_interrupted_training_goes_on_bit_for_bit(tmp_path: Path) -> None:
    made, examples = documents(next_sentence=True)
    options = model_options("transformer:dropout=0.1")[1]

    def start() -> Training:
        return Training.start(
            made, options, examples, examples,
            recipe=Recipe(batch_size=2), budget=Budget(9, "steps", None), seed=0,
        )  # fmt: skip

    whole = start()
    for _ in fit(whole):
        pass
    check_equal(whole, cut(start, tmp_path / "cut", 4), tmp_path)


def test_a_run_is_fine_tuned_on_words_by_its_own_pieces(tmp_path: Path) -> None:
    import ensuite

    run = str(tmp_path / "run")
    ensuite.train(
        "fill", {"text": [f"{text} {n}." for n, text in enumerate(three() * 5)]},
        model="bert:width=8,layers=1,heads=2", budget="1steps", out=run,
    )  # fmt: skip
    sentences = [[*text.split(), str(n)] for n, text in enumerate(three() * 5)]
    tags = [[*("O" for _ in words[1:]), "NUM"] for words in sentences]
    for place, model in enumerate((f"bert:init_from={run}", run)):  # it reads no characters
        tagged = ensuite.train(
            "tag", {"tokens": sentences, "tags": tags},
            model=model, budget="1steps", out=f"{run}-{place}",
        )  # fmt: skip
        (answer,) = tagged.predict([["Le", "chat", "dort"]])
        assert len(answer.tags) == 3
