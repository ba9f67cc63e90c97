"""A script that uses every public name, as mypy reads it: it is checked, never run."""

from pathlib import Path

import ensuite
from ensuite import (
    Callback,
    DataError,
    EnsuiteClassifier,
    EnsuiteError,
    EnsuiteRegressor,
    Leaderboard,
    NonFiniteGradientError,
    OutOfMemoryError,
    PaddingLeakError,
    Predictor,
    RowLeakError,
    RunError,
    TrainingError,
    UnknownLabelError,
    UsageError,
)

KINDS: tuple[type[EnsuiteError], ...] = (
    DataError, NonFiniteGradientError, OutOfMemoryError, PaddingLeakError, RowLeakError, RunError,
    TrainingError, UnknownLabelError, UsageError,
)  # fmt: skip


class Silent(Callback):
    def say(self, sentence: str) -> None: ...


def compare(data: list[dict[str, str]], folder: Path) -> str:
    board: Leaderboard = ensuite.compare(
        "classify", data, models=["lstm", "gru:layers=2"], metric="macro_f1", budget="60s",
        total="10m", seeds=3, folds=None, split="random", columns={"text": "review"},
        settings={"width": 64}, test=None, valid=None, init_from=None, out=folder, device="auto",
        threads=1, jobs=1, callback=Silent(),
    )  # fmt: skip
    rows: int = board.to_frame().height
    winner: Predictor = board.best
    where: Path = board.folder
    return f"{board.verdict} {rows} {winner} {where} {board.winner} {ensuite.__version__}"


def train(data: list[dict[str, str]]) -> float:
    label = ensuite.train("classify", data, model="lstm", seed=1, resume=False).predict(["a"])[0]
    number = ensuite.train("regress", "prices.csv", model="mlp").predict([[1.0]])[0]
    tags: tuple[str, ...] = ensuite.train("tag", data, model="lstm").predict(["a b"])[0].tags
    text: str = ensuite.train("translate", data, model="seq2seq").predict(["a"])[0].text
    bits: float = ensuite.train("generate", "book.txt", model="gru").predict(["a"])[0].bits
    steps = ensuite.train("forecast", "sales.csv", model="gru").predict([[1.0]])[0].point
    other = ensuite.train("a task of one's own", data, model="lstm").predict(["a"])[0]
    print(number.value, tags, text, bits, steps, other)
    return label.probability


def ask(folder: Path) -> str:
    predictor = ensuite.load(folder, device="cpu")
    print(predictor.predict(["a"]), predictor.evaluate("reviews.csv"), predictor.folder)
    return predictor.generate("Once", temperature=0.7)


def estimate(texts: list[str], labels: list[int]) -> object:
    classifier = EnsuiteClassifier("lstm", budget="20s", settings={"width": 64}, random_state=0)
    regressor = EnsuiteRegressor(columns={"text": "review"}, out="run")
    print(regressor.fit(texts, labels).predict(texts))
    return classifier.fit(texts, labels).predict_proba(texts)
