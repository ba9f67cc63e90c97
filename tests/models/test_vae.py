from math import log
from typing import Any

import pytest
import torch

from ensuite.core.batch import Batch, Image, Outputs, Row, Values, sum_counts
from ensuite.models.autoencoder import AutoencoderOptions
from ensuite.models.codes import Autoencoder
from ensuite.models.vae import VAE, VAEOptions
from ensuite.nn.gaussian import divergence_from_prior
from ensuite.nn.reconstruction import DecodingHead
from ensuite.tasks.reduce import Example, Reduce

ROWS = {"row": Row(6)}


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"code": 0}, "code must be from 1"),
        ({"width": 0}, "width must be 1 or more"),
        ({"beta": -1.0}, "beta and free_bits must be 0 or more, kl_warmup from 0 to 1"),
        ({"free_bits": -1.0}, "beta and free_bits must be 0 or more, kl_warmup from 0 to 1"),
        ({"kl_warmup": 1.5}, "beta and free_bits must be 0 or more, kl_warmup from 0 to 1"),
        ({"variance": 0.0}, "variance must be more than 0"),
    ],
)
def test_impossible_options_are_refused(wrong: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        VAEOptions(**wrong)


def prepared() -> tuple[Reduce, Batch]:
    random = torch.Generator().manual_seed(0)
    examples = [Example(row.numpy()) for row in torch.randn(7, 6, generator=random)]
    task = Reduce().prepare(examples)
    return task, task.collate(task.items(examples))


def build(**options: Any) -> VAE:
    torch.manual_seed(0)
    return VAEOptions(code=2, width=5, **options).build(ROWS)


def loss_of(task: Reduce, backbone: Any, batch: Batch) -> torch.Tensor:
    torch.manual_seed(1)
    states = backbone(batch)
    outputs = Outputs(DecodingHead(backbone)(states, batch), states)
    loss = task.loss(outputs, batch).with_penalties(states.penalties)
    return (loss / sum_counts([batch])).value


def test_the_setting_of_the_course_is_squared_error_and_divergence():
    """E ||x - g(z)||² + KL(q(z|x) || p(z)), as the course writes it, averaged over rows."""
    task, batch = prepared()
    backbone = build(learn_variance=False)
    found = loss_of(task, backbone, batch)
    torch.manual_seed(1)
    mean, log_variance = backbone.posterior(batch)
    code = mean + torch.randn_like(mean) * (log_variance / 2).exp()
    decoded = backbone.decode(code, batch)
    squares = (batch.inputs["row"] - decoded).square().sum(1)
    divergence = divergence_from_prior(mean, log_variance).sum(1)
    torch.testing.assert_close(found, (squares + divergence).mean())


@pytest.mark.parametrize("variance", [0.1, 2.0])
def test_another_variance_weighs_the_squared_error(variance: float) -> None:
    task, batch = prepared()
    half, other = build(learn_variance=False), build(learn_variance=False, variance=variance)
    divergence = divergence_from_prior(*half.posterior(batch)).sum(1).mean()
    squares = loss_of(task, half, batch) - divergence
    constant = 6 * 0.5 * log(variance)
    expected = squares / (2 * variance) + constant + divergence
    torch.testing.assert_close(loss_of(task, other, batch), expected)
    torch.testing.assert_close(
        loss_of(task, build(variance=variance), batch), expected
    )  # a learned one starts there


def test_a_learned_variance_comes_to_be_the_mean_squared_error():
    task, batch = prepared()
    backbone = build(sample=False, beta=0.0)
    optimizer = torch.optim.Adam([backbone.log_variance], lr=0.05)
    for _ in range(400):
        optimizer.zero_grad()
        loss_of(task, backbone, batch).backward()
        optimizer.step()
    decoded = backbone.decode(backbone.encode(batch), batch)
    error = (decoded - batch.inputs["row"]).square().mean()
    assert backbone.log_variance.exp().item() == pytest.approx(error.item(), rel=1e-3)


def copied(backbone: VAE) -> Autoencoder:
    """Return an autoencoder whose code is the mean of a VAE's."""
    plain = AutoencoderOptions(code=2, width=5).build(ROWS)
    weights = {n: t for n, t in backbone.state_dict().items() if n != "log_variance"}
    for name in ("encoder.layers.1.weight", "encoder.layers.1.bias"):
        weights[name] = weights[name][:2]
    plain.load_state_dict(weights)
    return plain


def test_without_divergence_and_samples_it_is_an_autoencoder():
    task, batch = prepared()
    backbone = build(beta=0.0, sample=False, learn_variance=False)
    plain = copied(backbone)
    losses = [loss_of(task, each, batch) for each in (backbone, plain)]
    torch.testing.assert_close(*losses)
    for loss in losses:
        loss.backward()
    gradients = dict(backbone.named_parameters())
    for name, parameter in plain.named_parameters():
        expected = gradients[name].grad
        torch.testing.assert_close(parameter.grad, expected[: len(parameter.grad)])
    assert not backbone.encoder.layers[1].weight.grad[2:].any()  # the variance learns nothing


def test_samples_are_decoded_in_training_alone():
    backbone, (_, batch) = build(), prepared()
    assert not torch.equal(backbone(batch).code, backbone(batch).code)
    assert torch.equal(backbone(batch).summary, backbone.encode(batch))
    states = backbone.eval()(batch)
    assert torch.equal(states.code, states.summary)


def penalty(progress: float = 1.0, **options: Any) -> torch.Tensor:
    _, batch = prepared()
    backbone = build(**options)
    mean, log_variance = backbone.posterior(batch)
    return backbone.penalties(mean, log_variance, progress)["kl"]


def test_the_weight_of_the_divergence_rises_while_warming_up():
    whole = penalty()
    torch.testing.assert_close(penalty(beta=4.0), 4 * whole)
    assert not penalty(0.0, kl_warmup=0.5).any()
    torch.testing.assert_close(penalty(0.25, kl_warmup=0.5), 0.5 * whole)
    torch.testing.assert_close(penalty(0.75, kl_warmup=0.5), whole)


def test_free_bits_cost_the_same_whether_they_are_used_or_not():
    _, batch = prepared()
    units = divergence_from_prior(*build().posterior(batch))
    expected = units.clamp(min=0.3).sum(1)
    torch.testing.assert_close(penalty(free_bits=0.3), expected)
    assert (expected > units.sum(1)).any()


@pytest.mark.parametrize(
    ("inputs", "shape", "encoder"),
    [
        ({"image": Image(2, 5, 7)}, (2, 5, 7), "ConvEncoder"),
        ({"values": Values(3, steps=4)}, (4, 3), "RecurrentEncoder"),
        (ROWS, (6,), "DenseEncoder"),
    ],
)
def test_structured_inputs_are_read_as_what_they_are(
    inputs: Any, shape: tuple[int, ...], encoder: str
) -> None:
    backbone = VAEOptions(code=2, width=8, layers=1, structured=True).build(inputs)
    (name,) = inputs
    batch = Batch(inputs={name: torch.randn(3, *shape)})
    assert type(backbone.encoder).__name__ == encoder
    assert backbone.decode(backbone.prior(3), batch).shape == (3, *shape)


def test_the_variance_learns_faster_than_the_weights():
    backbone = build()
    rates = {name: backbone.rate(name) for name, _ in backbone.named_parameters()}
    assert {name for name, rate in rates.items() if rate > 1} == {"log_variance"}
