"""What stands between a user's raw input and tensors, learned from the training rows."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from ensuite.core.backbone import Pretrained
from ensuite.core.batch import Batch, Inputs
from ensuite.core.presentation import Finding, Ledger

Window = NDArray[Any]
"""What one row of a batch is made of: (time,) ids, (time, features) values, (features,) a row."""


class Processor(ABC):
    """Raw inputs of one kind to batches. A frozen dataclass, saved with the run.

    Attributes:
        kind: What it reads, as a user names it: text, series, image, row.
    """

    kind: ClassVar[str]

    @abstractmethod
    def prepare(self, raws: Sequence[Any], pretrained: Pretrained | None = None) -> Self:
        """Learn vocabulary or scales from the training inputs."""

    @property
    @abstractmethod
    def inputs(self) -> Inputs:
        """What a backbone is told of the tensors."""

    @abstractmethod
    def windows(self, raws: Sequence[Any]) -> list[list[Window]]:
        """Return the windows of each input: one, or several that overlap where it is long."""

    @abstractmethod
    def collate(self, windows: Sequence[Window]) -> Batch:
        """Put windows together, shorter ones padded at the end.

        Windows of one shape may come as one array.
        """

    def key(self, raw: Any) -> Hashable:
        """Return what makes two inputs the same."""
        return hashlib.sha256(np.asarray(raw).tobytes()).digest()  # whole series fill memory

    @abstractmethod
    def show(self, raw: Any) -> str:
        """Return an input as a line of text."""

    def picture(self, raw: Any) -> bytes | None:
        """Return what an input looks like, as PNG; None where words show it."""
        return None

    def tell(self, window: Window) -> tuple[str, ...]:
        """Return the token at each position; none where positions hold none (a picture)."""
        return ()

    def check(self, raws: Sequence[Any]) -> list[Finding]:
        """Return what a person should know of the inputs before training."""
        return []

    def ledger(self, raws: Sequence[Any]) -> Ledger:
        """Count what reading these inputs leaves out."""
        return Ledger()
