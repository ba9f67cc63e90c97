"""The simple method that every model must beat, saved as arrays like every run."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[np.generic]]


class Baseline(ABC):
    """A method without a network, its result a function of the training rows alone.

    Attributes:
        name: As the table shows it.
    """

    name: ClassVar[str]

    @classmethod
    @abstractmethod
    def fits(cls, task: Any) -> bool:
        """Tell whether it can read the inputs of a prepared task."""

    @classmethod
    @abstractmethod
    def fit(cls, task: Any, train: Sequence[Any], valid: Sequence[Any], seed: int) -> Self:
        """Learn from examples."""

    @abstractmethod
    def predict(self, task: Any, examples: Sequence[Any]) -> list[Any]:
        """Return one prediction for each example, in order."""

    @abstractmethod
    def arrays(self) -> Arrays:
        """Return the numbers it has learned, by name."""

    @abstractmethod
    def settings(self) -> Mapping[str, Any]:
        """Return whatever else it is made of, as JSON holds it."""

    @classmethod
    @abstractmethod
    def restore(cls, arrays: Arrays, settings: Mapping[str, Any]) -> Self:
        """Return the baseline that ``arrays`` and ``settings`` describe."""

    @property
    @abstractmethod
    def parameters(self) -> int:
        """How many numbers it has learned."""
