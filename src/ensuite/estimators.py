"""scikit-learn's interface: estimators that train one of the models, for use in its tools."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import Tags, check_random_state, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from ensuite.core.errors import DataError
from ensuite.core.seed import LARGEST_SEED

if TYPE_CHECKING:
    from ensuite.candidates import Spec
    from ensuite.predictor import Predictor
    from ensuite.problem import Problem

Numbers = NDArray[Any]

USUAL_MODELS = {"row": "mlp", "image": "conv"}
"""The model that is trained where none is named, by the kind of input."""

USUAL_MODEL = "gru"
"""The model that is trained where none is named, for texts and series."""


class Estimator(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """What both estimators share: one model is trained, on all rows but a validation part.

    ``X`` may be texts (a list, an array or a Series of strings), rows (an array of two dimensions),
    series (an array of three dimensions, or a list of arrays of steps), images (an array of bytes,
    one image a row), or a DataFrame. A tenth of the rows is set aside to select the best weights.
    """

    _task: str
    _role: str

    def __init__(
        self,
        model: "Spec | None" = None,
        *,
        budget: str | None = None,
        settings: Mapping[str, Any] | None = None,
        columns: Mapping[str, str] | None = None,
        random_state: Any = 0,
        device: str = "auto",
        threads: int | None = None,
        out: str | Path | None = None,
    ) -> None:
        self.model = model
        self.budget = budget
        self.settings = settings
        self.columns = columns
        self.random_state = random_state
        self.device = device
        self.threads = threads
        self.out = out

    def _fit(self, inputs: Any, truths: Sequence[Any] | Numbers) -> Self:
        """Train on inputs and their truths, and keep the predictor."""
        with TemporaryDirectory(prefix="ensuite-") as folder:
            predictor = self._train(self._to_columns(inputs, truths), Path(folder))
        self.predictor_ = predictor
        if self.out is not None:
            predictor.save(self.out)
        return self

    def _train(self, data: Mapping[str, Any], folder: Path) -> "Predictor":
        """Train the model; what it writes while it trains goes into ``folder``."""
        from ensuite.api import open_sorted
        from ensuite.comparison.plan import best_threads
        from ensuite.specs import choose
        from ensuite.training.budget import Budget
        from ensuite.training.callback import Callback
        from ensuite.training.device import choose_device
        from ensuite.training.threads import use_threads

        specs = [] if self.model is None else [self.model]
        given = {**(self.columns or {}), self._role: ",".join(_truth_columns(data))}
        source, settings = open_sorted(self._task, data, specs, self.settings, given=given)
        examples = source.examples["train"]
        parts = {**source.examples, "test": examples[:1]}  # without one, a tenth would be set aside
        problem = source.problem(*source.reader.divide(parts, source.split))
        spec = self.model or usual_model(problem)
        candidate = choose([spec], problem, settings, choose_device(self.device))[0]
        with use_threads(self.threads or best_threads(candidate, problem)):
            fitted = candidate.fit(
                problem, budget=Budget.parse(self.budget), seed=self._seed(), folder=folder,
                callback=Callback(),
            )  # fmt: skip
        return fitted.predictor

    def _seed(self) -> int:
        if isinstance(self.random_state, int):
            return self.random_state
        return int(check_random_state(self.random_state).randint(LARGEST_SEED))

    def _ask(self, inputs: Any) -> list[Any]:
        """Return a prediction for each input."""
        check_is_fitted(self, "predictor_")
        predictor: Predictor = self.predictor_
        data = self._to_columns(inputs, None)
        given = {**(self.columns or {}), self._role: ",".join(_truth_columns(data))}
        return predictor.predict_examples(predictor.read(data, given, asking=True))

    def _to_columns(self, inputs: Any, truths: Sequence[Any] | Numbers | None) -> dict[str, Any]:
        """Return inputs and truths as columns; without truths, the first input is being asked for.

        Rows of numbers are checked as scikit-learn does, which also remembers how many there are.
        """
        named = to_columns(inputs)
        if list(named) == [ONLY] and _is_rows(named[ONLY]):
            named = {ONLY: validate_data(self, named[ONLY], reset=truths is not None)}
        rows = len(next(iter(named.values()), ()))
        if truths is None:
            truths = np.zeros(rows)
        if len(truths) != rows:
            raise ValueError(
                f"X has {rows:,} rows and y has {len(truths):,}; give one truth for each row."
            )
        return named | truth_columns(truths)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "predictor_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.three_d_array = True
        return tags


class EnsuiteClassifier(ClassifierMixin, Estimator):  # type: ignore[misc]  # see above
    """Train a model to give each input one class.

    Args:
        model: As ``ensuite.train`` takes it: a name ("lstm:layers=2"), a folder, or options. None:
            ``gru`` for texts and series, ``conv`` for images, ``mlp`` for rows.
        budget: How long to train: "20s", "500steps", "4epochs". None: until the validation score
            does not improve any more, 10 minutes at most.
        settings: Options of model, task and recipe by name: ``{"width": 64}``.
        columns: Column by role, where ``X`` is a DataFrame: ``{"text": "review"}``.
        random_state: Seed of weights, order and dropout.
        device: "auto", "cpu", "cuda" or "mps".
        threads: CPU threads. None: measured.
        out: Folder to write the trained run to, which ``ensuite.load`` opens. None: nothing is
            written.

    Attributes:
        classes_: The classes of ``y``, sorted, in the order of ``predict_proba``.
        predictor_: The trained model as :class:`ensuite.Predictor`.

    Raises:
        EnsuiteError: From ``fit`` and ``predict``: one sentence on what is wrong.
    """

    _task = "classify"
    _role = "label"

    def fit(self, X: Any, y: Any) -> Self:  # noqa: N803  # scikit-learn's name
        """Train on inputs and the class of each."""
        targets = column_or_1d(_given(y), warn=True)
        check_classification_targets(targets)
        self.classes_, numbers = np.unique(targets, return_inverse=True)
        names = [str(each) for each in self.classes_.tolist()]
        return self._fit(X, [names[number] for number in numbers])

    def predict(self, X: Any) -> Numbers:  # noqa: N803
        """Return the most probable class of each input, (rows,)."""
        best = self.predict_proba(X).argmax(1)
        classes: Numbers = self.classes_[best]
        return classes

    def predict_proba(self, X: Any) -> Numbers:  # noqa: N803
        """Return the probability of each class, (rows, classes), in the order of ``classes_``."""
        predictions = self._ask(X)
        place = {name: number for number, name in enumerate(self.predictor_.task.choices)}
        order = [place.get(str(each)) for each in self.classes_.tolist()]
        known = np.array([prediction.probabilities for prediction in predictions])
        return np.stack([_column(known, number) for number in order], axis=1)


class EnsuiteRegressor(RegressorMixin, Estimator):  # type: ignore[misc]  # see above
    """Train a model to give each input a number, or several.

    Args:
        model: As for :class:`EnsuiteClassifier`, like all options.
        budget: As for :class:`EnsuiteClassifier`.
        settings: As for :class:`EnsuiteClassifier`.
        columns: As for :class:`EnsuiteClassifier`.
        random_state: As for :class:`EnsuiteClassifier`.
        device: As for :class:`EnsuiteClassifier`.
        threads: As for :class:`EnsuiteClassifier`.
        out: As for :class:`EnsuiteClassifier`.

    Attributes:
        predictor_: The trained model as :class:`ensuite.Predictor`.

    Raises:
        EnsuiteError: From ``fit`` and ``predict``: one sentence on what is wrong.
    """

    _task = "regress"
    _role = "target"

    def fit(self, X: Any, y: Any) -> Self:  # noqa: N803
        """Train on inputs and the number of each, (rows,), or several, (rows, targets)."""
        targets = np.asarray(_given(y), dtype=np.float64)
        if targets.shape[1:] == (1,):
            targets = column_or_1d(targets, warn=True)
        self.shape_ = targets.shape[1:]
        return self._fit(X, targets)

    def predict(self, X: Any) -> Numbers:  # noqa: N803
        """Return the number that is expected for each input, in the shape of ``y``."""
        values = np.array([prediction.value for prediction in self._ask(X)], dtype=np.float64)
        return values.reshape(len(values), *self.shape_)


ONLY = "X"
"""Name of the column of inputs that have no columns of their own."""

TRUTH = "ensuite truth"
"""Start of the names of the columns of truths: one that no column of inputs has."""


def _given(truths: Any) -> Any:
    """Return the truths.

    Raises:
        ValueError: If there are none.
    """
    if truths is None:
        raise ValueError("fit requires y to be passed, but the target y is None.")
    return truths


def to_columns(inputs: Any) -> dict[str, Any]:
    """Return inputs as columns: those of a DataFrame or mapping, else a single one.

    Raises:
        DataError: For a sparse matrix.
    """
    if hasattr(inputs, "toarray"):
        raise DataError("X is a sparse matrix; give an array: X.toarray().")
    names = inputs if isinstance(inputs, Mapping) else getattr(inputs, "columns", None)
    if names is not None:
        return {str(name): inputs[name] for name in names}
    if hasattr(inputs, "to_list"):  # a Series
        inputs = inputs.to_list()
    if isinstance(inputs, Sequence) and not isinstance(inputs, str):
        inputs = _as_array(inputs)
    if isinstance(inputs, np.ndarray) and inputs.dtype.kind in "OUS" and inputs.ndim == 2:
        columns = [_plain(column) for column in inputs.T]
        return {ONLY if len(columns) == 1 else str(n): each for n, each in enumerate(columns)}
    return {ONLY: _plain(inputs) if isinstance(inputs, np.ndarray) else inputs}


def truth_columns(truths: Sequence[Any] | Numbers) -> dict[str, Any]:
    """Return truths as columns: one, or one for each target."""
    if np.ndim(truths) == 2:
        columns = np.asarray(truths).T
        return {f"{TRUTH} {number}": column for number, column in enumerate(columns, 1)}
    return {TRUTH: truths}


def usual_model(problem: "Problem") -> str:
    """Return the name of the model that is trained where none is named."""
    return USUAL_MODELS.get(problem.unit, USUAL_MODEL)


def _truth_columns(data: Mapping[str, Any]) -> list[str]:
    return [name for name in data if name.startswith(TRUTH)]


def _as_array(inputs: Sequence[Any]) -> Any:
    """Return a list of numbers or of rows of one length as an array; anything else as it is."""
    if any(isinstance(each, str) for each in inputs[:1]):
        return list(inputs)
    try:
        return np.asarray(inputs)
    except ValueError:  # series of different lengths
        return list(inputs)


def _plain(array: Numbers) -> Any:
    """Return strings and objects as a list, numbers as the array they are."""
    return array.tolist() if array.dtype.kind in "OUS" else array


def _is_rows(column: Any) -> bool:
    """Return whether a column is checked as scikit-learn checks rows of numbers."""
    return isinstance(column, np.ndarray) and column.ndim <= 2 and column.dtype.kind in "biufc"


def _column(known: Numbers, number: int | None) -> Numbers:
    """Return the probabilities of a class; 0 for one that no training row has."""
    column: Numbers = np.zeros(len(known)) if number is None else known[:, number]
    return column
