"""VAE-GAN: a variational autoencoder whose errors a discriminator learns to measure."""

from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.func import functional_call

from ensuite.core.backbone import Backbone, BackboneOptions, Trait, the_field
from ensuite.core.batch import Batch, Image, Inputs, Kind, States
from ensuite.core.recipe import Recipe
from ensuite.models.autoencoder import check_dense, linear_layers
from ensuite.models.codes import check_code, usual_code
from ensuite.models.conv import Convolutions
from ensuite.models.mlp import flatten, size, steps_of
from ensuite.models.vae import VAE, VAEOptions

SLOPE = 0.2
"""Slope of the leaky ReLU of a dense discriminator for negative numbers, as in DCGAN."""


@dataclass(frozen=True, kw_only=True)
class VAEGANOptions(BackboneOptions):
    """A VAE, and a discriminator that tells its reconstructions and samples from real data.

    The error of a reconstruction is measured between features of the discriminator instead of
    between numbers, so that it need not fit to the pixel, and is not blurred to an average. All
    three learn in one backward pass: the encoder from the similarity and the divergence from the
    prior, the decoder from the similarity and from deceiving the discriminator, the discriminator
    from telling real data.

    Args:
        code: Number of units of the code. none: a quarter of the numbers of a row, from 2 to 64.
        width: Number of units of each hidden layer, or of channels of the smallest feature maps.
        layers: Number of hidden layers of encoder, decoder and discriminator.
        structured: Whether images are read by convolutions and series by an LSTM; otherwise all is
            one vector.
        steps: Number of steps of a series that dense layers read, counted back from its last one.
            none: as many as the longest training series has.
        beta: Weight of the divergence from the prior.
        similarity: Weight of the similarity in what the decoder learns, beside that of deceiving
            the discriminator, which is 1 (gamma in the paper).
        pixels: Weight of the error between numbers in what encoder and decoder learn; 0 in the
            paper.
        critic_rate: Learning rate of the discriminator as a multiple of the recipe's.
        bounded: Whether log-odds of numbers from 0 to 1 are decoded (``task.criterion=binary``):
            the discriminator then sees the numbers.

    Source:
        Larsen, Sønderby, Larochelle & Winther (2016), https://arxiv.org/abs/1512.09300,
        algorithm 1; here without batch norm, so that no row depends on those beside it
    """

    code: int | None = None
    width: int = 128
    layers: int = 2
    structured: bool = True
    steps: int | None = None
    beta: float = 1.0
    similarity: float = 1.0
    pixels: float = 0.0
    critic_rate: float = 1.0
    bounded: bool = False

    reads: ClassVar[frozenset[str]] = frozenset({"row", "image", "values"})

    def __post_init__(self) -> None:
        check_code(self.code)
        check_dense(self.width, self.layers, self.steps)
        if self.layers < 1:
            raise ValueError("layers must be 1 or more")
        if not min(self.similarity, self.critic_rate) > 0 or min(self.beta, self.pixels) < 0:
            raise ValueError(
                "similarity and critic_rate must be more than 0, beta and pixels 0 or more"
            )

    @property
    def traits(self) -> frozenset[Trait]:
        return frozenset({Trait.CODES, Trait.SAMPLES})

    def code_size(self, inputs: Inputs) -> int:
        return self.code or usual_code(inputs)

    def vae(self) -> VAEOptions:
        """Return the options of encoder and decoder."""
        return VAEOptions(
            code=self.code, width=self.width, layers=self.layers, structured=self.structured,
            steps=self.steps, beta=self.beta, learn_variance=False,
        )  # fmt: skip

    def build(self, inputs: Inputs) -> "VAEGAN":
        return VAEGAN(self, inputs)

    def tiny(self) -> "VAEGANOptions":
        return replace(self, code=4, width=8, layers=1)

    def recipe(self) -> Recipe:
        # Adam's first beta is 0.5, as in DCGAN. No clipping: it would tie both sides' rates.
        return Recipe(learning_rate=1e-3, batch_size=64, betas=(0.5, 0.999), clip=None)


class Judged(NamedTuple):
    """What a discriminator computes for rows.

    Attributes:
        features: (batch, features), of its last hidden layer.
        real: (batch,), log-odds that they are real data.
    """

    features: Tensor
    real: Tensor


