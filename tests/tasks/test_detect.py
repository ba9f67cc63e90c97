"""A detector learns normal rows, keeps its promise on false alarms, and says why it alerts."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ensuite.api import compare_models
from ensuite.baselines.detect import Constant, IsolationForest, Random, Residual
from ensuite.candidates import calibrated
from ensuite.core.baseline import Baseline
from ensuite.core.errors import DataError, EnsuiteError, UsageError
from ensuite.data import anomaly, readers
from ensuite.laws import same_answer_in_any_batch
from ensuite.predictor import Predictor
from ensuite.problem import Problem, open_problem
from ensuite.tasks.detect import Detect, Example, Prediction
from ensuite.tasks.reconstruction import Piece

NAMES = ("a", "b", "c", "d")
random = np.random.default_rng(0)
PLANE = random.normal(size=(2, 4))


def normal_rows(count: int) -> np.ndarray:
    return random.normal(size=(count, 2)) @ PLANE + random.normal(0, 0.05, (count, 4))


def cells(values: np.ndarray, labels: Any = None) -> dict[str, Any]:
    columns = {name: values[:, place].tolist() for place, name in enumerate(NAMES)}
    return columns if labels is None else columns | {"label": list(labels)}


def labelled(normal: int = 400, odd: int = 40, size: float = 3.0) -> dict[str, Any]:
    values = np.concatenate([normal_rows(normal), random.normal(0, size, (odd, 4))])
    return cells(values, [0] * normal + [1] * odd)


def opened(data: Mapping[str, Any] | None = None, **settings: Any) -> Problem:
    given = {name: str(value) for name, value in settings.items()}
    return open_problem("detect", data or labelled(), settings=given)


def fitted(problem: Problem, method: type[Baseline] = Residual, **settings: Any) -> Predictor:
    model = method.fit(problem.task, problem.parts["train"], [], 0, **settings)
    return calibrated("PCA 2", problem, problem.task, model)


def scores(problem: Problem, predictor: Predictor) -> dict[str, float]:
    test = problem.parts["test"]
    found = predictor.task.score(predictor.predict_examples(test), test)
    return {name: score.value for name, score in found.items()}


# Labels


@pytest.mark.parametrize(
    "cells", [[0, 1], ["0.0", "1"], ["Normal", "odd"], [False, True], ["no", "yes"]]
)
def test_normal_rows_have_a_usual_mark(cells: list[Any]) -> None:
    table = readers.read({"a": [1.0, 2.0], "label": cells})
    assert anomaly.read(table, "label") == [False, True]


def test_the_normal_mark_can_be_said_and_an_empty_cell_is_not_known() -> None:
    table = readers.read({"a": [1.0] * 4, "label": ["1", "2", "", "5"]})
    assert anomaly.read(table, "label", "1") == [False, True, None, True]
    assert anomaly.read(table, "label", "1.0e0") == [False, True, None, True]
    with pytest.raises(DataError, match=r"no row is marked as normal .* which has: 2, 5.*normal="):
        opened(cells(normal_rows(8), [2, 5] * 4))


def test_a_column_of_measurements_is_no_label() -> None:
    values = normal_rows(80)
    problem = opened(cells(values) | {"y": np.arange(80.0).tolist()})
    assert problem.task.processor.names == (*NAMES, "y")
    assert problem.task.ranks_by is None


def test_the_data_check_says_which_column_is_the_label() -> None:
    table = readers.read(cells(normal_rows(4)) | {"label": [0, 0, 1, 0]})
    Detect().read(table, {})
    assert table.read_as["label"] == ["label"]


def test_anomalies_are_scored_and_never_trained_on() -> None:
    problem = opened()
    for part in ("train", "valid", "calibration"):
        assert not any(example.anomalous for example in problem.parts[part])
    assert sum(bool(example.anomalous) for example in problem.parts["test"]) == 40
    assert "40 anomalies" in dict(problem.findings)["labels"]


# The promise


def test_the_promise_is_kept_on_new_normal_rows_for_baselines_too() -> None:
    problem = opened(labelled(1500), false_alarms=0.05)
    new = [Example(row, False) for row in normal_rows(4000)]
    for method, settings in ((Residual, {"size": 2}), (IsolationForest, {})):
        predictor = fitted(problem, method, **settings)
        promised = predictor.task.threshold
        alarms = np.mean([each.alarm for each in predictor.predict_examples(new)])
        assert promised.rate <= 0.05
        assert promised.low <= alarms <= promised.high
    found = scores(problem, predictor)
    assert list(found) == ["auroc", "average_precision", "false_alarm_rate", "recall"]
    assert found["auroc"] > 0.9


def test_the_promise_is_saved_and_can_be_changed_when_asking(tmp_path: Any) -> None:
    saved = fitted(opened(labelled(800)), size=2).save(tmp_path / "run")
    predictor = Predictor.load(saved)
    wide, narrow = (predictor.with_settings({"false_alarms": share}) for share in ("0.2", "0.02"))
    assert wide.task.threshold.value < narrow.task.threshold.value
    with pytest.raises(
        UsageError, match=r"0.001 can be promised from 999 .*ask for 0.00\d+ or more"
    ):
        predictor.with_settings({"false_alarms": "0.001"})
    with pytest.raises(UsageError, match="more than 0 and less than 1"):
        predictor.with_settings({"false_alarms": "1.5"})
    with pytest.raises(UsageError, match="train with --set cost="):
        predictor.with_settings({"cost": "miss:5,alarm:1"})


def test_too_few_normal_rows_for_the_promise_are_told_before_training() -> None:
    with pytest.raises(DataError, match=r"199 held-out normal rows, and there are \d+.*give about"):
        opened(labelled(300), false_alarms=0.005)
    usual = fitted(opened(labelled(100)), size=2).task.threshold
    assert 0.01 < usual.rate < 0.1  # the lowest that so few can promise


def test_the_threshold_may_be_the_cheapest() -> None:
    data = labelled(800, 60, size=0.1)
    dear = opened(data, cost="miss:500,alarm:5")
    assert sum(bool(e.anomalous) for e in dear.parts["calibration"]) == 30
    assert sum(bool(e.anomalous) for e in dear.parts["test"]) == 30
    cheap = opened(data, cost="miss:5,alarm:500,rate:0.001")
    predictors = [fitted(each, size=2) for each in (dear, cheap)]
    limits = [each.task.threshold.value for each in predictors]
    assert limits[0] < limits[1]
    assert scores(dear, predictors[0])["cost"] > 0
    promised = predictors[0].with_settings({"false_alarms": "0.05"})
    assert promised.task.threshold.rate <= 0.05


def test_costs_are_checked() -> None:
    for wrong in ("miss:5", "miss=5,alarm=1", "miss:-5,alarm:1", "miss:5,alarm:1,rate:2"):
        with pytest.raises(EnsuiteError, match="cost"):
            opened(cost=wrong)
    with pytest.raises(DataError, match="cost needs labelled anomalies"):
        opened(cells(normal_rows(80)), cost="miss:500,alarm:5")


def test_rows_that_do_not_look_normal_are_told() -> None:
    odd = 1000 * random.normal(0, 3, (40, 4))
    data = cells(np.concatenate([normal_rows(760), odd]))
    problem = opened(data)
    predictor = fitted(problem, size=2)
    assert predictor.task.suspicious > 0
    said = predictor.task.remarks(
        "PCA 2", predictor.predict_examples(problem.parts["test"]), problem.parts["test"]
    )
    assert any("may hold anomalies that are not marked" in each for each in said)
    clean = fitted(opened(labelled(800)), size=2)
    assert clean.task.suspicious == 0


# Scoring


def test_without_labels_nothing_is_ranked_and_that_is_said() -> None:
    problem = opened(cells(normal_rows(200)))
    assert problem.task.ranks_by is None
    assert "nothing is ranked" in dict(problem.findings)["labels"]
    predictor = fitted(problem, size=2)
    assert list(scores(problem, predictor)) == ["alarm_rate"]
    test = problem.parts["test"]
    said = predictor.task.remarks("PCA 2", predictor.predict_examples(test), test)
    assert any("No row has a label" in each for each in said)


def test_a_test_part_of_one_kind_is_refused_before_training() -> None:
    alike = cells(normal_rows(50), [0] * 50)
    with pytest.raises(DataError, match=r"50 labelled rows of the test part are all normal"):
        open_problem("detect", labelled(), test=alike)
    with pytest.raises(DataError, match="all anomalies"):
        open_problem("detect", labelled(), test=cells(normal_rows(5), [1] * 5))


def test_rows_of_one_kind_have_the_scores_that_can_be_known() -> None:
    predictor = fitted(opened(), size=2)
    alike = [Example(row, False) for row in normal_rows(50)]
    predictions = predictor.predict_examples(alike)
    found = {n: s.value for n, s in predictor.task.score(predictions, alike).items()}
    assert np.isnan([found["auroc"], found["recall"]]).all()
    assert 0 <= found["false_alarm_rate"] < 0.2
    said = predictor.task.remarks("PCA 2", predictions, alike)
    assert any("are all normal: AUROC and average precision are not known" in s for s in said)


def test_detectors_that_know_nothing_score_as_chance() -> None:
    problem = opened(labelled(900, 300))
    constant, guess = (scores(problem, fitted(problem, each)) for each in (Constant, Random))
    assert constant["auroc"] == 0.5
    assert constant["false_alarm_rate"] == 0
    assert guess["auroc"] == pytest.approx(0.5, abs=0.12)


# What it reads


def test_it_alerts_to_shuffled_features() -> None:
    problem = opened(labelled(800), false_alarms=0.02)
    predictor = fitted(problem, size=2)
    rows = normal_rows(200)
    shuffled = [Example(row) for row in random.permuted(rows, axis=0)]
    alarms = [
        np.mean([each.alarm for each in predictor.predict_examples(some)])
        for some in ([Example(row) for row in rows], shuffled)
    ]
    assert alarms[0] < 0.06
    assert alarms[1] > 0.5


def test_it_says_which_columns_made_a_score() -> None:
    predictor = fitted(opened(labelled(800)), size=2)
    row = normal_rows(1)[0]
    row[2] += 30
    example = Example(row)
    (record,) = predictor.task.records(example, predictor.predict_examples([example])[0])
    assert record["answer"] == "anomaly"
    assert record["score"] > record["threshold"]
    assert record["because"].count("%") == 3
    task = replace(Detect(), processor=predictor.task.processor, usual=(4.0, 1.0, 1.0, 1.0))
    unusual = Prediction(True, 1.0, np.array([4.0, 2.0, 0.0, 0.0]))
    assert task.cause(unusual) == "b 67 %, a 33 %, c 0 %"


def test_other_columns_than_it_learned_are_refused() -> None:
    predictor = fitted(opened(), size=2)
    with pytest.raises(DataError, match="no column d, which the model reads"):
        predictor.read({"a": [1.0], "b": [1.0], "c": [1.0], "e": [1.0]}, asking=True)
    with pytest.raises(DataError, match="3 columns, but the model was trained on 4"):
        predictor.predict([[1.0, 2.0, 3.0]])
    with pytest.raises(DataError, match="NaN or infinite"):
        predictor.predict([[1.0, 2.0, 3.0, np.nan]])
    with pytest.raises(DataError, match="texts"):
        opened({"text": ["a b c", "d e f"] * 20})


def test_a_column_that_never_changes_divides_nothing_by_zero() -> None:
    values = normal_rows(200)
    values[:, 1] = 7.0
    predictor = fitted(opened(cells(values)), size=2)
    same, other = values[0].copy(), values[0].copy()
    other[1] = 8.0
    quiet, alert = predictor.predict_examples([Example(same), Example(other)])
    assert np.isfinite([quiet.score, alert.score]).all()
    assert alert.alarm
    assert alert.score > 100 * quiet.score


def test_series_and_pictures_are_read_too() -> None:
    waves = [np.sin(np.linspace(0, 6, 20) + shift)[:, None] for shift in random.normal(size=60)]
    problem = opened({"series": [each.tolist() for each in waves]})
    predictor = fitted(problem, size=3)
    flat = np.zeros((20, 1))
    flat[7] = 9.0
    (prediction,) = predictor.predict([flat])
    assert prediction.alarm
    assert predictor.task.cause(prediction) == "step 8"
    assert prediction.errors.shape == (20, 1)
    pictures = [random.integers(0, 50, (6, 5)).tolist() for _ in range(60)]
    predictor = fitted(opened({"image": pictures}), size=3)
    (prediction,) = predictor.predict([np.full((6, 5), 250)])
    assert prediction.alarm
    assert prediction.errors.shape == (6, 5, 1)


def test_answers_do_not_depend_on_the_batch_and_survive_saving(tmp_path: Any) -> None:
    problem = opened(labelled(120, 10))
    for method in (Residual, IsolationForest, Random, Constant):
        predictor = fitted(problem, method)
        some = problem.parts["test"][:12]
        assert same_answer_in_any_batch(predictor, some).holds
        again = Predictor.load(predictor.save(tmp_path / method.name))
        assert again.predict_examples(some) == predictor.predict_examples(some)


def test_a_network_is_compared_with_them(tmp_path: Any) -> None:
    comparison, _ = compare_models(
        "detect", labelled(300, 30), models=["autoencoder:code=2"], seeds=1, budget="60steps",
        out=tmp_path / "out",
    )  # fmt: skip
    board = {row.name: row for row in comparison.leaderboard.rows}
    assert {"PCA 2", "isolation forest", "random", "constant"} < board.keys()
    assert comparison.leaderboard.metric == "auroc"
    (trial,) = next(each for name, each in comparison.trials.items() if "auto" in name)
    losses = [point["scores"]["loss"] for point in trial.history]
    assert losses[-1] < losses[0]  # weights are chosen by the loss: normal rows have no AUROC
    predictor = Predictor.load(trial.folder)
    assert predictor.task.threshold == trial.predictor.task.threshold
    assert predictor.task.usual
    (verdict,) = predictor.predict([[90.0, -90.0, 90.0, 90.0]])
    assert verdict.alarm


def test_errors_of_a_network_count_numbers_beyond_the_range_of_training() -> None:
    task = replace(Detect(criterion="binary"), processor=opened().task.processor)
    piece = Piece(np.zeros(1), np.ones(4, np.float32), np.array([1, 1, 1, 5], np.float32))
    (prediction,) = task.conclude([Example(None)], [], [piece])
    assert prediction.score == 4.0


def test_a_metric_that_normal_rows_do_not_have_leaves_the_weights_to_the_loss(
    tmp_path: Any,
) -> None:
    comparison, _ = compare_models(
        "detect", labelled(200, 20), models=["autoencoder:code=2"], seeds=1, budget="40steps",
        metric="average_precision", out=tmp_path / "out",
    )  # fmt: skip
    assert comparison.leaderboard.metric == "average_precision"
    (trial,) = next(each for name, each in comparison.trials.items() if "auto" in name)
    assert all(np.isfinite(point["value"]) for point in trial.history)
