"""Sequence to sequence with attention, against the same model in plain torch.

    python -m benchmarks.translate

The encoder is a bidirectional GRU, the decoder a GRU with additive attention (Bahdanau et al. 2015)
whose output layer shares its weights with the embedding. Widths, vocabularies and lengths are those
of Tatoeba's English to French. The sentences are random: each word has one translation, in the same
order.

* Step by step: the version of tutorials. Shuffled batches are padded to their longest row and
  packed for the encoder; the decoder goes from token to token, with attention at each.
* All at once: a careful version of the same model. It takes batches of one length, the same as
  ensuite; the decoder's GRU and attention process all tokens at once; the optimizer is fused.

All models start with the same weights, and their greedy outputs are compared before any time is
measured. Dropout is 0, so that all compute the same.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple, cast

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

from benchmarks.protocol import Effort, Found, Row, ceilings, compare, publish, timed
from ensuite.core.batch import IGNORE
from ensuite.data.processors import Text
from ensuite.data.processors.tokenizer import LEARNED
from ensuite.data.processors.writing import Writing
from ensuite.models.seq2seq import Seq2Seq, Seq2SeqOptions
from ensuite.nn.heads import TokenHead
from ensuite.nn.unroll import Cell
from ensuite.tasks.translate import Translate
from ensuite.tasks.writer import Example, Item
from ensuite.training.budget import Budget
from ensuite.training.evaluate import predict, rows_at_once
from ensuite.training.loop import fit
from ensuite.training.training import Training

EDGE = LEARNED.end
"""The token before the first and after the last of what is written."""


@dataclass(frozen=True)
class Size:
    """Sizes of the model and the data.

    Args:
        width: Hidden size of the decoder, and of both directions of the encoder together.
        embedding: Size of a token embedding.
        words: Vocabulary size of each language.
        pairs: Number of training sentences.
        asked: Number of sentences to translate.
        batch: Rows in an update.
        updates: Number of updates that are timed together.
        learned: Updates before translating, enough for outputs to end at the right length.
    """

    width: int = 256
    embedding: int = 192
    words: int = 4000
    pairs: int = 20_000
    asked: int = 256
    batch: int = 96
    updates: int = 4
    learned: int = 300


def measure(size: Size | None = None, effort: Effort | None = None) -> Found:
    """Measure training and greedy decoding; return the rows of the table."""
    size = size or Size()
    training = begin(size)
    return Found([*learning(training, size, effort), *writing(training, size, effort)], {})


def draw(size: Size) -> list[Example]:
    """Draw sentences with lengths like Tatoeba's and words from a Zipf distribution."""
    generator = np.random.default_rng(0)
    likely = 1 / np.arange(2, size.words + 2)
    lengths = np.clip(generator.lognormal(2.2, 0.35, size.pairs), 2, 30).astype(int)
    words = generator.choice(size.words, size=lengths.sum(), p=likely / likely.sum())
    rows = np.split(words, lengths.cumsum()[:-1])
    return [Example(*(" ".join(f"{side}{n}" for n in row) for side in "ef")) for row in rows]


def begin(size: Size) -> Training:
    """Return an ensuite training of the model on random sentences, before its first update."""
    examples = draw(size)
    task = Translate(
        processor=Text(unit="words", window=256, overlap=0, truncation="head"),
        writing=Writing(unit="words", vocabulary_size=size.words),
    )
    options = Seq2SeqOptions(width=size.width, embedding=size.embedding, dropout=0.0)
    recipe = replace(options.recipe(), batch_size=size.batch)
    return Training.start(
        task.prepare(examples), options, examples, examples[:1],
        recipe=recipe, budget=Budget(1e6, "steps", patience=None),
    )  # fmt: skip


# Training


def learning(training: Training, size: Size, effort: Effort | None) -> list[Row]:
    """Measure a few updates, from sentences in memory to new weights."""
    ours = fit(training)
    task, items = cast(Translate, training.task), training.items

    def shuffled() -> Iterator[list[int]]:
        while True:
            yield from torch.randperm(len(items)).split(size.batch)  # type: ignore[misc]

    def bucketed() -> Iterator[list[int]]:
        epoch = 0
        while True:
            yield from task.order(items, size.batch, epoch, seed=0)
            epoch += 1

    peers = []
    for name, order, stepwise in (
        ("torch, step by step", shuffled(), True),
        ("torch, all at once", bucketed(), False),
    ):
        update = updates(plain(training), items, order, stepwise, task.label_smoothing)
        peers.append(timed(name, repeat(update, size.updates)))
    mine = timed("ensuite", repeat(lambda: next(ours), size.updates))
    job = f"{size.updates} updates of {size.batch} pairs"
    return compare({job: mine}, peers, effort, amount=size.updates * size.batch)