class VAEGAN(Backbone):
    """A VAE, with a discriminator beside it that takes part in training alone."""

    def __init__(self, options: VAEGANOptions, inputs: Inputs) -> None:
        super().__init__()
        self.options, self.field = options, the_field(inputs)
        self.vae: VAE = options.vae().build(inputs)
        self.width = self.vae.width
        self.critic = Discriminator(options, inputs[self.field])

    def forward(self, batch: Batch) -> States:
        """Encode; while training also decode, and add what each side learns as penalties."""
        states: States = self.vae(batch)
        if not self.training:
            return states
        assert states.code is not None
        decoded = self.decode(scale_gradient(states.code, 1 / self.options.similarity), batch)
        drawn = self.decode(torch.randn_like(states.code), batch)
        made = self.decode(states.code.detach(), batch)
        real = batch.targets.get(self.field, batch.inputs[self.field])
        penalties = self.adversarial(decoded, [made, drawn], real, batch.mask)
        pixels = scale_gradient(decoded, self.options.pixels)
        return states._replace(decoded=pixels, penalties={**states.penalties, **penalties})

    def adversarial(
        self, decoded: Tensor, fakes: list[Tensor], real: Tensor, mask: Tensor | None
    ) -> dict[str, Tensor]:
        """Return what encoder, decoder and discriminator learn of each row, (batch,) each.

        Args:
            decoded: The reconstruction, whose features should be those of the real data.
            fakes: What the discriminator is to be deceived with, from codes that do not learn.
            real: The data.
            mask: True at real positions of series.
        """
        fixed = {name: each.detach() for name, each in self.critic.named_parameters()}

        def judge(values: Tensor) -> Judged:
            """Judge what was decoded by the discriminator as it is: it does not learn from it."""
            judged: Judged = functional_call(self.critic, fixed, (self.numbers(values), mask))
            return judged

        known = self.critic(real, mask)
        difference = judge(decoded).features - known.features.detach()
        told = [self.critic(self.numbers(fake).detach(), mask).real for fake in fakes]
        return {
            "similarity": self.options.similarity * 0.5 * difference.square().sum(-1),
            "deceive": torch.stack([F.softplus(-judge(fake).real) for fake in fakes]).sum(0),
            "critic": F.softplus(-known.real) + torch.stack([F.softplus(t) for t in told]).sum(0),
        }

    def numbers(self, values: Tensor) -> Tensor:
        """Return what was decoded as the discriminator sees it."""
        return values.sigmoid() if self.options.bounded else values

    def posterior(
        self, batch: Batch
    ) -> tuple[Float[Tensor, "batch code"], Float[Tensor, "batch code"]]:
        """Return the mean and the log variance of each code."""
        return self.vae.posterior(batch)

    def encode(self, batch: Batch) -> Float[Tensor, "batch code"]:
        """Return the mean of each code."""
        return self.vae.encode(batch)

    def decode(self, code: Float[Tensor, "batch code"], batch: Batch) -> Float[Tensor, "batch ..."]:
        """Return the reconstruction of the field, in its shape."""
        return self.vae.decode(code, batch)

    def prior(
        self, count: int, generator: torch.Generator | None = None
    ) -> Float[Tensor, "count code"]:
        """Draw codes from N(0, I)."""
        return self.vae.prior(count, generator)

    def rate(self, name: str) -> float:
        return self.options.critic_rate if name.startswith("critic.") else 1.0


class Discriminator(nn.Module):
    """Layers to features of a row, and a linear function of them: the log-odds that it is real.

    Args:
        options: Of the VAE-GAN.
        kind: Kind of the field.
    """

    def __init__(self, options: VAEGANOptions, kind: Kind) -> None:
        super().__init__()
        self.steps = steps_of(kind, options.steps)
        self.convolve: Convolutions | None = None
        if options.structured and isinstance(kind, Image):
            channels, width = kind.channels, options.width
            self.convolve = Convolutions(channels, width, options.layers, normed=True)
            features = self.convolve(torch.zeros(1, channels, kind.height, kind.width)).numel()
            self.layers = nn.ModuleList()
        else:
            features = options.width
            self.layers = linear_layers([size(kind, self.steps), *[features] * options.layers])
        self.judge = nn.Linear(features, 1)

    def forward(
        self, values: Float[Tensor, "batch ..."], mask: Bool[Tensor, "batch time"] | None = None
    ) -> Judged:
        """Return features and log-odds of each row."""
        if self.convolve is not None:
            features = self.convolve(values).flatten(1)
        else:
            features = flatten(values, mask, self.steps)
            for layer in self.layers:
                features = F.leaky_relu(layer(features), SLOPE)
        return Judged(features, self.judge(features)[:, 0])


def scale_gradient(values: Float[Tensor, "..."], factor: float) -> Float[Tensor, "..."]:
    """Return the values unchanged, with a gradient that is multiplied by a factor."""
    return values.detach() + factor * (values - values.detach())
