"""The values a report shows: plain frozen dataclasses, so that it imports no other package."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from ensuite.core.display import PLAIN, Display
from ensuite.core.presentation import Figure

Kind = Literal["baseline", "frozen", "trained", "prompted", "saved"]


def finite(value: Any) -> Any:
    """Return ``value``, or None for NaN and infinities, which JSON does not have.

    >>> [finite(0.5), finite(float("nan")), finite(float("inf")), finite("lstm")]
    [0.5, None, None, 'lstm']
    """
    return None if isinstance(value, float) and not math.isfinite(value) else value


@dataclass(frozen=True, kw_only=True)
class Row:
    """One candidate of a comparison.

    Every figure is the mean over its seeds, or None if it does not apply.

    Args:
        name: Display name, such as ``lstm``, ``lstm:layers=2`` or ``TF-IDF + logistic``.
        kind: Whether it is a baseline, trained here, prompted, or a saved run.
        score: Ranking metric of the comparison on the test rows.
        spread: Standard deviation of the score over seeds.
        tie_group: "A" for rows that cannot be distinguished from the best, then "B", and so on;
            may be empty.
        parameters: Number of learned parameters.
        train_seconds: Time of one run's charged updates, in seconds.
        peak_memory_bytes: Peak memory of one run.
        latency_ms: Median time for one input alone, in milliseconds.
        throughput: Inputs per second, in batches.
        disk_bytes: Size of the saved model.
        budget_used: Share of the budget that was used, 0 to 1.
        converged: Whether the best validation score came before the last fifth of the budget.
        truncated_rows: Number of test rows that were truncated.
        truncated_tokens: Number of tokens that truncation left out.
        epochs: Epochs that training has seen.
        promised_epochs: Epochs that were announced before training.
        still_rising: Whether more training would probably improve a run of any seed.
        busy: Whether the wall limit ended a run of any seed before its budget was spent.
        failed: Why the candidate could not be scored; empty where it was. Its score is then None.
        metrics: Every metric of the task, by its name in snake case.
        folder: Run folder, relative to the report.
    """

    name: str
    kind: Kind
    score: float | None
    spread: float | None = None
    tie_group: str = ""
    parameters: int | None = None
    train_seconds: float | None = None
    peak_memory_bytes: int | None = None
    latency_ms: float | None = None
    throughput: float | None = None
    disk_bytes: int | None = None
    budget_used: float | None = None
    converged: bool | None = None
    truncated_rows: int | None = None
    truncated_tokens: int | None = None
    epochs: float | None = None
    promised_epochs: float | None = None
    still_rising: bool | None = None
    busy: bool | None = None
    failed: str = ""
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    folder: str = ""

    def __post_init__(self) -> None:
        for each in fields(self):
            object.__setattr__(self, each.name, finite(getattr(self, each.name)))
        metrics = {name: finite(value) for name, value in self.metrics.items()}
        object.__setattr__(self, "metrics", metrics)

    def to_json(self) -> dict[str, Any]:
        """Return the row as ``leaderboard.json`` holds it."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        del values["folder"]  # the layout of the comparison's folder determines it
        return values


@dataclass(frozen=True, kw_only=True)
class Leaderboard:
    """All candidates of one comparison, the best first.

    Args:
        task: Name of the task.
        data: Name of the data.
        metric: The metric that ranks the rows, in snake case; None where none does.
        higher_is_better: Whether a larger score is a better one.
        budget: The budget of each candidate, as typed: ``60s``, ``3epochs``.
        seeds: Number of runs of each candidate.
        winner: Name of the row to take: the cheapest of those that tie for the best. None where no
            metric ranks.
        smallest_visible_difference: The smallest difference in score that the test rows can show.
        rows: The candidates.
        items: Test examples, or blocks of them, that the statistics used; None: no statistics.
        one_seed: Whether no candidate was trained with a second seed.
        threads: CPU threads that each candidate was trained with, by its name.
        total: Wall time for the whole comparison, as typed; empty where none was given.
        folds: Number of folds of a cross-validation; None without one.
        beats: Pairs (better, worse) of names of rows that are told apart.
        limits: The smallest difference that would have been shown between two rows, in units of
            the metric, by their names in alphabetical order with a bar between: ``"gru|lstm"``.
        left_out: A sentence that says what was not run because the time was up; may be empty.
        displays: How each metric is printed, by its name in snake case; not in the JSON.
        beside: Metrics that stand directly beside the one that ranks, because that one hides how
            rare classes are answered; not in the JSON.
        never_found: Classes of the test rows that a candidate never answers correctly, by its
            name; told where a class is rare; not in the JSON.
    """

    task: str
    data: str
    metric: str | None
    higher_is_better: bool
    budget: str
    seeds: int
    winner: str | None
    smallest_visible_difference: float | None
    rows: tuple[Row, ...]
    items: int | None = None
    one_seed: bool = False
    threads: Mapping[str, int] = field(default_factory=dict)
    total: str = ""
    folds: int | None = None
    beats: tuple[tuple[str, str], ...] = ()
    limits: Mapping[str, float] = field(default_factory=dict)
    left_out: str = ""
    displays: Mapping[str, Display] = field(default_factory=dict)
    beside: tuple[str, ...] = ()
    never_found: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def display(self, metric: str) -> Display:
        """Return how a metric is printed."""
        return self.displays.get(metric, PLAIN)

    def title(self, metric: str) -> str:
        """Return the name of a metric to print."""
        return self.display(metric).title(metric)

    def to_json(self) -> dict[str, Any]:
        """Return the content of ``leaderboard.json`` and of ``--json``."""
        values = {each.name: finite(getattr(self, each.name)) for each in fields(Leaderboard)}
        for shown_only in ("displays", "beside", "never_found"):
            del values[shown_only]
        return values | {"rows": [row.to_json() for row in self.rows]}

    def __str__(self) -> str:
        """Return the table as plain text."""
        from ensuite.report.table import lines

        return "\n".join(lines(self, "input"))

    def _repr_html_(self) -> str:
        """Return the table of the report for a notebook."""
        from ensuite.report.page import leaderboard_html

        return leaderboard_html(self, "input")


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Learning curve of one run; ``points`` are (share of budget, seconds, validation score)."""

    name: str
    seed: int
    points: tuple[tuple[float, float, float], ...]

    def __post_init__(self) -> None:
        points = tuple(point for point in self.points if all(map(math.isfinite, point)))
        object.__setattr__(self, "points", points)


@dataclass(frozen=True, kw_only=True)
class Confusion:
    """Confusion matrix of one candidate: ``counts[truth][prediction]``, in the order of labels."""

    name: str
    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, kw_only=True)
class ClassScores:
    """Scores of one candidate for each class; all sequences are in the order of ``labels``.

    Args:
        name: Of the candidate.
        labels: The classes.
        rows: Test rows of each class.
        precision: Share of the answers with this class that are correct; None if there are none.
        recall: Share of the rows of this class that are answered correctly; None if there are none.
        f1: Harmonic mean of both.
    """

    name: str
    labels: tuple[str, ...]
    rows: tuple[int, ...]
    precision: tuple[float | None, ...]
    recall: tuple[float | None, ...]
    f1: tuple[float | None, ...]


@dataclass(frozen=True, kw_only=True)
class Reliability:
    """How often one candidate is right where it is how sure.

    ``bins`` are (mean probability, share of correct answers, number of answers).
    """

    name: str
    bins: tuple[tuple[float, float, int], ...]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The answer of one candidate to one input, and its score (None: not known)."""

    name: str
    text: str
    score: float | None = None


