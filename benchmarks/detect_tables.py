"""Tables of anomaly detection on public data, beside principal components and isolation forest.

    python -m benchmarks.detect_tables adbench fraud ecg [--seeds 3] [--budget 1500steps]

The data lie in the folder ``$ENSUITE_DATA``: ``adbench/*.npz`` (Han et al. 2022), the card-fraud
sample and ``ecg5000`` (UCR). Each table is printed as Markdown.
"""

import argparse
import os
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from ensuite.api import open_sorted
from ensuite.core.errors import DataError
from ensuite.data import readers
from ensuite.predictor import Predictor
from ensuite.problem import Problem, divide_source
from ensuite.specs import Settings, baselines, choose
from ensuite.tasks.detect import Example
from ensuite.training.budget import Budget
from ensuite.training.callback import Callback
from ensuite.training.device import choose_device

Numbers = NDArray[Any]
Metrics = Mapping[str, float]

MODELS = ("autoencoder", "vae")

COSTS = "miss:500,alarm:5,rate:0.00173"
"""Of a fraud and of an alarm; in all card transactions of the source 492 in 284,807 are frauds."""


@dataclass(frozen=True)
class Size:
    """What is run.

    Args:
        seeds: Splits of each set.
        data: The folder of the data.
        models: Compared beside the baselines.
        budget: Of each model.
    """

    seeds: int = 3
    data: Path = field(default_factory=lambda: Path(os.environ["ENSUITE_DATA"]))
    models: Sequence[str] = MODELS
    budget: str = "1500steps"


def fitted(size: Size, seed: int, train: Any, **reading: Any) -> Iterator[tuple[str, Predictor]]:
    """Yield each model and baseline, calibrated; sizes of codes are left out of the names.

    Args:
        size: Has the models and their budget.
        seed: Of weights and order.
        train: The training rows.
        reading: How they are read: settings, a test part.
    """
    settings = [f"{name}={value}" for name, value in reading.pop("settings", {}).items()]
    source, mine = open_sorted("detect", train, size.models, settings, **reading)
    yield from fitted_to(size, seed, divide_source(source), mine)


def fitted_to(
    size: Size, seed: int, problem: Problem, mine: Settings
) -> Iterator[tuple[str, Predictor]]:
    """Yield each model and baseline of a problem, calibrated."""
    torch.set_num_threads(1)
    trained = choose(size.models, problem, mine, choose_device("cpu"), None)
    for candidate in [*trained, *baselines(problem, trained)]:
        with TemporaryDirectory() as folder:
            done = candidate.fit(
                problem, budget=Budget.parse(size.budget), seed=seed, folder=Path(folder),
                callback=Callback(),
            )  # fmt: skip
        yield "PCA" if candidate.name.startswith("PCA") else candidate.name, done.predictor


def halves(rows: Numbers, labels: Numbers, seed: int) -> tuple[dict[str, Numbers], ...]:
    """Return 70 % of the rows to train on and the others to test on, each class alike."""
    parts = train_test_split(rows, labels, test_size=0.3, stratify=labels, random_state=seed)
    return {"X": parts[0], "y": parts[2]}, {"X": parts[1], "y": parts[3]}


# The six sets of ADBench


def adbench(size: Size) -> None:
    """Print AUROC and average precision on each set, averaged over the splits so far."""
    files = sorted((size.data / "adbench").glob("*.npz"), key=lambda path: path.stem.split("_")[1])
    found: dict[str, dict[str, list[Metrics]]] = defaultdict(lambda: defaultdict(list))
    for seed in range(1, size.seeds + 1):
        for path in files:
            arrays = np.load(path)
            train, test = halves(arrays["X"], arrays["y"], seed)
            for model, predictor in fitted(size, seed, train, test=test):
                metrics = predictor.evaluate(test)
                found[path.stem.split("_")[1]][model].append(metrics)
                print(path.stem, seed, model, f"{metrics['auroc']:.4f}", file=sys.stderr)
        print(f"\n{seed} of {size.seeds} splits")
        for metric in ("auroc", "average_precision", "false_alarm_rate", "recall"):
            print_means(metric, found)


def print_means(metric: str, found: Mapping[str, Mapping[str, Sequence[Metrics]]]) -> None:
    """Print a table of one metric: models down, sets across, the mean over the sets last."""
    models = list(next(iter(found.values())))
    print(f"\n| {metric} | {' | '.join(found)} | mean |\n|---|{'--:|' * (len(found) + 1)}")
    for model in models:
        means = [np.mean([each[metric] for each in rows[model]]) for rows in found.values()]
        cells = " | ".join(f"{mean:.3f}" for mean in (*means, np.mean(means)))
        print(f"| {model} | {cells} |", flush=True)


