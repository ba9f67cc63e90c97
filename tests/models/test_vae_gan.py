from typing import Any

import pytest
import torch
import torch.nn.functional as F

from ensuite.core.batch import Batch, Image, Row, Values
from ensuite.core.model import Model
from ensuite.core.recipe import Recipe
from ensuite.models.vae_gan import VAEGAN, VAEGANOptions, scale_gradient
from ensuite.nn.reconstruction import DecodingHead
from ensuite.training.groups import parameter_groups

ROWS = {"row": Row(6)}


def build(inputs: Any = ROWS, **options: Any) -> VAEGAN:
    torch.manual_seed(0)
    return VAEGANOptions(code=2, width=5, layers=1, **options).build(inputs)


def rows() -> Batch:
    return Batch(inputs={"row": torch.randn(4, 6, generator=torch.Generator().manual_seed(0))})


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"code": 0}, "code must be from 1"),
        ({"layers": 0}, "layers must be 1 or more"),
        ({"similarity": 0.0}, "similarity and critic_rate must be more than 0, beta and pixels"),
        ({"critic_rate": 0.0}, "similarity and critic_rate must be more than 0, beta and pixels"),
        ({"pixels": -1.0}, "similarity and critic_rate must be more than 0, beta and pixels"),
        ({"beta": -1.0}, "similarity and critic_rate must be more than 0, beta and pixels"),
    ],
)
def test_impossible_options_are_refused(wrong: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        VAEGANOptions(**wrong)


def test_each_side_gets_its_own_gradient_and_nothing_else():
    """The encoder, the decoder and the discriminator learn what algorithm 1 says, each alone."""
    backbone, batch, gamma = build(beta=0.7, similarity=3.0), rows(), 3.0
    torch.manual_seed(1)
    sum(each.sum() for each in backbone(batch).penalties.values()).backward()
    found = {name: each.grad for name, each in backbone.named_parameters()}

    torch.manual_seed(1)  # the same noise
    states = backbone.vae(batch)
    real, critic = batch.inputs["row"], backbone.critic
    drawn = backbone.decode(torch.randn_like(states.code), batch)
    decoded = backbone.decode(states.code, batch)
    known = critic(real)
    similarity = 0.5 * (critic(decoded).features - known.features.detach()).square().sum()
    made = backbone.decode(states.code.detach(), batch)
    deceive = sum(F.softplus(-critic(fake).real).sum() for fake in (made, drawn))
    told = sum(F.softplus(critic(fake.detach()).real).sum() for fake in (made, drawn))
    learns = {
        "vae.encoder.": states.penalties["kl"].sum() + similarity,
        "vae.decoder.": gamma * similarity + deceive,
        "critic.": F.softplus(-known.real).sum() + told,
    }
    for side, loss in learns.items():
        named = {n: p for n, p in backbone.named_parameters() if n.startswith(side)}
        expected = torch.autograd.grad(loss, [*named.values()], retain_graph=True)
        for name, gradient in zip(named, expected, strict=True):
            torch.testing.assert_close(found[name], gradient, msg=name)


@pytest.mark.parametrize("pixels", [0.0, 0.5])
def test_errors_of_pixels_count_as_much_as_is_asked(pixels: float) -> None:
    backbone, batch = build(pixels=pixels), rows()
    states = backbone(batch)
    decoded = DecodingHead(backbone)(states, batch)
    torch.testing.assert_close(decoded, backbone.decode(states.code, batch))
    (decoded - batch.inputs["row"]).square().sum().backward()
    gradient = backbone.vae.decoder.layers[-1].bias.grad
    expected = pixels * 2 * (decoded - batch.inputs["row"]).sum(0)
    torch.testing.assert_close(gradient, expected)


def test_what_is_to_be_reconstructed_is_what_is_real():
    """A denoising task has clean targets beside noisy inputs."""
    backbone, batch = build(), rows()
    clean = torch.zeros(4, 6)
    torch.manual_seed(1)
    found = backbone(Batch(inputs=batch.inputs, targets={"row": clean})).penalties["critic"]
    torch.manual_seed(1)
    other = backbone(batch).penalties["critic"]
    torch.testing.assert_close(
        found - other,
        F.softplus(-backbone.critic(clean).real)
        - F.softplus(-backbone.critic(batch.inputs["row"]).real),
    )


def test_the_discriminator_takes_part_in_training_alone():
    states = build().eval()(rows())
    assert set(states.penalties) == {"kl"}
    assert states.decoded is None


def test_log_odds_are_judged_as_numbers():
    backbone = build(bounded=True)
    values = torch.randn(3, 6)
    assert torch.equal(backbone.numbers(values), values.sigmoid())
    assert build().numbers(values) is values


def test_both_sides_have_rates_of_their_own():
    backbone = build(critic_rate=0.25)
    model = Model(backbone, DecodingHead(backbone))
    groups = parameter_groups(model, Recipe())
    rates = {id(each): group.rate for group in groups for each in group.parameters}
    for name, each in backbone.named_parameters():
        assert rates[id(each)] == (0.25 if name.startswith("critic.") else 1)


@pytest.mark.parametrize(
    ("inputs", "shape"),
    [({"image": Image(2, 5, 7)}, (2, 5, 7)), ({"values": Values(3, steps=4)}, (4, 3))],
)
def test_images_and_series_are_judged(inputs: Any, shape: tuple[int, ...]) -> None:
    backbone, (name,) = build(inputs), inputs
    states = backbone(Batch(inputs={name: torch.randn(3, *shape)}))
    assert {key: each.shape for key, each in states.penalties.items()} == dict.fromkeys(
        ("kl", "similarity", "deceive", "critic"), (3,)
    )


def test_a_scaled_gradient():
    values = torch.randn(3, requires_grad=True)
    scaled = scale_gradient(values, 0.25)
    assert torch.equal(scaled, values)
    scaled.sum().backward()
    assert torch.equal(values.grad, torch.full((3,), 0.25))