def updates(
    model: "Plain",
    items: Sequence[Item],
    order: Iterator[list[int]],
    stepwise: bool,
    label_smoothing: float,
) -> Callable[[], None]:
    """Return a function that does one update of a plain loop."""
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3, fused=not stepwise)

    def update() -> None:
        source, words, targets = pad([items[number] for number in next(order)])
        scores = model.stepwise(source, words) if stepwise else model(source, words)
        flat = (scores.flatten(0, 1), targets.flatten())
        loss = F.cross_entropy(*flat, ignore_index=IGNORE, label_smoothing=label_smoothing)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    return update


def repeat(work: Callable[[], object], times: int) -> Callable[[], None]:
    """Return a function that does the work ``times`` times."""

    def all_of_it() -> None:
        for _ in range(times):
            work()

    return all_of_it


def pad(items: Sequence[Item]) -> tuple[Tensor, Tensor, Tensor]:
    """Return the sources, the decoder inputs and the targets, padded on the right."""
    targets = [cast("NDArray[np.int32]", item.target) for item in items]
    source = [torch.as_tensor(item.source, dtype=torch.long) for item in items]
    read = [torch.tensor([EDGE, *target]) for target in targets]
    right = [torch.tensor([*target, EDGE]) for target in targets]
    return (
        pad_sequence(source, batch_first=True),
        pad_sequence(read, batch_first=True),
        pad_sequence(right, batch_first=True, padding_value=IGNORE),
    )


# Greedy decoding


def writing(training: Training, size: Size, effort: Effort | None) -> list[Row]:
    """Measure greedy decoding of many sentences, from ids to ids, with equal outputs."""
    for _ in zip(range(size.learned), fit(training), strict=False):
        pass
    task, model = cast(Translate, training.task), training.model.eval()
    asked = [example._replace(target=None) for example in draw(size)[: size.asked]]
    items, peer = task.items(asked), plain(training).eval()
    limit = task.writing.limit
    by_length = task.order(items, rows_at_once(task, items))
    in_order = [list(range(at, min(at + 64, len(items)))) for at in range(0, len(items), 64)]
    expected = [answer.text for answer in predict(task, model, asked, items=items)]
    peers = []
    for name, order in (("torch, in order", in_order), ("torch, by length", by_length)):
        found = task.writing.decode_batch(peer.answer(items, order, limit))
        same = sum(map(str.__eq__, found, expected)) / len(expected)
        assert same > 0.99, f"only {same:.0%} of the answers are the same"  # ties may differ
        peers.append(timed(name, partial(peer.answer, items, order, limit)))
    mine = timed("ensuite", lambda: predict(task, model, asked, items=items))
    return compare({f"{size.asked} greedy answers": mine}, peers, effort, amount=size.asked)


# The model in plain torch


class Memory(NamedTuple):
    """What the decoder attends to."""

    keys: Tensor
    values: Tensor
    mask: Tensor


