"""How good drawn pictures are: Fréchet distance, and distance to the nearest training picture.

    python -m benchmarks.sample_tables [--seeds 3] [--budget 10epochs] [--rows 10000]

Models learn from the first pictures of Fashion-MNIST (Debian's package ``dataset-fashion-mnist``),
and as many are drawn from each as half of the test part has:

* Fréchet distance: between Gaussians that are fitted to features of drawn and of real pictures, as
  in Heusel et al. (2017), https://arxiv.org/abs/1706.08500, but the features are those of a
  convolutional network that was trained here to tell the ten classes. Lower is better.
* nearest: the distance of a drawn picture to the nearest one of those that were learned from, the
  median over the drawn ones: 0 for copies. The root of the mean squared difference of pixels from
  0 to 1.

Beside the models: the other half of the test part, and a Gaussian on the codes of principal
components. Trained models are kept in ``--out``; ``--picture FILE`` draws some of each.
"""

import argparse
import gzip
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.decomposition import PCA

import ensuite
from ensuite.core.files import write_bytes
from ensuite.data.images import grid, parse_idx
from ensuite.predictor import Predictor

Pictures = NDArray[np.uint8]
Numbers = NDArray[Any]

MODELS = {
    "vae, dense": "vae:code=32",
    "vae, convolutional": "vae:code=32,structured=true,width=32,layers=2",
    "vae-gan": "vae-gan:code=32,width=32",
}

FEATURES = "conv"
"""The model whose features are compared."""

FASHION = Path("/usr/share/datasets/fashion-mnist")

DRAWN_IN_A_ROW = 12
"""Pictures of each kind that ``--picture`` draws."""


@dataclass(frozen=True)
class Size:
    """What is run.

    Args:
        seeds: Of weights, order and draws.
        budget: Of each model.
        classifier_budget: Of the network whose features are compared.
        code: Number of principal components.
        out: Where trained models are kept.
        models: Name in the table, and value of ``--model``.
    """

    seeds: int
    budget: str
    classifier_budget: str
    code: int
    out: Path
    models: Mapping[str, str]


@dataclass(frozen=True)
class Data:
    """Pictures, (pictures, height, width) each, and the classes of those that are learned from."""

    train: Pictures
    labels: NDArray[np.int64]
    reference: Pictures
    real: Pictures


def fashion(rows: int, folder: Path = FASHION) -> Data:
    """Return the first pictures of the training part, and both halves of the test part."""
    train, labels, test = (
        parse_idx(gzip.decompress((folder / f"{name}-ubyte.gz").read_bytes()), name)
        for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3")
    )
    half = len(test) // 2
    return Data(train[:rows], labels[:rows].astype(int), test[:half], test[half:])


def trained(size: Size, task: str, data: Mapping[str, Any], model: str, seed: int) -> Predictor:
    """Return a model of the training pictures, or the one that is kept from an earlier run."""
    folder = size.out / f"{task}-{model.replace(':', '-').replace('=', '-')}-{seed}"
    if not (folder / "run.json").exists():
        budget = size.classifier_budget if task == "classify" else size.budget
        ensuite.train(
            task, data, model=model, seed=seed, budget=budget, out=folder, resume=folder.exists(),
            threads=1, device="cpu",
        )  # fmt: skip
    return ensuite.load(folder)


def kinds(size: Size, data: Data, seed: int) -> Iterator[tuple[str, Numbers]]:
    """Yield each kind of picture by name, with numbers from 0 to 255."""
    count = len(data.reference)
    yield "real pictures", data.real.astype(float)
    yield f"PCA {size.code}, a Gaussian", gaussian(data.train, size.code, count, seed)
    for name, model in size.models.items():
        predictor = trained(size, "reduce", {"image": data.train}, model, seed)
        yield name, predictor.sample(count, seed=seed)[..., 0]


def gaussian(train: Pictures, code: int, count: int, seed: int) -> Numbers:
    """Draw from a Gaussian on the codes of principal components, which are uncorrelated."""
    found = PCA(code, random_state=0).fit(train.reshape(len(train), -1))
    normal = np.random.default_rng(seed).normal(size=(count, code))
    drawn = found.inverse_transform(normal * np.sqrt(found.explained_variance_))
    return drawn.clip(0, 255).reshape(count, *train.shape[1:])


