"""Run jobs one after the other, or several side by side in processes of their own."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.synchronize import Event
from pickle import PicklingError
from typing import Any, TypeVar

from ensuite.core.errors import TrainingError, UsageError
from ensuite.training.callback import Callback
from ensuite.training.training import Progress, Training

Job = TypeVar("Job")
Result = TypeVar("Result")


def run_jobs(
    jobs: Iterable[Job],
    run: Callable[[Job, Callback], Result],
    *,
    processes: int = 1,
    callback: Callback,
) -> Iterator[tuple[Job, Result]]:
    """Yield each job with its result, as they end.

    The next job is taken when there is a process for it, so that ``jobs`` may decide by what has
    ended so far whether there is a next one.

    Args:
        jobs: What to run.
        run: Runs one; it and its results are sent to other processes and back.
        processes: How many jobs run side by side; 1: in this process.
        callback: Called while a job runs in this process. Other processes call none.

    Raises:
        UsageError: If a candidate cannot be sent to another process.
    """
    if processes == 1:
        for job in jobs:
            yield job, run(job, callback)
        return
    # Processes that are forked would share locks with the threads of this one.
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    with ProcessPoolExecutor(processes, context, _begin, (run, stop, os.getpid())) as pool:
        try:
            yield from _keep_busy(pool, jobs, processes)
        except BrokenProcessPool as error:
            raise TrainingError(
                "A process of --jobs has ended, perhaps for want of memory; give fewer --jobs, and "
                "run the same command again to go on."
            ) from error
        except BaseException:
            stop.set()
            raise


def _keep_busy(
    pool: ProcessPoolExecutor, jobs: Iterable[Job], processes: int
) -> Iterator[tuple[Job, Any]]:
    """Yield results while as many jobs run as there are processes."""
    waiting, running = iter(jobs), dict[Future[Any], Job]()
    while True:
        while len(running) < processes and (job := next(waiting, None)) is not None:
            running[pool.submit(_run, job)] = job
        if not running:
            return
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            job = running.pop(future)
            try:
                result = future.result()
            except (PicklingError, AttributeError, TypeError) as error:
                raise UsageError(
                    f"A candidate cannot be sent to another process ({error}); leave out --jobs."
                ) from error
            yield job, result


class Stop(Callback):
    """Interrupt training, as Ctrl-C does, where the process that asked for it stops or has ended.

    Args:
        stop: Set by that process.
        parent: Its number.
    """

    def __init__(self, stop: Event, parent: int) -> None:
        self.stop, self.parent = stop, parent

    def update(self, training: Training, progress: Progress) -> None:
        if self.stop.is_set() or os.getppid() != self.parent:
            signal.raise_signal(signal.SIGINT)  # the training then writes a checkpoint, and ends


_task: list[Any] = []
"""In a process of the pool: what runs a job, and the callback of its training."""


def _begin(run: Callable[..., Any], stop: Event, parent: int) -> None:
    """Set up a process of the pool."""
    if hasattr(os, "setpgrp"):  # Ctrl-C on the terminal then reaches the parent alone
        os.setpgrp()
    _task[:] = [run, Stop(stop, parent)]


def _run(job: Any) -> Any:
    """Run a job in a process of the pool."""
    run, callback = _task
    return run(job, callback)
