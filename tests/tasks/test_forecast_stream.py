"""A stream forecasts as a file does, and keeps no more than it needs."""

from typing import Any

import numpy as np
import pytest
import torch

from ensuite.baselines.forecast import Drift, LastValue, LinearLayer, SeasonalNaive
from ensuite.baselines.theta import Theta
from ensuite.core.errors import DataError, UsageError
from ensuite.core.model import Model
from ensuite.data.series import TIMELESS, Series
from ensuite.data.windows import Window
from ensuite.models.recurrent import RecurrentOptions
from ensuite.network import Network
from ensuite.predictor import Predictor
from ensuite.problem import Problem, open_problem
from ensuite.tasks.forecast_stream import ForecastStream

STEPS = np.cumsum(np.random.default_rng(0).normal(size=(120, 2)), axis=0)
GRU = RecurrentOptions(cell="gru").tiny()


def opened(columns: str = "a,b", **settings: Any) -> Problem:
    cells = {"a": STEPS[:, 0].tolist(), "b": STEPS[:, 1].tolist(), "rain": [0.5] * 120}
    given = {"horizon": "4", "look_back": "12", **{k: str(v) for k, v in settings.items()}}
    return open_problem("forecast", cells, given={"value": columns}, settings=given)


def network(problem: Problem, options: RecurrentOptions = GRU) -> Predictor:
    torch.manual_seed(0)
    model = Model.build(options, problem.task).eval()
    return Predictor("gru", "forecast", problem.task, Network(model, options))


def batch(predictor: Predictor, steps: int, name: str = "") -> Any:
    series = Series.plain(name, TIMELESS, STEPS[:steps])
    return predictor.predict_examples([Window(series, steps)])[0]


def same(one: Any, other: Any) -> bool:
    return all(
        np.allclose(getattr(one, part), getattr(other, part), atol=1e-4)
        for part in ("point", "lower", "upper")
    )


@pytest.mark.parametrize("normalise", ["last", "window", "none"])
@pytest.mark.parametrize("per_column", [True, False])
def test_a_stream_forecasts_as_a_file_does(normalise: str, per_column: bool) -> None:
    predictor = network(opened(normalise=normalise, per_column=per_column))
    stream = ForecastStream(predictor, STEPS[:1])
    for step in range(1, 40):
        assert same(stream.forecast(), batch(predictor, step))
        stream.read(STEPS[step])
    assert len(stream.buffer) == 12


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("per_column", [True, False])
def test_a_carried_state_forecasts_as_a_file_that_is_read_whole(
    cell: Any, per_column: bool
) -> None:
    problem = opened(normalise="none", look_back=30, per_column=per_column)
    predictor = network(problem, RecurrentOptions(cell=cell).tiny())
    stream = ForecastStream(predictor, STEPS[:1], carry=True)
    for step in range(1, 30):
        assert same(stream.forecast(), batch(predictor, step))
        stream.read(STEPS[step])


def test_calibrated_intervals_and_baselines() -> None:
    problem = opened()
    baseline = LinearLayer.fit(problem.task, problem.parts["train"], problem.parts["valid"], 0)
    answers = baseline.predict(problem.task, problem.parts["valid"])
    task = problem.task.calibrate(answers, problem.parts["valid"])
    predictor = Predictor("linear layer", "forecast", task, baseline)
    found = ForecastStream(predictor, STEPS[:60]).forecast()
    assert same(found, batch(predictor, 60))
    assert (found.upper > found.lower).all()


@pytest.mark.parametrize("method", [LastValue, SeasonalNaive, Theta])
def test_as_many_readings_are_kept_as_a_baseline_reads(method: Any) -> None:
    problem = opened(season=14)
    baseline = method.fit(problem.task, problem.parts["train"], problem.parts["valid"], 0)
    predictor = Predictor(method.name, "forecast", problem.task, baseline)
    stream = ForecastStream(predictor, STEPS[:100])
    assert same(stream.forecast(), batch(predictor, 100))
    assert len(stream.buffer) == {"last value": 1, "seasonal naive": 14, "theta": 84}[method.name]


def test_a_baseline_that_reads_from_the_beginning_has_no_stream() -> None:
    problem = opened()
    baseline = Drift.fit(problem.task, problem.parts["train"], problem.parts["valid"], 0)
    predictor = Predictor("drift", "forecast", problem.task, baseline)
    with pytest.raises(UsageError, match="reads each series from its beginning"):
        ForecastStream(predictor, STEPS[:60])


def test_a_new_series_is_scaled_by_its_history() -> None:
    predictor = network(opened(normalise="none"))
    stream = ForecastStream(predictor, 1000 + STEPS[:20], series="new")
    assert np.abs(stream.forecast().point - 1000).max() < 100


def test_a_missing_reading_is_the_last_one() -> None:
    predictor = network(opened())
    streams = [ForecastStream(predictor, STEPS[:20]) for _ in range(2)]
    streams[0].read([np.nan, 1.0])
    streams[1].read([STEPS[19, 0], 1.0])
    assert same(*(stream.forecast() for stream in streams))


def test_intervals_follow_a_series_that_has_changed() -> None:
    predictor = network(opened("a"))
    random, held = np.random.default_rng(1), []
    stream = ForecastStream(predictor, STEPS[:20, 0], rate=0.2)
    for _ in range(600):
        forecast, reading = stream.forecast(), random.normal(0, 30)
        held.append(forecast.lower[0, 0, 0] <= reading <= forecast.upper[0, 0, 0])
        stream.read(reading)
    assert np.mean(held[300:]) == pytest.approx(0.8, abs=0.05)
    assert len(stream.given) == 4


@pytest.mark.parametrize(
    ("settings", "options", "problem"),
    [
        ({}, GRU, "trained with normalise=none and segment=1"),
        ({"normalise": "none", "segment": 2}, GRU, "trained with normalise=none and segment=1"),
        ({"normalise": "none", "decode": "recursive"}, GRU, "decode=direct or decode=positions"),
        (
            {"normalise": "none"},
            RecurrentOptions(cell="gru", summary="mean").tiny(),
            "a network with summary=last",
        ),
    ],
)
def test_states_that_cannot_be_carried(settings: Any, options: Any, problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        ForecastStream(network(opened(**settings), options), STEPS[:5], carry=True)


def test_what_a_stream_cannot_read() -> None:
    with pytest.raises(UsageError, match="cannot read columns beside the values"):
        ForecastStream(network(opened(past="rain")), STEPS[:5])
    stream = ForecastStream(network(opened()), STEPS[:5])
    with pytest.raises(DataError, match="A reading has 1 numbers; give 2, one for each of a, b"):
        stream.read(5.0)
