"""Reduce: codes and reconstructions, scored in scaled numbers and given in the user's units."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ensuite.baselines.principal import Principal
from ensuite.core.batch import Batch, Row
from ensuite.core.errors import DataError, UsageError
from ensuite.core.model import Model
from ensuite.data import readers
from ensuite.models.autoencoder import AutoencoderOptions
from ensuite.models.recurrent_autoencoder import RecurrentAutoencoderOptions
from ensuite.models.vae import VAEOptions
from ensuite.tasks.reconstruction import Piece
from ensuite.tasks.reduce import CONDITION, Evidence, Example, Prediction, Reduce
from ensuite.training.evaluate import predict

NUMBERS = np.random.default_rng(0).normal(size=(12, 3)) * [1.0, 10.0, 0.1] + [0.0, 50.0, 3.0]


def read(columns: Mapping[str, Any], task: Reduce | None = None) -> tuple[Reduce, list[Example]]:
    return (task or Reduce()).read(readers.read(columns), {})


def rows(**more: Any) -> dict[str, Any]:
    return dict(zip("abc", NUMBERS.T.tolist(), strict=True)) | more


def build(task: Reduce, options: Any) -> Model:
    torch.manual_seed(0)
    return Model.build(options, task).eval()


# Inputs and labels


def test_labels_are_optional_and_no_input() -> None:
    task, examples = read(rows(label=["x", ""] * 6))
    assert examples[0].input.tolist() == NUMBERS[0].tolist()
    assert [e.label for e in examples[:2]] == ["x", None]
    prepared = task.prepare(examples)
    assert prepared.labels.names == ("x",)
    assert prepared.label_numbers(examples)[:2] == [0, -1]
    assert [e.label for e in read(rows())[1]] == [None] * 12


def test_the_data_check_says_which_column_is_the_label() -> None:
    table = readers.read(rows(label=["x", ""] * 6))
    Reduce().read(table, {})
    assert table.read_as["label"] == ["label"]


def test_y_is_a_label_beside_x_alone() -> None:
    _, examples = read({"X": NUMBERS, "y": ["u", "v"] * 6})
    assert examples[1].label == "v"
    _, examples = read({"x": [1.0, 2.0], "y": [3.0, 4.0]})
    assert examples[1].input.tolist() == [2.0, 4.0]
    assert examples[1].label is None


def test_texts_are_refused() -> None:
    with pytest.raises(DataError, match="holds texts, and an autoencoder reads numbers: give rows"):
        read({"text": ["a film", "a good film"]})


@pytest.mark.parametrize(
    ("column", "sentence"),
    [
        ([1.0] * 12, "No number of the training rows ever changes: there is nothing to encode"),
        ([1.0, float("nan")] * 6, "is empty"),
    ],
)
def test_columns_without_anything_to_learn(column: list[float], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        task, examples = read({"a": column})
        task.prepare(examples)


def test_a_single_training_row_is_refused() -> None:
    task, examples = read(rows())
    with pytest.raises(DataError, match="There is a single training row"):
        task.prepare(examples[:1])


def test_images_of_different_sizes_are_refused() -> None:
    cells = [np.zeros((4, 4), np.uint8), np.zeros((5, 4), np.uint8)]
    task, examples = read({"image": cells})
    with pytest.raises(DataError, match="Pictures are read in one size"):
        task.prepare(examples)


def test_a_constant_column_is_told_and_does_no_harm() -> None:
    task, examples = read(rows(d=[7.0] * 12))
    task = task.prepare(examples)
    (finding,) = [each for each in task.check({"train": examples}) if each.topic == "constant"]
    assert finding.sentence == "d never changes in the training rows"
    (prediction, *_) = predict(task, build(task, AutoencoderOptions(code=2, width=4)), examples)
    assert np.isfinite(prediction.reconstruction).all()


# Scaling


@pytest.mark.parametrize("scale", ["standard", "minmax", "none"])
def test_numbers_are_given_back_in_their_units(scale: str) -> None:
    task, examples = read(rows())
    processor = type(task.processor)(scale=scale, names=task.processor.names)
    task = Reduce(processor=processor).prepare(examples)
    batch = task.collate(task.items(examples))
    scaled = batch.inputs["row"].numpy()
    np.testing.assert_allclose(task.restore(scaled), NUMBERS, rtol=1e-5)
    if scale == "minmax":
        assert (scaled.min(0) == 0).all()
        np.testing.assert_allclose(scaled.max(0), 1, rtol=1e-6)
    if scale == "none":
        np.testing.assert_allclose(scaled, NUMBERS, rtol=1e-6)


@given(
    low=st.floats(-1e6, 1e6),
    spread=st.floats(1e-3, 1e6),
    scale=st.sampled_from(["standard", "minmax"]),
)
def test_any_unit_comes_back(low: float, spread: float, scale: Any) -> None:
    numbers = low + spread * np.linspace(0, 1, 9)[:, None]
    processor = type(read(rows())[0].processor)(scale=scale)
    prepared = processor.prepare(list(numbers))
    back = prepared.restore(prepared.normalise(numbers))
    np.testing.assert_allclose(back, numbers, rtol=0, atol=1e-5 * spread)


def test_cross_entropy_is_for_numbers_from_0_to_1() -> None:
    task, examples = read(rows())
    with pytest.raises(DataError, match=r"The numbers of . are .* needs 0 to 1: give --set scale"):
        Reduce(criterion="binary", processor=task.processor).prepare(examples)
    processor = type(task.processor)(scale="minmax")
    prepared = Reduce(criterion="binary", processor=processor).prepare(examples)
    beyond = Example(NUMBERS.max(0) + 100)
    batch = prepared.collate(prepared.items([beyond]))
    assert batch.inputs["row"].min() > 1
    assert (batch.targets["row"] == 1).all()  # it counts as 1
    (prediction,) = predict(prepared, build(prepared, AutoencoderOptions(code=2)), [beyond])
    assert (prediction.reconstruction >= NUMBERS.min(0) - 1e-6).all()


# Predictions


def test_predictions_hold_code_reconstruction_and_error() -> None:
    task, examples = read(rows())
    task = task.prepare(examples)
    model = build(task, AutoencoderOptions(code=2, width=4))
    predictions = predict(task, model, examples)
    batch = task.collate(task.items(examples))
    with torch.no_grad():
        codes = model.backbone.encode(batch)
        decoded = model.backbone.decode(codes, batch)
    for prediction, code, values, inputs in zip(
        predictions, codes, decoded, batch.inputs["row"], strict=True
    ):
        np.testing.assert_allclose(prediction.code, code)
        expected = values.numpy() * task.processor.deviation + task.processor.mean
        np.testing.assert_allclose(prediction.reconstruction, expected, rtol=1e-6)
        assert prediction.error == pytest.approx((values - inputs).square().mean().item())
        assert prediction.evidence is None
    assert task.score(predictions, examples)["mse"].value == pytest.approx(
        (decoded - batch.inputs["row"]).square().mean().item()
    )


def test_series_come_back_in_their_lengths() -> None:
    series = [NUMBERS[:n] for n in (2, 5, 3)]
    task, examples = read({"series": [each.tolist() for each in series]})
    task = task.prepare(examples)
    for options in (AutoencoderOptions(code=2), RecurrentAutoencoderOptions(code=2, width=4)):
        predictions = predict(task, build(task, options), examples)
        assert [p.reconstruction.shape for p in predictions] == [(2, 3), (5, 3), (3, 3)]


def test_pictures_come_back_in_their_shape_and_shades() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (6, 4, 5, 3)).astype(np.uint8)
    task, examples = read({"image": list(pictures)})
    task = task.prepare(examples)
    batch = task.collate(task.items(examples))
    back = task.restore(batch.inputs["image"].numpy())
    np.testing.assert_allclose(back, pictures, atol=1e-4)
    (prediction, *_) = predict(task, build(task, AutoencoderOptions(code=2)), examples)
    assert prediction.reconstruction.shape == (4, 5, 3)
    assert prediction.reconstruction.min() >= 0


def test_scores_of_a_variational_autoencoder() -> None:
    task, examples = read(rows(label=["x", "y", "z"] * 4))
    task = task.prepare(examples)
    predictions = predict(task, build(task, VAEOptions(code=2, width=4)), examples)
    scores = task.score(predictions, examples)
    assert list(scores) == [
        "mse", "knn_accuracy", "elbo", "log_likelihood", "reconstruction", "kl", "active_units",
        "near_zero",
    ]  # fmt: skip
    values = {name: score.value for name, score in scores.items()}
    assert values["elbo"] == pytest.approx(values["reconstruction"] - values["kl"])
    assert values["kl"] > 0
    again = predict(task, build(task, VAEOptions(code=2, width=4)), examples[::-1])[::-1]
    for one, other in zip(predictions, again, strict=True):
        np.testing.assert_allclose(one.evidence, other.evidence, rtol=1e-4)


def test_a_collapsed_code_is_told() -> None:
    task, examples = read(rows())
    task = task.prepare(examples)
    model = build(task, VAEOptions(code=16, width=4))
    with torch.no_grad():
        for parameter in model.backbone.encoder.parameters():
            parameter.zero_()
    (remark,) = task.remarks("vae", predict(task, model, examples), examples)
    assert "vae: 0 of 16 units of the code vary between examples" in remark
    assert "tells 0 nats of them" in remark
    assert "(posterior collapse). Try --set model.kl_warmup=0.5" in remark
    plain = predict(task, build(task, AutoencoderOptions(code=2)), examples)
    assert not task.remarks("autoencoder", plain, examples)
    alive = build(task, VAEOptions(code=2, width=16))
    with torch.no_grad():
        alive.backbone.encoder.layers[-1].weight.mul_(5)
    assert not task.remarks("vae", predict(task, alive, examples), examples)


def test_predictions_are_equal_where_all_numbers_are() -> None:
    one = Prediction(np.ones(2), np.zeros(3), 0.5, Evidence(1, 2, 3))
    assert one == Prediction(np.ones(2), np.zeros(3), 0.5, Evidence(1, 2, 3))
    assert one != Prediction(np.ones(2), np.zeros(3), 0.5)
    assert one != Prediction(np.zeros(2), np.zeros(3), 0.5, Evidence(1, 2, 3))


def test_how_a_code_is_written() -> None:
    task, examples = read(rows())
    prediction = Prediction(np.arange(10) / 3, np.zeros(3), 0.5, Evidence(5.0, 2.0, 4.0))
    assert task.describe(prediction) == ("0 0.333 0.667 1 1.33 1.67 2 2.33 ...", None)
    (record,) = task.records(examples[0], prediction)
    assert list(record)[:2] == ["code_1", "code_2"]
    assert record["error"] == 0.5
    assert record["elbo"] == 3.0
    assert task.truth(examples[0]) == ""


# The decoder is told a label


def test_the_decoder_is_told_the_label() -> None:
    task, examples = read(rows(label=["x", "y", ""] * 4), Reduce(condition=True))
    task = task.prepare(examples)
    assert task.inputs[CONDITION] == Row(2, reader="decoder")
    batch = task.collate(task.items(examples))
    assert batch.inputs[CONDITION][:3].tolist() == [[1, 0], [0, 1], [0, 0]]
    for options in (AutoencoderOptions(code=2, width=4), VAEOptions(code=2, width=4)):
        model = build(task, options)
        same = [Example(NUMBERS[0], label) for label in ("x", "y")]
        one, two = predict(task, model, same)
        assert np.array_equal(one.code, two.code)
        assert not np.array_equal(one.reconstruction, two.reconstruction)


def test_what_labels_a_decoder_can_be_told() -> None:
    task, examples = read(rows(), Reduce(condition=True))
    with pytest.raises(DataError, match="tells the decoder each label, and the training rows have"):
        task.prepare(examples)
    task, examples = read(rows(label=["x", "y"] * 6), Reduce(condition=True))
    task = task.prepare(examples)
    assert task.blank(3, "y").inputs[CONDITION].tolist() == [[0, 1]] * 3
    with pytest.raises(UsageError, match="was told the label of each example; give one of: x, y"):
        task.blank(3)
    with pytest.raises(UsageError, match="was trained without labels; leave the label out"):
        Reduce(processor=task.processor).prepare(examples).blank(3, "x")


def test_impossible_options_are_refused() -> None:
    with pytest.raises(ValueError, match="samples must be 1 or more"):
        Reduce(samples=0)


# What methods without a network share with it


def test_pieces_of_other_methods_become_predictions() -> None:
    task, examples = read(rows())
    task = task.prepare(examples)
    items = task.items(examples[:1])
    target = task.collate(items).inputs["row"][0].numpy()
    (prediction,) = task.conclude(examples[:1], items, [Piece(np.ones(2), target + 1, target)])
    assert prediction.error == pytest.approx(1.0)
    assert isinstance(Principal.fit(task, examples, [], 0, size=2).predict(task, examples), list)
    assert isinstance(task.blank(2), Batch)
