"""Measure what a candidate costs: latency, throughput, memory, disk space."""

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple

import torch

from ensuite.candidates import METRICS
from ensuite.comparison.answers import NUMBERS, WORDS
from ensuite.predictor import RUN, Predictor

ASKED_ALONE = 30
"""Inputs that are answered alone, to measure the latency."""

NOT_NEEDED = {RUN, METRICS, WORDS, NUMBERS, "report.html", "README.md"}
"""Files of a run folder that predicting does not read."""


class Cost(NamedTuple):
    """The answers to all examples, and what they took.

    Attributes:
        answers: One prediction for each example.
        latency_ms: Median time of one example answered alone, in milliseconds.
        throughput: Examples a second, answered in batches.
    """

    answers: list[Any]
    latency_ms: float
    throughput: float


def measure(predictor: Predictor, examples: Sequence[Any]) -> Cost:
    """Answer all examples in batches, and some of them alone, and time both."""
    alone = []
    step = max(1, len(examples) // ASKED_ALONE)
    predictor.predict_examples(examples[:1])  # loads what is loaded on first use
    for example in examples[::step][:ASKED_ALONE]:
        began = perf_counter()
        predictor.predict_examples([example])
        alone.append(perf_counter() - began)
    began = perf_counter()
    answers = predictor.predict_examples(examples)
    return Cost(answers, 1000 * median(alone), len(answers) / (perf_counter() - began))


def disk_bytes(run: Path) -> int:
    """Return the size of all files of a run folder that predicting needs."""
    files = (each for each in run.iterdir() if each.is_file() and each.name[0] != ".")
    return sum(each.stat().st_size for each in files if each.name not in NOT_NEEDED)


def reset_peak_memory() -> None:
    """Start to measure the peak memory, on every device."""
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
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return None
    line = next((line for line in status.splitlines() if line.startswith("VmHWM")), "")
    return int(line.split()[1]) * 1024 if line else None