# Card fraud


def fraud(size: Size) -> None:
    """Print ranking, the promise, and the cost at the cheapest threshold."""
    table = readers.read(size.data / "fraud_sample" / "creditcard_sample.csv.gz")
    columns = {name: np.asarray(cells, float) for name, cells in table.columns.items()}
    labels = columns.pop("Class").astype(int)
    rows = np.stack(list(columns.values()), axis=1)
    found: dict[str, list[Metrics]] = defaultdict(list)
    for seed in range(1, size.seeds + 1):
        train, test = halves(rows, labels, seed)
        for model, predictor in fitted(size, seed, train, test=test, settings={"cost": COSTS}):
            found[model].append(predictor.evaluate(test))
    print_metrics(found, ("auroc", "average_precision", "false_alarm_rate", "recall", "cost"))


def print_metrics(found: Mapping[str, Sequence[Metrics]], names: Sequence[str]) -> None:
    """Print a table of metrics: models down."""
    print(f"\n| model | {' | '.join(names)} |\n|---|{'--:|' * len(names)}")
    for model, rows in found.items():
        means = [np.mean([each[name] for each in rows]) for name in names]
        print(f"| {model} | {' | '.join(f'{mean:.3f}' for mean in means)} |", flush=True)


# Heart beats: is the promise kept?


def ecg(size: Size) -> None:
    """Print the false alarms on new normal beats beside the promise, seed by seed."""
    train, test = (
        beats(size.data / "ecg5000" / f"ECG5000_{name}.tsv.gz") for name in ("TRAIN", "TEST")
    )
    try:
        next(fitted(size, 0, train, test=test, settings=settings_of(0.005)))
    except DataError as error:
        print(f"\n{error}")
    together = [*rows_of(train), *rows_of(test)]
    print("\n| seed | model | AUROC | promise | interval | false alarms | within | recall |")
    print("|---|---|--:|--:|---|--:|---|--:|", flush=True)
    for seed in range(1, size.seeds + 1):
        order = np.random.default_rng(seed).permutation(len(together))
        # As many beats to train on as the given split has, drawn anew for each seed.
        mixed = [together[place] for place in order]
        some, others = mixed[: len(train["X"])], mixed[len(train["X"]) :]
        for line in promised(size, seed, some, others):
            print(f"| {seed} | {' | '.join(line)} |", flush=True)


def settings_of(false_alarms: float) -> dict[str, Any]:
    """Return the settings of a promise on heart beats, which are series marked 1 where normal."""
    return {"false_alarms": false_alarms, "input": "series", "normal": 1}


def beats(path: Path) -> dict[str, Numbers]:
    """Return beats, (beats, steps, 1), and their classes; 1 is normal."""
    rows = np.loadtxt(path)
    return {"X": rows[:, 1:, None], "y": rows[:, 0].astype(int)}


def rows_of(part: Mapping[str, Numbers]) -> list[tuple[Numbers, int]]:
    """Return each beat with its class."""
    return list(zip(part["X"], part["y"].tolist(), strict=True))


def promised(
    size: Size, seed: int, some: Sequence[Any], others: Sequence[Any]
) -> Iterator[list[str]]:
    """Yield what each model promised and kept, as cells of a table."""
    train, test = (
        {"X": np.stack([beat for beat, _ in part]), "y": np.array([mark for _, mark in part])}
        for part in (some, others)
    )
    new = [Example(beat, mark != 1) for beat, mark in others]
    for name, predictor in fitted(size, seed, train, test=test, settings=settings_of(0.05)):
        task = predictor.task
        metrics = task.score(predictor.predict_examples(new), new)
        limit, kept = task.threshold, metrics["false_alarm_rate"].value
        if name in ("random", "constant"):
            continue
        yield [
            name,
            f"{metrics['auroc'].value:.3f}",
            f"{limit.rate:.3f}",
            f"{limit.low:.3f} to {limit.high:.3f}",
            f"{kept:.3f}",
            "yes" if limit.low <= kept <= limit.high else "no",
            f"{metrics['recall'].value:.3f}",
        ]


TABLES: dict[str, Callable[[Size], None]] = {
    "adbench": adbench,
    "fraud": fraud,
    "ecg": ecg,
}


def main() -> None:
    """Print the tables that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", nargs="+", choices=list(TABLES))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--budget", default=Size.budget)
    given = parser.parse_args()
    size = Size(seeds=given.seeds, models=given.models.split(","), budget=given.budget)
    for name in given.tables:
        TABLES[name](size)


if __name__ == "__main__":
    main()
