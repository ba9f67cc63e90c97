"""Masked words with next-sentence pairs: two parts of a loss, each with its own denominator."""

from operator import eq

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from ensuite.core.batch import IGNORE, Batch, Tokens, sum_counts
from ensuite.core.loss import Loss
from stress.harness import Reader, Toy, check, counted, entropy, gradients, rows, starter

MASK, FIRST, TOPIC = 1, 2, 4  # two topics of four words; a sentence is three that count on


class Heads(nn.ModuleDict):
    def forward(self, states, batch):
        return {"words": self["words"](states.sequence), "follows": self["follows"](states.summary)}


class Fill(Toy):
    """An example: six words, whether they are of one topic, and the place to fill (-1: any)."""

    inputs = {"tokens": Tokens(FIRST + 2 * TOPIC)}

    def head(self, backbone):
        sizes = {"words": self.inputs["tokens"].size, "follows": 2}
        return Heads({name: nn.Linear(backbone.width, size) for name, size in sizes.items()})

    def collate(self, items, generator=None):
        words, follows, asked = (torch.tensor(column) for column in zip(*items, strict=True))
        blank = torch.arange(6) == asked[:, None]
        if generator is not None:  # while training, where nothing is asked
            blank = torch.rand(words.shape, generator=generator) < 0.2
        targets = {"words": words.where(blank, IGNORE), "follows": follows}
        return counted(Batch(inputs={"tokens": words.where(~blank, MASK)}, targets=targets))

    def loss(self, outputs, batch):
        values, targets = outputs.values, batch.targets
        return Loss({name: entropy(values[name], targets[name]) for name in targets})

    def predict(self, model, batch):
        values, blank = model(batch).values, batch.inputs["tokens"] == MASK
        words, follows = values["words"].argmax(-1)[blank], values["follows"].argmax(-1)
        return list(zip(words.tolist(), follows.tolist(), strict=True))

    def quality(self, prediction, example):
        words, follows, asked = example
        return sum(map(eq, prediction, (words[asked], follows))) / 2


def pairs(count, *, ask):
    numbers = torch.Generator().manual_seed(count)
    topics = torch.randint(2, (count, 2, 1), generator=numbers)
    starts = torch.randint(TOPIC, (count, 2, 1), generator=numbers)
    words = FIRST + topics * TOPIC + (starts + torch.arange(3)) % TOPIC
    follows = (topics[:, 0] == topics[:, 1]).long().flatten()
    places = [place % 6 if ask else -1 for place in range(count)]
    return list(zip(words.flatten(1).tolist(), follows.tolist(), places, strict=True))


TRAIN, VALID = pairs(400, ask=False), pairs(50, ask=True)
HOW = {"learning_rate": 1e-2, "batch_size": 16, "accumulate": 2}
start = starter(Fill(), Reader, TRAIN, VALID, budget="5epochs", **HOW)


def test_toy(tmp_path):
    check(start, tmp_path, least=0.9)


def test_each_part_is_the_mean_over_what_it_counts():
    training = start()
    whole = training.task.collate(TRAIN[:8], torch.Generator().manual_seed(1))
    values, targets = training.model.eval()(whole).values, whole.targets
    means = [cross_entropy(values[name].movedim(-1, 1), targets[name]) for name in targets]
    loss = training.forward(whole) / sum_counts([whole])
    torch.testing.assert_close(loss.value, sum(means))


def test_accumulated_parts_equal_the_whole():
    training = start()
    whole = training.task.collate(TRAIN[:8], torch.Generator().manual_seed(1))
    parts = [rows(whole, slice(0, 3)), rows(whole, slice(3, 8))]
    one, several = gradients(training, [whole]), gradients(training, parts)
    for name, gradient in one.items():
        torch.testing.assert_close(several[name], gradient, rtol=1e-5, atol=1e-6)
