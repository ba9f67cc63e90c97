"""Series of numbers and rows of numbers to scaled tensors."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray

from ensuite.core.backbone import Pretrained
from ensuite.core.batch import Batch, Inputs, Row, Values
from ensuite.core.errors import DataError
from ensuite.core.task import Finding
from ensuite.data.processors.processor import Processor, Window

Numbers = NDArray[Any]

LEARNED = {"learned": True}


@dataclass(frozen=True, kw_only=True)
class Scaled(Processor):
    """What series and rows share: every column brought to mean 0 and deviation 1.

    Args:
        mean: Of each column over the training rows, learned.
        deviation: Likewise; 1 for a column that never changes.
    """

    mean: tuple[float, ...] = field(default=(), metadata=LEARNED)
    deviation: tuple[float, ...] = field(default=(), metadata=LEARNED)

    def prepare(self, raws: Sequence[Numbers], pretrained: Pretrained | None = None) -> Self:
        values = np.concatenate([np.atleast_2d(raw) for raw in raws]).astype(np.float64)
        deviation = values.std(0)
        deviation[deviation < 1e-12] = 1.0
        return replace(self, mean=tuple(values.mean(0)), deviation=tuple(deviation))

    def windows(self, raws: Sequence[Numbers]) -> list[list[Window]]:
        return [[self._scale(raw)] for raw in raws]

    def _scale(self, raw: Numbers) -> Window:
        values = np.asarray(raw, dtype=np.float64)
        if values.shape[-1] != len(self.mean):
            raise DataError(
                f"An input has {values.shape[-1]} columns, but the model was trained on "
                f"{len(self.mean)}; give the same columns in the same order."
            )
        if not np.isfinite(values).all():
            raise DataError("An input has a number that is NaN or infinite; give finite numbers.")
        scaled = (values - np.array(self.mean)) / np.array(self.deviation)
        narrow: Window = scaled.astype(np.float32)
        return narrow

    def show(self, raw: Numbers) -> str:
        flat = np.asarray(raw).reshape(-1)
        return " ".join(f"{value:g}" for value in flat[:8]) + (" ..." if len(flat) > 8 else "")


@dataclass(frozen=True, kw_only=True)
class Series(Scaled):
    """Read series, (time, features) each, of any length."""

    kind: ClassVar[str] = "series"

    @property
    def inputs(self) -> Inputs:
        return {"values": Values(len(self.mean))}

    def collate(self, windows: Sequence[Window]) -> Batch:
        lengths = np.array([len(series) for series in windows])
        values = np.zeros((len(windows), lengths.max(), len(self.mean)), dtype=np.float32)
        mask = np.arange(lengths.max()) < lengths[:, None]
        values[mask] = np.concatenate(windows)
        return Batch(inputs={"values": torch.from_numpy(values)}, mask=torch.from_numpy(mask))

    def check(self, raws: Sequence[Numbers]) -> list[Finding]:
        lengths = [len(raw) for raw in raws]
        shortest, longest = min(lengths), max(lengths)
        steps = f"{longest:,}" if shortest == longest else f"{shortest:,} to {longest:,}"
        features = np.shape(raws[0])[1]
        noun = "value" if features == 1 else "values"
        return [Finding("series", f"{steps} steps of {features} {noun}; nothing will be cut")]


@dataclass(frozen=True, kw_only=True)
class Columns(Scaled):
    """Read rows of a table, (features,) each."""

    kind: ClassVar[str] = "row"

    @property
    def inputs(self) -> Inputs:
        return {"row": Row(len(self.mean))}

    def collate(self, windows: Sequence[Window]) -> Batch:
        return Batch(inputs={"row": torch.from_numpy(np.stack(windows))})

    def check(self, raws: Sequence[Numbers]) -> list[Finding]:
        return [Finding("row", f"{len(raws[0])} numbers each")]
