"""Lanes whose state is carried from batch to batch, and starts anew with each document."""

from itertools import chain
from random import Random

import numpy as np
import torch
from torch import nn

from ensuite.core.backbone import Backbone
from ensuite.core.batch import IGNORE, Batch, States, Tokens
from ensuite.core.files import read_json
from ensuite.core.loss import Loss
from ensuite.core.task import group
from ensuite.training.loop import fit
from ensuite.training.training import checkpoints
from stress.harness import SequenceHead, Toy, check, counted, entropy, pad, starter

CHUNK, KEYS = 3, 4  # the first word of a document is its key, asked for at the end


class Carrier(Backbone):
    width = 24

    def __init__(self, inputs):
        super().__init__()
        self.embed = nn.Embedding(inputs["tokens"].size, self.width)
        self.cell = nn.GRUCell(self.width, self.width)

    def forward(self, batch):
        zeros, numbers, sequence = torch.zeros(len(batch), self.width), batch.documents, []
        carry = batch.carry or {"hidden": zeros, "document": numbers[:, 0]}
        hidden, before = carry["hidden"], carry["document"]
        columns = [c.unbind(1) for c in (self.embed(batch.inputs["tokens"]), numbers, batch.mask)]
        for word, document, real in zip(*columns, strict=True):
            hidden = hidden.where((document == before)[:, None], 0.0)
            hidden = self.cell(word, hidden).where(real[:, None], hidden)
            before = document
            sequence.append(hidden)
        carry = {"hidden": hidden, "document": before}
        return States(hidden, torch.stack(sequence, 1), carry=carry)


class Remember(Toy):
    """An example: the words of a document. An item: its number, a chunk of its words, the key."""

    inputs, carries = {"tokens": Tokens(1 + KEYS + 4)}, True

    def items(self, examples, *, asking=False):
        return [
            (number, words[at : at + CHUNK], words[0])
            for number, words in enumerate(examples)
            for at in range(0, len(words), CHUNK)
        ]

    def order(self, items, size, epoch=0, seed=None):
        whole = list(group([number for number, *_ in items]).values())
        if seed is not None:
            np.random.default_rng((seed, epoch)).shuffle(whole)
        lanes = sorted(([*chain(*whole[lane::size])] for lane in range(size)), key=len)[::-1]
        return [[lane[at] for lane in lanes if at < len(lane)] for at in range(len(lanes[0]))]

    def collate(self, items, generator=None):
        numbers, words, keys = zip(*items, strict=True)
        tokens = pad(words)
        mask, documents = tokens > 0, torch.tensor(numbers)[:, None].expand_as(tokens)
        targets = {"key": torch.tensor(keys)[:, None].where(mask, IGNORE)}
        inputs = {"tokens": tokens}
        return counted(Batch(inputs=inputs, mask=mask, documents=documents, targets=targets))

    def head(self, backbone):
        return SequenceHead(backbone.width, 1 + KEYS)

    def loss(self, outputs, batch):
        return Loss({"key": entropy(outputs.values, batch.targets["key"])})

    def predict_batches(self, model, batches):
        carry = None
        for batch in batches:
            outputs = model(batch.after(carry))
            carry = outputs.states.carry
            last = batch.mask.sum(1) - 1
            yield outputs.values[range(len(batch)), last].argmax(-1).tolist()

    def predict(self, model, batch):
        return next(self.predict_batches(model, iter([batch])))

    def merge(self, examples, items, pieces):
        return [pieces[places[-1]] for places in group([number for number, *_ in items]).values()]

    def quality(self, prediction, example):
        return float(prediction == example[0])


def documents(count):
    random, made = Random(count), []
    for _ in range(count):
        words = random.choices(range(1 + KEYS, 5 + KEYS), k=random.randint(2, 8))
        made.append([random.randint(1, KEYS), *words])
    return made


HOW = {"learning_rate": 1e-2, "batch_size": 8, "accumulate": 2}
start = starter(Remember(), Carrier, documents(200), documents(40), budget="47steps", **HOW)


def test_toy(tmp_path):
    check(start, tmp_path, least=0.9)
    (cut,) = checkpoints(tmp_path / "cut")
    assert read_json(cut / "training_state.json")["batch"] > 0  # the cut was within the lanes


def test_a_checkpoint_holds_the_carry(tmp_path):
    for _ in zip(range(3), fit(training := start()), strict=False):
        training.save(tmp_path)
    again = start()
    assert again.resume(tmp_path)
    for name, tensor in training.carry.items():
        assert again.carry[name].equal(tensor), name


def test_carried_state_equals_reading_at_once_and_documents_start_anew():
    task, (first, second) = Remember(), ([1, 5, 6, 7, 8, 5, 6], [2, 8, 7, 6])
    backbone, carry, carried = Carrier(task.inputs), None, []
    for item in task.items([first, second]):
        states = backbone(task.collate([item]).after(carry))
        carry = states.carry
        carried.append(states.sequence)
    tokens = torch.tensor([first + second])
    numbers = torch.tensor([[0] * 7 + [1] * 4])
    at_once = backbone(Batch(inputs={"tokens": tokens}, mask=tokens > 0, documents=numbers))
    torch.testing.assert_close(torch.cat(carried, 1), at_once.sequence)
    tokens, numbers = tokens[:, 7:], numbers[:, 7:]
    alone = backbone(Batch(inputs={"tokens": tokens}, mask=tokens > 0, documents=numbers))
    torch.testing.assert_close(alone.sequence, at_once.sequence[:, 7:])
