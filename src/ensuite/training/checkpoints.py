"""When to write checkpoints: rarely enough that they cost at most a twentieth of training."""

from collections.abc import Callable
from time import perf_counter

SAVE_EVERY = 10.0
"""Least number of seconds between two checkpoints."""

LARGEST_SHARE = 0.05
"""Largest fraction of the training time that writing checkpoints may take."""


class Saver:
    """Write checkpoints while a model trains.

    A checkpoint is due ``SAVE_EVERY`` seconds after the last one, but not before the time that all
    of them have taken, together with as much again as the last one took, is within
    ``LARGEST_SHARE`` of the training time. The first one is due after ``SAVE_EVERY`` seconds, since
    only writing it tells what it costs.

    Args:
        save: Writes a checkpoint.
        trained: Returns the seconds spent on updates so far, by the wall clock.
        clock: Returns the current time in seconds.
    """

    def __init__(
        self,
        save: Callable[[], None],
        trained: Callable[[], float],
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        self._save, self._trained, self._clock = save, trained, clock
        self._last_save, self._last_cost = clock(), 0.0
        self._begin = trained()  # of a training that was resumed, the checkpoints before are gone
        self._cost = 0.0

    @property
    def due(self) -> bool:
        """Whether it is time to write a checkpoint."""
        if self._clock() - self._last_save < SAVE_EVERY:
            return False
        trained = self._trained() - self._begin
        return self._cost + self._last_cost <= LARGEST_SHARE * trained or not self._cost

    def save_if_due(self) -> None:
        """Write a checkpoint if it is time to."""
        if self.due:
            self.save()

    def save(self) -> None:
        """Write a checkpoint now, and measure how long that takes."""
        began = self._clock()
        self._save()
        self._last_save = self._clock()
        self._last_cost = self._last_save - began
        self._cost += self._last_cost
