import math

import pytest
import torch

from ensuite.nn.losses import absolute_error, binary_cross_entropy, cross_entropy, squared_error

NAN = float("nan")


def test_cross_entropy_sums_what_is_known():
    logits = torch.randn(2, 3, 5, requires_grad=True)
    targets = torch.tensor([[0, -100, 4], [2, -100, -100]])
    loss = cross_entropy(logits, targets)
    log = logits.log_softmax(-1)
    torch.testing.assert_close(loss, -(log[0, 0, 0] + log[0, 2, 4] + log[1, 0, 2]))
    loss.backward()
    assert logits.grad[targets == -100].abs().max() == 0


def test_cross_entropy_weighs_labels_without_dividing_by_them():
    logits = torch.zeros(2, 3)
    weight = torch.tensor([1.0, 10.0, 0.0])
    loss = cross_entropy(logits, torch.tensor([1, 2]), weight)
    assert loss.item() == pytest.approx(10 * math.log(3))


def test_nothing_known_is_zero_with_a_gradient():
    logits = torch.randn(2, 3, requires_grad=True)
    loss = cross_entropy(logits, torch.tensor([-100, -100]))
    loss.backward()
    assert loss.item() == 0
    assert logits.grad.abs().max() == 0


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (squared_error, 0.25 + 4),
        (absolute_error, 0.5 + 2),
        (binary_cross_entropy, math.log(1 + math.exp(-0.5)) + math.log(1 + math.exp(-2))),
    ],
)
def test_missing_targets_count_for_nothing(loss, expected):
    values = torch.tensor([[0.5, 9.0], [-2.0, 9.0]], requires_grad=True)
    targets = torch.tensor([[0.0, NAN], [0.0, NAN]])
    if loss is binary_cross_entropy:
        targets[0, 0] = 1.0
    total = loss(values, targets)
    assert total.item() == pytest.approx(expected)
    total.backward()
    assert values.grad[:, 1].tolist() == [0, 0]
    assert values.grad[:, 0].abs().min() > 0


@pytest.mark.parametrize("loss", [squared_error, absolute_error, binary_cross_entropy])
def test_a_prediction_that_is_nan_is_not_hidden(loss):
    assert loss(torch.tensor([NAN]), torch.tensor([1.0])).isnan()


@pytest.mark.parametrize("shape", [(5,), (3, 7), (64, 33)])
@pytest.mark.parametrize("loss", [squared_error, absolute_error, binary_cross_entropy])
def test_without_a_mask_the_bits_are_those_with_one(loss, shape, monkeypatch):
    values, targets = torch.randn(shape, requires_grad=True), torch.rand(shape)
    found = []
    for masked in (False, True):
        if masked:
            monkeypatch.setattr("ensuite.nn.losses._without_mask", lambda *_: None)
        total = loss(values, targets)
        total.backward(torch.tensor(1 / 7))
        found.append((total, values.grad))
        values.grad = None
    assert found[0][0].equal(found[1][0])
    assert found[0][1].equal(found[1][1])


@pytest.mark.parametrize("loss", [squared_error, absolute_error, binary_cross_entropy])
def test_a_mask_is_spared_where_every_target_is_known(loss):
    values, targets = torch.randn(4, requires_grad=True), torch.rand(4)
    assert masks(loss(values, targets).grad_fn) == 0
    targets[1] = NAN
    total = loss(values, targets)
    assert total.isfinite()
    total.backward()
    assert (values.grad == 0).tolist() == [False, True, False, False]


def masks(node):
    """Count the masked operations of a graph."""
    mine = type(node).__name__.startswith("MaskedFill")
    return mine + sum(masks(each) for each, _ in node.next_functions if each is not None)


def test_infinite_and_double_targets_are_as_they_were():
    values = torch.tensor([1.0, 2.0])
    assert squared_error(values, torch.tensor([math.inf, -math.inf])).item() == math.inf
    assert squared_error(values, torch.tensor([1.0, 4.0]).double()).item() == 4


# In bfloat16 a sum of ones stops at 256, where adding one more rounds back to it.
def test_halves_are_summed_in_float32():
    assert squared_error(torch.ones(5001).bfloat16(), torch.zeros(5001)).item() == 5001
    loss = cross_entropy(torch.zeros(5001, 2).bfloat16(), torch.zeros(5001, dtype=torch.long))
    assert loss.item() == pytest.approx(5001 * math.log(2))
    loss = binary_cross_entropy(torch.zeros(5001).bfloat16(), torch.zeros(5001))
    assert loss.item() == pytest.approx(5001 * math.log(2))
