"""Measure what an update costs: CPU time of this process, and wall time."""

from time import perf_counter, process_time
from typing import NamedTuple, Self

import torch


class Moment(NamedTuple):
    """A point in time, in seconds.

    Attributes:
        wall: By a clock that never goes back.
        cpu: CPU time of all threads of this process so far.
    """

    wall: float
    cpu: float

    @classmethod
    def now(cls) -> Self:
        """Read both clocks."""
        return cls(perf_counter(), process_time())


def charged_seconds(began: Moment, ended: Moment, device: torch.device, threads: int) -> float:
    """Return the seconds that a budget of time charges for the work between two moments.

    On a CPU these are CPU seconds divided by the number of threads: on a quiet machine about the
    wall time, and no more than that beside other processes. On any other device it is wall time,
    since the CPU only waits for it.
    """
    if device.type != "cpu":
        return ended.wall - began.wall
    return (ended.cpu - began.cpu) / threads
