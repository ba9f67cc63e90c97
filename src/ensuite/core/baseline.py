"""The simple method that every model must beat, saved as arrays like every run."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray

from ensuite.core.files import read_tensors, write_tensors
from ensuite.core.fitted import WEIGHTS, FittedModel

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Baseline(FittedModel):
    """A method without a network, its result a function of the training rows alone.

    A subclass is a frozen dataclass whose fields are all that it has learned: those that are
    arrays are saved as such, the others (texts, numbers, truths) as JSON.

    Attributes:
        name: As the table shows it.
    """

    name: ClassVar[str]
    kind: ClassVar[str] = "baseline"

    @classmethod
    @abstractmethod
    def fits(cls, task: Any) -> bool:
        """Tell whether it can read the inputs of a prepared task."""

    @classmethod
    @abstractmethod
    def fit(cls, task: Any, train: Sequence[Any], valid: Sequence[Any], seed: int) -> Self:
        """Learn from examples; ``valid``, which may be empty, is there to choose by."""

    @abstractmethod
    def predict(self, task: Any, examples: Sequence[Any]) -> list[Any]:
        """Return one prediction for each example, in order."""

    @property
    @abstractmethod
    def parameters(self) -> int:
        """How many numbers it has learned."""

    def arrays(self) -> Arrays:
        """Return the fields that are arrays, by name."""
        return {k: v for k, v in self._fields().items() if isinstance(v, np.ndarray)}

    def settings(self) -> dict[str, Any]:
        """Return the other fields, as JSON holds them."""
        return {k: v for k, v in self._fields().items() if not isinstance(v, np.ndarray)}

    @classmethod
    def restore(cls, arrays: Arrays, settings: Mapping[str, Any]) -> Self:
        """Return the baseline that ``arrays`` and ``settings`` describe."""
        return cls(**arrays, **settings)

    def save(self, folder: Path) -> dict[str, Any]:
        arrays = {name: torch.from_numpy(array.copy()) for name, array in self.arrays().items()}
        write_tensors(folder / WEIGHTS, arrays)
        return {"baseline": self.name, "settings": self.settings()}

    @classmethod
    def load(cls, folder: Path, config: Mapping[str, Any], task: Any) -> Self:
        tensors = read_tensors(folder / WEIGHTS)
        arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
        return cls.restore(arrays, config["settings"])

    @property
    def language_model(self) -> Any:
        return self

    def _fields(self) -> dict[str, Any]:
        return {each.name: getattr(self, each.name) for each in fields(self)}
