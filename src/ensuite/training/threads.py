"""How many CPU threads to train with: one, unless two are clearly faster."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median
from time import perf_counter

import torch

from ensuite.training.loop import update
from ensuite.training.training import Training

FASTER = 1.2
"""Two threads are chosen if an update is at least so many times faster with them."""

ROUNDS = 31
"""Updates that are timed with each number of threads, at most."""

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

    The two take turns, update by update, on the same batches, and so does which of them is
    first, so that other work on the machine slows both down alike. The median of the ratios
    decides. The number of threads of the process is restored.

    Args:
        make_training: Returns a new training; called twice. Nothing of it is kept.
        clock: Returns the current time in seconds.
    """
    if available_cores() < 2:
        return 1
    with use_threads(None):
        ratios = _measure(make_training, clock)
    return 2 if ratios and median(ratios) >= FASTER else 1


def available_cores() -> int:
    """Return the number of CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _measure(make_training: Callable[[], Training], clock: Callable[[], float]) -> list[float]:
    """Return for each round how many times faster the update was with two threads."""
    trainings = {threads: make_training() for threads in (1, 2)}
    if trainings[1].device.type != "cpu":  # there the CPU only waits
        return []
    for threads, training in trainings.items():
        training.model.train()
        _seconds(training, threads, clock)  # a first update compiles, and starts the threads
    ratios: list[float] = []
    began = clock()
    while len(ratios) < ROUNDS and (not ratios or clock() - began < SECONDS):
        order = (1, 2) if len(ratios) % 2 == 0 else (2, 1)
        seconds = {threads: _seconds(trainings[threads], threads, clock) for threads in order}
        ratios.append(seconds[1] / seconds[2])
    return ratios


def _seconds(training: Training, threads: int, clock: Callable[[], float]) -> float:
    """Return the wall time of one update."""
    set_threads(threads)
    began = clock()
    update(training)
    return clock() - began
