"""Baselines of detect: principal components, isolation forest, and detectors that know nothing."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from hashlib import blake2b
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from ensuite.baselines.forest import Forest
from ensuite.baselines.principal import Principal, arrays_of, flat
from ensuite.core.backbone import BackboneOptions
from ensuite.core.baseline import Arrays, Baseline, Variant
from ensuite.core.stacked import take
from ensuite.tasks.detect import Detect, Prediction

Numbers = NDArray[Any]

ROWS_AT_ONCE = 1024
"""Rows that are made into numbers together; more need more memory, not less time."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Residual(Principal):
    """The distance of an input to the subspace of the principal components of normal inputs.

    Source:
        Jackson & Mudholkar (1979), https://doi.org/10.1080/00401706.1979.10489779
    """

    @classmethod
    def variants(cls, task: Any, options: Sequence[BackboneOptions]) -> list[Variant]:
        """Return one row for each size of a code, as far as it leaves something out."""
        most = max(1, task.blank(1).inputs[task.field_name].numel() - 1)
        codes = {each.code_size(task.inputs) for each in options}
        sizes = sorted({min(size, most) for size in codes if size is not None})
        return [Variant(name=f"PCA {n}", method=cls, settings={"size": n}) for n in sizes] or [
            Variant(name=cls.name, method=cls, settings={"size": max(1, most // 4)})
        ]


@dataclass(frozen=True, eq=False)
class IsolationForest(Baseline):
    """How few random cuts set an input apart from the normal ones.

    Args:
        forest: Its trees.

    Source:
        Liu, Ting & Zhou (2008), https://doi.org/10.1109/ICDM.2008.17
    """

    forest: Forest

    name: ClassVar[str] = "isolation forest"

    @classmethod
    def fits(cls, task: Detect) -> bool:
        return True

    @classmethod
    def fit(cls, task: Detect, train: Sequence[Any], valid: Sequence[Any], seed: int) -> Self:
        return cls(Forest.grow(np.concatenate(list(numbers(task, task.items(train)))), seed))

    def predict(self, task: Detect, examples: Sequence[Any]) -> list[Prediction]:
        items = task.items(examples, asking=True)
        parts = [self.forest.score(rows) for rows in numbers(task, items)]
        return task.merge_scores(examples, items, np.concatenate([np.zeros(0), *parts]))

    @property
    def parameters(self) -> int:
        return int((self.forest.left >= 0).sum()) * 2

    def arrays(self) -> Arrays:
        values = {each.name: getattr(self.forest, each.name) for each in fields(self.forest)}
        return {name: value for name, value in values.items() if isinstance(value, np.ndarray)}

    def settings(self) -> dict[str, Any]:
        return {"usual": self.forest.usual}

    @classmethod
    def restore(cls, arrays: Arrays, settings: Mapping[str, Any]) -> Self:
        return cls(Forest(**arrays, usual=settings["usual"]))


@dataclass(frozen=True, eq=False)
class Blind(Baseline):
    """A detector that does not look at the numbers of an input."""

    @classmethod
    def fits(cls, task: Detect) -> bool:
        return True

    @classmethod
    def fit(cls, task: Detect, train: Sequence[Any], valid: Sequence[Any], seed: int) -> Self:
        return cls()

    def predict(self, task: Detect, examples: Sequence[Any]) -> list[Prediction]:
        return task.judge(self.scores(task, examples))

    @abstractmethod
    def scores(self, task: Detect, examples: Sequence[Any]) -> Numbers:
        """Return the score of each example, (examples,)."""

    @property
    def parameters(self) -> int:
        return 0


@dataclass(frozen=True, eq=False)
class Random(Blind):
    """Scores that are random, and the same whenever an input is the same."""

    name: ClassVar[str] = "random"

    def scores(self, task: Detect, examples: Sequence[Any]) -> Numbers:
        keys = (repr(task.keys(example).identity).encode() for example in examples)
        drawn = [int.from_bytes(blake2b(key, digest_size=6).digest()) / 2**48 for key in keys]
        return np.array(drawn)


@dataclass(frozen=True, eq=False)
class Constant(Blind):
    """The same score for all: it never raises an alarm."""

    name: ClassVar[str] = "constant"

    def scores(self, task: Detect, examples: Sequence[Any]) -> Numbers:
        return np.zeros(len(examples))


@dataclass(frozen=True, eq=False)
class Position(Blind):
    """The place of a step in its series: the later, the higher the score.

    Where anomalies stand at the end of recordings, it beats detectors that look at the numbers.

    Source:
        Wu & Keogh (2021), https://arxiv.org/abs/2009.13807, section 2.5 (run-to-failure bias)
    """

    name: ClassVar[str] = "position"

    @classmethod
    def fits(cls, task: Detect) -> bool:
        return task.window > 0

    def scores(self, task: Detect, examples: Sequence[Any]) -> Numbers:
        return np.array([task.keys(example).time for example in examples], dtype=float)


def numbers(task: Detect, items: Sequence[Any]) -> Iterator[Numbers]:
    """Yield some items at a time as rows, (rows, numbers), as networks read them.

    Of series the last steps, as many as the longest training series has, are read, with zeros, the
    mean, before a shorter one.
    """
    steps = getattr(task.processor, "steps", 0)
    for start in range(0, len(items), ROWS_AT_ONCE):
        some = take(items, range(start, min(start + ROWS_AT_ONCE, len(items))))
        yield np.stack([flat(array, steps) for array in arrays_of(task, some)])
