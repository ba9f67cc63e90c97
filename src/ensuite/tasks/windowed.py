"""What classify and regress share: one answer for a whole input, averaged over its windows."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, NamedTuple, Self, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ensuite.core.backbone import BackboneOptions, Pretrained
from ensuite.core.batch import Batch
from ensuite.core.model import Model
from ensuite.core.stacked import column
from ensuite.core.task import Task
from ensuite.data.encoded import Rows, rows_of_windows
from ensuite.data.processors import Processor, Text, Window

Numbers = NDArray[Any]
Example = TypeVar("Example")
Prediction = TypeVar("Prediction")


class Item(NamedTuple):
    """A row of a batch: one window of an example."""

    example: int
    window: Window
    target: Any  # a number or an array of one shape; negative or NaN where it is not known


class Piece(NamedTuple):
    """The output of a model for one window."""

    values: NDArray[np.float64]  # (output,)
    weight: int  # real positions of the window


@dataclass(frozen=True, kw_only=True)
class Windowed(Task[Example, Item, Prediction], ABC):
    """One answer for a whole text, series, image or row.

    A long input is read in windows, and the answer is the mean over them, weighted by length.

    Args:
        input: Kind of the input; auto: a text or image column if there is one, otherwise numbers.
        processor: Turns an input into tensors. A published checkpoint brings its own.
    """

    input: Literal["auto", "text", "series", "image", "row"] = "auto"
    processor: Processor = field(default_factory=Text, metadata={"options": True})

    fields: ClassVar[tuple[str, ...]] = ("text", "text_pair")
    part: ClassVar[str]
    """Name of the only part of the loss."""

    def prepare(
        self,
        examples: Sequence[Example],
        options: BackboneOptions | None = None,
        pretrained: Pretrained | None = None,
    ) -> Self:
        prepared = super().prepare(examples, options, pretrained)
        return replace(prepared, input=cast(Any, prepared.processor.kind))  # fixed for later data

    @abstractmethod
    def encode_targets(self, examples: Sequence[Example]) -> Numbers:
        """Return the targets, (examples, ...); negative or NaN where one is not known."""

    def items(self, examples: Sequence[Example], *, asking: bool = False) -> Sequence[Item]:
        targets = self.encode_targets(examples)
        cut = self.processor.windows(self.raws(examples))
        return rows_of_windows(Item, cut, targets)

    def length(self, item: Item) -> int:
        return len(item.window)

    def lengths(self, items: Sequence[Item]) -> NDArray[Any]:
        if isinstance(items, Rows):  # known without making each row
            return items.windows.lengths
        return super().lengths(items)

    def collate(self, items: Sequence[Item], generator: torch.Generator | None = None) -> Batch:
        batch = self.processor.collate(column(items, "window"))
        targets = np.asarray(column(items, "target"))
        known = targets >= 0 if targets.dtype.kind == "i" else ~np.isnan(targets)
        return replace(
            batch,
            targets={self.part: torch.from_numpy(targets)},
            counts={self.part: int(np.count_nonzero(known))},
        )

    @abstractmethod
    def activate(self, values: Tensor) -> Tensor:
        """Turn the values of the head into what is averaged over windows, (batch, output)."""

    def predict(self, model: Model, batch: Batch) -> list[Piece]:
        values = self.activate(model(batch).values.cpu().double()).numpy()
        weights = [1] * len(batch) if batch.mask is None else batch.mask.sum(1).tolist()
        return [Piece(*pair) for pair in zip(values, weights, strict=True)]

    def merge(
        self, examples: Sequence[Example], items: Sequence[Item], pieces: Sequence[Piece]
    ) -> list[Prediction]:
        values = np.array([piece.values for piece in pieces])
        weights = np.array([piece.weight for piece in pieces], dtype=float)
        numbers = np.asarray(column(items, "example"), dtype=int)
        totals = np.zeros((len(examples), values.shape[-1]))
        np.add.at(totals, numbers, weights[:, None] * values)
        return self.predictions(totals / np.bincount(numbers, weights, len(examples))[:, None])

    @abstractmethod
    def predictions(self, outputs: Numbers) -> list[Prediction]:
        """Return a prediction for each row of outputs, (examples, output)."""