@dataclass(frozen=True, kw_only=True)
class Output:
    """An input, its true answer (empty: none is known), and what each candidate answers.

    ``text`` and ``picture`` (a PNG) show the input.
    """

    text: str
    truth: str
    answers: tuple[Answer, ...]
    picture: bytes | None = None


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """A wrong prediction of the candidate ``name``, and its probability (None: not available).

    ``text`` and ``picture`` (a PNG) show the input.
    """

    name: str
    text: str
    truth: str
    prediction: str
    probability: float | None = None
    picture: bytes | None = None


@dataclass(frozen=True, kw_only=True)
class Case:
    """An input, its true answer, and the predictions of the ``others`` by candidate name.

    ``text`` and ``picture`` (a PNG) show the input.
    """

    text: str
    truth: str
    others: Mapping[str, str]
    picture: bytes | None = None


@dataclass(frozen=True, kw_only=True)
class OnlyRight:
    """The inputs that only ``name`` predicts correctly: their ``count``, and some ``cases``."""

    name: str
    count: int
    cases: tuple[Case, ...]


@dataclass(frozen=True, kw_only=True)
class Capsule:
    """Everything needed to reproduce a run."""

    command: str
    versions: Mapping[str, str]
    machine: Mapping[str, str]
    seeds: tuple[int, ...]
    fingerprint: str
    date: str


Check = tuple[tuple[str, str], ...]
"""Lines of the data check, each a topic and a finding."""


@dataclass(frozen=True, kw_only=True)
class ComparisonPage:
    """Everything that the page of a comparison shows.

    ``unit`` is what one input is called, ``use`` the command that asks the winner, ``pipeline`` the
    name of the task on model hubs, ``curve_title`` the name of the metric in ``curves``, and
    ``figures`` are those of the task. ``not_confused`` says why there is no confusion matrix, where
    one could be expected.
    """

    leaderboard: Leaderboard
    verdict: tuple[str, ...]
    check: Check
    curves: tuple[Curve, ...] = ()
    confusions: tuple[Confusion, ...] = ()
    not_confused: str = ""
    classes: tuple[ClassScores, ...] = ()
    reliability: tuple[Reliability, ...] = ()
    outputs: tuple[Output, ...] = ()
    only_right: tuple[OnlyRight, ...] = ()
    mistakes: tuple[Mistake, ...] = ()
    capsule: Capsule
    folder: str
    use: str
    unit: str = "row"
    pipeline: str = ""
    curve_title: str = ""
    figures: tuple[Figure, ...] = ()


@dataclass(frozen=True, kw_only=True)
class RunPage:
    """Everything the page of one run shows; its scores are of ``test_examples`` examples."""

    task: str
    data: str
    metric: str | None
    higher_is_better: bool
    budget: str
    row: Row
    test_examples: int
    check: Check
    curves: tuple[Curve, ...] = ()
    confusions: tuple[Confusion, ...] = ()
    not_confused: str = ""
    classes: tuple[ClassScores, ...] = ()
    reliability: tuple[Reliability, ...] = ()
    outputs: tuple[Output, ...] = ()
    mistakes: tuple[Mistake, ...] = ()
    capsule: Capsule
    folder: str
    use: str
    unit: str = "row"
    pipeline: str = ""
    curve_title: str = ""
    figures: tuple[Figure, ...] = ()
    displays: Mapping[str, Display] = field(default_factory=dict)
