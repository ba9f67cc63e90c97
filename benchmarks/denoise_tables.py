"""Tables of denoising handwritten digits: three noise levels, beside simple methods.

    python -m benchmarks.denoise_tables [--seeds 3] [--budget 60epochs] [--model autoencoder]

The digits are those of scikit-learn, 8 by 8 pixels. A plain autoencoder, trained without noise and
given the same noisy digits, is one of the rows. Tables are printed as Markdown.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from sklearn.datasets import load_digits

from ensuite.api import open_sorted
from ensuite.problem import divide_source
from ensuite.specs import baselines, choose
from ensuite.training.budget import Budget
from ensuite.training.callback import Callback
from ensuite.training.device import choose_device

LEVELS = (("gaussian", 0.2), ("gaussian", 0.5), ("salt-and-pepper", 0.2))

METRICS = ("mse", "psnr", "ssim", "code_shift")


@dataclass(frozen=True)
class Size:
    """What is run.

    Args:
        seeds: Of weights and order.
        budget: Of each model.
        models: Compared beside the baselines.
        rows: Digits that are read.
    """

    seeds: int = 3
    budget: str = "60epochs"
    models: Sequence[str] = ("autoencoder:code=16",)
    rows: int = 1797


def scored(
    size: Size, noise: str, strength: float, seed: int, *, plain: bool
) -> Iterator[tuple[str, dict[str, float]]]:
    """Yield the metrics of each model, and of the baselines beside those that are trained on noise.

    Args:
        size: What is run.
        noise: Kind of noise.
        strength: Its deviation, or the share of pixels.
        seed: Of weights and order.
        plain: Whether training adds no noise.
    """
    torch.set_num_threads(1)
    images = load_digits().images[: size.rows]
    settings = [f"noise={noise}", f"strength={strength}", f"noisy_training={not plain}"]
    source, mine = open_sorted("denoise", {"image": images}, size.models, settings)
    problem = divide_source(source)
    trained = choose(size.models, problem, mine, choose_device("cpu"), None)
    simple = [] if plain else baselines(problem, trained)
    for candidate in [*trained, *simple]:
        with TemporaryDirectory() as folder:
            fitted = candidate.fit(
                problem, budget=Budget.parse(size.budget), seed=seed, folder=Path(folder),
                callback=Callback(),
            )  # fmt: skip
        predictor, test = fitted.predictor, problem.parts["test"]
        scores = predictor.task.score(predictor.predict_examples(test), test)
        name = f"{candidate.name}, trained without noise" if plain else candidate.name
        yield name, {metric: scores[metric].value for metric in METRICS}


def table(size: Size, noise: str, strength: float) -> list[str]:
    """Return the lines of a table: models down, metrics across, means over the seeds."""
    found: dict[str, list[dict[str, float]]] = defaultdict(list)
    for seed in range(size.seeds):
        for plain in (False, True):
            for name, metrics in scored(size, noise, strength, seed, plain=plain):
                found[name].append(metrics)
    lines = [f"| {noise} {strength} | {' | '.join(METRICS)} |", f"|---|{'--:|' * len(METRICS)}"]
    for name, rows in found.items():
        means = [np.mean([row[metric] for row in rows]) for metric in METRICS]
        cells = ["-" if np.isnan(mean) else f"{mean:.4f}" for mean in means]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=Size.seeds)
    parser.add_argument("--budget", default=Size.budget)
    parser.add_argument("--model", action="append")
    given = parser.parse_args()
    size = Size(given.seeds, given.budget, given.model or Size.models)
    for level in LEVELS:
        print("\n".join(table(size, *level)), end="\n\n", flush=True)


if __name__ == "__main__":
    main()
