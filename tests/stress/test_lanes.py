"""Lanes whose state is carried from batch to batch, and starts anew with each document."""

from random import Random

import numpy as np
import torch
from stress.harness import SequenceHead, Toy, check, counted, entropy, pad, starter
from torch import nn

from ensuite.core.backbone import Backbone
from ensuite.core.batch import IGNORE, Batch, Loss, States, Tokens
from ensuite.core.task import Model, group

CHUNK, KEYS = 3, 4  # the first word of a document is its key, asked for at the end


class Carrier(Backbone):
    width = 24

    def __init__(self, inputs):
        super().__init__()
        self.embed = nn.Embedding(inputs["tokens"].size, self.width)
        self.cell = nn.GRUCell(self.width, self.width)

    def forward(self, batch):
        zeros, documents = torch.zeros(len(batch), self.width), batch.documents
        carry, sequence = batch.carry or {"hidden": zeros, "document": documents[:, 0]}, []
        hidden, before = carry["hidden"], carry["document"]
        columns = (self.embed(batch.inputs["tokens"]), documents, batch.mask)
        for word, document, real in zip(*(each.unbind(1) for each in columns), strict=True):
            hidden = hidden.where((document == before)[:, None], 0.0)
            hidden = self.cell(word, hidden).where(real[:, None], hidden)
            sequence.append(hidden)
            before = document
        carry = {"hidden": hidden, "document": before}
        return States(hidden, torch.stack(sequence, 1), carry=carry)


class Remember(Toy):
    """An example: the words of a document; an item: its number and some of its words, the key."""

    inputs, carries = {"tokens": Tokens(1 + KEYS + 4)}, True

    def items(self, examples):
        cuts = (
            (n, words, at) for n, words in enumerate(examples) for at in range(0, len(words), CHUNK)
        )
        return [(number, words[at : at + CHUNK], words[0]) for number, words, at in cuts]

    def order(self, items, size, epoch=0, seed=None):
        documents = list(group([document for document, *_ in items]).values())
        if seed is not None:
            np.random.default_rng((seed, epoch)).shuffle(documents)
        lanes = sorted((sum(documents[lane::size], []) for lane in range(size)), key=len)[::-1]
        return [[lane[at] for lane in lanes if at < len(lane)] for at in range(len(lanes[0]))]

    def collate(self, items, generator=None):
        numbers, words, keys = zip(*items, strict=True)
        tokens = pad(words)
        documents = torch.tensor(numbers)[:, None].expand_as(tokens)
        targets = {"key": torch.tensor(keys)[:, None].where(tokens > 0, IGNORE)}
        return counted(
            Batch(inputs={"tokens": tokens}, mask=tokens > 0, documents=documents, targets=targets)
        )

    def head(self, backbone):
        return SequenceHead(backbone.width, 1 + KEYS)

    def loss(self, outputs, batch):
        return Loss({"key": entropy(outputs.values, batch.targets["key"])})

    def answers(self, model, batches):
        carry = None
        for batch in batches:
            outputs = model(batch.after(carry))
            carry = outputs.states.carry
            yield outputs.values[range(len(batch)), batch.mask.sum(1) - 1].argmax(-1).tolist()

    def predict(self, model, batch):
        return next(self.answers(model, iter([batch])))

    def merge(self, examples, items, pieces):
        return [pieces[places[-1]] for places in group([number for number, *_ in items]).values()]

    def quality(self, prediction, example):
        return float(prediction == example[0])


def documents(count):
    random = Random(count)
    words = [
        random.choices(range(1 + KEYS, 5 + KEYS), k=random.randint(2, 8)) for _ in range(count)
    ]
    return [[random.randint(1, KEYS), *each] for each in words]


start = starter(
    Remember(),
    Carrier,
    documents(200),
    documents(40),
    budget="6epochs",
    learning_rate=1e-2,
    batch_size=8,
    accumulate=2,
)


def test_toy(tmp_path):
    check(start, tmp_path, least=0.9)


def test_carried_state_equals_the_whole_document():
    task = start().task
    backbone = Carrier(task.inputs)
    (first, second) = [1, 5, 6, 7, 8, 5, 6], [2, 8, 7, 6]
    ...
