"""Key-value cache: what an attention has computed of the positions it has read."""

import torch
from jaxtyping import Float
from torch import Tensor

LEAST = 16
"""Fewest positions that a cache has room for."""


class Cache:
    """The keys and values of one layer, in tensors with room for more positions.

    The room doubles when it is full, so that reading n positions copies fewer than 2 n. With
    ``most``, the cache is a ring that holds the last positions only, and never grows beyond them.

    Tensors are written in place where no gradient is computed: whoever goes on twice from one
    state copies it first.

    Args:
        keys: Rotated where positions are rotary; the last slots may be empty.
        values: In the same slots.
        read: How many positions were read.
        most: How many of the last positions are kept; None: all.
    """

    def __init__(
        self,
        keys: Float[Tensor, "batch head slot size"],
        values: Float[Tensor, "batch head slot size"],
        read: int,
        most: int | None = None,
    ) -> None:
        self.keys, self.values, self.read, self.most = keys, values, read, most

    def extend(
        self,
        keys: Float[Tensor, "batch head time size"],
        values: Float[Tensor, "batch head time size"],
    ) -> tuple[Float[Tensor, "batch head key size"], Float[Tensor, "batch head key size"]]:
        """Add new positions; return the keys and values that they may attend to.

        Several positions get those of all kept and new positions, in order. A single one gets
        those that are kept now, in a ring in no order.
        """
        time, before = keys.shape[2], self.read
        self.read += time
        if self.most is None or self.read <= self.most:
            self.keys = write(room(self.keys, self.read, self.most), keys, before)
            self.values = write(room(self.values, self.read, self.most), values, before)
            return self.keys[:, :, : self.read], self.values[:, :, : self.read]
        if time == 1:
            slot = before % self.most
            self.keys = write(room(self.keys, self.most, self.most), keys, slot)
            self.values = write(room(self.values, self.most, self.most), values, slot)
            return self.keys, self.values
        wide = [
            torch.cat([in_order(kept, before, self.most), new], dim=2)
            for kept, new in ((self.keys, keys), (self.values, values))
        ]
        self.keys, self.values = (ring(each, self.read, self.most) for each in wide)
        return wide[0], wide[1]


def room(
    cache: Float[Tensor, "batch head slot size"], slots: int, most: int | None = None
) -> Float[Tensor, "batch head larger size"]:
    """Return the cache with at least so many slots, and no more than ``most``."""
    held = cache.shape[2]
    if held >= slots:
        return cache
    larger = max(LEAST, 1 << (slots - 1).bit_length())
    larger = larger if most is None else min(larger, most)
    grown = cache.new_zeros(*cache.shape[:2], larger, cache.shape[3])
    return write(grown, cache, 0)


def write(
    cache: Float[Tensor, "batch head slot size"],
    news: Float[Tensor, "batch head time size"],
    start: int,
) -> Float[Tensor, "batch head slot size"]:
    """Put new positions into the slots from ``start`` on; in place where no gradient is needed."""
    if cache.requires_grad or (torch.is_grad_enabled() and news.requires_grad):
        cache = cache.clone()
    cache[:, :, start : start + news.shape[2]] = news
    return cache


def in_order(
    cache: Float[Tensor, "batch head slot size"], read: int, most: int
) -> Float[Tensor, "batch head kept size"]:
    """Return the positions of a ring, the oldest first."""
    if read <= most:
        return cache[:, :, :read]
    return cache.roll(-(read % most), dims=2)


def ring(
    ordered: Float[Tensor, "batch head kept size"], read: int, most: int
) -> Float[Tensor, "batch head slot size"]:
    """Return the last ``most`` of ordered positions as a ring, position p in slot p % most."""
    return ordered[:, :, -most:].roll(read % most, dims=2)
