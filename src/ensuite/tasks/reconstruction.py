"""What the tasks of autoencoders share: inputs that a backbone encodes and reconstructs."""

from abc import ABC
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, NamedTuple, Self, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ensuite.core.backbone import Backbone, BackboneOptions, Pretrained, Trait, the_field
from ensuite.core.batch import Batch, Image, Outputs, Row
from ensuite.core.errors import DataError, UsageError
from ensuite.core.loss import Loss, Part
from ensuite.core.model import Model
from ensuite.core.presentation import Finding
from ensuite.core.stacked import column
from ensuite.core.table import Table
from ensuite.core.task import Task
from ensuite.data import columns, inputs
from ensuite.data.encoded import rows_of_windows
from ensuite.data.processors import Columns, Processor, Window
from ensuite.data.processors.numbers import Scaled, extremes
from ensuite.nn.reconstruction import (
    Criterion,
    DecodingHead,
    decoded_numbers,
    reconstruction_errors,
)

RECONSTRUCTION = "reconstruction"
"""Name of the part of the loss: one error for each row, summed over its numbers."""

UNKNOWN = -1
"""Number of a label that is not known."""

ROUNDING = 1e-5
"""How far scaled numbers may lie beyond 0 and 1 by rounding."""

MOST_NAMES = 5
"""Columns that never change which the data check names."""

Example = TypeVar("Example")
Prediction = TypeVar("Prediction")
Numbers = NDArray[Any]


class Item(NamedTuple):
    """A row of a batch."""

    example: int
    window: Window
    label: int  # UNKNOWN where there is none


class Piece(NamedTuple):
    """What a model computes for one row, in numbers as the backbone has them.

    Of a series the arrays hold its real positions alone.
    """

    code: NDArray[np.float64]  # (code,)
    values: NDArray[np.float32]  # the reconstruction, in the shape of the field
    targets: NDArray[np.float32]  # what was to be reconstructed


