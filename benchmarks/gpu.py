"""Updates of encoders on a GPU, beside transformers with the same weights.

    python -m benchmarks.gpu

An encoder of the size of BERT-base reads 64 or 512 texts of 3 to 200 words, most of them few, in
bfloat16. Ours never computes padding: each layer reads the real positions alone, and attention is
one call of a kernel for rows of different lengths, or, with dropout of the attention weights, one
with a mask.
The peers are the loops of `benchmarks.encoder` (fused AdamW, clipping, scaled dot-product
attention), with all texts tokenized and padded beforehand.

What a second amounts to is counted in matrix products of real tokens, as a share of the fastest
bfloat16 product of the same run.
"""

import random
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from time import perf_counter

import torch

from benchmarks.encoder import Size, Theirs, invent, make_run
from benchmarks.protocol import Contender, Effort, Found, Missing, Row, compare, publish, timed
from ensuite.candidates import Trained
from ensuite.models.bert import BertOptions
from ensuite.problem import open_problem
from ensuite.training.budget import Budget
from ensuite.training.loop import fit

SIZE = Size(width=768, layers=12, heads=12, texts=4096, batch=512)

GPU = torch.device("cuda")


def measure(size: Size = SIZE, effort: Effort | None = None) -> Found:
    """Measure updates of few texts, with and without dropout of attention weights, and of many."""
    rows = []
    for batch, dropout in ((size.batch // 8, 0.0), (size.batch // 8, 0.1), (size.batch, 0.0)):
        with tempfile.TemporaryDirectory() as path:
            rows += one_job(size._replace(batch=batch), dropout, Path(path) / "run", effort)
    return Found(rows, {})


def one_job(size: Size, dropout: float, folder: Path, effort: Effort | None) -> list[Row]:
    """Measure updates of one size of batch."""
    run, texts = make_run(size, folder), invent(size)
    assert isinstance(run.options, BertOptions)
    mine = ours(size, replace(run.options, attention_dropout=dropout), texts)
    peers: list[Contender | Missing] = [
        on_gpu("padded to 256", updates(folder, size, texts, "max_length", dropout)),
        on_gpu("padded by length", updates(folder, size, sorted(texts, key=len), True, dropout)),
    ]
    name = f"an update of {size.batch} texts, attention dropout {dropout:g}"
    tokens = sum(len(text.split()) + 2 for text in texts) / len(texts) * size.batch
    jobs = {name: on_gpu("ensuite", mine)}
    for each in (*jobs.values(), *peers):
        if isinstance(each, Contender):
            each.run(len(texts) // size.batch)  # cuDNN plans the attention of each shape once
    return compare(jobs, peers, effort, amount=size.batch, flops=flops(size, tokens))


def flops(size: Size, tokens: float) -> float:
    """Return the operations of an update in the products with weights, 6 for each and token."""
    weights = size.layers * 12 * size.width**2
    return 6 * weights * tokens


def on_gpu(name: str, steps: Iterator[object]) -> Contender:
    """Return what takes one step, until the GPU has finished it."""

    def step() -> None:
        next(steps)
        torch.cuda.synchronize()

    return timed(name, step)


def ours(size: Size, options: BertOptions, texts: list[str]) -> Iterator[object]:
    """Train for ever, as ``ensuite train`` does; a step is an update."""
    rows = [{"text": text, "label": ("no", "yes")[n % 2]} for n, text in enumerate(texts)]
    problem = open_problem("classify", rows, valid=rows[:8], test=rows[:8])
    recipe = replace(options.recipe(), precision="bfloat16", batch_size=size.batch)
    candidate = Trained("bert", "bert", options, recipe, device=GPU)
    return fit(candidate.begin(problem, Budget(1e12, "steps", patience=None), seed=0))


def updates(
    folder: Path, size: Size, texts: list[str], padding: object, dropout: float
) -> Iterator[float]:
    """Train for ever with the loop that a person writes; a step is an update."""
    theirs = Theirs(folder)
    found = theirs.package.AutoModelForSequenceClassification
    model = found.from_pretrained(folder, attention_probs_dropout_prob=dropout).to(GPU).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    starts = range(0, len(texts) - size.batch + 1, size.batch)
    batches = [theirs.encode(texts[first : first + size.batch], padding) for first in starts]
    random.Random(0).shuffle(batches)
    for encoded in cycle(batches):
        batch = {name: tensor.to(GPU, non_blocking=True) for name, tensor in encoded.items()}
        labels = torch.arange(size.batch, device=GPU) % 2
        with torch.autocast("cuda", torch.bfloat16):
            loss = model(**batch, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        yield float(loss.detach())


def ceilings() -> dict[str, float]:
    """Return the rates of large matrix products on this GPU."""
    return {
        "bf16 GEMM GFLOP/s": rate(torch.bfloat16),
        "fp32 GEMM GFLOP/s": rate(torch.float32),
    }


def rate(dtype: torch.dtype, size: int = 8192, calls: int = 10) -> float:
    """Return the GFLOP/s of the product of two random square matrices."""
    one, two = (torch.randn(size, size, device=GPU, dtype=dtype) for _ in range(2))
    torch.matmul(one, two)
    torch.cuda.synchronize()
    began = perf_counter()
    for _ in range(calls):
        torch.matmul(one, two)
    torch.cuda.synchronize()
    return 2 * size**3 * calls / (perf_counter() - began) / 1e9


if __name__ == "__main__":
    print(publish("gpu", measure(effort=Effort(seconds=0.5)), ceilings()))
