"""Measure what a candidate costs: latency, throughput, memory, disk space."""

import ctypes
import gc
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple

import torch

from ensuite.candidates import METRICS
from ensuite.comparison.answers import NUMBERS, WORDS
from ensuite.predictor import RUN, Predictor
from ensuite.training.threads import use_threads

ASKED_ALONE = 30
"""Inputs that are answered alone, to measure the latency, at most."""

LATENCY_SECONDS = 5.0
"""Seconds for each predictor after which no further input is asked."""

LARGE = 2**29
"""Resident bytes from which on it is worth the time to give freed memory back."""

SEEN = "trained_on.safetensors"
"""File of a run folder that tells which inputs it was trained on."""

NOT_NEEDED = {RUN, METRICS, WORDS, NUMBERS, SEEN, "report.html", "README.md"}
"""Files of a run folder that predicting does not read."""


class Answered(NamedTuple):
    """The answers to all examples, and how fast they came.

    Attributes:
        answers: One prediction for each example.
        throughput: Examples a second, answered in batches.
    """

    answers: list[Any]
    throughput: float


def answer(predictor: Predictor, examples: Sequence[Any]) -> Answered:
    """Answer all examples in batches, and time that."""
    predictor.predict_examples(examples[:1])  # loads what is loaded on first use
    began = perf_counter()
    answers = predictor.predict_examples(examples)
    return Answered(answers, len(answers) / (perf_counter() - began))


def measure_latency(
    predictors: Mapping[str, Predictor],
    examples: Sequence[Any],
    *,
    clock: Callable[[], float] = perf_counter,
) -> dict[str, float]:
    """Return the median time that each predictor takes for one example alone, in milliseconds.

    The predictors take turns, example by example, so that whatever else the machine does slows all
    of them down alike. All compute with one thread.

    Args:
        predictors: By name.
        examples: Some of them are asked.
        clock: Returns the current time in seconds.
    """
    step = max(1, len(examples) // ASKED_ALONE)
    times: dict[str, list[float]] = {name: [] for name in predictors}
    with use_threads(1):
        for predictor in predictors.values():
            predictor.predict_examples(examples[:1])  # loads what is loaded on first use
        start = clock()
        for example in examples[::step][:ASKED_ALONE]:
            for name, predictor in predictors.items():
                began = clock()
                predictor.predict_examples([example])
                times[name].append(clock() - began)
            if clock() - start > LATENCY_SECONDS * len(predictors):
                break
    return {name: 1000 * median(each) for name, each in times.items() if each}


def disk_bytes(run: Path) -> int:
    """Return the size of all files of a run folder that predicting needs."""
    files = (each for each in run.iterdir() if each.is_file() and each.name[0] != ".")
    return sum(each.stat().st_size for each in files if each.name not in NOT_NEEDED)


def reset_peak_memory() -> None:
    """Start to measure the peak memory, on every device.

    What the trainings before have freed is given back to the system first, where it is much: it
    would count as memory of this one.
    """
    resident = memory_status("VmRSS")
    if resident is not None and resident > LARGE:
        gc.collect()
        with suppress(AttributeError, OSError):  # another C library than glibc keeps what it keeps
            ctypes.CDLL(None).malloc_trim(0)
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:  # not Linux, or not allowed: the peak is not known
        return


def peak_memory(device: torch.device) -> int | None:
    """Return the peak memory since the reset, in bytes, of the device that was used.

    On a CPU it is the resident memory of this process; None where the system does not tell.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return memory_status("VmHWM")


def memory_status(name: str) -> int | None:
    """Return a number of bytes that Linux tells of this process; None on other systems."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return None
    line = next((line for line in status.splitlines() if line.startswith(name)), "")
    return int(line.split()[1]) * 1024 if line else None
