"""What the judgement of a comparison does where the truth is known, by simulation.

``python -m tests.comparison.test_simulations 500 cheap`` prints the rates of 500 comparisons of
each kind whose name has "cheap" in it; of every kind, if no word is given.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from scipy.special import ndtri

from ensuite.comparison.statistics import judge
from ensuite.core.score import Numbers, Score

ITEMS, SEEDS, DRAWS = 400, 3, 250
MOST = 0.05
"""Largest rate of any kind of error."""

EASE, OWN = 0.3, 0.2
"""Share of an item's difficulty that all rows, and that all seeds of one row, have in common."""


@dataclass(frozen=True)
class Truth:
    """Rows by true accuracy and its standard deviation over seeds; the last row is the cheapest."""

    shares: Sequence[float]
    deviations: Sequence[float]
    seeds: int = SEEDS
    items: int = ITEMS


@dataclass(frozen=True)
class Rates:
    """How often each of these happened.

    Attributes:
        separated: Two rows were told apart.
        taken: The cheapest row was taken.
        beaten: The cheapest row was beaten.
        wrong: A row that another beats was taken, or stands in group A.
    """

    separated: float
    taken: float
    beaten: float
    wrong: float


def draw(generator: np.random.Generator, truth: Truth) -> dict[str, list[Score]]:
    """Return the accuracies of a comparison; hard items are hard for all, some for one row."""
    rows = len(truth.shares)
    own = generator.normal(scale=OWN**0.5, size=(rows, 1, truth.items))
    rest = generator.normal(scale=(1 - EASE - OWN) ** 0.5, size=(rows, truth.seeds, truth.items))
    difficulty = generator.normal(scale=EASE**0.5, size=truth.items) + own + rest
    noise = generator.normal(size=(rows, truth.seeds)) * np.array(truth.deviations)[:, None]
    shares = np.clip(np.array(truth.shares)[:, None] + noise, 1e-3, 1 - 1e-3)
    right: Numbers = difficulty < ndtri(shares)[..., None]
    counted = np.ones(truth.items, bool)
    return {str(row): [Score.mean(run, counted) for run in runs] for row, runs in enumerate(right)}


def simulate(truth: Truth, comparisons: int, seed: int = 0) -> Rates:
    generator = np.random.default_rng(seed)
    last = str(len(truth.shares) - 1)
    costs = {str(row): -row for row in range(len(truth.shares))}
    counts = np.zeros(4)
    for number in range(comparisons):
        found = judge(draw(generator, truth), costs, draws=DRAWS, seed=number)
        beaten = {worse for _, worse in found.beats}
        unbeaten_are_a = all((found.groups[row] == "A") != (row in beaten) for row in costs)
        wrong = found.take in beaten or not unbeaten_are_a
        counts += bool(found.beats), found.take == last, last in beaten, wrong
    return Rates(*(counts / comparisons).tolist())


def equals(rows: int, *deviations: float, seeds: int = SEEDS, items: int = ITEMS) -> Truth:
    """Return rows of accuracy .8; the last of the seed deviations is that of the rest."""
    padded = [*deviations, *[deviations[-1]] * (rows - len(deviations))]
    return Truth([0.8] * rows, padded, seeds, items)


def behind(rows: int, cheap: float, leader: float, others: float) -> Truth:
    """Return a leader of .85 and a cheap row of .75, their seed deviations, and other rows."""
    between = rows - 2
    return Truth([0.85, *[others] * between, 0.75], [leader, *[0.0] * between, cheap])


EQUALS = {
    f"{rows} equal rows, {name}": equals(rows, *deviations)
    for rows in (3, 11)
    for name, deviations in {
        "no seed variance": (0.0,),
        "seed deviation .02": (0.02,),
        "seed deviation .06": (0.06,),
        "one of .06": (0.06, 0.0),
        "one of 0, the rest .06": (0.0, 0.06),
    }.items()
} | {
    "2 equal rows, seed deviation .06": equals(2, 0.06),
    "11 equal rows, one seed": equals(11, 0.0, seeds=1),
    "2 equal rows, one seed, 30 items": equals(2, 0.0, seeds=1, items=30),
    "11 equal rows, one seed, 30 items": equals(11, 0.0, seeds=1, items=30),
    "11 equal rows of 2 seeds, seed deviation .06": equals(11, 0.06, seeds=2),
}
BEHIND = {
    f"{rows} rows, cheap .75 +- {cheap}, leader .85 +- {leader}, others {others}": behind(
        rows, cheap, leader, others
    )
    for rows in (3, 11)
    for cheap, leader in ((0.06, 0.0), (0.0, 0.06))
    for others in (0.85, 0.8, 0.75)
} | {
    "2 rows, cheap .72 +- .06, leader .85": Truth([0.85, 0.72], [0.0, 0.06]),
    "11 rows, cheap .75 and leader .85 +- .06, others .75": behind(11, 0.06, 0.06, 0.75),
}
FAR = {
    f"ten rows of .85 and one of .30, seed deviation {deviation}": Truth(
        [0.85] * 10 + [0.3], [deviation] * 11
    )
    for deviation in (0.0, 0.02, 0.06)
}


@pytest.mark.parametrize(
    ("name", "comparisons"),
    [
        ("3 equal rows, no seed variance", 300),
        ("3 equal rows, seed deviation .06", 800),  # the nearest to 5 %: it is 3.7 % in truth
        ("11 equal rows, no seed variance", 200),
        ("11 equal rows, seed deviation .06", 300),
    ],
)
def test_equals_are_rarely_told_apart(name: str, comparisons: int) -> None:
    rates = simulate(EQUALS[name], comparisons)
    assert rates.separated <= MOST
    assert rates.wrong == 0


@pytest.mark.parametrize("name", [name for name in BEHIND if name.endswith("others 0.75")])
def test_a_cheap_row_ten_points_behind_is_rarely_taken(name: str) -> None:
    rates = simulate(BEHIND[name], 125 if name.startswith("11") else 200)
    assert rates.taken <= MOST
    assert rates.wrong == 0


@pytest.mark.parametrize("name", [name for name in FAR if "0.06" not in name])
def test_a_row_far_behind_does_not_stay_beside_ten_others(name: str) -> None:
    rates = simulate(FAR[name], 40)
    assert rates.beaten == 1
    assert rates.wrong == 0


def test_the_cheapest_of_equals_is_often_taken() -> None:
    # What the bounds above cost: one standard error is exceeded by chance for one row in three.
    assert simulate(equals(3, 0.0), 100).taken > 0.5


if __name__ == "__main__":
    word = sys.argv[2] if len(sys.argv) > 2 else ""
    print("told apart  cheapest taken  cheapest beaten  beaten one taken")
    for name, truth in {**EQUALS, **BEHIND, **FAR}.items():
        if word in name:
            found = simulate(truth, int(sys.argv[1]), seed=1)
            rates = (found.separated, found.taken, found.beaten, found.wrong)
            print("  ".join(f"{100 * rate:6.1f} %" for rate in rates), name, flush=True)