def features(classifier: Predictor, pictures: Numbers) -> Numbers:
    """Return what a classifier makes of pictures before its last layer, (pictures, features)."""
    shades = pictures.round().astype(np.uint8)
    return np.stack(classifier.embedder().predict(list(shades))).astype(float)


def frechet(one: Numbers, other: Numbers) -> float:
    """Return the Fréchet distance of the Gaussians that fit two sets of vectors.

    ``|m - n|² + tr(C + D - 2 (C D)^½)``; the trace of that root is the sum of the singular values
    of the product of the roots of C and D.

    Args:
        one: (vectors, features)
        other: (vectors, features)

    >>> points = np.random.default_rng(0).normal(size=(100, 3))
    >>> abs(round(frechet(points, points), 6)), round(frechet(points, points + [3, 0, 4]), 6)
    (0.0, 25.0)
    """
    covariances = np.cov(one.T), np.cov(other.T)
    roots = [root(each) for each in covariances]
    overlap = np.linalg.svd(roots[0] @ roots[1], compute_uv=False).sum()
    apart = np.square(one.mean(0) - other.mean(0)).sum()
    return float(apart + sum(np.trace(each) for each in covariances) - 2 * overlap)


def root(covariance: Numbers) -> Numbers:
    """Return the symmetric square root of a positive matrix."""
    values, vectors = np.linalg.eigh(covariance)
    found: Numbers = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    return found


def nearest(pictures: Numbers, train: Pictures) -> float:
    """Return the distance to the nearest training picture, the median over the pictures."""
    asked, known = (
        torch.from_numpy(each.reshape(len(each), -1).astype(np.float32) / 255)
        for each in (pictures, train)
    )
    distances = torch.cat([torch.cdist(some, known).min(1).values for some in asked.split(1000)])
    return float(distances.median()) / asked.shape[1] ** 0.5


def table(size: Size, data: Data) -> list[str]:
    """Return the lines of the table: means over the seeds, and their standard deviations."""
    labels = [str(label) for label in data.labels]
    classifier = trained(size, "classify", {"image": data.train, "label": labels}, FEATURES, 0)
    reference = features(classifier, data.reference)
    found: dict[str, list[tuple[float, float]]] = {}
    for seed in range(size.seeds):
        for name, pictures in kinds(size, data, seed):
            pair = frechet(features(classifier, pictures), reference), nearest(pictures, data.train)
            found.setdefault(name, []).append(pair)
    lines = ["| pictures | Fréchet distance | nearest |", "|---|--:|--:|"]
    for name, pairs in found.items():
        distances, nearby = zip(*pairs, strict=True)
        lines.append(f"| {name} | {spread(distances, 1)} | {spread(nearby, 3)} |")
    return lines


def spread(values: Sequence[float], decimals: int) -> str:
    """Format a mean and a standard deviation, where there is one.

    >>> spread([1.0, 3.0], 1), spread([2.0, 2.0], 1)
    ('2.0 ± 1.4', '2.0')
    """
    mean = f"{np.mean(values):.{decimals}f}"
    return f"{mean} ± {np.std(values, ddof=1):.{decimals}f}" if len(set(values)) > 1 else mean


def draw(size: Size, data: Data, path: Path) -> None:
    """Draw some pictures of each kind, a row each, in the order of the table."""
    rows = [pictures[:DRAWN_IN_A_ROW] for _, pictures in kinds(size, data, 0)]
    shades = np.concatenate(rows).round().astype(np.uint8)[..., None]
    write_bytes(path, grid(shades, DRAWN_IN_A_ROW))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--budget", default="10epochs")
    parser.add_argument("--classifier-budget", default="8epochs")
    parser.add_argument("--code", type=int, default=32)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--out", type=Path, default=Path("runs/sample-tables"))
    parser.add_argument("--picture", type=Path)
    given = parser.parse_args()
    size = Size(given.seeds, given.budget, given.classifier_budget, given.code, given.out, MODELS)
    data = fashion(given.rows)
    print("\n".join(table(size, data)), flush=True)
    if given.picture is not None:
        draw(size, data, given.picture)


if __name__ == "__main__":
    main()
