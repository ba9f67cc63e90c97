"""Simple methods without a network, which every model is compared with."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from ensuite.core.backbone import BackboneOptions

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Baseline(ABC):
    """A method without a network, whose result depends on the training examples alone.

    A subclass is a frozen dataclass whose fields are what it has learned: arrays are saved as
    tensors, the other fields (texts, numbers, truth values) as JSON.

    Attributes:
        name: Its name in tables.
    """

    name: ClassVar[str]

    @classmethod
    @abstractmethod
    def fits(cls, task: Any) -> bool:
        """Return whether it can read the inputs of a prepared task."""

    @classmethod
    def variants(cls, task: Any, options: Sequence[BackboneOptions]) -> list["Variant"]:
        """Return the rows of a comparison that it makes: one, or none if it does not fit the task.

        Args:
            task: Prepared.
            options: Of the backbones that it is compared with. A baseline with a setting that one
                of these has too may make a row for each distinct value, so that they can be
                compared at the same value: PCA for each size of an autoencoder's code.
        """
        return [Variant(name=cls.name, method=cls)] if cls.fits(task) else []

    @classmethod
    @abstractmethod
    def fit(cls, task: Any, train: Sequence[Any], valid: Sequence[Any], seed: int) -> Self:
        """Learn from the training examples.

        A subclass may take further keyword arguments, which its ``variants`` set.

        Args:
            task: Prepared.
            train: Examples to learn from.
            valid: Examples to choose hyper-parameters by; may be empty.
            seed: Of whatever is random.
        """

    @abstractmethod
    def predict(self, task: Any, examples: Sequence[Any]) -> list[Any]:
        """Return one prediction for each example, in order."""

    @property
    @abstractmethod
    def parameters(self) -> int:
        """Number of learned parameters."""

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

    def _fields(self) -> dict[str, Any]:
        return {each.name: getattr(self, each.name) for each in fields(self)}


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One row of a comparison: a baseline with certain settings.

    Args:
        name: Its name in tables.
        method: The class of the baseline.
        settings: Keyword arguments of its ``fit``.
    """

    name: str
    method: type[Baseline]
    settings: Mapping[str, Any] = field(default_factory=dict)

    def fit(self, task: Any, train: Sequence[Any], valid: Sequence[Any], seed: int) -> Baseline:
        """Learn from the training examples, with these settings."""
        return self.method.fit(task, train, valid, seed, **self.settings)
