"""Training a GPT, against the recipe and the model of nanoGPT in plain torch.

    python -m benchmarks.pretrain

The first part measures one update at the shape of nanoGPT's recipe for a CPU: 4 layers, 4 heads,
width 128, 12 rows of 64 characters. Ours is the update of ``ensuite train generate`` on the same
model (learned positions, layer norm, GELU, tied embedding, fused AdamW), which also cuts and
collates the chunks, checks ids and gradients, and counts tokens.

The second part is a race on tiny shakespeare, if ENSUITE_DATA names a folder with it. nanoGPT's
recipe takes its 2,000 updates, and the loss that it ends with is the mark. Then the defaults of
``gpt`` are trained with a budget that ends at the mark, and their time is compared. Both losses are
of the whole validation part in consecutive blocks of 64 characters, as nanoGPT cuts them. Only
updates are timed, in CPU seconds of one thread.

Sources:
    Karpathy (2022), https://github.com/karpathy/nanoGPT, "I only have a macbook" in its README,
    and the defaults of its train.py
"""

import gzip
import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from math import cos, pi
from pathlib import Path
from time import process_time
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.language_model import train_only
from benchmarks.protocol import Effort, Found, ceilings, compare, publish, timed
from ensuite.candidates import Trained
from ensuite.core.options import set_options
from ensuite.core.recipe import Recipe
from ensuite.core.stacked import take
from ensuite.problem import Problem, open_problem
from ensuite.specs import model_options
from ensuite.training.budget import Budget
from ensuite.training.training import Training

ROWS, BLOCK = 12, 64

UPDATES, WARMUP = 2000, 100

HIGHEST, LOWEST = 1e-3, 1e-4
"""Learning rates of nanoGPT's recipe, after the warm-up and at the end."""

SAME = "gpt-nano"
"""Our model in nanoGPT's shape."""

OURS = "gpt:context=64"

PLAIN = Recipe(
    optimizer="adam", learning_rate=HIGHEST, schedule="cosine", warmup=WARMUP / UPDATES,
    batch_size=ROWS, weight_decay=0.1, betas=(0.9, 0.99),
)  # fmt: skip

RACE = {"batch_size": "32"}
"""What our recipe is told in the race, beside the budget."""

RACE_UPDATES = 170


class Sizes(NamedTuple):
    """Sizes of nanoGPT's model."""

    vocabulary: int = 65
    width: int = 128
    layers: int = 4
    heads: int = 4


class Attention(nn.Module):
    """Masked self-attention, as nanoGPT computes it."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.heads = sizes.heads
        self.to_all = nn.Linear(sizes.width, 3 * sizes.width, bias=False)
        self.output = nn.Linear(sizes.width, sizes.width, bias=False)

    def forward(self, hidden: Tensor) -> Tensor:
        parts = self.to_all(hidden).chunk(3, dim=-1)
        queries, keys, values = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts
        )
        seen = F.scaled_dot_product_attention(queries, keys, values, is_causal=True)
        return self.output(seen.transpose(1, 2).flatten(2))


class Block(nn.Module):
    """Attention and a feed-forward network, each after a norm."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.first = nn.LayerNorm(sizes.width, bias=False)
        self.attention = Attention(sizes)
        self.second = nn.LayerNorm(sizes.width, bias=False)
        self.up = nn.Linear(sizes.width, 4 * sizes.width, bias=False)
        self.down = nn.Linear(4 * sizes.width, sizes.width, bias=False)

    def forward(self, hidden: Tensor) -> Tensor:
        hidden = hidden + self.attention(self.first(hidden))
        return hidden + self.down(F.gelu(self.up(self.second(hidden))))


class Plain(nn.Module):
    """GPT-2's architecture in nanoGPT's size."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.embedding = nn.Embedding(sizes.vocabulary, sizes.width)
        self.places = nn.Embedding(BLOCK, sizes.width)
        self.blocks = nn.Sequential(*(Block(sizes) for _ in range(sizes.layers)))
        self.norm = nn.LayerNorm(sizes.width, bias=False)
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                deep = name.endswith(("output.weight", "down.weight"))
                nn.init.normal_(parameter, std=0.02 / ((2 * sizes.layers) ** 0.5 if deep else 1))

    def forward(self, tokens: Tensor) -> Tensor:
        hidden = self.embedding(tokens) + self.places.weight[: tokens.shape[1]]
        return F.linear(self.norm(self.blocks(hidden)), self.embedding.weight)


def plain(model: Plain, stream: Tensor, updates: int = UPDATES) -> Iterator[float]:
    """Train as nanoGPT does, for so many updates; one step is one update."""
    matrices = [each for each in model.parameters() if each.dim() >= 2]
    vectors = [each for each in model.parameters() if each.dim() < 2]
    groups = [
        {"params": matrices, "weight_decay": 0.1},
        {"params": vectors, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=HIGHEST, betas=(0.9, 0.99), fused=True)
    offsets = torch.arange(BLOCK + 1)
    for update in range(updates):
        for group in optimizer.param_groups:
            group["lr"] = plain_rate(update)
        starts = torch.randint(len(stream) - BLOCK, (ROWS, 1))
        chunk = stream[starts + offsets]
        logits = model(chunk[:, :-1])
        loss = F.cross_entropy(logits.flatten(0, 1), chunk[:, 1:].flatten())
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        yield loss.item()


def plain_rate(update: int) -> float:
    """Return nanoGPT's learning rate: a linear warm-up, then half a cosine."""
    if update < WARMUP:
        return HIGHEST * (update + 1) / (WARMUP + 1)
    share = min(1.0, (update - WARMUP) / (UPDATES - WARMUP))
    return LOWEST + (0.5 + 0.5 * cos(pi * share)) * (HIGHEST - LOWEST)


