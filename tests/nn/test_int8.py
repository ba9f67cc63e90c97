"""Int8 weights: rounded rows, and a model that computes with them."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some
from torch import Tensor, nn

from ensuite.core.batch import Batch, Tokens
from ensuite.core.errors import UsageError
from ensuite.core.model import Model
from ensuite.models.gpt import GPTOptions
from ensuite.models.recurrent import RecurrentOptions
from ensuite.nn.heads import TokenHead
from ensuite.nn.int8 import FEW, Int8Linear, Int8Matrix, to_int8

pytest.importorskip("numba")

TOKENS = 30


def build(*, tied: bool) -> Model:
    torch.manual_seed(0)
    options = GPTOptions(width=32, layers=2, heads=4, context=32, tied=tied, bias="all")
    backbone = options.build({"tokens": Tokens(TOKENS)})
    for parameter in backbone.parameters():
        nn.init.normal_(parameter, std=0.2)
    head = TokenHead(32, TOKENS, backbone.token_embedding, bias=False)
    return Model(backbone, head).eval()


def logits(model: Model, tokens: Tensor) -> Tensor:
    with torch.no_grad():
        values: Tensor = model(Batch(inputs={"tokens": tokens})).values
    return values


@given(some.integers(1, 5), some.integers(1, 40), some.sampled_from([1, FEW, FEW + 1]))
def test_a_product_is_that_of_the_rounded_rows(rows: int, columns: int, positions: int) -> None:
    weight, inputs = torch.randn(rows, columns), torch.randn(positions, columns)
    matrix = Int8Matrix(weight)
    rounded = matrix.rows.double() * matrix.scales.double()[:, None]
    expected = inputs.double() @ rounded.T
    torch.testing.assert_close(matrix.product(inputs).double(), expected, rtol=1e-4, atol=1e-4)
    largest = weight.abs().amax(1, keepdim=True)
    assert ((rounded - weight).abs() <= largest / 254 * (1 + 1e-4)).all()


def test_a_row_of_zeros_stays_zero() -> None:
    layer = nn.Linear(3, 2)
    nn.init.zeros_(layer.weight)
    assert torch.equal(Int8Linear(layer)(torch.ones(4, 3)), layer.bias.detach().expand(4, 2))


@pytest.mark.parametrize("tied", [True, False])
def test_a_model_computes_almost_the_same(tied: bool) -> None:
    model, tokens = build(tied=tied), torch.randint(TOKENS, (2, 20))
    expected = logits(model, tokens)
    before = sum(parameter.numel() for parameter in model.parameters())
    to_int8(model)
    found = logits(model, tokens)
    assert not torch.equal(found, expected)
    assert float((found - expected).std() / expected.std()) < 0.05
    assert sum(parameter.numel() for parameter in model.parameters()) < before / 10


def test_steps_with_the_kernel_are_the_whole_without() -> None:
    model, tokens = build(tied=True), torch.randint(TOKENS, (1, 20))
    to_int8(model)
    carry = model.begin(Batch(inputs={"tokens": tokens}))
    with torch.no_grad():
        for now in tokens.unbind(1):
            found, carry = model.step({"tokens": now}, carry)
    torch.testing.assert_close(found, logits(model, tokens)[:, -1], rtol=1e-3, atol=1e-4)


def test_other_backbones_have_none() -> None:
    backbone = RecurrentOptions(cell="lstm").tiny().build({"tokens": Tokens(TOKENS)})
    with pytest.raises(UsageError, match="int8 weights: Recurrent"):
        to_int8(Model(backbone, nn.Identity()))


def test_numba_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install ensuite\[fast\]"):
        to_int8(build(tied=True))
