"""Embed: a text as the vector that a checkpoint without a head gives it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from ensuite.core.backbone import Backbone
from ensuite.core.batch import Batch, Outputs, States
from ensuite.core.errors import UsageError
from ensuite.core.loss import Loss
from ensuite.core.score import Score
from ensuite.core.stacked import column
from ensuite.core.table import Table
from ensuite.core.task import group
from ensuite.data import inputs
from ensuite.tasks.windowed import Item, Piece, Windowed

Vector = NDArray[np.float64]

SHOWN = 4
"""Numbers of a vector that are printed."""

NO_ANSWER = (
    "A checkpoint without a head gives vectors, and no answers to judge or learn from; fine-tune "
    "it: ensuite train TASK DATA --model FOLDER."
)


class Summary(nn.Module):
    """A head that returns the summary of each row as it is."""

    def forward(self, states: States, batch: Batch) -> Tensor:
        """Return (batch, width)."""
        return states.summary


@dataclass(frozen=True, kw_only=True)
class Embed(Windowed[Any, Vector]):
    """Give each text a vector, as a published checkpoint does that was trained to embed.

    It is not trained, and so it is no row of the catalog: a checkpoint without a head is opened
    for it.

    Args:
        input: Kind of the input; auto: the text of a file.
        processor: Turns a text into tensors; that of the checkpoint.
    """

    roles: ClassVar[tuple[str, ...]] = inputs.ROLES
    part: ClassVar[str] = "embedding"

    def read(
        self, table: Table, given: Mapping[str, str], *, asking: bool = False
    ) -> tuple[Self, Sequence[Any]]:
        raws, _ = inputs.read(table, given, "text", self.processor, but=[])
        return self, raws

    def ask(self, raw: Any) -> Any:
        return inputs.ask(raw, self.processor)

    def raw(self, example: Any) -> Any:
        return example  # a pair of texts is one input

    def encode_targets(self, examples: Sequence[Any]) -> NDArray[np.int64]:
        return np.full(len(examples), -1)

    def head(self, backbone: Backbone) -> Summary:
        return Summary()

    def loss(self, outputs: Outputs, batch: Batch) -> Loss:
        raise UsageError(NO_ANSWER)

    def activate(self, values: Tensor) -> Tensor:
        return values

    def merge(
        self, examples: Sequence[Any], items: Sequence[Item], pieces: Sequence[Piece]
    ) -> list[Vector]:
        vectors = np.array([piece.values for piece in pieces])
        weights = np.array([piece.weight for piece in pieces], dtype=float)
        windows = group(np.asarray(column(items, "example"), dtype=int).tolist())
        return [mean_of_windows(vectors[places], weights[places]) for places in windows.values()]

    def predictions(self, outputs: NDArray[Any]) -> list[Vector]:
        return list(outputs)

    def score(self, predictions: Sequence[Vector], examples: Sequence[Any]) -> dict[str, Score]:
        raise UsageError(NO_ANSWER)

    def truth(self, example: Any) -> str:
        return ""

    def describe(self, prediction: Vector) -> tuple[str, float | None]:
        """Return the first numbers of a vector."""
        shown = ", ".join(f"{number:.4f}" for number in prediction[:SHOWN])
        return f"[{shown}, ...] of {len(prediction)}", None

    def records(self, example: Any, prediction: Vector) -> list[dict[str, Any]]:
        return [{"embedding": prediction.tolist()}]


def mean_of_windows(vectors: NDArray[Any], weights: NDArray[Any]) -> NDArray[Any]:
    """Return the mean of the vectors of one text's windows; vectors of length 1 have one of it.

    Args:
        vectors: (windows, width).
        weights: (windows,), the length of each window.
    """
    mean: NDArray[Any] = vectors[0]
    if len(vectors) == 1:
        return mean
    mean = np.average(vectors, axis=0, weights=weights).astype(vectors.dtype)
    if np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-4):
        mean /= max(float(np.linalg.norm(mean)), 1e-12)
    return mean