@torch.inference_mode()
def plain_loss(model: nn.Module, stream: Tensor) -> float:
    """Return the mean loss in nats over a text, in consecutive blocks."""
    total = 0.0
    for start in range(0, len(stream) - 1, 64 * BLOCK):
        part = stream[start : start + 64 * BLOCK + 1]
        whole = (len(part) - 1) // BLOCK * BLOCK
        pairs = [(part[:-1][:whole].view(-1, BLOCK), part[1:][:whole].view(-1, BLOCK))]
        pairs.append((part[:-1][None, whole:], part[1:][None, whole:]))
        for tokens, targets in pairs:
            if tokens.numel():
                logits = model(tokens).flatten(0, 1)
                total += F.cross_entropy(logits, targets.flatten(), reduction="sum").item()
    return total / (len(stream) - 1)


@torch.inference_mode()
def our_loss(training: Training, examples: Any) -> float:
    """Return the mean loss in nats over a text, in consecutive blocks."""
    training.model.eval()
    items, total, count = training.task.items(examples), 0.0, 0
    for start in range(0, len(items), 64):
        places = list(range(start, min(start + 64, len(items))))
        batch = training.task.collate(take(items, places))
        loss = training.task.loss(training.task.forward(training.model, batch), batch)
        total += float(loss.parts["token"].total)
        count += batch.counts["token"]
    return total / count


def begin(problem: Problem, spec: str, recipe: Recipe | None, updates: float) -> Training:
    """Return our training before its first update."""
    name, options = model_options(spec)
    recipe = recipe or set_options(options.recipe(), RACE, "the recipe")
    budget = Budget(updates, "steps", patience=None)
    return Trained(name, name, options, recipe).begin(problem, budget, seed=0)


def open_text(train: str, test: str) -> Problem:
    """Return a problem of characters."""
    rows = [{"text": train}], [{"text": train[:BLOCK]}], [{"text": test}]
    data, valid, test_rows = rows
    return open_problem(
        "generate", data, valid=valid, test=test_rows, settings={"unit": "characters"}
    )


def invent(length: int = 20_000) -> str:
    """Return a random text of 65 characters."""
    letters = torch.randint(65, (length,), generator=torch.Generator().manual_seed(0))
    letters[:65] = torch.arange(65)  # each at least once
    return "".join(chr(0x4E00 + int(letter)) for letter in letters)  # they do not combine


def measure(effort: Effort | None = None) -> Found:
    """Measure one update at nanoGPT's shape; return the row of the table."""
    model, stream = Plain(Sizes()), torch.randint(65, (20_000,))
    theirs = plain(model, stream, updates=10**9)
    ours = train_only(begin(open_text(invent(), invent(200)), SAME, PLAIN, 1e12))
    job = "GPT of nanoGPT's shape for a CPU, an update"
    flops = 6.0 * ROWS * BLOCK * (sum(p.numel() for p in model.blocks.parameters()) + 65 * 128)
    peers = [timed("nanoGPT loop", stepper(theirs))]
    rows = compare(
        {job: timed("ensuite", stepper(ours))}, peers, effort, amount=ROWS * BLOCK, flops=flops
    )
    return Found(rows, {})


def stepper(steps: Iterator[object]) -> Callable[[], object]:
    """Return a function that takes one step of an endless iterator."""
    return partial(next, steps)


class Ran(NamedTuple):
    """How one contender of the race did."""

    name: str
    updates: int
    seconds: float
    nats: float


def race(train: str, test: str, updates: int = UPDATES, ours: int = RACE_UPDATES) -> list[Ran]:
    """Train nanoGPT's recipe to its end, then ours; return both with their losses."""
    torch.manual_seed(1337)  # nanoGPT's
    number = {letter: place for place, letter in enumerate(sorted(set(train)))}
    streams = [torch.tensor([number[letter] for letter in text]) for text in (train, test)]
    model = Plain(Sizes(len(number)))
    seconds = run(plain(model, streams[0], updates))
    ran = [Ran("nanoGPT", updates, seconds, plain_loss(model.eval(), streams[1]))]
    problem = open_text(train, test)
    for name, spec, recipe, steps in (
        ("the same model and recipe in ensuite", SAME, PLAIN, updates),
        ("gpt as it is", OURS, None, ours),
    ):
        training = begin(problem, spec, recipe, steps)
        seconds = run(train_only(training))
        ran.append(Ran(name, steps, seconds, our_loss(training, problem.parts["test"])))
    return ran


def run(steps: Iterator[object]) -> float:
    """Take all steps; return the CPU seconds."""
    began = process_time()
    for _ in steps:
        pass
    return process_time() - began


def shakespeare() -> tuple[str, str] | None:
    """Return the training and the validation part of nanoGPT, if the text is there."""
    path = Path(os.environ.get("ENSUITE_DATA", "")) / "tinyshakespeare" / "input.txt.gz"
    if not path.is_file():
        return None
    text = gzip.decompress(path.read_bytes()).decode()
    split = int(0.9 * len(text))
    return text[:split], text[split:]


def require_shakespeare() -> tuple[str, str]:
    """Return both parts of the text, or end the program with a sentence where it is not there."""
    return shakespeare() or sys.exit(
        "set ENSUITE_DATA to the folder that has tinyshakespeare/input.txt.gz"
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(publish("pretrain", measure(), ceilings()))
    if texts := shakespeare():
        print("\nupdates  seconds  nats")
        for each in race(*texts):
            print(f"{each.updates:7,d}  {each.seconds:7.1f}  {each.nats:.4f}  {each.name}")
