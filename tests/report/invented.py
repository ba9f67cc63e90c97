"""An invented comparison, as plausible as its figures are made up."""

import math
import random
from dataclasses import replace

from ensuite.core.display import Display
from ensuite.core.presentation import Figure
from ensuite.report.values import (
    Capsule,
    Case,
    ComparisonPage,
    Confusion,
    Curve,
    Leaderboard,
    Mistake,
    OnlyRight,
    Row,
    RunPage,
)
from ensuite.report.verdict import verdict

TFIDF = Row(
    name="TF-IDF + logistic",
    kind="baseline",
    score=0.816,
    tie_group="A",
    parameters=19_204,
    train_seconds=0.9,
    peak_memory_bytes=90_000_000,
    latency_ms=0.3,
    throughput=21_000.0,
    disk_bytes=400_000,
    converged=None,
    truncated_rows=0,
    truncated_tokens=0,
    metrics={"accuracy": 0.816, "macro_f1": 0.815, "log_loss": 0.421},
    folder="trials/tf-idf/0",
)
LSTM = Row(
    name="lstm",
    kind="trained",
    score=0.809,
    spread=0.006,
    tie_group="A",
    parameters=1_300_000,
    train_seconds=60.0,
    peak_memory_bytes=310_000_000,
    latency_ms=1.1,
    throughput=5_200.0,
    disk_bytes=5_200_000,
    budget_used=1.0,
    converged=False,
    truncated_rows=0,
    truncated_tokens=0,
    metrics={"accuracy": 0.809, "macro_f1": 0.808, "log_loss": 0.447},
    folder="trials/lstm",
)
GRU = replace(
    LSTM,
    name="gru",
    score=0.806,
    spread=0.004,
    parameters=1_200_000,
    latency_ms=1.2,
    disk_bytes=4_900_000,
    converged=True,
    metrics={"accuracy": 0.806, "macro_f1": 0.805, "log_loss": 0.452},
    folder="trials/gru",
)
RNN = replace(
    GRU,
    name="rnn",
    score=0.771,
    spread=0.012,
    tie_group="B",
    parameters=1_100_000,
    train_seconds=48.0,
    latency_ms=0.9,
    budget_used=0.8,
    disk_bytes=4_400_000,
    metrics={"accuracy": 0.771, "macro_f1": 0.769, "log_loss": 0.512},
    folder="trials/rnn",
)
MOST_FREQUENT = Row(
    name="most frequent",
    kind="baseline",
    score=0.499,
    tie_group="C",
    parameters=0,
    train_seconds=0.0,
    metrics={"accuracy": 0.499, "macro_f1": 0.333, "log_loss": 0.693},
    folder="trials/most frequent/0",
)

CHECK = (
    ("reviews.csv", "6,920 rows: text, label"),
    ("text", "median 19 words, 95 % within 38, longest 59; nothing will be cut"),
    (
        "label",
        'positive 3,610, negative 3,310; always guessing "positive" is right 52.2 % of the time',
    ),
    ("duplicates", "3 texts stand twice, none of them in two splits"),
    ("split", "5,536 train, 692 valid, 692 test (random, seed 0; --test FILE to give your own)"),
)

FIGURE = Figure(
    title="Scores by hour",
    caption="A figure of the task's own.",
    words=("noon: 0.8",),
    data=({"type": "bar", "x": ["noon"], "y": [0.8]},),
    layout={"height": 200},
)

CAPSULE = Capsule(
    command="ensuite compare classify reviews.csv --models rnn,lstm,gru --budget 60s",
    versions={"ensuite": "0.1.0", "torch": "2.13.0", "python": "3.11.9"},
    machine={"processor": "Intel Xeon, 2 cores", "memory": "8.2 GB", "device": "cpu"},
    seeds=(0, 1, 2),
    fingerprint="sha256:9f3c1e0b5a774f1dd0b7c0aa3fbb2a6c",
    date="2026-11-20 14:02 UTC",
)

DISPLAYS = {
    "accuracy": Display(points=100),
    "macro_f1": Display(name="macro F1", points=100),
    "mae": Display(name="MAE", unit="mg", decimals=1),
}

LONG = (
    "It starts as the kind of film you have seen a hundred times, and for the first half hour I "
    "was sure I would hate it. Then the light changes, nobody explains a thing, and somehow two "
    "hours later you are standing in the street not quite ready to go home. It is not a good "
    "film, mind you. It is a mess. I would not have missed it for the world."
)


