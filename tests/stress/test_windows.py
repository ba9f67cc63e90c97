"""Answers over windows: a long context becomes several rows, and one prediction again."""

from random import Random
from typing import NamedTuple

import torch

from ensuite.core.batch import Batch, Tokens
from ensuite.core.loss import Loss
from ensuite.core.task import group
from stress.harness import Reader, SequenceHead, Toy, check, counted, entropy, starter

WINDOW, STRIDE = 7, 4  # neighbours share three words: as many as a mark and its answer
SPANS = torch.ones(WINDOW, WINDOW).triu().tril(2).bool()  # of one to three words


class Window(NamedTuple):
    example: int
    offset: int
    tokens: list[int]  # the mark, then a part of the context
    first: int  # where in them the answer begins; 0 where it is elsewhere


class Answer(Toy):
    """An example: a context, and one of the two marks in it; the two words after it are asked."""

    inputs = {"tokens": Tokens(12)}

    def items(self, examples, *, asking=False):
        windows = []
        for number, (context, mark) in enumerate(examples):
            end, start = len(context) - WINDOW, context.index(mark) + 2
            for offset in sorted({*range(0, end, STRIDE), end}):
                first = start - offset if 1 < start - offset < WINDOW else 0
                tokens = [mark, *context[offset : offset + WINDOW]]
                windows.append(Window(number, offset, tokens, first))
        return windows

    def head(self, backbone):
        return SequenceHead(backbone.width, 2)

    def collate(self, items, generator=None):
        _, _, tokens, first = (torch.tensor(column) for column in zip(*items, strict=True))
        targets = {"first": first, "last": first + first.sign()}
        return counted(Batch(inputs={"tokens": tokens}, targets=targets))

    def loss(self, outputs, batch):
        values = dict(zip(("first", "last"), outputs.values.unbind(-1), strict=True))
        return Loss({name: entropy(values[name], batch.targets[name]) for name in values})

    def predict(self, model, batch):
        first, last = model(batch).values.unbind(-1)
        scores = (first[:, 1:, None] + last[:, None, 1:]).masked_fill(~SPANS, -torch.inf).flatten(1)
        best, place = (scores - first[:, :1] - last[:, :1]).max(-1)  # against "it is elsewhere"
        return list(zip(best.tolist(), place.tolist(), strict=True))

    def merge(self, examples, items, pieces):
        places, predictions = group([item.example for item in items]), []
        for number, (context, _) in enumerate(examples):
            (_, place), offset = max((pieces[p], items[p].offset) for p in places[number])
            first, last = divmod(place, WINDOW)
            predictions.append(context[offset + first : offset + last + 1])
        return predictions

    def quality(self, prediction, example):
        context, mark = example
        place = context.index(mark)
        return float(prediction == context[place + 1 : place + 3])


def questions(count):
    random, made = Random(count), []
    for number in range(count):
        a, b, c, d = (random.choices(range(1, 10), k=random.randint(2, 5)) for _ in range(4))
        made.append(([*a, 10, *b, *c, 11, *d], 10 + number % 2))
    return made


TRAIN, VALID = questions(300), questions(40)
start = starter(Answer(), Reader, TRAIN, VALID, budget="3epochs", learning_rate=1e-2)


def test_toy(tmp_path):
    whole = check(start, tmp_path, least=0.9)
    assert len(whole.items) > 2 * len(TRAIN)
