"""What a candidate costs: time for one input, rate in batches, memory, disk."""

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple

import torch

from ensuite.core.runs import CONFIG
from ensuite.predictor import TASK, WEIGHTS, Predictor

ASKED_ALONE = 30
"""Inputs whose single answer is timed."""


class Cost(NamedTuple):
    """What answering takes."""

    answers: list[Any]
    latency_ms: float
    throughput: float


def measure(predictor: Predictor, examples: Sequence[Any]) -> Cost:
    """Answer all examples in batches, and some of them alone, against the clock."""
    alone = []
    step = max(1, len(examples) // ASKED_ALONE)
    predictor.predict_examples(
        examples[:1]
    )  # the first answer pays for what is loaded on first use
    for example in examples[::step][:ASKED_ALONE]:
        began = perf_counter()
        predictor.predict_examples([example])
        alone.append(perf_counter() - began)
    began = perf_counter()
    answers = predictor.predict_examples(examples)
    return Cost(answers, 1000 * median(alone), len(answers) / (perf_counter() - began))


def disk_bytes(run: Path) -> int:
    """Return the size of what a run needs to answer."""
    needed = (WEIGHTS, CONFIG, TASK, "tokenizer.json")
    return sum((run / name).stat().st_size for name in needed if (run / name).exists())


def reset_peak_memory() -> None:
    """Begin to watch for the most memory that is held."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:  # not Linux, or not allowed: the peak is not known
        return


def peak_memory() -> int | None:
    """Return the most bytes held since the reset: of the GPU where one is used, else resident.

    None where the system does not tell.
    """
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return None
    line = next((line for line in status.splitlines() if line.startswith("VmHWM")), "")
    return int(line.split()[1]) * 1024 if line else None
