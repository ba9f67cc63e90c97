import json
import math
from dataclasses import replace

from ensuite.report.values import Curve
from report.invented import LSTM, leaderboard

KEYS = [
    "task",
    "data",
    "metric",
    "higher_is_better",
    "budget",
    "seeds",
    "winner",
    "smallest_visible_difference",
    "rows",
    "items",
    "one_seed",
    "threads",
    "total",
    "folds",
    "beats",
    "limits",
    "left_out",
]
ROW_KEYS = [
    "name",
    "kind",
    "score",
    "spread",
    "tie_group",
    "parameters",
    "train_seconds",
    "peak_memory_bytes",
    "latency_ms",
    "throughput",
    "disk_bytes",
    "budget_used",
    "converged",
    "truncated_rows",
    "truncated_tokens",
    "epochs",
    "promised_epochs",
    "still_rising",
    "busy",
    "failed",
    "metrics",
]


def test_json_has_exactly_the_documented_keys():
    written = leaderboard().to_json()
    assert list(written) == KEYS
    assert all(list(row) == ROW_KEYS for row in written["rows"])
    read = json.loads(json.dumps(written, allow_nan=False))
    assert read == written | {"beats": [list(pair) for pair in written["beats"]]}


def test_a_diverged_run_has_no_score_rather_than_one_that_json_cannot_hold():
    row = replace(LSTM, score=math.nan, spread=math.inf, metrics={"log_loss": math.nan})
    written = leaderboard(row, smallest_visible_difference=math.nan).to_json()
    json.dumps(written, allow_nan=False)
    assert written["smallest_visible_difference"] is None
    assert (row.score, row.spread, row.metrics) == (None, None, {"log_loss": None})


def test_a_curve_leaves_out_points_that_are_no_numbers():
    curve = Curve(name="lstm", seed=0, points=((0.1, 1.0, 0.5), (0.2, 2.0, math.nan)))
    assert curve.points == ((0.1, 1.0, 0.5),)
