"""scikit-learn's interface: its tools work with our estimators, on every kind of input."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import ensuite
from ensuite import EnsuiteClassifier, EnsuiteError, EnsuiteRegressor

TEXTS = [f"a {word} film, number {n}" for n in range(30) for word in ("good", "bad")]
MOODS = [word for _ in range(30) for word in ("positive", "negative")]

RANDOM = np.random.default_rng(0)
ROWS = RANDOM.normal(size=(80, 3))
CLASSES = np.where(ROWS[:, 0] > 0, 7, -2)

FAST: dict[str, Any] = {"budget": "3steps", "settings": {"width": 8}, "threads": 1}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_texts_are_classified(folder: Path) -> None:
    model = EnsuiteClassifier("gru", budget="100steps", settings={"width": 16}, threads=1)
    model.fit(TEXTS, MOODS)
    assert model.score(TEXTS, MOODS) > 0.9
    assert model.classes_.tolist() == ["negative", "positive"]
    assert model.predict(["a good film, number 99"]).tolist() == ["positive"]
    probabilities = model.predict_proba(np.array(TEXTS[:3], dtype=object))
    assert probabilities.shape == (3, 2)
    np.testing.assert_allclose(probabilities.sum(1), 1)
    assert list(folder.iterdir()) == [], "nothing is written unless it is asked for"


def test_rows_are_classified_and_keep_the_type_of_their_classes() -> None:
    model = EnsuiteClassifier(budget="60steps", threads=1).fit(ROWS, CLASSES)
    assert model.predictor_.name == "mlp"
    assert model.predict(ROWS).dtype == CLASSES.dtype
    assert model.score(ROWS, CLASSES) > 0.85
    assert model.n_features_in_ == 3
    with pytest.raises(ValueError, match="X has 2 features, but EnsuiteClassifier is expecting 3"):
        model.predict(ROWS[:, :2])


def test_classes_of_truth_values_and_their_order() -> None:
    model = EnsuiteClassifier("mlp", **FAST).fit(ROWS, CLASSES > 0)
    assert model.classes_.tolist() == [False, True]
    best = model.predict_proba(ROWS).argmax(1).astype(bool)
    assert (model.predict(ROWS) == best).all()


def series(lengths: list[int]) -> list[Any]:
    return [RANDOM.normal(size=(length, 2)) for length in lengths]


INPUTS = {
    "series": (RANDOM.normal(size=(40, 5, 2)), "gru"),
    "series of different lengths": (series([3, 4] * 20), "gru"),
    "lists of steps": ([[[n / 40, 1.0]] * (3 + n % 2) for n in range(40)], "gru"),
    "images": (RANDOM.integers(0, 255, size=(40, 8, 8)).astype(np.uint8), "conv"),
    "lists of numbers": ([[float(n), n % 3] for n in range(40)], "mlp"),
    "a frame of numbers": (polars.DataFrame({"a": range(40), "label": range(40)}), "mlp"),
    "a frame with texts": (
        polars.DataFrame({"review": (TEXTS * 2)[:40]}).with_row_index("id"), "gru",
    ),
    "a Series of texts": (polars.Series(TEXTS[:40]), "gru"),
    "a column of texts": (np.array(TEXTS[:40])[:, None], "gru"),
}  # fmt: skip


@pytest.mark.parametrize("kind", INPUTS)
def test_every_kind_of_input_is_read(kind: str) -> None:
    inputs, model = INPUTS[kind]
    columns = {"text": "review"} if kind == "a frame with texts" else None
    made = EnsuiteClassifier(**FAST, columns=columns).fit(inputs, np.arange(40) % 2)
    assert made.predictor_.name == model
    assert made.predict(inputs).shape == (40,)
    numbers = EnsuiteRegressor(**FAST, columns=columns).fit(inputs, np.arange(40.0))
    assert numbers.predict(inputs).shape == (40,)


def test_several_targets_keep_their_shape() -> None:
    one = EnsuiteRegressor("mlp", budget="150steps", threads=1).fit(ROWS, ROWS[:, 0] * 10)
    assert one.score(ROWS, ROWS[:, 0] * 10) > 0.5
    two = EnsuiteRegressor("mlp", **FAST).fit(ROWS, ROWS[:, :2])
    assert two.predict(ROWS).shape == (80, 2)


def test_cross_validation_and_clones() -> None:
    model = EnsuiteClassifier("mlp", **FAST)
    assert len(cross_val_score(model, ROWS, CLASSES, cv=2)) == 2
    copy = clone(model)
    assert copy.get_params() == model.get_params()
    assert copy.set_params(model="conv", budget="1steps").model == "conv"
    assert "model='mlp'" in repr(model)


def test_a_grid_of_models_budgets_and_settings() -> None:
    grid = {"model": ["rnn", "gru"], "budget": ["2steps"], "settings": [{"width": 4}, {"width": 8}]}
    search = GridSearchCV(EnsuiteClassifier(threads=1), grid, cv=2).fit(TEXTS, MOODS)
    assert len(search.cv_results_["params"]) == 4
    assert search.best_estimator_.predict(TEXTS[:2]).shape == (2,)


def test_a_pipeline_of_rows_and_of_texts() -> None:
    rows = make_pipeline(StandardScaler(), EnsuiteClassifier("mlp", **FAST)).fit(ROWS, CLASSES)
    assert rows.predict(ROWS[:4]).shape == (4,)
    lower = FunctionTransformer(lambda texts: [text.lower() for text in texts])
    texts = make_pipeline(lower, EnsuiteClassifier("gru", **FAST)).fit(TEXTS, MOODS)
    assert texts.predict_proba(TEXTS[:4]).shape == (4, 2)


def test_the_seed_decides() -> None:
    def weights(state: Any) -> Any:
        return EnsuiteClassifier("mlp", random_state=state, **FAST).fit(ROWS, CLASSES)

    one, same, other = (weights(state).predict_proba(ROWS) for state in (1, 1, 2))
    assert (one == same).all()
    assert not (one == other).all()
    drawn = [weights(np.random.RandomState(3)).predict_proba(ROWS) for _ in range(2)]
    assert (drawn[0] == drawn[1]).all()


def test_a_fitted_estimator_can_be_pickled_and_saved(folder: Path) -> None:
    model = EnsuiteClassifier("mlp", out="kept", **FAST).fit(ROWS, CLASSES)
    again = pickle.loads(pickle.dumps(model))
    assert (again.predict_proba(ROWS) == model.predict_proba(ROWS)).all()
    assert ensuite.load("kept").predict([ROWS[0]])[0].label in ("-2", "7")
    assert [path.name for path in folder.iterdir()] == ["kept"]


def test_mistakes_are_told() -> None:
    model = EnsuiteClassifier("mlp", **FAST)
    with pytest.raises(NotFittedError):
        model.predict(ROWS)
    with pytest.raises(ValueError, match="contains NaN"):
        model.fit(np.where(ROWS > 2, np.nan, ROWS * np.nan), CLASSES)
    with pytest.raises(ValueError, match="X has 80 rows and y has 79"):
        model.fit(ROWS, CLASSES[1:])
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        model.fit(ROWS, ROWS[:, 0])
    with pytest.raises(EnsuiteError, match="does not read tokens"):
        model.fit(TEXTS, MOODS)
    with pytest.raises(EnsuiteError, match="did you mean width"):
        EnsuiteClassifier("mlp", settings={"hidden_size": 3}).fit(ROWS, CLASSES)


CHECKS = (
    "check_no_attributes_set_in_init", "check_parameters_default_constructible",
    "check_get_params_invariance", "check_set_params", "check_estimators_unfitted",
    "check_estimator_cloneable", "check_valid_tag_types", "check_n_features_in",
    "check_estimators_nan_inf", "check_estimators_empty_data_messages", "check_complex_data",
    "check_dict_unchanged", "check_estimators_overwrite_params", "check_supervised_y_2d",
    "check_requires_y_none", "check_estimators_pickle", "check_fit1d",
    "check_n_features_in_after_fitting", "check_fit_score_takes_y", "check_fit_idempotent",
)  # fmt: skip
"""Checks of scikit-learn that a network trained for two updates passes."""


@pytest.mark.parametrize("kind", [EnsuiteClassifier, EnsuiteRegressor])
@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.filterwarnings("ignore")
def test_a_check_of_scikit_learn_passes(check: str, kind: Any) -> None:
    from sklearn.utils import estimator_checks

    estimator = kind("mlp", budget="2steps", threads=1)
    getattr(estimator_checks, check)(kind.__name__, estimator)


def test_a_sparse_matrix_is_refused() -> None:
    from scipy.sparse import csr_matrix

    with pytest.raises(EnsuiteError, match=r"X is a sparse matrix; give an array: X\.toarray"):
        EnsuiteClassifier("mlp", **FAST).fit(csr_matrix(ROWS), CLASSES)