def leaderboard(*rows: Row, **changes: object) -> Leaderboard:
    board = Leaderboard(
        task="classify",
        data="reviews.csv",
        metric="accuracy",
        higher_is_better=True,
        budget="60s",
        seeds=3,
        winner="TF-IDF + logistic",
        smallest_visible_difference=0.028,
        rows=rows or (TFIDF, LSTM, GRU, RNN, MOST_FREQUENT),
        displays=DISPLAYS,
    )
    return replace(board, **changes)


def curves() -> tuple[Curve, ...]:
    chance = random.Random(0)
    found = []
    for name, top, pace in (("lstm", 0.82, 2.2), ("gru", 0.815, 3.2), ("rnn", 0.775, 4.0)):
        for seed in range(3):
            end = 0.8 if name == "rnn" else 1.0
            points = tuple(
                (
                    end * step / 14,
                    60 * end * step / 14,
                    0.5
                    + (top - 0.5) * (1 - math.exp(-pace * end * step / 14))
                    + chance.gauss(0, 0.006),
                )
                for step in range(1, 15)
            )
            found.append(Curve(name=name, seed=seed, points=points))
    return tuple(found)


def page() -> ComparisonPage:
    board = leaderboard()
    return ComparisonPage(
        leaderboard=board,
        verdict=tuple(verdict(board, 692, "text")),
        check=CHECK,
        curves=curves(),
        confusions=(
            confusion("TF-IDF + logistic", ((290, 56), (71, 275))),
            confusion("lstm", ((284, 62), (70, 276))),
            confusion("gru", ((279, 67), (67, 279))),
            confusion("rnn", ((262, 84), (75, 271))),
        ),
        only_right=(
            OnlyRight(
                name="lstm",
                count=17,
                cases=(
                    Case(
                        text="not for a second did I regret the ticket",
                        truth="positive",
                        others={"TF-IDF + logistic": "negative", "gru": "negative"},
                    ),
                    Case(
                        text=LONG,
                        truth="positive",
                        others={"TF-IDF + logistic": "negative", "gru": "neutral"},
                    ),
                ),
            ),
        ),
        mistakes=(
            Mistake(
                name="gru",
                text="what a masterpiece of boredom",
                truth="negative",
                prediction="positive",
                probability=0.998,
            ),
            Mistake(
                name="lstm", text=LONG, truth="positive", prediction="negative", probability=0.991
            ),
            Mistake(
                name="lstm",
                text="فيلم لا ينسى",
                truth="positive",
                prediction="negative",
                probability=0.97,
            ),
        ),
        capsule=CAPSULE,
        folder="runs/classify-reviews-1",
        use="ensuite predict runs/classify-reviews-1 --file FILE",
        unit="text",
        pipeline="text-classification",
        curve_title="accuracy",
        figures=(FIGURE,),
    )


def unranked() -> ComparisonPage:
    """Return the page of a comparison that no metric ranks."""
    rows = [replace(row, score=None, spread=None, tie_group="") for row in (LSTM, MOST_FREQUENT)]
    board = leaderboard(*rows, metric=None, winner=None, smallest_visible_difference=None)
    sentences = tuple(verdict(board, 692, "text"))
    return replace(page(), leaderboard=board, verdict=sentences, mistakes=(), figures=())


def confusion(name: str, counts: tuple[tuple[int, ...], ...]) -> Confusion:
    return Confusion(name=name, labels=("negative", "positive"), counts=counts)


def run() -> RunPage:
    whole = page()
    return RunPage(
        task="classify",
        data="reviews.csv",
        metric="accuracy",
        higher_is_better=True,
        budget="60s",
        row=replace(LSTM, spread=None),
        test_examples=692,
        check=CHECK,
        curves=whole.curves[:1],
        confusions=whole.confusions[1:2],
        mistakes=whole.mistakes[1:],
        capsule=replace(CAPSULE, seeds=(0,)),
        folder="runs/classify-reviews-1/trials/lstm/0",
        use="ensuite predict runs/classify-reviews-1/trials/lstm/0 --file FILE",
        unit="text",
        pipeline="text-classification",
        curve_title="accuracy",
        displays=DISPLAYS,
    )