@dataclass(frozen=True, kw_only=True)
class Reconstruction(Task[Example, Item, Prediction], ABC):
    """Encode rows, images or series of numbers in a code, and reconstruct them from it.

    Numbers are scaled by the processor (``scale``), and given back in the units of the input.

    Args:
        input: Kind of the input; auto: an image column if there is one, otherwise numbers.
        criterion: The loss, summed over the numbers of a row: squared errors, or the cross-entropy
            (binary) of numbers from 0 to 1. Numbers beyond 0 and 1 that no training row had count
            as 0 or 1.
        processor: Turns an input into tensors.
    """

    input: Literal["auto", "row", "image", "series"] = "auto"
    criterion: Criterion = "squared"
    processor: Processor = field(default_factory=Columns, metadata={"options": True})

    needs: ClassVar[frozenset[Trait]] = frozenset({Trait.CODES})

    # Data

    def read_inputs(
        self, table: Table, given: Mapping[str, str], but: Collection[str]
    ) -> tuple[Self, list[Any]]:
        """Return the task with the processor that reads the inputs of a table, and the inputs.

        Args:
            table: A file's columns.
            given: Column by role, where the user names them.
            but: The columns that are no input.

        Raises:
            DataError: If they are texts, or a cell is not what it should be.
        """
        raws, processor = inputs.read(table, given, self.input, self.processor, but=but)
        if processor.kind == "text":
            raise DataError(
                f"{table.name} holds texts, and an autoencoder reads numbers: give rows, images "
                "or series, or leave columns out (--column ignore=NAME)."
            )
        return replace(self, processor=processor), raws

    def prepare(
        self,
        examples: Sequence[Example],
        options: BackboneOptions | None = None,
        pretrained: Pretrained | None = None,
    ) -> Self:
        raws = self.raws(examples)
        if len(raws) < 2:
            raise DataError(
                "There is a single training row, and what varies between rows is what an "
                "autoencoder learns: give at least two."
            )
        prepared = super().prepare(examples, options, pretrained)
        if isinstance(prepared.processor, Scaled):
            self._require_change(prepared.processor, raws)
        return replace(prepared, input=cast(Any, prepared.processor.kind))  # fixed for later data

    def _require_change(self, processor: Scaled, raws: Sequence[Any]) -> None:
        """Refuse numbers that never change, or that the criterion cannot be used for."""
        lowest, spread = extremes(raws)
        if not spread.any():
            raise DataError(
                "No number of the training rows ever changes: there is nothing to encode."
            )
        scaled = processor.normalise(np.stack([lowest, lowest + spread]))
        if self.criterion == "binary" and (scaled.min() < -ROUNDING or scaled.max() > 1 + ROUNDING):
            at = int(np.argmax(np.maximum(-scaled.min(0), scaled.max(0) - 1)))
            name = processor.names[at] if processor.names else f"column {at}"
            raise DataError(
                f"The numbers of {name} are from {scaled[0, at]:.3g} to {scaled[1, at]:.3g} when "
                "scaled, and the binary cross-entropy needs 0 to 1: give --set scale=minmax or "
                "--set criterion=squared."
            )

    def items(self, examples: Sequence[Example], *, asking: bool = False) -> Sequence[Item]:
        labels = np.asarray(self.label_numbers(examples), dtype=np.int64)
        return rows_of_windows(Item, self.processor.windows(self.raws(examples)), labels)

    def label_numbers(self, examples: Sequence[Example]) -> Sequence[int]:
        """Return the number of each example's label; ``UNKNOWN`` where it has none."""
        return [UNKNOWN] * len(examples)

    def length(self, item: Item) -> int:
        return len(item.window)

    def collate(self, items: Sequence[Item], generator: torch.Generator | None = None) -> Batch:
        return self.with_targets(self.processor.collate(column(items, "window")))

    def with_targets(self, batch: Batch, targets: Tensor | None = None) -> Batch:
        """Return a batch that knows what is to be reconstructed, and counts its rows.

        Args:
            batch: What the backbone reads.
            targets: In the shape of the field; None: what the backbone reads.
        """
        targets = batch.inputs[self.field_name] if targets is None else targets
        targets = targets.clamp(0, 1) if self.criterion == "binary" else targets
        return replace(
            batch, targets={self.field_name: targets}, counts={RECONSTRUCTION: len(targets)}
        )

    @property
    def field_name(self) -> str:
        """Name of the input field that is encoded and reconstructed."""
        return the_field(self.inputs)

    def blank(self, count: int, label: str | None = None, *, steps: int | None = None) -> Batch:
        """Return a batch of zeros in the shape of the inputs, for a decoder that needs no input.

        Args:
            count: Number of rows.
            label: That the decoder is told of all of them, in tasks that tell it one.
            steps: Length of series; None: that of the longest training series.

        Raises:
            UsageError: If the task tells the decoder a label and none is given, or the reverse.
        """
        if label is not None:
            raise UsageError("This model was trained without labels; leave the label out.")
        kind = self.inputs[self.field_name]
        if isinstance(kind, Image):
            zeros = torch.zeros(count, kind.channels, kind.height, kind.width)
        elif isinstance(kind, Row):
            zeros = torch.zeros(count, kind.features)
        else:
            length = steps or getattr(kind, "steps", None) or 1
            zeros = torch.zeros(count, length, getattr(kind, "features", 1))
        mask = torch.ones(zeros.shape[:2], dtype=torch.bool) if zeros.dim() == 3 else None
        return Batch(inputs={self.field_name: zeros}, mask=mask)

    # Model

    def head(self, backbone: Backbone) -> DecodingHead:
        return DecodingHead(backbone)

    def loss(self, outputs: Outputs, batch: Batch) -> Loss:
        return Loss({RECONSTRUCTION: Part(self.errors(outputs, batch).sum())})

    def errors(self, outputs: Outputs, batch: Batch) -> Tensor:
        """Return the error of each row, (batch,), summed over its numbers."""
        return reconstruction_errors(
            outputs.values,
            batch.targets[self.field_name],
            batch.mask,
            criterion=self.criterion,
            log_variance=outputs.states.log_variance,
        )

    def pieces(self, outputs: Outputs, batch: Batch) -> list[Piece]:
        """Return the code and the reconstruction of each row, without padding."""
        arrays = self.arrays(outputs, batch)
        if batch.mask is None:
            return [Piece(*row) for row in zip(*arrays, strict=True)]
        rows = zip(*arrays, batch.mask.cpu().numpy(), strict=True)
        return [Piece(code, value[at], target[at]) for code, value, target, at in rows]

    def arrays(self, outputs: Outputs, batch: Batch) -> tuple[Numbers, Numbers, Numbers]:
        """Return codes, reconstructions and what was to be reconstructed, (batch, ...) each."""
        assert outputs.states.code is not None, "the head has decoded it"
        codes = outputs.states.code.cpu().double().numpy()
        values = self.numbers(outputs.values).cpu().numpy()
        return codes, values, batch.targets[self.field_name].cpu().numpy()

    def numbers(self, values: Tensor) -> Tensor:
        """Return what was decoded as numbers of the field: of log-odds the probabilities."""
        return decoded_numbers(values.float(), self.criterion)

    def predict(self, model: Model, batch: Batch) -> list[Any]:
        return self.pieces(model(batch), batch)

    def conclude(
        self, examples: Sequence[Example], items: Sequence[Item], pieces: Sequence[Piece]
    ) -> list[Prediction]:
        """Make predictions of the pieces of a method that is no network."""
        return self.merge(examples, items, pieces)

    def restore(self, values: Numbers) -> Numbers:
        """Return numbers as a backbone has them in the units and the shape of the input."""
        return self.processor.restore(values)

    # Presentation

    def truth(self, example: Example) -> str:
        return ""  # the input itself

    def check(self, parts: Mapping[str, Sequence[Example]]) -> list[Finding]:
        findings = super().check(parts)
        if isinstance(self.processor, Scaled) and "train" in parts:
            _, spread = extremes(self.raws(parts["train"]))
            steady = np.flatnonzero(spread == 0).tolist()
            if steady:
                findings.append(Finding("constant", say_constant(self.processor, steady)))
        return findings


def say_constant(processor: Scaled, places: Sequence[int]) -> str:
    """Say which columns never change."""
    names = [processor.names[at] if processor.names else str(at) for at in places]
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    verb = "never changes" if len(names) == 1 else "never change"
    return f"{', '.join(names[:MOST_NAMES])}{more} {verb} in the training rows"


def label_column(table: Table, given: Mapping[str, str], names: Sequence[str]) -> str | None:
    """Return the column of labels, which is no input; None where there is none."""
    return columns.find(table, "label", names, given)
