"""Processors turn raw inputs into tensors, by what they learned from the training rows."""

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
"""Content of one row of a batch: (time,) ids, (time, features) values, or (features,) numbers."""


class Processor(ABC):
    """Raw inputs of one kind to batches. A frozen dataclass, saved with the run.

    Attributes:
        kind: What it reads, as a user names it: text, series, image, row.
    """

    kind: ClassVar[str]

    @abstractmethod
    def prepare(self, raws: Sequence[Any], pretrained: Pretrained | None = None) -> Self:
        """Learn a vocabulary or scales from the training inputs; return a prepared copy."""

    @property
    @abstractmethod
    def inputs(self) -> Inputs:
        """The input fields of a batch, and the kind and size of each."""

    @abstractmethod
    def windows(self, raws: Sequence[Any]) -> Sequence[Sequence[Window]]:
        """Return the windows of each input: one, or several that overlap where it is long."""

    @abstractmethod
    def collate(self, windows: Sequence[Window]) -> Batch:
        """Put windows together, shorter ones padded at the end.

        Windows of one shape may come as one array.
        """

    def normalise(self, window: Window) -> Window:
        """Return a window as a backbone reads it: by default as it is."""
        return window

    def restore(self, values: Window) -> Window:
        """Return values that a backbone computed in the units of the input; see ``normalise``."""
        return values

    def key(self, raw: Any) -> Hashable:
        """Return a hashable value that is equal for equal inputs."""
        return hashlib.sha256(np.asarray(raw).tobytes()).digest()  # whole series fill memory

    @abstractmethod
    def show(self, raw: Any) -> str:
        """Return an input as a line of text."""

    def picture(self, raw: Any) -> bytes | None:
        """Return an input as a PNG image; None where ``show`` is enough."""
        return None

    def to_tokens(self, window: Window) -> tuple[str, ...]:
        """Return the token at each position of a window; empty for inputs that are no text."""
        return ()

    def tokenizer_config(self) -> dict[str, Any]:
        """Return what transformers needs to open the tokenizer; empty for inputs without one."""
        return {}

    def check(self, raws: Sequence[Any]) -> list[Finding]:
        """Return findings about the inputs for the data check."""
        return []

    def ledger(self, raws: Sequence[Any]) -> Ledger:
        """Count the tokens that are cut off when these inputs are read."""
        return Ledger()
