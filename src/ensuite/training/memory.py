"""Go on after running out of memory: compute each batch in smaller pieces."""

from collections.abc import Mapping
from dataclasses import replace
from math import ceil

import torch
from torch import Tensor

from ensuite.core.batch import Batch, Carry
from ensuite.core.errors import OutOfMemoryError

PHRASES = ("out of memory", "not enough memory", "can't allocate memory")
"""What the errors of torch say, on a GPU and on a CPU, where they have no class of their own."""


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory could not be allocated."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(each in str(error) for each in PHRASES)


def split(batch: Batch, pieces: int) -> list[Batch]:
    """Return the rows of a batch as several smaller batches, in order.

    The losses of the pieces add up to that of the batch, since losses are sums and what they are
    divided by is counted on the whole batch.

    Args:
        batch: Every tensor of it has the rows first.
        pieces: How many to make at most; a batch of fewer rows gives fewer.

    Raises:
        OutOfMemoryError: If a tensor of the batch does not have the rows first.
    """
    if pieces == 1:
        return [batch]
    size = max(1, ceil(len(batch) / pieces))
    return [_rows(batch, start, start + size) for start in range(0, len(batch), size)]


def _rows(batch: Batch, start: int, end: int) -> Batch:
    rows = len(batch)

    def cut(tensor: Tensor) -> Tensor:
        if not tensor.dim() or len(tensor) != rows:
            raise OutOfMemoryError(
                f"Training ran out of memory, and its batches of {rows} rows cannot be split; "
                "give a smaller batch: --set recipe.batch_size="
                f"{max(1, rows // 2)} --set recipe.accumulate=2"
            )
        return tensor[start:end]

    def cut_all(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: cut(tensor) for name, tensor in tensors.items()}

    return replace(
        batch,
        inputs=cut_all(batch.inputs),
        mask=None if batch.mask is None else cut(batch.mask),
        targets=cut_all(batch.targets),
        documents=None if batch.documents is None else cut(batch.documents),
        carry=None if batch.carry is None else cut_all(batch.carry),
    )


def join(carries: list[Carry | None]) -> Carry | None:
    """Return the carry of a batch from those of its pieces; None if a piece hands none on."""
    known = [carry for carry in carries if carry is not None]
    if not known or len(known) < len(carries):
        return None
    if len(known) == 1:
        return known[0]
    return {name: torch.cat([carry[name] for carry in known]) for name in known[0]}
