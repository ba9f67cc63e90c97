from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ensuite.core.backbone import Codes, Steps
from ensuite.core.batch import Batch, Row, Tokens
from ensuite.core.errors import UsageError
from ensuite.core.keys import Keys
from ensuite.core.model import Model
from ensuite.core.presentation import Ledger
from ensuite.core.score import Score
from ensuite.core.task import group, rank
from ensuite.data.processors import Text
from stress.harness import Made, Reader
from stress.test_beam import Pair, Reverse


class Word(NamedTuple):
    size: int


class Sorted(Reverse):
    def length(self, item):
        return item.size


ITEMS = st.lists(st.integers(0, 9).map(Word), max_size=200)
TASK = Sorted()


@given(ITEMS, st.integers(1, 9), st.integers(0, 3), st.none() | st.integers(0, 3))
def test_an_epoch_holds_every_item_once(items, size, epoch, seed):
    batches = TASK.order(items, size, epoch, seed)
    assert sorted(number for batch in batches for number in batch) == [*range(len(items))]
    assert len(batches) == -(-len(items) // size)
    assert all(len(batch) <= size for batch in batches)
    assert batches == TASK.order(items, size, epoch, seed)


def test_epochs_and_seeds_differ_and_lengths_come_together():
    items = [Word(size) for size in np.random.default_rng(0).integers(100, size=300)]
    first = TASK.order(items, 10, epoch=0, seed=0)
    assert first != TASK.order(items, 10, epoch=1, seed=0)
    assert first != TASK.order(items, 10, epoch=0, seed=1)
    spread = [np.ptp([items[number].size for number in batch]) for batch in first]
    assert np.mean(spread) < 10


def test_without_a_seed_the_longest_come_first():
    assert TASK.order([Word(1), Word(3), Word(2)], 2) == [[1, 2], [0]]


def test_a_model_reads_the_states_once_and_step_by_step():
    torch.manual_seed(0)
    task = Reverse()
    backbone = Pair(task.inputs)
    model = Model(backbone, task.head(backbone))
    values, states = model(batch := task.collate([[2, 3], [4]]))
    assert values.shape == (2, 3, 6)
    assert states.sequence.shape == (2, 3, Pair.width)
    values, carry = model.step({"decoder": torch.tensor([1, 1])}, model.begin(batch))
    assert values.shape == (2, 6)
    assert carry.keys() == {"hidden"}
    tokens = torch.tensor([[1, 2, 3], [1, 4, 5]])
    read, after = model.read(Batch(inputs={"decoder": tokens}), model.begin(batch))
    carry = model.begin(batch)
    for now in tokens.unbind(1):
        values, carry = model.step({"decoder": now}, carry)
    assert torch.equal(read, values)
    assert torch.equal(after["hidden"], carry["hidden"])


def test_what_a_backbone_offers_is_seen_in_its_methods():
    reader = Reader({"tokens": Tokens(3)})
    assert not isinstance(reader, Steps)
    assert not isinstance(reader, Codes)
    assert isinstance(Pair({"tokens": Tokens(3)}), Steps)


def test_what_to_type_is_quoted_for_a_shell():
    assert Reverse().usage("my runs/a") == "ensuite predict 'my runs/a' --file FILE"


class Answer(NamedTuple):
    word: str
    probability: float


class Question(NamedTuple):
    text: str
    truth: str | None = None


def test_presentation_follows_from_the_fields_of_examples_and_predictions():
    task = Reverse()
    known, asked = Question("why", "because"), Question("when")
    assert (task.raw(known), task.show(known), task.unit) == ("why", "why", "row")
    assert (task.truth(known), task.truth(asked), task.truth([2, 3])) == ("because", "", "")
    assert task.describe(Answer("so", 0.5)) == ("so", 0.5)
    assert task.describe(2.5) == ("2.5", None)
    assert task.records(known, Answer("so", 0.5)) == [{"answer": "so", "probability": 0.5}]
    assert task.records(known, 2.5) == [{"answer": "2.5"}]
    assert task.error(Answer("because", 0.5), known) == 0
    assert task.error(Answer("so", 0.5), known) == 1.5
    assert (task.picture(known), task.check({"train": [known]}), task.ledger([known])) == (
        None, [], Ledger(),
    )  # fmt: skip


def test_presentation_and_keys_follow_from_the_processor():
    @dataclass(frozen=True, kw_only=True)
    class Read(Reverse):
        processor: Text = field(default_factory=Text)

    task = Read().prepare([Question("a dog"), Question("a cat")])
    assert task.processor.tokenizer
    assert task.unit == "text"
    assert task.show(Question("a dog")) == task.processor.show("a dog")
    assert task.keys(Question("a dog", "x")) == task.keys(Question("a dog", "y"))
    assert task.keys(Question("a dog")) != task.keys(Question("a cat"))


def test_blocks_are_the_groups_of_the_keys():
    class Grouped(Reverse):
        def keys(self, example):
            return Keys(example, group=example % 3 or None)

    assert Grouped().blocks([1, 4, 2, 3, 6]) == [0, 0, 1, 2, 3]
    assert Reverse().blocks([1, 1]) is None


def test_what_ranks_selects_if_nothing_else_is_said():
    class Unranked(Reverse):
        ranks_by = None

    assert (Reverse().ranks_by, Reverse().selects) == ("", "")
    assert Unranked().selects == "loss"


def test_a_task_without_choices_cannot_be_prompted():
    with pytest.raises(UsageError, match="fixed choices, and this task has none"):
        Reverse().from_choices(np.zeros((1, 2)))


def test_a_backbone_is_not_built_for_what_only_the_head_reads():
    class Weighted(Reverse):
        inputs = {"tokens": Tokens(6), "weight": Row(1, reader="head")}

    seen = []
    Model.build(Made(make=lambda inputs: seen.append(inputs) or Pair(inputs)), Weighted())
    assert list(seen[0]) == ["tokens"]


def test_the_first_metric_ranks_or_the_one_named():
    scores = {name: Score.mean([1.0], [True]) for name in ("accuracy", "loss")}
    assert rank(scores)[0] == "accuracy"
    assert rank(scores, "loss") == ("loss", scores["loss"])
    with pytest.raises(UsageError, match=r'"acuracy"; did you mean accuracy\? There is: accuracy,'):
        rank(scores, "acuracy")


@given(st.lists(st.integers(0, 4)))
def test_group_finds_every_place(numbers):
    places = group(numbers)
    assert sorted(place for each in places.values() for place in each) == [*range(len(numbers))]
    assert all(numbers[place] == number for number, each in places.items() for place in each)
    assert all(each == sorted(each) for each in places.values())
