"""Baselines of detect: principal components, isolation forest, and detectors that know nothing."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from hashlib import blake2b
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from ensuite.baselines.forest import Forest
from ensuite.core.backbone import BackboneOptions
from ensuite.core.baseline import Arrays, Baseline, Variant
from ensuite.core.stacked import take
from ensuite.tasks.detect import Detect, Prediction

Numbers = NDArray[Any]

ROWS_AT_ONCE = 1024
"""Rows that are made into numbers together; more need more memory, not less time."""

USUAL_SIZE = 4
"""Share of the numbers of an input that are components, where no code size says how many."""


@dataclass(frozen=True, eq=False)
class Principal(Baseline):
    """The distance of an input to the subspace of the principal components of normal inputs.

    Args:
        mean: (numbers,), of the training inputs, as networks read them.
        components: (components, numbers).

    Source:
        Jackson & Mudholkar (1979), https://doi.org/10.1080/00401706.1979.10489779
    """

    mean: Numbers
    components: Numbers

    name: ClassVar[str] = "PCA"

    @classmethod
    def fits(cls, task: Detect) -> bool:
        return True

    @classmethod
    def variants(cls, task: Detect, options: Sequence[BackboneOptions]) -> list[Variant]:
        """Return one row for each size of a code, or one where no model has a code."""
        codes = {each.code_size(task.inputs) for each in options} - {None}
        sizes = sorted(size for size in codes if size is not None)
        return [Variant(name=f"PCA {n}", method=cls, settings={"size": n}) for n in sizes] or [
            Variant(name=cls.name, method=cls)
        ]

    @classmethod
    def fit(
        cls,
        task: Detect,
        train: Sequence[Any],
        valid: Sequence[Any],
        seed: int,
        *,
        size: int | None = None,
    ) -> Self:
        """Learn the components; as many as a code has units, but fewer than there are numbers."""
        from sklearn.decomposition import PCA  # here, since importing it takes a while

        rows = np.concatenate([rows for rows, _ in numbers(task, task.items(train))])
        most = min(rows.shape[1] - 1, len(rows) - 1)
        size = max(0, min(size or max(1, rows.shape[1] // USUAL_SIZE), most))
        if not size:
            return cls(rows.mean(0), np.zeros((0, rows.shape[1])))
        fitted = PCA(size, random_state=seed).fit(rows)
        return cls(fitted.mean_.astype(float), np.ascontiguousarray(fitted.components_, float))

    def predict(self, task: Detect, examples: Sequence[Any]) -> list[Prediction]:
        items = task.items(examples, asking=True)
        return task.merge(examples, items, [e for each in self._errors(task, items) for e in each])

    def _errors(self, task: Detect, items: Sequence[Any]) -> Iterator[list[Numbers]]:
        """Yield the squared errors of some items at a time, each in the shape of its input.

        What a series has beyond the longest training series is reconstructed as the mean, 0.
        """
        for rows, arrays in numbers(task, items, len(self.mean)):
            away = rows - self.mean
            errors = np.square(away - (away @ self.components.T) @ self.components)
            found = [np.square(array, dtype=np.float32) for array in arrays]
            for whole, error in zip(found, errors, strict=True):
                flat = whole.reshape(-1)
                flat[: len(error)] = error[: len(flat)]
            yield found

    @property
    def parameters(self) -> int:
        return self.mean.size + self.components.size


@dataclass(frozen=True, eq=False)
class IsolationForest(Baseline):
    """How few random cuts set an input apart from the normal ones.

    Args:
        forest: Its trees.
        size: Numbers of an input.

    Source:
        Liu, Ting & Zhou (2008), https://doi.org/10.1109/ICDM.2008.17
    """

    forest: Forest
    size: int

    name: ClassVar[str] = "isolation forest"

    @classmethod
    def fits(cls, task: Detect) -> bool:
        return True

    @classmethod
    def fit(cls, task: Detect, train: Sequence[Any], valid: Sequence[Any], seed: int) -> Self:
        rows = np.concatenate([rows for rows, _ in numbers(task, task.items(train))])
        return cls(Forest.grow(rows, seed), rows.shape[1])

    def predict(self, task: Detect, examples: Sequence[Any]) -> list[Prediction]:
        items = task.items(examples, asking=True)
        parts = [self.forest.score(rows) for rows, _ in numbers(task, items, self.size)]
        return task.merge_scores(examples, items, np.concatenate(parts))

    @property
    def parameters(self) -> int:
        return int((self.forest.left >= 0).sum()) * 2

    def arrays(self) -> Arrays:
        values = {each.name: getattr(self.forest, each.name) for each in fields(self.forest)}
        return {name: value for name, value in values.items() if isinstance(value, np.ndarray)}

    def settings(self) -> dict[str, Any]:
        return {"usual": self.forest.usual, "size": self.size}

    @classmethod
    def restore(cls, arrays: Arrays, settings: Mapping[str, Any]) -> Self:
        return cls(Forest(**arrays, usual=settings["usual"]), settings["size"])


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


def numbers(
    task: Detect, items: Sequence[Any], size: int | None = None
) -> Iterator[tuple[Numbers, list[Numbers]]]:
    """Yield some items at a time, as networks read them: as rows of numbers, and in their shapes.

    Series are flattened without padding, shorter ones filled up with zeros, which is the mean of
    each column, and longer ones cut off.

    Args:
        task: Prepared.
        items: Of any number of examples.
        size: Numbers of a row; None: those of the longest input that was prepared for.
    """
    if size is None:
        size = task.blank(1).inputs[task.field].numel()
    for start in range(0, len(items), ROWS_AT_ONCE):
        some = take(items, range(start, min(start + ROWS_AT_ONCE, len(items))))
        batch = task.collate(some)
        field = batch.inputs[task.field]
        real = [slice(None)] * len(field) if batch.mask is None else list(batch.mask)
        arrays = [array[at].numpy() for array, at in zip(field, real, strict=True)]
        rows = np.zeros((len(arrays), size))
        for row, array in zip(rows, arrays, strict=True):
            flat = array.reshape(-1)[:size]
            row[: len(flat)] = flat
        yield rows, arrays
