"""A trained encoder starts a classifier, which reads the code and not the decoder."""

from pathlib import Path

import numpy as np
import pytest
import torch

import ensuite
from ensuite.core.errors import RunError, UsageError

HOW = {"budget": "3steps", "settings": {"learning_rate": "1e-12"}}
MODELS = ["autoencoder:width=8,code=3", "vae:width=8,code=3"]


@pytest.mark.parametrize("model", MODELS)
def test_a_classifier_starts_from_the_encoder(tmp_path: Path, model: str) -> None:
    run = tmp_path / "codes"
    codes = ensuite.train("reduce", "iris", model=model, out=run, **HOW)
    name = model.partition(":")[0]
    classifier = ensuite.train(
        "classify", "iris", model=f"{name}:init_from={run}", out=tmp_path / "labels", **HOW
    )
    assert classifier.options == codes.options
    assert classifier.model.head.linear.in_features == 3  # the code
    flower = [5.1, 3.5, 1.4, 0.2]
    np.testing.assert_allclose(
        classifier.embed(flower, pool=True), codes.transform([flower]), rtol=1e-4
    )
    (answer,) = classifier.predict([flower])
    for parameter in classifier.model.backbone.decoder.parameters():
        torch.nn.init.constant_(parameter, 7.0)
    (again,) = classifier.predict([flower])
    assert again == answer  # the decoder has no say in it


def test_another_backbone_is_refused_with_the_model_that_works(tmp_path: Path) -> None:
    run = tmp_path / "codes"
    ensuite.train("reduce", "iris", model=MODELS[0], out=run, **HOW)
    with pytest.raises(UsageError, match=f"write --model autoencoder:init_from={run}.$"):
        ensuite.train("classify", "iris", model="mlp:width=8", init_from=run, **HOW)
    with pytest.raises(RunError, match=r"not of the same shape.* as --model autoencoder:init_from"):
        ensuite.train("classify", "iris", model="autoencoder:width=9", init_from=run, **HOW)
