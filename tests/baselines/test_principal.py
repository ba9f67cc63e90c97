from typing import Any

import numpy as np
import pytest
from sklearn.decomposition import PCA

from ensuite.baselines.principal import Principal, flat, unflat
from ensuite.core.errors import UsageError
from ensuite.models.autoencoder import AutoencoderOptions
from ensuite.models.mlp import MLPOptions
from ensuite.tasks.reduce import Example, Reduce


def prepared(raws: list[Any]) -> tuple[Reduce, list[Example]]:
    from ensuite.data import readers

    rows = [{"series" if each.ndim > 1 else "values": each.tolist()} for each in raws]
    task, examples = Reduce().read(readers.read(rows), {})
    return task.prepare(examples), examples


def test_it_is_the_pca_of_scikit_learn() -> None:
    rows = np.random.default_rng(0).normal(size=(40, 5)) @ np.diag([5.0, 3, 2, 1, 0.5])
    rows = rows @ np.random.default_rng(1).normal(size=(5, 5))
    task, examples = prepared(list(rows))
    model = Principal.fit(task, examples, [], 0, size=2)
    scaled = task.collate(task.items(examples)).inputs["row"].double().numpy()
    expected = PCA(2).fit(scaled)
    signs = np.sign((model.components * expected.components_).sum(1, keepdims=True))
    np.testing.assert_allclose(model.components * signs, expected.components_, atol=1e-6)
    back = expected.inverse_transform(expected.transform(scaled))
    predictions = model.predict(task, examples)
    errors = np.square(back - scaled).mean(1)
    np.testing.assert_allclose([p.error for p in predictions], errors, rtol=1e-4)
    np.testing.assert_allclose(predictions[0].reconstruction, task.restore(back)[0], rtol=1e-4)


def test_one_row_for_each_distinct_size_of_a_code() -> None:
    task, _ = prepared(list(np.random.default_rng(0).normal(size=(9, 8))))
    options = [AutoencoderOptions(code=3), AutoencoderOptions(), AutoencoderOptions(code=3)]
    names = [each.name for each in Principal.variants(task, [*options, MLPOptions()])]
    assert names == ["PCA 2", "PCA 3"]
    assert [each.name for each in Principal.variants(task, [])] == ["PCA"]
    assert Principal.fits(task)


def test_no_more_components_than_numbers_or_rows() -> None:
    task, examples = prepared(list(np.random.default_rng(0).normal(size=(9, 4))))
    whole = Principal.fit(task, examples, [], 0, size=10)
    assert whole.components.shape == (4, 4)
    assert max(p.error for p in whole.predict(task, examples)) < 1e-12
    assert Principal.fit(task, examples[:3], [], 0, size=10).components.shape == (3, 4)


def test_series_of_several_lengths() -> None:
    random = np.random.default_rng(0)
    task, examples = prepared([random.normal(size=(n, 2)) for n in (3, 5, 4, 5, 2, 5)])
    model = Principal.fit(task, examples, [], 0, size=2)
    assert model.components.shape == (2, 10)
    shapes = [p.reconstruction.shape for p in model.predict(task, examples)]
    assert shapes == [(3, 2), (5, 2), (4, 2), (5, 2), (2, 2), (5, 2)]
    longer = Example(random.normal(size=(8, 2)))
    (prediction,) = model.predict(task, [longer])
    np.testing.assert_allclose(prediction.reconstruction[:3], [task.processor.mean] * 3)


def test_a_vector_goes_back_to_its_steps() -> None:
    array = np.arange(6.0).reshape(3, 2) + 1
    assert flat(array, 4).tolist() == [0, 0, 1, 2, 3, 4, 5, 6]
    assert np.array_equal(unflat(flat(array, 4), array, 4), array)
    assert unflat(flat(array, 2), array, 2).tolist() == [[0, 0], [3, 4], [5, 6]]
    assert unflat(np.arange(6.0), array, 0).shape == (3, 2)


def test_codes_of_another_size_are_refused() -> None:
    task, examples = prepared(list(np.random.default_rng(0).normal(size=(9, 4))))
    model = Principal.fit(task, examples, [], 0, size=2)
    with pytest.raises(UsageError, match="Codes of this model have 2 numbers, and these 3"):
        model.decode(task, np.zeros((1, 3)), task.blank(1))
