from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ensuite.core.batch import Batch, Image, Row, Tokens, Values
from ensuite.core.errors import UsageError
from ensuite.core.options import set_options
from ensuite.models.autoencoder import AutoencoderOptions, spread
from ensuite.models.codes import usual_code
from ensuite.models.mlp import last_steps

ROWS = {"row": Row(6)}


def rows(count: int = 5, features: int = 6) -> Batch:
    return Batch(inputs={"row": torch.randn(count, features)})


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"code": 0}, "code must be from 1 to 65,536 units, or none"),
        ({"code": 100_000}, "code must be from 1 to 65,536 units, or none"),
        ({"width": 0}, "width must be 1 or more, layers 0 or more"),
        ({"layers": -1}, "width must be 1 or more, layers 0 or more"),
        ({"steps": 0}, "steps must be 1 or more, or none"),
        ({"penalty": -1.0}, "penalty must be 0 or more, rate between 0 and 1"),
        ({"rate": 1.0}, "penalty must be 0 or more, rate between 0 and 1"),
        ({"code": 4, "active": 5}, "active must be from 1 to the size of the code"),
        ({"sparsity": "kl", "code_activation": "relu"}, "sparsity=kl needs activations from 0"),
    ],
)
def test_impossible_options_are_refused(wrong: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        AutoencoderOptions(**wrong)


def test_an_impossible_code_that_was_typed_is_a_sentence() -> None:
    with pytest.raises(UsageError, match="the model autoencoder: code must be from 1 to 65,536"):
        set_options(AutoencoderOptions(), {"code": "0"}, "the model autoencoder")


def test_the_usual_code_is_a_quarter_of_the_numbers() -> None:
    assert usual_code({"image": Image(1, 28, 28)}) == 64
    assert usual_code({"values": Values(2, steps=10)}) == 5
    assert usual_code({"values": Values(2)}) == 8
    assert AutoencoderOptions(code=3).code_size(ROWS) == 3
    assert AutoencoderOptions().build(ROWS).width == 2


def test_only_one_field_can_be_encoded() -> None:
    with pytest.raises(UsageError, match="reads one input field, and these are 2: one, other"):
        AutoencoderOptions().build({"one": Row(2), "other": Row(3)})


def test_without_hidden_layers_it_is_linear() -> None:
    model = AutoencoderOptions(code=2, layers=0).build(ROWS)
    batch = rows()
    first, last = model.encoder.layers[0], model.decoder.layers[0]
    expected = last(first(batch.inputs["row"]))
    assert torch.equal(model.decode(model.encode(batch), batch), expected)
    assert len(model.encoder.layers) == len(model.decoder.layers) == 1


def test_tied_matrices_are_transposed() -> None:
    model = AutoencoderOptions(code=2, layers=2, width=4, tied=True).build(ROWS)
    batch = rows()
    hidden = model.encode(batch)
    for layer, mirror in zip(model.decoder.layers, reversed(model.encoder.layers), strict=True):
        hidden = hidden @ mirror.weight + layer.bias
        hidden = hidden.relu() if layer is not model.decoder.layers[-1] else hidden
    torch.testing.assert_close(model.decode(model.encode(batch), batch), hidden)
    free = AutoencoderOptions(code=2, layers=2, width=4).build(ROWS)
    sizes = [sum(p.numel() for p in each.parameters()) for each in (model, free)]
    assert sizes[1] - sizes[0] == 6 * 4 + 4 * 4 + 4 * 2


def test_a_label_beside_the_code_is_read_by_the_decoder() -> None:
    inputs = {**ROWS, "label": Row(3, reader="decoder")}
    model = AutoencoderOptions(code=2).build(inputs).eval()
    one, two = (
        Batch(inputs={"row": torch.ones(3, 6), "label": each})
        for each in (torch.eye(3), torch.eye(3).flip(0))
    )
    assert torch.equal(model.encode(one), model.encode(two))
    assert not torch.equal(
        model.decode(model.encode(one), one), model.decode(model.encode(one), two)
    )
    with pytest.raises(UsageError, match="reads a label cannot be tied: set tied=false"):
        AutoencoderOptions(code=2, tied=True).build(inputs)
    with pytest.raises(UsageError, match="cannot read text, which is no row"):
        AutoencoderOptions().build({**ROWS, "text": Tokens(3, reader="decoder")})


@pytest.mark.parametrize(("active", "expected"), [(None, 2), (3, 3)])
def test_only_so_many_units_of_a_code_are_not_zero(active: int | None, expected: int) -> None:
    model = AutoencoderOptions(code=8, sparsity="top-k", active=active).build(ROWS)
    assert ((model(rows()).code != 0).sum(1) == expected).all()


def test_the_penalty_of_l1_is_that_of_each_row() -> None:
    model = AutoencoderOptions(code=8, sparsity="l1", penalty=0.5).build(ROWS)
    states = model(rows())
    torch.testing.assert_close(states.penalties["sparsity"], 0.5 * states.code.abs().sum(1))
    assert not AutoencoderOptions(code=8).build(ROWS)(rows()).penalties


def test_the_penalty_of_kl_is_for_activations_from_0_to_1() -> None:
    model = AutoencoderOptions(code=8, sparsity="kl").build(ROWS)
    states = model(rows(50))
    assert ((states.code > 0) & (states.code < 1)).all()
    assert states.penalties["sparsity"].shape == (50,)
    assert states.penalties["sparsity"].mean() > 0  # units fire half of the time


@given(
    lengths=st.lists(st.integers(0, 6), min_size=1, max_size=4),
    steps=st.integers(1, 8),
    before=st.integers(0, 3),
)
def test_steps_go_back_to_where_they_came_from(lengths: list[int], steps: int, before: int) -> None:
    time = before + max(lengths)
    places = torch.arange(time)
    real = torch.stack([(places >= before) & (places < before + n) for n in lengths])
    series = torch.arange(1.0, 1 + len(lengths) * time * 2).reshape(len(lengths), time, 2)
    found = spread(last_steps(series, real, steps), real)
    left = real.flip(1).cumsum(1).flip(1)
    kept = (real & (left <= steps))[..., None]
    assert torch.equal(found, series * kept)
