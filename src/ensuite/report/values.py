"""The values a report shows: plain frozen dataclasses, so that it imports no other package."""

import html
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from ensuite.core.display import PLAIN, Display
from ensuite.core.presentation import Figure

Kind = Literal["baseline", "trained", "prompted", "saved"]


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
        displays: How each metric is printed, by its name in snake case; not in the JSON.
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
    displays: Mapping[str, Display] = field(default_factory=dict)

    def display(self, metric: str) -> Display:
        """Return how a metric is printed."""
        return self.displays.get(metric, PLAIN)

    def title(self, metric: str) -> str:
        """Return the name of a metric to print."""
        return self.display(metric).title(metric)

    def to_json(self) -> dict[str, Any]:
        """Return the content of ``leaderboard.json`` and of ``--json``."""
        values = {each.name: finite(getattr(self, each.name)) for each in fields(self)}
        del values["displays"]
        return values | {"rows": [row.to_json() for row in self.rows]}

    def __str__(self) -> str:
        """Return the table as plain text."""
        from ensuite.report.table import lines

        return "\n".join(lines(self, "input"))

    def _repr_html_(self) -> str:
        """Show the table in a notebook."""
        return f"<pre>{html.escape(str(self))}</pre>"


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
    ``figures`` are those of the task.
    """

    leaderboard: Leaderboard
    verdict: tuple[str, ...]
    check: Check
    curves: tuple[Curve, ...] = ()
    confusions: tuple[Confusion, ...] = ()
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
    mistakes: tuple[Mistake, ...] = ()
    capsule: Capsule
    folder: str
    use: str
    unit: str = "row"
    pipeline: str = ""
    curve_title: str = ""
    figures: tuple[Figure, ...] = ()
    displays: Mapping[str, Display] = field(default_factory=dict)
