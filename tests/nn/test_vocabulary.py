import pytest
import torch

from ensuite.nn import vocabulary
from ensuite.nn.losses import cross_entropy
from ensuite.nn.vocabulary import CHUNK, Projected, projected_cross_entropy


def draw(positions=50, kind=torch.float32):
    shapes = (positions, 6), (9, 6), (9,)
    parts = (torch.randn(shape, dtype=kind).requires_grad_() for shape in shapes)
    return Projected(*parts), torch.randint(9, (positions,))


def gradients(loss, projected):
    return torch.autograd.grad(3 * loss, projected)


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
@pytest.mark.parametrize("positions", [1, CHUNK, 2 * CHUNK + 5])
def test_it_is_the_cross_entropy_of_the_scores(label_smoothing, positions):
    projected, targets = draw(positions)
    found = projected_cross_entropy(projected, targets, label_smoothing)
    expected = cross_entropy(projected.scores(), targets, label_smoothing=label_smoothing)
    torch.testing.assert_close(found, expected)
    pairs = zip(gradients(found, projected), gradients(expected, projected), strict=True)
    for one, other in pairs:  # sums of a thousand float32 numbers, in another order
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_scores_of_any_size_do_not_overflow():
    projected, targets = draw()
    large = projected._replace(hidden=(1e3 * projected.hidden).detach().requires_grad_())
    loss = projected_cross_entropy(large, targets, 0.1)
    assert loss.isfinite()
    assert all(each.isfinite().all() for each in gradients(loss, large))


def test_what_it_is_not_made_for_is_computed_as_defined(monkeypatch):
    def refuse(*_):
        raise AssertionError

    monkeypatch.setattr(vocabulary._CrossEntropy, "apply", refuse)
    wide, targets = draw(kind=torch.float64)
    projected_cross_entropy(wide, targets).backward()
    projected, targets = draw()
    with torch.autocast("cpu", torch.bfloat16):
        assert projected_cross_entropy(projected, targets).dtype is torch.float32
    with torch.no_grad():
        projected_cross_entropy(projected, targets)
    with pytest.raises(AssertionError):
        projected_cross_entropy(projected, targets)
