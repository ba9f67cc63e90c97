"""Principal component analysis (PCA), the baseline of autoencoders: a linear code."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from ensuite.core.backbone import BackboneOptions
from ensuite.core.baseline import Baseline, Variant
from ensuite.core.batch import Batch
from ensuite.core.errors import UsageError
from ensuite.tasks.reconstruction import Piece, Reconstruction

USUAL = 16
"""Components where no autoencoder beside it has a code."""

AT_ONCE = 1024
"""Examples that are in memory together."""

Numbers = NDArray[Any]


@dataclass(frozen=True, eq=False, kw_only=True)
class Principal(Baseline):
    """The principal components of the numbers of a row, an image or a series.

    Series are read as the dense autoencoder reads them: the last ``steps`` steps, with zeros before
    the first one of a shorter series.

    Args:
        components: (components, numbers), orthonormal rows.
        mean: (numbers,) over the training rows.
        steps: Steps of a series that are read; 0 for inputs without time.

    Source:
        Jolliffe & Cadima (2016), https://doi.org/10.1098/rsta.2015.0202
    """

    components: Numbers
    mean: Numbers
    steps: int

    name: ClassVar[str] = "PCA"

    @classmethod
    def fits(cls, task: Reconstruction[Any, Any]) -> bool:
        return True

    @classmethod
    def variants(
        cls, task: Reconstruction[Any, Any], options: Sequence[BackboneOptions]
    ) -> list[Variant]:
        """Return one row for each distinct size of a code."""
        found = {each.code_size(task.inputs) for each in options}
        sizes = sorted(size for size in found if size is not None)
        if not sizes:
            return [Variant(name=cls.name, method=cls)]
        return [Variant(name=f"PCA {size}", method=cls, settings={"size": size}) for size in sizes]

    @classmethod
    def fit(
        cls,
        task: Reconstruction[Any, Any],
        train: Sequence[Any],
        valid: Sequence[Any],
        seed: int,
        *,
        size: int = USUAL,
    ) -> Self:
        """Fit on the training examples.

        Args:
            task: Prepared.
            train: The examples.
            valid: Not used.
            seed: Not used.
            size: Number of components; no more than there are numbers or examples.
        """
        steps = getattr(task.processor, "steps", 0)
        components, mean = principal_components(lambda: rows_of(task, train, steps), size)
        return cls(components=components, mean=mean, steps=steps)

    def predict(self, task: Reconstruction[Any, Any], examples: Sequence[Any]) -> list[Any]:
        items = task.items(examples, asking=True)
        pieces = [
            self.piece(array)
            for start in range(0, len(items), AT_ONCE)
            for array in arrays_of(task, items[start : start + AT_ONCE])
        ]
        return task.conclude(examples, items, pieces)

    def piece(self, array: Numbers) -> Piece:
        """Return the code of an input, and what it is decoded to."""
        code = self.encode(flat(array, self.steps))
        return Piece(code, unflat(self.reconstruct(code), array, self.steps), array)

    def reconstruct(self, codes: Numbers) -> Numbers:
        """Return what codes, (..., code), are decoded to, (..., numbers)."""
        rows: Numbers = codes @ self.components + self.mean
        return rows

    def encode(self, rows: Numbers) -> Numbers:
        """Return the codes of (..., numbers)."""
        codes: Numbers = (rows - self.mean) @ self.components.T
        return codes

    def decode(self, task: Any, codes: Numbers, batch: Batch) -> Numbers:
        if codes.shape[1] != len(self.components):
            raise UsageError(
                f"Codes of this model have {len(self.components)} numbers, and these "
                f"{codes.shape[1]}."
            )
        shape = batch.inputs[task.field_name].shape[1:]
        rows = self.reconstruct(codes)
        return np.stack([unflat(row, np.zeros(shape), self.steps) for row in rows])

    @property
    def parameters(self) -> int:
        return self.components.size + self.mean.size


def principal_components(
    blocks: Callable[[], Iterable[Numbers]], size: int
) -> tuple[Numbers, Numbers]:
    """Return the first principal components, (components, numbers), and the mean.

    Args:
        blocks: Returns all rows, some at a time, (rows, numbers).
        size: How many components, at most.
    """
    count, total = 0, np.zeros(1)
    for rows in blocks():
        count, total = count + len(rows), total + rows.sum(0)
    mean = total / count
    products = np.zeros((len(mean), len(mean)))
    for rows in blocks():
        centred = rows - mean
        products += centred.T @ centred
    _, vectors = np.linalg.eigh(products)  # the largest come last
    most = min(size, count, len(mean))
    return np.ascontiguousarray(vectors[:, ::-1][:, :most].T), mean


def rows_of(
    task: Reconstruction[Any, Any], examples: Sequence[Any], steps: int
) -> Iterator[Numbers]:
    """Yield the examples as vectors, (rows, numbers), some at a time."""
    items = task.items(examples)
    for start in range(0, len(items), AT_ONCE):
        arrays = arrays_of(task, items[start : start + AT_ONCE])
        yield np.stack([flat(array, steps) for array in arrays])


def arrays_of(task: Reconstruction[Any, Any], items: Sequence[Any]) -> list[Numbers]:
    """Return the inputs of a batch as a backbone reads them, without padding."""
    batch = task.collate(items)
    field = batch.inputs[task.field_name].double().numpy()
    if batch.mask is None:
        return list(field)
    return [row[real] for row, real in zip(field, batch.mask.numpy(), strict=True)]


def flat(array: Numbers, steps: int) -> Numbers:
    """Return an array as a vector; of a series its last steps, after zeros if it is shorter."""
    if not steps:
        return array.ravel()
    vector = np.zeros((steps, array.shape[1]))
    count = min(steps, len(array))
    vector[steps - count :] = array[len(array) - count :]
    return vector.ravel()


def unflat(vector: Numbers, like: Numbers, steps: int) -> Numbers:
    """Return a vector in the shape of an array; zeros at the steps of a series it does not have."""
    if not steps:
        return vector.reshape(like.shape)
    values = np.zeros_like(like)
    count = min(steps, len(like))
    values[len(like) - count :] = vector.reshape(steps, -1)[steps - count :]
    return values