class Plain(nn.Module):
    """The default model of ``Seq2Seq``, built from torch's own layers."""

    def __init__(self, source: int, target: int, size: Size) -> None:
        super().__init__()
        width, embedding = size.width, size.embedding
        self.read = nn.Embedding(source, embedding, padding_idx=0)
        self.write = nn.Embedding(target, embedding, padding_idx=0)
        self.encoder = nn.GRU(embedding, width // 2, batch_first=True, bidirectional=True)
        self.decoder = nn.GRU(embedding, width, batch_first=True)
        self.to_start = nn.Linear(width, width)
        self.from_query = nn.Linear(width, width, bias=False)
        self.from_key = nn.Linear(width, width)
        self.to_score = nn.Linear(width, 1, bias=False)
        self.combine = nn.Linear(2 * width, width)
        self.project = nn.Linear(width, embedding)
        self.bias = nn.Parameter(torch.zeros(target))

    def forward(self, source: Tensor, words: Tensor) -> Tensor:
        """Return the logits of all positions in one pass."""
        memory, state = self.encode(source)
        hidden, _ = self.decoder(self.write(words), state)
        return self.look(hidden, memory)

    def stepwise(self, source: Tensor, words: Tensor) -> Tensor:
        """Return the logits, computed position by position."""
        memory, state = self.encode(source)
        scores = []
        for word in words.split(1, dim=1):
            hidden, state = self.decoder(self.write(word), state)
            scores.append(self.look(hidden, memory))
        return torch.cat(scores, dim=1)

    def encode(self, source: Tensor) -> tuple[Memory, Tensor]:
        """Encode the source: the memory to attend to, and the decoder's initial state."""
        lengths = (source != 0).sum(1)
        packed = pack_padded_sequence(
            self.read(source), lengths, batch_first=True, enforce_sorted=False
        )
        outputs, last = self.encoder(packed)
        states, _ = pad_packed_sequence(outputs, batch_first=True)
        start = self.to_start(torch.cat([last[0], last[1]], dim=1)).tanh()
        return Memory(self.from_key(states), states, source != 0), start[None]

    def look(self, hidden: Tensor, memory: Memory) -> Tensor:
        """Return the logits of every token, by attention from the hidden states to the source."""
        mixed = torch.tanh(self.from_query(hidden)[:, :, None] + memory.keys[:, None])
        scores = self.to_score(mixed)[..., 0].masked_fill(~memory.mask[:, None], -torch.inf)
        context = scores.softmax(-1) @ memory.values
        seen = torch.tanh(self.combine(torch.cat([context, hidden], dim=-1)))
        return F.linear(self.project(seen), self.write.weight, self.bias)

    @torch.inference_mode()
    def answer(
        self, items: Sequence[Item], order: Sequence[list[int]], longest: int
    ) -> list[list[int]]:
        """Decode greedily, batch by batch, until every row of a batch has ended."""
        answers: list[list[int]] = [[]] * len(items)
        for numbers in order:
            sources = [torch.as_tensor(items[n].source, dtype=torch.long) for n in numbers]
            memory, state = self.encode(pad_sequence(sources, batch_first=True))
            word = torch.full((len(numbers), 1), EDGE)
            ended, written = torch.zeros(len(numbers), dtype=torch.bool), []
            for _ in range(longest):
                hidden, state = self.decoder(self.write(word), state)
                word = self.look(hidden, memory).argmax(-1)
                written.append(word)
                ended |= word[:, 0] == EDGE
                if bool(ended.all()):
                    break
            for number, row in zip(numbers, torch.cat(written, dim=1).tolist(), strict=True):
                answers[number] = row[: row.index(EDGE)] if EDGE in row else row
        return answers


@torch.no_grad()
def plain(training: Training) -> Plain:
    """Return the plain model with a copy of our weights."""
    backbone, head = cast(Seq2Seq, training.model.backbone), cast(TokenHead, training.model.head)
    size = Size(width=backbone.options.width, embedding=backbone.options.embedding)
    encoder, attention = cast(nn.Module, backbone.encoder), cast(nn.Module, backbone.attention)
    read = cast(nn.Module, encoder.embed).weight
    model = Plain(len(cast(Tensor, read)), len(backbone.embed.weight), size)
    pairs = [
        (model.read.weight, read), (model.write.weight, backbone.embed.weight),
        (model.bias, head.bias), (model.to_score.weight[0], attention.to_score),
    ]  # fmt: skip
    for mine, theirs in pairs:
        mine.copy_(cast(Tensor, theirs))
    for layer, other in (
        (model.to_start, backbone.to_start), (model.from_query, attention.from_query),
        (model.from_key, attention.from_key), (model.combine, backbone.combine),
        (model.project, head.project),
    ):  # fmt: skip
        layer.load_state_dict(cast(nn.Module, other).state_dict())
    ahead, back = cast(nn.ModuleList, cast(nn.Module, encoder.recurrent).cells)
    (writes,) = backbone.decoder.cells
    for cell, layer_, suffix in (
        (ahead, model.encoder, ""), (back, model.encoder, "_reverse"), (writes, model.decoder, "")
    ):  # fmt: skip
        copy_cell(cast("Cell[object]", cell), layer_, suffix)  # type: ignore[type-var]
    return model


def copy_cell(cell: Cell, layer: nn.GRU, suffix: str) -> None:  # type: ignore[type-arg]
    """Copy the weights of one direction; only the reset product has a separate bias."""
    reset = F.pad(cast(Tensor, cell.reset_bias), (2 * cell.width, 0))
    for name, tensor in (
        ("weight_ih", cell.from_input.weight), ("weight_hh", cell.from_hidden.weight),
        ("bias_ih", cell.from_input.bias), ("bias_hh", reset),
    ):  # fmt: skip
        getattr(layer, f"{name}_l0{suffix}").copy_(tensor)


if __name__ == "__main__":
    print(publish("translate", measure(), ceilings()))
