"""An invented comparison, as plausible as its figures are made up."""

import math
import random
from dataclasses import replace

from ensuite.core.display import Display
from ensuite.core.presentation import Figure
from ensuite.report.values import (
    Answer,
    Capsule,
    Case,
    ClassScores,
    ComparisonPage,
    Confusion,
    Curve,
    Leaderboard,
    Mistake,
    OnlyRight,
    Output,
    Reliability,
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
    epochs=14.2,
    promised_epochs=14.0,
    still_rising=True,
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
    still_rising=False,
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


def told_apart(*rows: Row) -> tuple[tuple[str, str], ...]:
    """Return the pairs of rows of which one is in a better group."""
    scored = [row for row in rows if row.score is not None and row.tie_group]
    return tuple((a.name, b.name) for a in scored for b in scored if a.tie_group < b.tie_group)


def limits_of(*rows: Row, limit: float = 0.028) -> dict[str, float]:
    """Return one limit for every pair of rows."""
    names = sorted(row.name for row in rows if row.score is not None)
    return {f"{a}|{b}": limit for a in names for b in names if a < b}


def leaderboard(*rows: Row, **changes: object) -> Leaderboard:
    rows = rows or (TFIDF, LSTM, GRU, RNN, MOST_FREQUENT)
    board = Leaderboard(
        task="classify",
        data="reviews.csv",
        metric="accuracy",
        higher_is_better=True,
        budget="60s",
        seeds=3,
        winner="TF-IDF + logistic",
        smallest_visible_difference=0.028,
        rows=rows,
        items=692,
        beats=told_apart(*rows),
        limits=limits_of(*rows),
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
            confusion("most frequent", ((0, 346), (0, 346))),
        ),
        classes=(
            scores_by_class("TF-IDF + logistic", (0.803, 0.831)),
            scores_by_class("lstm", (0.802, 0.817)),
        ),
        reliability=(
            Reliability(
                name="TF-IDF + logistic",
                bins=((0.55, 0.58, 90), (0.65, 0.69, 130), (0.75, 0.81, 180), (0.87, 0.93, 292)),
            ),
            Reliability(name="lstm", bins=((0.56, 0.52, 40), (0.76, 0.66, 152), (0.97, 0.88, 500))),
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


def translations() -> ComparisonPage:
    """Return the page of a comparison whose answers are free text."""
    rows = tuple(
        replace(row, metrics={"chrf": score, "bleu": score - 9}, score=score, spread=spread)
        for row, score, spread in ((TFIDF, 31.0, None), (LSTM, 54.2, 1.1), (GRU, 52.9, 0.8))
    )
    rows = (replace(rows[1], tie_group="A"), rows[2], replace(rows[0], tie_group="B", name="copy"))
    board = leaderboard(
        *rows, task="translate", data="letters.tsv", metric="chrf", winner="lstm",
        displays={"chrf": Display(name="chrF", points=1), "bleu": Display(name="BLEU", points=1)},
        limits=limits_of(*rows, limit=4.0),
    )  # fmt: skip
    spoken = (
        ("The meeting was moved to Thursday.", "La réunion a été reportée à jeudi."),
        (LONG, LONG[::-1]),
    )
    outputs = tuple(
        Output(
            text=source,
            truth=target,
            answers=tuple(
                Answer(name=row.name, text=target[: 30 - 4 * place], score=61.2 - 17.3 * place)
                for place, row in enumerate(rows)
            ),
        )
        for source, target in spoken
    )
    nothing = dict.fromkeys(
        ("confusions", "classes", "reliability", "only_right", "figures", "mistakes"), ()
    )
    sentences = tuple(verdict(board, 692, "sentence"))
    curve_title = "chrF"
    return replace(
        page(), leaderboard=board, verdict=sentences, outputs=outputs, unit="sentence",
        curve_title=curve_title, **nothing,
    )  # fmt: skip


def crowd() -> ComparisonPage:
    """Return the page of a comparison of many rows: some alike, one slow, some that failed."""
    chance = random.Random(1)
    names = ("rnn", "lstm", "gru", "conv", "transformer", "bert-tiny", "lstm bidirectional")
    alike = [
        replace(
            GRU, name=name, score=0.8 + chance.gauss(0, 0.006), spread=0.02 * chance.random(),
            latency_ms=1.0 + 0.2 * chance.random(), tie_group="A",
        )
        for name in names
    ]  # fmt: skip
    alike[1] = replace(alike[1], still_rising=False, epochs=0.3, promised_epochs=4.4, busy=True)
    rows = sorted(
        (
            *alike,
            replace(LSTM, name="gpt2-medium prompted with template.txt", kind="prompted", score=0.7,
                    latency_ms=240.0, tie_group="B", epochs=None, still_rising=None),
            replace(TFIDF, tie_group="B", score=0.76),
            replace(MOST_FREQUENT, latency_ms=0.001),
        ),
        key=lambda row: -(row.score or 0),
    )  # fmt: skip
    failed = replace(LSTM, name="gpt", score=None, spread=None, tie_group="", metrics={},
                     failed="out of memory", latency_ms=None, folder="")  # fmt: skip
    every = (*rows, failed)
    board = leaderboard(
        *every, winner=rows[0].name, beats=told_apart(*every),
        left_out="The time was up: seed 2 of every model was left out.",
        beside=("macro_f1",), never_found={"conv": ("negative",)},
    )  # fmt: skip
    sentences = tuple(verdict(board, 692, "text"))
    return replace(page(), leaderboard=board, verdict=sentences)


def scores_by_class(name: str, recall: tuple[float, ...]) -> ClassScores:
    return ClassScores(
        name=name,
        labels=("negative", "positive"),
        rows=(346, 346),
        precision=recall[::-1],
        recall=recall,
        f1=tuple(sum(recall) / 2 for _ in recall),
    )


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
