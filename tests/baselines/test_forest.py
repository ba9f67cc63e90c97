"""The isolation forest in arrays scores as scikit-learn's does."""

import numpy as np
import pytest
from sklearn.ensemble import IsolationForest

from ensuite.baselines.forest import Forest


@pytest.mark.parametrize(("rows", "columns"), [(600, 4), (40, 1), (3, 2)])
def test_it_scores_as_the_forest_it_was_made_of(rows: int, columns: int) -> None:
    random = np.random.default_rng(0)
    train, test = random.normal(size=(rows, columns)), random.normal(0, 3, size=(50, columns))
    forest = Forest.grow(train, seed=1, trees=20)
    sample = min(256, rows)
    theirs = IsolationForest(n_estimators=20, max_samples=sample, random_state=1)
    expected = -theirs.fit(train.astype(np.float32)).score_samples(test.astype(np.float32))
    np.testing.assert_allclose(forest.score(test), expected, rtol=1e-6)  # they sum in float64 too


def test_rows_that_are_all_alike_have_scores() -> None:
    forest = Forest.grow(np.ones((20, 2)), seed=0, trees=5)
    assert np.isfinite(forest.score(np.array([[1.0, 1.0], [9.0, 9.0]]))).all()
