"""A published encoder on texts of mixed length, beside transformers with the same weights.

    python -m benchmarks.encoder

The encoder has the size of all-MiniLM-L6-v2 and a head of two labels; its weights are random, which
changes no time. The texts have 3 to 200 words, most of them few, as sentences and reviews have;
they stand in random order. All times include tokenizing. Ours is a run that is asked for all texts
at once; the peers are

* pipeline: the pipeline of transformers as it is by default, one text after the other.
* batches as they come: batches of 32 in the given order, each padded to its longest text.
* batches by length: the same, texts sorted by length first, as sentence-transformers does.
* ONNX Runtime: the same graph in its fp32 session, batches by length; skipped if not installed.

Vectors of texts are those of [CLS], the peer sentence-transformers with its ``encode``.

An update of fine-tuning reads 32 texts. Ours is one of ``ensuite train``; the peers are the usual
loop of torch (fused AdamW, clipping) around the model of transformers, with every text padded to
256 tokens, as its examples do by default, or padded to the longest of 32 texts of about one length.
"""

import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from benchmarks.protocol import (
    Contender,
    Effort,
    Found,
    Missing,
    ceilings,
    compare,
    publish,
    timed,
)
from ensuite.candidates import Trained
from ensuite.core.backbone import Pretrained
from ensuite.core.files import write_text
from ensuite.core.model import Model
from ensuite.data.labels import Labels
from ensuite.data.processors import Text
from ensuite.models.bert import BertOptions
from ensuite.network import Network
from ensuite.predictor import Predictor
from ensuite.problem import open_problem
from ensuite.tasks.classify import Classify
from ensuite.training.budget import Budget
from ensuite.training.loop import fit

LONGEST = 256
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


class Size(NamedTuple):
    """An encoder, and what it reads."""

    width: int = 384
    layers: int = 6
    heads: int = 12
    words: int = 30_000
    texts: int = 256
    batch: int = 32


SIZE = Size()


def measure(size: Size = SIZE, effort: Effort | None = None) -> Found:
    """Measure answers and updates; return the rows of the table."""
    with tempfile.TemporaryDirectory() as path:
        run, texts = make_run(size, Path(path) / "run"), invent(size)
        rows = compare(
            {f"{size.texts} answers": timed("ensuite", lambda: run.predict(texts))},
            answering(size, Path(path) / "run", texts),
            effort,
            amount=size.texts,
        )
        embedder = run.embedder()
        rows += compare(
            {f"{size.texts} vectors": timed("ensuite", lambda: embedder.predict(texts))},
            [sentence_transformers(size, Path(path) / "run", texts)],
            effort,
            amount=size.texts,
        )
        updating = {f"an update of {size.batch} texts": timed("ensuite", stepper(ours(size, run)))}
        peers = learning(size, Path(path) / "run", texts)
        rows += compare(updating, peers, effort, amount=size.batch)
    return Found(rows, versions())


def versions() -> dict[str, str]:
    """Return the versions of the peers that are there."""
    peers = ("transformers", "onnxruntime", "sentence_transformers")
    return {name: version(name) for name in peers if find_spec(name)}


