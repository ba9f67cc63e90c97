"""Training a recurrent language model, beside the loop that a person writes with `torch.nn.LSTM`.

    python -m benchmarks.language_model

Both learn from as many lanes with the same model: chunk after chunk, the state handed on and cut
from the graph (truncated back-propagation through time), the same clipping, Adam in torch's fused
form. Ours is what ``ensuite train generate`` repeats: it cuts and collates the chunks, resets
states where a document begins, checks ids and gradients, and counts.

Then, how much is kept for the backward pass of an update, by the length of the text: with lanes it
does not depend on it, and of a text that is read at once it grows with every token.
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
from ensuite.training.loop import fit
from ensuite.training.training import Training

LANES, CHUNK = 32, 64


class Size(NamedTuple):
    """A model: how many characters there are, and the widths."""

    vocabulary: int
    embedding: int
    width: int

    @property
    def flops(self) -> float:
        """Multiplications and additions of an update's matrix products, forward and backward."""
        weights = 4 * self.width * (self.embedding + self.width) + self.width * self.vocabulary
        return 6.0 * weights * LANES * CHUNK


SIZES = (Size(64, 64, 128), Size(64, 64, 256), Size(2000, 128, 256))


def measure(sizes: Sequence[Size] = SIZES, effort: Effort | None = None) -> Found:
    """Measure an update of every size; return the rows of the table."""
    rows = []
    for size in sizes:
        job = f"lstm of {size.width} units, {size.vocabulary:,} characters, an update"
        peers = [timed("nn.LSTM loop", stepper(plain(size)))]
        ours = {job: timed("ensuite", stepper(updates(size)))}
        rows += compare(ours, peers, effort, amount=LANES * CHUNK, flops=size.flops)
    return Found(rows, {})


def stepper(steps: Iterator[object]) -> Callable[[], object]:
    """Return what takes one step of an endless loop."""
    return lambda: next(steps)


def invent(size: Size, length: int = 4 * LANES * CHUNK) -> str:
    """Return a text of that many different characters, in random order."""
    letters = np.random.default_rng(0).integers(size.vocabulary, size=length)
    letters[: size.vocabulary] = np.arange(size.vocabulary)  # each at least once
    return "".join(chr(0x4E00 + letter) for letter in letters)  # none is composed with another


def begin(size: Size, text: str, lanes: int = LANES) -> Training:
    """Return a training of ours, without evaluations before its end."""
    rows = [{"text": text}, {"text": text[:CHUNK]}, {"text": text[1:CHUNK]}]
    parts = dict(zip(("data", "valid", "test"), ([row] for row in rows), strict=True))
    problem = open_problem(
        "generate", **parts, settings={"unit": "characters", "chunk": str(CHUNK)}
    )
    options = RecurrentOptions(embedding=size.embedding, width=size.width, dropout=0.0)
    recipe = Recipe(batch_size=lanes, schedule="constant")
    budget = Budget(1e12, "steps", patience=None)
    return Trained("lstm", "lstm", options, recipe).begin(problem, budget, seed=0)


def updates(size: Size) -> Iterator[object]:
    """Train for ever; a step is an update."""
    training = begin(size, invent(size))
    training.evaluate_if_due = dict  # type: ignore[method-assign,assignment]  # the peer has none
    yield from fit(training)


class Plain(nn.Module):
    """The same model, as tutorials write it."""

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
    """Train for ever in plain torch; a step is an update."""
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
    """What a forward pass keeps for its backward pass, in bytes."""

    length: int  # characters of the text
    lanes: int  # at the largest update, read in lanes
    at_once: int  # were the text one row


def kept(lengths: Sequence[int], size: Size = SIZES[0]) -> list[Kept]:
    """Measure texts of several lengths."""
    return [of_a_length(length, size) for length in lengths]


def of_a_length(length: int, size: Size) -> Kept:
    """Measure a text of one length: an epoch in lanes, then one row that holds it all."""
    training = begin(size, invent(size, length), lanes=1)
    batches = [training.next_batches()[0] for _ in range(min(3, len(training.order)))]
    most = max(saved(training, batch) for batch in batches)
    row = training.items.stream  # type: ignore[attr-defined]
    return Kept(length, most, saved(training, training.task.collate([row])))


def saved(training: Training, batch: Batch) -> int:
    """Return the bytes of all tensors that a forward pass of a batch keeps, each counted once."""
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
