"""Training a recurrent language model, against a hand-written loop around `torch.nn.LSTM`.

    python -m benchmarks.language_model

Both train the same model on the same number of batch rows (lanes), chunk after chunk. Both have an
output for every id of our tokenizer: the characters, 256 bytes for characters never seen in
training, and three special tokens. The state is carried to the next chunk and detached (truncated
back-propagation through time); clipping is the same, and both use torch's fused Adam. Ours is the
update of ``ensuite train generate``, which also cuts and collates the chunks, resets states at
document borders, checks ids and gradients, and counts tokens.

The second part measures the memory kept for the backward pass of one update, by the length of the
text: with lanes it is constant; if the text is read as one row, it grows with every token.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.protocol import Effort, Found, ceilings, compare, publish, timed
from ensuite.candidates import Trained
from ensuite.core.batch import Batch
from ensuite.core.recipe import Recipe
from ensuite.models.recurrent import RecurrentOptions
from ensuite.problem import open_problem
from ensuite.training.budget import Budget
from ensuite.training.loop import update
from ensuite.training.training import Training

LANES, CHUNK = 32, 64


class Size(NamedTuple):
    """Size of a model: number of distinct characters, and widths."""

    vocabulary: int
    embedding: int
    width: int

    @property
    def flops(self) -> float:
        """Number of multiplications and additions in the matrix products of one update."""
        weights = 4 * self.width * (self.embedding + self.width) + self.width * self.vocabulary
        return 6.0 * weights * LANES * CHUNK


SIZES = (Size(64, 64, 128), Size(64, 64, 256), Size(2000, 128, 256))


def measure(sizes: Sequence[Size] = SIZES, effort: Effort | None = None) -> Found:
    """Measure one update of every size; return the rows of the table."""
    rows = []
    for size in sizes:
        training = begin(size, invent(size))
        ids = training.task.inputs["tokens"].size
        both = size._replace(vocabulary=ids)
        job = f"lstm of {size.width} units, {size.vocabulary:,} characters, an update"
        peers = [timed("nn.LSTM loop", stepper(plain(both)))]
        ours = {job: timed("ensuite", stepper(train_only(training)))}
        rows += compare(ours, peers, effort, amount=LANES * CHUNK, flops=both.flops)
    return Found(rows, {})


def stepper(steps: Iterator[object]) -> Callable[[], object]:
    """Return a function that takes one step of an endless iterator."""
    return lambda: next(steps)


def invent(size: Size, length: int = 4 * LANES * CHUNK) -> str:
    """Return a random text that contains ``size.vocabulary`` distinct characters."""
    letters = np.random.default_rng(0).integers(size.vocabulary, size=length)
    letters[: size.vocabulary] = np.arange(size.vocabulary)  # each at least once
    return "".join(chr(0x4E00 + letter) for letter in letters)  # characters that do not combine


def begin(size: Size, text: str, lanes: int = LANES) -> Training:
    """Return an ensuite training on ``text`` with the given number of lanes."""
    rows = [{"text": text}, {"text": text[:CHUNK]}, {"text": text[1:CHUNK]}]
    parts = dict(zip(("data", "valid", "test"), ([row] for row in rows), strict=True))
    problem = open_problem(
        "generate", **parts, settings={"unit": "characters", "chunk": str(CHUNK)}
    )
    options = RecurrentOptions(embedding=size.embedding, width=size.width, dropout=0.0)
    recipe = Recipe(batch_size=lanes, schedule="constant")
    budget = Budget(1e12, "steps", patience=None)
    return Trained("lstm", "lstm", options, recipe).begin(problem, budget, seed=0)


def train_only(training: Training) -> Iterator[object]:
    """Train with ensuite until the budget is spent, without evaluation; one step is one update."""
    training.model.train()
    while not training.over:
        yield update(training)


class Plain(nn.Module):
    """The same model, written as in tutorials."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.embedding = nn.Embedding(size.vocabulary, size.embedding)
        self.recurrent = nn.LSTM(size.embedding, size.width, batch_first=True)
        self.scores = nn.Linear(size.width, size.vocabulary)

    def forward(
        self, tokens: Tensor, state: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        outputs, state = self.recurrent(self.embedding(tokens), state)
        return self.scores(outputs), state


def plain(size: Size) -> Iterator[float]:
    """Train endlessly in plain torch; one step is one update."""
    model, state = Plain(size), None
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    stream = torch.randint(size.vocabulary, (LANES, 4 * CHUNK + 1))
    while True:
        for at in range(0, 4 * CHUNK, CHUNK):
            tokens, targets = stream[:, at : at + CHUNK], stream[:, at + 1 : at + CHUNK + 1]
            logits, state = model(tokens, state)
            state = (state[0].detach(), state[1].detach())
            loss = nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            yield loss.item()


class Kept(NamedTuple):
    """Memory that a forward pass keeps for the backward pass, in bytes."""

    length: int  # characters of the text
    lanes: int  # largest update, if the text is read in lanes
    at_once: int  # if the text is read as one row


def kept(lengths: Sequence[int], size: Size = SIZES[0]) -> list[Kept]:
    """Measure texts of several lengths."""
    return [of_a_length(length, size) for length in lengths]


def of_a_length(length: int, size: Size) -> Kept:
    """Measure one length: updates in lanes, then the text as a single row."""
    training = begin(size, invent(size, length), lanes=1)
    batches = [training.next_batches()[0] for _ in range(min(3, len(training.order)))]
    most = max(saved(training, batch) for batch in batches)
    stream = training.items.stream  # type: ignore[attr-defined]
    row = stream.read(0, len(stream))
    return Kept(length, most, saved(training, training.task.collate([row])))


def saved(training: Training, batch: Batch) -> int:
    """Return the bytes of all tensors that a forward pass saves, each storage counted once."""
    sizes = dict[int, int]()

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = training.forward(batch)
    del loss
    return sum(sizes.values())


if __name__ == "__main__":
    print(publish("language_model", measure(), ceilings()))
    print("\n    length  in lanes (MB)  at once (MB)")
    for each in kept((1_000, 10_000, 100_000)):
        print(f"{each.length:10,d}  {each.lanes / 1e6:13.1f}  {each.at_once / 1e6:12.1f}")