def transformers() -> Any:
    """Import transformers, without what it says meanwhile."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import transformers as package

    package.logging.set_verbosity_error()
    package.logging.disable_progress_bar()
    return package


# What all of them read


def invent(size: Size) -> list[str]:
    """Return texts of 3 to 200 words, most of them few."""
    random = np.random.default_rng(0)
    lengths = np.exp(random.normal(3.0, 0.9, size.texts)).clip(3, 200).astype(int)
    return [" ".join(f"w{word}" for word in random.integers(size.words, size=n)) for n in lengths]


def make_run(size: Size, folder: Path) -> Predictor:
    """Write a run of ours, which transformers opens too."""
    vocabulary = [*SPECIAL, *(f"w{number}" for number in range(size.words))]
    write_text(folder / "vocab.txt", "\n".join(vocabulary))
    processor = Text(window=LONGEST).prepare([], Pretrained(tokenizer=folder, length=LONGEST))
    task = Classify(processor=processor, labels=Labels(("no", "yes")), input="text")
    options = BertOptions(width=size.width, layers=size.layers, heads=size.heads, longest=LONGEST)
    torch.manual_seed(0)
    model = Model.build(options, task).eval()
    run = Predictor("bert", "classify", task, Network(model, options, task.published))
    run.save(folder)
    return run


class Theirs:
    """The same run in transformers."""

    def __init__(self, folder: Path) -> None:
        package = transformers()
        self.package, found = package, package.AutoModelForSequenceClassification
        self.model = found.from_pretrained(folder).eval()
        names = dict(
            zip(("pad_token", "unk_token", "cls_token", "sep_token"), SPECIAL, strict=False)
        )
        self.tokenizer = package.PreTrainedTokenizerFast(
            tokenizer_file=str(folder / "tokenizer.json"), model_max_length=LONGEST, **names
        )

    def encode(self, texts: Sequence[str], padding: Any = True) -> dict[str, torch.Tensor]:
        """Return the tensors of a batch."""
        encoded = self.tokenizer(
            list(texts), padding=padding, truncation=True, max_length=LONGEST, return_tensors="pt"
        )
        return {name: encoded[name] for name in ("input_ids", "attention_mask")}

    @torch.inference_mode()
    def answer(self, texts: Sequence[str], batch: int, *, by_length: bool) -> torch.Tensor:
        """Return the logits of texts, (texts, labels)."""
        order = np.arange(len(texts))
        if by_length:
            order = np.argsort([-len(text) for text in texts], kind="stable")
        parts = [order[first : first + batch] for first in range(0, len(texts), batch)]
        logits = [self.model(**self.encode([texts[n] for n in p])).logits for p in parts]
        return torch.cat(logits)[torch.from_numpy(np.argsort(order))]


# Answers


def answering(size: Size, folder: Path, texts: list[str]) -> list[Contender | Missing]:
    """Return the peers that answer texts."""
    if not find_spec("transformers"):
        return [Missing("transformers", "it is not installed")]
    theirs = Theirs(folder)
    one = theirs.package.pipeline(
        "text-classification", model=theirs.model, tokenizer=theirs.tokenizer
    )
    how = {"batches as they come": False, "batches by length": True}
    peers: list[Contender | Missing] = [timed("pipeline", lambda: one(texts, truncation=True))]
    for name, by_length in how.items():
        peers.append(timed(name, partial(theirs.answer, texts, size.batch, by_length=by_length)))
    return [*peers, onnx_runtime(theirs, size, texts)]


def onnx_runtime(theirs: Theirs, size: Size, texts: list[str]) -> Contender | Missing:
    """Return ONNX Runtime on the same network."""
    name = "ONNX Runtime"
    if not (find_spec("onnxruntime") and find_spec("onnxscript")):
        return Missing(name, "it is not installed, or onnxscript is not")
    import onnxruntime

    path = Path(tempfile.mkdtemp()) / "encoder.onnx"
    example = theirs.encode(texts[:2])
    rows, time = torch.export.Dim("rows"), torch.export.Dim("time", max=LONGEST)
    torch.onnx.export(
        theirs.model, (), path, kwargs=example, dynamo=True,
        dynamic_shapes={name: {0: rows, 1: time} for name in example},
    )  # fmt: skip
    session = onnxruntime.InferenceSession(str(path))

    def answer() -> None:
        ordered = sorted(texts, key=len, reverse=True)
        for first in range(0, len(texts), size.batch):
            batch = theirs.encode(ordered[first : first + size.batch])
            session.run(None, {key: tensor.numpy() for key, tensor in batch.items()})

    return timed(name, answer)


def sentence_transformers(size: Size, folder: Path, texts: list[str]) -> Contender | Missing:
    """Return what computes the vectors of the same network by sentence-transformers."""
    name = "sentence-transformers"
    if not (find_spec("sentence_transformers") and find_spec("transformers")):
        return Missing(name, "it is not installed")
    transformers()
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    reader = Transformer(str(folder), max_seq_length=LONGEST)
    model = SentenceTransformer(modules=[reader, Pooling(size.width, "cls")], device="cpu")
    return timed(name, lambda: model.encode(texts, batch_size=size.batch))


# Updates


def stepper(steps: Iterator[object]) -> Callable[[], object]:
    """Return what takes one step of an endless loop."""
    return lambda: next(steps)


def ours(size: Size, run: Predictor) -> Iterator[object]:
    """Train for ever, as ``ensuite train`` does; a step is an update."""
    texts = invent(size._replace(texts=max(size.texts, 8 * size.batch)))
    rows = [{"text": text, "label": ("no", "yes")[n % 2]} for n, text in enumerate(texts)]
    problem = open_problem("classify", rows, valid=rows[:8], test=rows[:8])
    options, budget = run.options, Budget(1e12, "steps", patience=None)
    assert options is not None
    training = Trained("bert", "bert", options, options.recipe()).begin(problem, budget, seed=0)
    return fit(training)


def learning(size: Size, folder: Path, texts: list[str]) -> list[Contender | Missing]:
    """Return the peers that fine-tune."""
    if not find_spec("transformers"):
        return [Missing("transformers", "it is not installed")]
    sorted_, fixed = sorted(texts, key=len), "max_length"
    return [
        timed(f"padded to {LONGEST}", stepper(updates(Theirs(folder), texts, size.batch, fixed))),
        timed("padded by length", stepper(updates(Theirs(folder), sorted_, size.batch, True))),
    ]


def updates(theirs: Theirs, texts: list[str], batch: int, padding: Any) -> Iterator[float]:
    """Train for ever with the loop that a person writes; a step is an update."""
    model = theirs.model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    places = np.random.default_rng(0).permutation(max(1, len(texts) // batch))
    for place in cycle(places.tolist()):
        some = texts[place * batch : (place + 1) * batch]
        labels = torch.arange(len(some)) % 2
        loss = model(**theirs.encode(some, padding), labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        yield float(loss.detach())


if __name__ == "__main__":
    print(publish("encoder", measure(), ceilings()))
