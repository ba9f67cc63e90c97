"""Scaling: four sizes of GPT on three amounts of text, and the law that their losses follow.

    python -m benchmarks.scaling [OUT.svg]

Every model reads its part of tiny shakespeare (ENSUITE_DATA names the folder with it) once, by
characters, with the recipe of ``gpt``, and is tested on nanoGPT's validation part. The law is

    loss = floor + a / parameters^alpha + b / characters^beta

fitted to the logarithms of the losses by least squares. Parameters are those of the blocks, without
embeddings and output layer, as in Kaplan et al. It takes about ten minutes on one core.

Sources:
    Kaplan et al. (2020), https://arxiv.org/abs/2001.08361, section 1.3
    The form of the law: Hoffmann et al. (2022), https://arxiv.org/abs/2203.15556, section 3.3
"""

import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import least_squares

from benchmarks.language_model import train_only
from benchmarks.pretrain import our_loss, require_shakespeare
from ensuite.candidates import Trained
from ensuite.problem import open_problem
from ensuite.specs import model_options
from ensuite.training.budget import Budget

WIDTHS = (16, 32, 64, 128)

SHARES = (1 / 16, 1 / 4, 1.0)
"""Of the training part."""

PROMPT = "\nROMEO:"


class Point(NamedTuple):
    """One trained model."""

    width: int
    parameters: int
    characters: int
    nats: float
    sample: str = ""


class Law(NamedTuple):
    """The constants of the law."""

    floor: float
    a: float
    alpha: float
    b: float
    beta: float

    def loss(self, parameters: float, characters: float) -> float:
        """Return the loss that it expects, in nats."""
        return self.floor + self.a / parameters**self.alpha + self.b / characters**self.beta


def train(text: str, test: str, width: int, sample: int = 200) -> Point:
    """Train a model of one width on a text, once through; return how it did."""
    rows = ([{"text": each}] for each in (text, text[:64], test))
    data, valid, tests = rows
    problem = open_problem(
        "generate", data, valid=valid, test=tests, settings={"unit": "characters"}
    )
    heads = max(1, width // 32)
    name, options = model_options(f"gpt:width={width},heads={heads},context=64")
    candidate = Trained(name, name, options, options.recipe())
    training = candidate.begin(problem, Budget(1, "epochs", patience=None), seed=0)
    for _ in train_only(training):
        pass
    nats = our_loss(training, problem.parts["test"])
    blocks = training.model.backbone.blocks
    size = sum(parameter.numel() for parameter in blocks.parameters())
    predictor = candidate.finish(problem, training).predictor
    written = predictor.generate(PROMPT, max_new_tokens=sample, temperature=0.7, seed=1)
    return Point(width, size, len(text), nats, written)


def fit_law(points: Sequence[Point]) -> Law:
    """Fit the law to the logarithms of the losses; every constant is positive."""
    sizes = np.array([point.parameters for point in points], dtype=float)
    lengths = np.array([point.characters for point in points], dtype=float)
    losses = np.log([point.nats for point in points])

    def misses(logs: np.ndarray) -> np.ndarray:
        floor, a, alpha, b, beta = np.exp(logs)
        return np.log(floor + a / sizes**alpha + b / lengths**beta) - losses

    starts = [
        np.log([floor, 10.0, alpha, 10.0, beta])
        for floor in (0.5, 1.0, 1.5)
        for alpha in (0.2, 0.5)
        for beta in (0.2, 0.5)
    ]
    best = min((least_squares(misses, start) for start in starts), key=lambda found: found.cost)
    return Law(*map(float, np.exp(best.x)))


LEFT, TOP, WIDTH, HEIGHT = 56, 16, 460, 300
"""Of the area between the axes, in pixels."""

COLOURS = ("#808890", "#D55E00", "#0072B2")


def draw(points: Sequence[Point], law: Law) -> str:
    """Return a picture of the losses over the sizes, with the law as lines, as SVG."""
    sizes = sorted({point.parameters for point in points})
    lengths = sorted({point.characters for point in points})
    nats = [point.nats for point in points] + [law.loss(s, n) for s in sizes for n in lengths]
    low, high = 0.97 * min(nats), 1.03 * max(nats)

    def place(size: float, loss: float) -> tuple[float, float]:
        across = math.log(size / sizes[0]) / math.log(sizes[-1] / sizes[0])
        down = math.log(high / loss) / math.log(high / low)
        return LEFT + 10 + across * (WIDTH - 20), TOP + down * HEIGHT

    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 680 372" font-family="sans-serif" '
        'font-size="12" fill="#404040">',
        "<title>Loss of four sizes of GPT on three amounts of text</title>",
        f'<rect x="{LEFT}" y="{TOP}" width="{WIDTH}" height="{HEIGHT}" fill="white" '
        'stroke="#c0c0c0"/>',
    ]
    for size in sizes:
        x, _ = place(size, high)
        parts.append(f'<text x="{x:.0f}" y="334" text-anchor="middle">{size:,}</text>')
    ticks = [tick / 10 for tick in range(10, 50, 2) if low <= tick / 10 <= high]
    for tick in ticks:
        _, y = place(sizes[0], tick)
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.0f}" text-anchor="end">{tick:.1f}</text>')
    middle = LEFT + WIDTH / 2
    parts.append(f'<text x="{middle}" y="358" text-anchor="middle">parameters of the blocks</text>')
    parts.append(f'<text x="{LEFT}" y="12">nats a character, nanoGPT\'s validation part</text>')
    for length, colour in zip(lengths, COLOURS, strict=False):
        curve = [place(size, law.loss(size, length)) for size in sizes]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in curve)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}"/>')
        for point in points:
            if point.characters == length:
                x, y = place(point.parameters, point.nats)
                parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>')
        x, y = curve[-1]
        label = f"{length:,} characters"
        parts.append(f'<text x="{x + 16:.0f}" y="{y + 4:.0f}" fill="{colour}">{label}</text>')
    return "\n".join([*parts, "</svg>", ""])


def measure(
    text: str, test: str, widths: Sequence[int] = WIDTHS, shares: Sequence[float] = SHARES
) -> list[Point]:
    """Train every size on every amount of text."""
    points = []
    for share in shares:
        for width in widths:
            point = train(text[: int(share * len(text))], test, width)
            print(f"{point.parameters:9,d}  {point.characters:9,d}  {point.nats:.3f}", flush=True)
            points.append(point)
    return points


if __name__ == "__main__":
    torch.set_num_threads(1)
    found = measure(*require_shakespeare())
    fitted = fit_law(found)
    print(fitted)
    for each in found[-len(WIDTHS) :]:
        print(f"\n--- {each.parameters:,} parameters\n{PROMPT}{each.sample}")
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(draw(found, fitted), encoding="utf-8")
