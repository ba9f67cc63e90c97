"""Causal attention: which keys each position attends to, with padding, documents and windows."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from ensuite.core.batch import Batch, Carry


class Reach(NamedTuple):
    """Which keys each query attends to.

    Attributes:
        mask: True where a query attends to a key. None: everywhere, or as ``causal`` says.
        causal: Whether queries and keys are the same positions, each seeing the earlier ones.
    """

    mask: Bool[Tensor, "#batch 1 time key"] | None = None
    causal: bool = False


class Layout(NamedTuple):
    """How the positions of a batch lie, with what is remembered of earlier chunks before them.

    Attributes:
        places: Index of each position in its document, from 0.
        reach: Which keys each position attends to.
        lasts: Column of the last real position of each row.
        numbers: Index of each key in its row, with those of earlier chunks; -1 at padding.
        documents: Number of the document of each key.
        read: How many real positions of each row were read by now.
    """

    places: Int[Tensor, "#batch time"]
    reach: Reach
    lasts: Int[Tensor, " batch"]
    numbers: Int[Tensor, "#batch key"]
    documents: Int[Tensor, "#batch key"]
    read: Int[Tensor, " batch"]


def arrange(
    batch: Batch,
    tokens: Int[Tensor, "batch time"],
    window: int | None,
    seen: Carry | None = None,
) -> Layout:
    """Return how the positions of a batch lie.

    Where rows begin at their first column and each is of one document, the causal mask says all:
    no real position sees the padding behind it. That is the case that kernels are fast at.

    Args:
        batch: Its mask may have padding on either side of a row; attention stops where its
            documents change.
        tokens: To be read.
        window: How many positions, its own included, one attends to; None: all.
        seen: What the last chunk of the same rows handed over.
    """
    real = torch.ones_like(tokens, dtype=torch.bool) if batch.mask is None else batch.mask
    documents = torch.zeros_like(tokens) if batch.documents is None else batch.documents
    columns = torch.arange(tokens.shape[1], device=tokens.device)
    lasts = (real * columns).amax(1)
    one = ((documents == documents[:, :1]) | ~real).all() & real[:, 0].all()
    read = real.sum(1) if seen is None else seen["read"] + real.sum(1)
    if seen is None and (window is None or tokens.shape[1] <= window) and one:
        numbers = torch.where(real, columns, -1)
        places = torch.minimum(columns, lasts.max())[None]  # padding has no positions of its own
        return Layout(places, Reach(causal=True), lasts, numbers, documents, read)
    before = 0 if seen is None else seen["read"][:, None]
    numbers = torch.where(real, real.cumsum(1) - 1 + before, -1)
    places = numbers.clamp(min=0)
    if seen is None:
        places = restart(places, documents)
        keys, owners = numbers, documents
    else:
        keys = torch.cat([seen["numbers"], numbers], dim=1)
        owners = torch.cat([seen["documents"], documents], dim=1)
    mask = (keys[:, None] >= 0) & (keys[:, None] <= numbers[..., None])
    mask &= owners[:, None] == documents[..., None]
    if window is not None:
        mask &= keys[:, None] > numbers[..., None] - window
    # Padding attends to itself: without any key its output would be undefined.
    mask.diagonal(keys.shape[1] - tokens.shape[1], 1, 2).fill_(True)
    return Layout(places, Reach(mask[:, None]), lasts, keys, owners, read)


def restart(
    places: Int[Tensor, "batch time"], documents: Int[Tensor, "batch time"]
) -> Int[Tensor, "batch time"]:
    """Return places that begin anew at 0 where a document does; those of padding are 0 as well."""
    starts = torch.ones_like(documents, dtype=torch.bool)
    starts[:, 1:] = documents[:, 1:] != documents[:, :-1]
    return (places - torch.where(starts, places, 0).cummax(1).values).clamp(min=0)


def reach_back(
    places: Int[Tensor, " time"], keys: Int[Tensor, " key"], window: int | None
) -> Reach:
    """Return the reach of positions that follow one another, after keys that all rows have."""
    if len(places) == len(keys) and (window is None or len(places) <= window):
        return Reach(causal=True)
    mask = keys <= places[:, None]
    if window is not None:
        mask &= keys > places[:, None] - window
    return Reach(mask[None, None])
