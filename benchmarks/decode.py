"""Writing tokens with a GPT of random weights, against transformers with the same weights.

    python -m benchmarks.decode

Both write greedily, batch 1 and 8, after a short prompt, and read a long prompt in one pass. Ours
is the loop of ``ensuite generate`` without a tokenizer, in float32 and with int8 weights; that of
transformers is ``generate``, in float32. One token of batch 1 reads every weight once: the second
table, which is printed, gives the share of the memory bandwidth that this takes.

transformers is not among the requirements of ensuite: ``pip install ensuite[dev]``.
"""

import importlib.util
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from benchmarks.protocol import (
    Contender,
    Effort,
    Found,
    Missing,
    Row,
    ceilings,
    compare,
    publish,
    timed,
)
from ensuite.core.batch import Batch, Tokens
from ensuite.core.model import Model
from ensuite.decoding.continuation import TOKENS, sample
from ensuite.decoding.sampling import Sampling
from ensuite.decoding.streaming import TextStreamer
from ensuite.models.gpt import GPTOptions
from ensuite.nn.heads import TokenHead
from ensuite.nn.int8 import to_int8

GPT2 = GPTOptions(
    width=768, layers=12, heads=12, context=1024, positions="learned", norm="layer", bias="all",
    activation="gelu", qk_norm=False, tied=True,
)  # fmt: skip

PROMPT = 8
"""Tokens before those that are written."""


class Size(NamedTuple):
    """What is done.

    Attributes:
        options: Of the model.
        vocabulary: Number of tokens.
        written: Tokens to write.
        read: Tokens of the long prompt.
        rows: Batch sizes.
    """

    options: GPTOptions = GPT2
    vocabulary: int = 50_257
    written: int = 64
    read: int = 512
    rows: tuple[int, ...] = (1, 8)


def build(size: Size) -> Model:
    """Return a model with random weights, the same at each call."""
    torch.manual_seed(0)
    backbone = size.options.build({TOKENS: Tokens(size.vocabulary)})
    head = TokenHead(backbone.width, size.vocabulary, backbone.token_embedding, bias=False)
    return Model(backbone, head).eval()


def rounded(size: Size) -> Model:
    """Return the same model with int8 weights."""
    model = build(size)
    to_int8(model)
    return model


def prompts(size: Size, rows: int, length: int) -> Tensor:
    """Return random prompts, (rows, length)."""
    generator = torch.Generator().manual_seed(1)
    return torch.randint(size.vocabulary, (rows, length), generator=generator)


def write(model: Model, size: Size, rows: int) -> list[list[int]]:
    """Write greedily as ``ensuite generate`` does; return the tokens of each row."""
    sampling = Sampling(temperature=0, max_new_tokens=size.written)
    streamers = [TextStreamer(lambda ids: "", -1, size.written) for _ in range(rows)]
    found: list[list[int]] = [[] for _ in range(rows)]
    for told in sample(model, prompts(size, rows, PROMPT).tolist(), streamers, sampling):
        found[told.row].append(told.token)
    return found


@torch.no_grad()
def read(model: Model, size: Size) -> Tensor:
    """Read the long prompt in one pass; return the scores of the next token."""
    batch = Batch(inputs={TOKENS: prompts(size, 1, size.read)})
    scores: Tensor = model.read(batch, model.begin(batch))[0]
    return scores


class Theirs:
    """The same model in transformers."""

    def __init__(self, size: Size) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import transformers

            transformers.logging.set_verbosity_error()
            self.version = str(transformers.__version__)
            config = size.options.published_config() | {"vocab_size": size.vocabulary}
            made = transformers.GPT2Config(**config, pad_token_id=0, eos_token_id=None)
            self.model: Any = transformers.GPT2LMHeadModel(made).eval()
            tensors = size.options.publish(build(size).state_dict())
            self.model.load_state_dict(tensors, strict=False)
            self.model.tie_weights()
        self.size = size

    def write(self, rows: int) -> list[list[int]]:
        """Write greedily; return the tokens of each row."""
        tokens = prompts(self.size, rows, PROMPT)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = self.model.generate(
                tokens, attention_mask=torch.ones_like(tokens), do_sample=False,
                max_new_tokens=self.size.written,
            )  # fmt: skip
        new: list[list[int]] = found[:, PROMPT:].tolist()
        return new

    @torch.no_grad()
    def read(self) -> Tensor:
        """Read the long prompt in one pass; return the scores of the next token."""
        tokens = prompts(self.size, 1, self.size.read)
        scores: Tensor = self.model(tokens, use_cache=True, logits_to_keep=1).logits[:, -1]
        return scores


def measure(size: Size | None = None, effort: Effort | None = None) -> Found:
    """Measure every job; return the rows of the table."""
    size = size or Size()
    effort = effort or Effort(repeats=5, seconds=1.0)
    models = {"float32": build(size), "int8": rounded(size)}
    theirs = Theirs(size) if importlib.util.find_spec("transformers") else None
    rows: list[Row] = []
    for batch in size.rows:
        amount = batch * size.written
        ours = {
            f"write {size.written} tokens, batch {batch}, {name}": timed(
                "ensuite", lambda model=model, batch=batch: write(model, size, batch)
            )
            for name, model in models.items()
        }
        peer = theirs and timed("transformers", lambda batch=batch: theirs.write(batch))
        rows += compare(ours, peers(peer), effort, amount=amount)
    name = f"read {size.read} tokens"
    ours = {f"{name}, {kind}": timed("ensuite", lambda m=m: read(m, size)) for kind, m in
            models.items()}  # fmt: skip
    rows += compare(ours, peers(theirs and timed("transformers", theirs.read)), effort,
                    amount=size.read)  # fmt: skip
    return Found(rows, {"transformers": theirs.version} if theirs else {})


def peers(contender: Contender | None) -> Sequence[Contender | Missing]:
    """Return the peer, or that it is missing."""
    return [contender or Missing("transformers", "not installed")]


def bandwidth(found: Found, limits: Mapping[str, float], size: Size | None = None) -> str:
    """Return how much of the memory bandwidth a token of batch 1 takes, as a Markdown table."""
    size = size or Size()
    numbers = sum(parameter.numel() for parameter in build(size).parameters())
    lines = ["| job | weights | a token | GB/s | of reading |", "|---|--:|--:|--:|--:|"]
    for row in found.rows:
        if ", batch 1," in row.job:
            width = 1 if row.job.endswith("int8") else 4
            rate = numbers * width / 1e9 / (row.ours / size.written)
            share = rate / limits["read GB/s"]
            lines.append(
                f"| {row.job} | {numbers * width / 1e6:,.0f} MB "
                f"| {row.ours / size.written * 1e3:.1f} ms | {rate:.1f} | {share:.0%} |"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    limits = ceilings()
    found = measure()
    print(publish("decode", found, limits))
    print(f"\n{bandwidth(found, limits)}")
