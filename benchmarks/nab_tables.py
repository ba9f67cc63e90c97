"""The table of the Numenta Anomaly Benchmark (NAB), with its three scoring profiles.

    python -m benchmarks.nab_tables [--seed 0] [--series 0:58] [--out runs/nab-tables]

The data lie in ``$ENSUITE_DATA/nab`` (Lavin & Ahmad 2015). Each series is learned from its first
15 % alone, 750 steps at most, and each step is scored by the readings up to it. As NAB does, all
series share one threshold, the best over all of them. The scores of a finished series are kept in
``--out`` and not computed again; the table is printed once all series are done.

A row of the table is a detector and what is made of its scores, from present and past steps alone:

* error: the logarithm of the score, averaged over the last 5 steps.
* likelihood: how far the mean over the last 10 steps is above the mean over the last 8,000, in
  deviations of these, as in Ahmad et al. (2017), https://doi.org/10.1016/j.neucom.2017.04.070
* deviation: the same of the step alone, without the mean over 10 steps.

Beside them stand a random and a constant detector, and the deviation of the value itself.
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.detect_tables import Size, fitted_to
from ensuite.api import open_sorted
from ensuite.core.files import read_tensors, write_tensors
from ensuite.core.split import CALIBRATION
from ensuite.data import readers
from ensuite.data.readings import Readings, stretches
from ensuite.metrics import nab

Numbers = NDArray[np.float64]

WINDOW = 32
"""Steps of the windows that models read."""

SMOOTHED = 5
"""Steps that errors are averaged over."""

RECENT, LONG = 10, 8000
"""Steps of the two means that the likelihood compares."""

PROFILES = {
    "standard": nab.STANDARD,
    "reward low FP": nab.FEW_FALSE_ALARMS,
    "reward low FN": nab.FEW_MISSES,
}

CHANCE = ("random", "constant", "position")
"""Baselines that learn nothing."""


class Recording(NamedTuple):
    """A series of NAB.

    Attributes:
        name: Its file.
        values: (steps,)
        windows: First and last step of each window around an anomaly.
    """

    name: str
    values: Numbers
    windows: list[tuple[int, int]]


def recordings(folder: Path) -> list[Recording]:
    """Return all series of NAB, in the order of its file of windows."""
    labels = json.loads((folder / "labels" / "combined_windows.json").read_text())
    found = []
    for name, dated in labels.items():
        table = readers.read(next((folder / "data").glob(f"{name}*")))
        stamps = np.array(table.columns["timestamp"], dtype="datetime64[s]")
        ends = np.array(dated, dtype="datetime64[s]").reshape(-1, 2)
        windows = [(int(first), int(last)) for first, last in np.searchsorted(stamps, ends)]
        values = np.array(table.columns["value"], dtype=float)
        found.append(Recording(name, values, windows))
    return found


def learned_scores(size: Size, seed: int, values: Numbers) -> dict[str, Numbers]:
    """Return the scores of each model for all steps of a series, learned from its first 15 %.

    Steps are counted: some time stamps of NAB come twice. The last fifth of what is learned from
    is the validation part, and the fifth before it tells what errors are usual. Steps before a
    whole window have the score 1. Where the values that are learned from never change, nothing can
    be learned, and no model has scores.
    """
    learned = nab.probation(len(values))
    if not np.ptp(values[: int(0.6 * learned)]):
        return {}
    seen = {"value": values[:learned].tolist()}
    settings = [f"window={WINDOW}", "live=true", "stride=1"]
    source, mine = open_sorted("detect", seen, size.models, settings)
    track = source.examples["train"].tracks[0]  # type: ignore[attr-defined]
    borders = (0, int(0.6 * learned), int(0.8 * learned), learned)
    names = ("train", CALIBRATION, "valid")
    parts: dict[str, Any] = {
        name: Readings.of(stretches(track.series, track.marks, begin, end, WINDOW))
        for name, (begin, end) in zip(names, pairwise(borders), strict=True)
    }
    problem = source.problem({**parts, "test": parts["valid"]}, "by hand")
    asked = source.reader.read(readers.read({"value": values.tolist()}), {}, asking=True)[1]
    found = {}
    for name, predictor in fitted_to(size, seed, problem, mine):
        if name not in CHANCE:
            scores = np.array([each.score for each in predictor.predict_examples(asked)])
            found[name] = np.nan_to_num(scores, nan=1.0)
    return found


def kept_scores(size: Size, seed: int, out: Path, each: Recording) -> dict[str, Numbers]:
    """Return the scores of a series, computed unless they are kept from an earlier run.

    Steps before a whole window have the score of the first step that has one.
    """
    path = out / f"{'-'.join(size.models)}-{seed}" / f"{each.name.replace('/', '-')}.safetensors"
    if not path.exists():
        scores = learned_scores(size, seed, each.values)
        write_tensors(path, {name: torch.from_numpy(found) for name, found in scores.items()})
    found = {name: scores.numpy().copy() for name, scores in read_tensors(path).items()}
    for scores in found.values():
        scores[: WINDOW - 1] = scores[WINDOW - 1]
    return found


# What is made of scores


def smoothed(scores: Numbers) -> Numbers:
    """Return the logarithms of scores, averaged over the last few steps; 0 before the first.

    >>> smoothed(np.ones(3)).tolist()
    [0.0, 0.0, 0.0]
    """
    return last_mean(np.log(scores.clip(1e-6)), SMOOTHED, missing=0.0)


def deviation(scores: Numbers, recent: int = 1) -> Numbers:
    """Return how far recent scores are above the last 8,000, in deviations of these.

    It adapts: what lasts becomes usual.
    """
    now, usual = last_mean(scores, recent), last_mean(scores, LONG)
    variance = last_mean(np.square(scores), LONG) - np.square(usual)
    return (now - usual) / np.sqrt(variance.clip(1e-12))


def likelihood(scores: Numbers) -> Numbers:
    """Return the deviation of the mean over the last few steps."""
    return deviation(scores, RECENT)


def last_mean(values: Numbers, steps: int, missing: float | None = None) -> Numbers:
    """Return the mean over so many steps up to each; over fewer where there are no more.

    Args:
        values: (steps,)
        steps: How many.
        missing: Value of those before the first; None: they are not counted.

    >>> last_mean(np.array([1.0, 3.0, 5.0]), 2).tolist()
    [1.0, 2.0, 4.0]
    """
    totals = np.concatenate([[0.0], np.cumsum(values)])
    places = np.arange(1, len(values) + 1)
    first = np.maximum(0, places - steps)
    absent = steps - (places - first)
    sums = totals[places] - totals[first]
    return sums / (places - first) if missing is None else (sums + missing * absent) / steps


READINGS: Mapping[str, Callable[[Numbers], Numbers]] = {
    "error": smoothed,
    "likelihood": likelihood,
    "deviation": deviation,
}


# The table


def rows(
    every: Sequence[Recording], found: Sequence[Mapping[str, Numbers]], seed: int
) -> dict[str, list[nab.Series]]:
    """Return what each detector makes of all series; no alarm in a series without scores."""
    random = np.random.default_rng(seed)
    table: dict[str, list[nab.Series]] = {}
    models = list(dict.fromkeys(name for scores in found for name in scores))
    for each, scores in zip(every, found, strict=True):
        never = np.full(len(each.values), -np.inf)
        made = {
            f"{name}, {reading}": change(scores[name]) if scores else never
            for name in models
            for reading, change in READINGS.items()
        }
        made["the value, deviation"] = np.abs(deviation(each.values))
        made["random"] = random.random(len(each.values))
        made["constant"] = np.zeros(len(each.values))
        for name, values in made.items():
            table.setdefault(name, []).append(nab.Series(values, each.windows))
    return table


def print_table(table: Mapping[str, Sequence[nab.Series]]) -> None:
    """Print the score of each detector in each profile, each at its own best threshold."""
    print(f"\n| detector | {' | '.join(PROFILES)} |\n|---|{'--:|' * len(PROFILES)}")
    for name, every in table.items():
        scores = [nab.best(every, profile).score for profile in PROFILES.values()]
        print(f"| {name} | {' | '.join(f'{score:.1f}' for score in scores)} |", flush=True)


def run(size: Size, seed: int, out: Path, some: slice = slice(None)) -> None:
    """Score some series, and print the table if these are all."""
    every = recordings(size.data / "nab")
    found = []
    for each in every[some]:
        found.append(kept_scores(size, seed, out, each))
        print(each.name, file=sys.stderr, flush=True)
    if len(found) == len(every):
        print_table(rows(every, found, seed))


def main() -> None:
    """Score the series that are asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--series", default=":", help="FIRST:END, counted from 0; default: all")
    parser.add_argument("--models", default=",".join(Size.models))
    parser.add_argument("--budget", default=Size.budget)
    parser.add_argument("--out", type=Path, default=Path("runs/nab-tables"))
    given = parser.parse_args()
    size = Size(models=given.models.split(","), budget=given.budget)
    first, end = (int(text) if text else None for text in given.series.split(":"))
    run(size, given.seed, given.out, slice(first, end))


if __name__ == "__main__":
    main()
