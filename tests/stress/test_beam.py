"""An encoder and a decoder, taught at once and asked step by step, with a beam of carries."""

from dataclasses import dataclass, replace
from random import Random

import torch
from torch import nn

from ensuite.core.backbone import Backbone, ReadsByStep, Steps
from ensuite.core.batch import IGNORE, Batch, States, Tokens
from ensuite.core.loss import Loss
from stress.harness import SequenceHead, Toy, check, counted, entropy, pad, starter

END, WORDS, LENGTH = 1, 6, 3  # END also begins; words are 2 to 5, and are to be told backwards


class Pair(ReadsByStep, Backbone):
    width = 48

    def __init__(self, inputs):
        super().__init__()
        self.embed = nn.Embedding(inputs["tokens"].size, self.width)
        self.encoder, self.decoder = (nn.GRUCell(self.width, self.width) for _ in range(2))

    def begin(self, batch):
        hidden = torch.zeros(len(batch), self.width)
        words = self.embed(batch.inputs["tokens"]).unbind(1)
        for word, real in zip(words, batch.mask.unbind(1), strict=True):
            hidden = self.encoder(word, hidden).where(real[:, None], hidden)
        return {"hidden": hidden}

    def step(self, inputs, carry):
        hidden = self.decoder(self.embed(inputs["decoder"]), carry["hidden"])
        return States(hidden, hidden), {"hidden": hidden}

    def forward(self, batch):
        carry, sequence = self.begin(batch), []
        for word in batch.inputs["decoder"].unbind(1):
            states, carry = self.step({"decoder": word}, carry)
            sequence.append(states.summary)
        return States(sequence[-1], torch.stack(sequence, 1))


@dataclass(frozen=True, kw_only=True)
class Reverse(Toy):
    beam: int = 3

    inputs = {"tokens": Tokens(WORDS), "decoder": Tokens(WORDS)}

    def head(self, backbone):
        return SequenceHead(backbone.width, WORDS)

    def collate(self, items, generator=None):
        tokens = pad(items)
        inputs = {"tokens": tokens, "decoder": pad([[END, *item[::-1]] for item in items])}
        targets = {"word": pad([[*item[::-1], END] for item in items], IGNORE)}
        return counted(Batch(inputs=inputs, mask=tokens > 0, targets=targets))

    def loss(self, outputs, batch):
        return Loss({"word": entropy(outputs.values, batch.targets["word"])})

    def predict(self, model, batch):
        words, _ = search(model, batch, self.beam)
        return [[word for word in row if word != END] for row in words.tolist()]

    def quality(self, prediction, example):
        return float(prediction == example[::-1])


def search(model, batch, beam):
    """Return the most probable words that a beam finds, and the logarithm of how probable."""
    rows, ends = len(batch), torch.arange(WORDS) == END
    carry = {name: t.repeat_interleave(beam, 0) for name, t in model.begin(batch).items()}
    words = torch.full((rows, beam, 1), END)
    scores = torch.tensor([0.0] + [-torch.inf] * (beam - 1)).expand(rows, beam)
    for place in range(LENGTH + 1):
        values, carry = model.step({"decoder": words[..., -1].flatten()}, carry)
        news = values.log_softmax(-1).unflatten(0, (rows, beam))
        ended = (words[..., -1:] == END) & (place > 0)
        news = news.where(~ended, torch.zeros(WORDS).where(ends, -torch.inf))
        scores, best = (scores[..., None] + news).flatten(1).topk(beam)
        parents = best // WORDS + torch.arange(rows)[:, None] * beam
        carry = {name: tensor[parents.flatten()] for name, tensor in carry.items()}
        words = torch.cat([words.flatten(0, 1)[parents], best[..., None] % WORDS], -1)
    return words[:, 0, 1:], scores[:, 0]


def sentences(count):
    random = Random(count)
    return [random.choices(range(2, WORDS), k=random.randint(1, LENGTH)) for _ in range(count)]


HOW = {"learning_rate": 1e-2}
start = starter(Reverse(), Pair, sentences(400), sentences(40), budget="5epochs", **HOW)


def test_toy(tmp_path):
    check(start, tmp_path, least=0.85)


@torch.no_grad()
def test_forward_equals_steps_and_what_the_beam_sums_up():
    training = start()
    model, batch = training.model, training.task.collate(sentences(20))
    assert isinstance(model.backbone, Steps)
    words, scores = search(model, batch, beam=3)
    decoder = torch.cat([torch.full((20, 1), END), words[:, :-1]], 1)
    values = model(replace(batch, inputs={**batch.inputs, "decoder": decoder})).values
    real = (words == END).cumsum(1).sub((words == END).int()) == 0  # to the first END, and with it
    found = values.log_softmax(-1).gather(-1, words[..., None])[..., 0]
    torch.testing.assert_close((found * real).sum(1), scores)


@torch.no_grad()
def test_beam_of_one_is_greedy():
    model, batch = start().model, start().task.collate(sentences(20))
    carry, word, greedy = model.begin(batch), torch.full((20,), END), []
    for _ in range(LENGTH + 1):
        values, carry = model.step({"decoder": word}, carry)
        word = torch.where((word == END) & bool(greedy), END, values.argmax(-1))
        greedy.append(word)
    assert search(model, batch, beam=1)[0].equal(torch.stack(greedy, 1))
