"""Loss by position, up to and past the context that a GPT was trained on.

    python -m benchmarks.positions [UPDATES]

Models of one shape (4 layers, width 128) learn tiny shakespeare by characters (ENSUITE_DATA names
the folder with it) in chunks of 64, all from the same number of characters. Then they read the
validation part in rows of 256, and the mean loss is printed for spans of positions of these rows.
Learned positions end with the context. A memory is handed from chunk to chunk while training.
"""

import sys
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.pretrain import begin, open_text, require_shakespeare, run
from ensuite.core.batch import Batch
from ensuite.core.errors import DataError
from ensuite.training.loop import fit
from ensuite.training.training import Training

CONTEXT, LENGTH = 64, 256

MODELS: Mapping[str, str] = {
    "learned positions": "positions=learned",
    "rotary positions": "positions=rotary",
    "rotary, window of 16": "window=16",
    "rotary, window of 16, memory": "window=16,memory=true",
    "linear attention": "attention=linear",
}
"""The options of each, after ``gpt:context=64``."""

SPANS = ((0, 8), (8, 32), (32, 64), (64, 128), (128, 256))


def rows_of(training: Training, text: str, length: int = LENGTH) -> Tensor:
    """Return the tokens of a text in rows with one more each, (rows, length + 1)."""
    ids = torch.from_numpy(training.task.writing.encode([text]).ids.astype("int64"))
    return ids[: len(ids) // (length + 1) * (length + 1)].view(-1, length + 1)


@torch.inference_mode()
def curve(training: Training, rows: Tensor) -> Tensor | None:
    """Return the mean loss at each position in nats; None if the model reads no such rows."""
    training.model.eval()
    totals = torch.zeros(rows.shape[1] - 1)
    for part in rows.split(32):
        try:
            values = training.model(Batch(inputs={"tokens": part[:, :-1]})).values
        except DataError:
            return None
        totals += F.cross_entropy(values.transpose(1, 2), part[:, 1:], reduction="none").sum(0)
    return totals / len(rows)


def means(losses: Tensor, spans: Sequence[tuple[int, int]] = SPANS) -> list[float | None]:
    """Return the mean loss of each span of positions; None past the last position."""
    return [
        float(losses[start:stop].mean()) if stop <= len(losses) else None for start, stop in spans
    ]


def measure(
    train: str, test: str, updates: int, models: Mapping[str, str] = MODELS
) -> dict[str, list[float | None]]:
    """Train every model, and print a line of the table for it."""
    problem, found = open_text(train, test), {}
    for name, options in models.items():
        training = begin(problem, f"gpt:context={CONTEXT},{options}", None, updates)
        seconds = run(fit(training))
        losses = curve(training, rows_of(training, test))
        if losses is None:
            losses = curve(training, rows_of(training, test, CONTEXT))
        assert losses is not None, "every model reads its own context"
        found[name] = means(losses)
        cells = ["-" if loss is None else f"{loss:.3f}" for loss in found[name]]
        print(f"| {name} | {' | '.join(cells)} | {seconds:.0f} |", flush=True)
    return found


if __name__ == "__main__":
    torch.set_num_threads(1)
    spans = [f"{start + 1} to {stop}" for start, stop in SPANS]
    print(f"| nats a character at positions | {' | '.join(spans)} | CPU seconds |")
    print("|---|" + "--:|" * (len(SPANS) + 1))
    measure(*require_shakespeare(), updates=int((sys.argv[1:] or ["170"])[0]))
