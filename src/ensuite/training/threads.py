"""How many CPU threads to train with: one, unless two are clearly faster."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter

import torch

from ensuite.training.loop import update
from ensuite.training.training import Training

FASTER = 1.2
"""Two threads are chosen if an update is at least so many times faster with them."""

ROUNDS = 31
"""Updates that are timed with each number of threads, at most."""

LEAD = 7
"""Rounds by which one answer must lead to be taken before the last round. If each round gives the
right answer with probability p, the wrong one gets this lead with probability 1 / (1 + (p /
(1 - p))⁷): 0.3 % for p = 0.7, where the majority of 31 rounds is wrong in 1 %.

Source: Wald (1945), https://doi.org/10.1214/aoms/1177731118, section 4.3
"""

SECONDS = 3.0
"""Time after which no further round is begun, so that large models are measured briefly too."""


def set_threads(threads: int) -> None:
    """Set the number of CPU threads of this process.

    Raises:
        ValueError: If it is less than 1.
    """
    if threads < 1:
        raise ValueError(f"threads must be 1 or more, not {threads}")
    torch.set_num_threads(threads)


@contextmanager
def use_threads(threads: int | None) -> Iterator[None]:
    """Compute with that many CPU threads, and restore the number afterwards; None: leave it."""
    before = torch.get_num_threads()
    if threads is not None:
        set_threads(threads)
    try:
        yield
    finally:
        set_threads(before)


def choose_threads(
    make_training: Callable[[], Training], *, clock: Callable[[], float] = perf_counter
) -> int:
    """Return 2 if updates are at least 1.2 times faster with two threads, else 1.

    The two take turns, update by update, on the same batches, and so does which of them is first,
    so that other work on the machine slows both down alike. Each round gives an answer, and the
    more frequent one is taken: at the end, or as soon as it leads by seven rounds. The number of
    threads of the process is restored.

    Args:
        make_training: Returns a new training; called once at most. Nothing of it is kept.
        clock: Returns the current time in seconds.
    """
    if available_cores() < 2:
        return 1
    with use_threads(None):
        return 2 if _lead_of_two(make_training(), clock) > 0 else 1


def available_cores() -> int:
    """Return the number of CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _lead_of_two(training: Training, clock: Callable[[], float]) -> int:
    """Return in how many more rounds two threads were fast enough than were not."""
    if training.device.type != "cpu":  # there the CPU only waits
        return 0
    trainings = {1: training, 2: training.twin()}
    for threads, each in trainings.items():
        each.model.train()
        _seconds(each, threads, clock)  # a first update compiles, and starts the threads
    lead, began = 0, clock()
    for number in range(ROUNDS):
        if abs(lead) >= LEAD or (number and clock() - began >= SECONDS):
            break
        order = (1, 2) if number % 2 == 0 else (2, 1)
        seconds = {threads: _seconds(trainings[threads], threads, clock) for threads in order}
        lead += 1 if seconds[1] / seconds[2] >= FASTER else -1
    return lead


def _seconds(training: Training, threads: int, clock: Callable[[], float]) -> float:
    """Return the wall time of one update."""
    set_threads(threads)
    began = clock()
    update(training)
    return clock() - began
