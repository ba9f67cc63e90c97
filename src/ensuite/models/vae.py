"""Variational autoencoder (VAE): each code is a distribution, and new data can be drawn."""

from dataclasses import dataclass, replace
from math import log
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ensuite.core.backbone import Backbone, BackboneOptions, Trait, the_field
from ensuite.core.batch import Batch, Image, Inputs, States, Values, read_by
from ensuite.core.recipe import Recipe
from ensuite.models.autoencoder import check_dense, dense_coders
from ensuite.models.codes import Activation, check_code, usual_code, with_beside
from ensuite.models.conv_autoencoder import conv_coders
from ensuite.models.recurrent_autoencoder import recurrent_coders
from ensuite.nn.gaussian import divergence_from_prior, sample

COURSE_VARIANCE = 0.5
"""Variance of the numbers around what is decoded under which the loss is ||x - x̂||² + KL."""

LIMIT = 15.0
"""Largest absolute log variance of a code, so that its exponential is finite in every precision."""

VARIANCE_RATE = 10.0
"""Learning rate of the logarithm of the variance, in multiples of the others': it has far to go."""


@dataclass(frozen=True, kw_only=True)
class VAEOptions(BackboneOptions):
    """An encoder to the mean and the variance of a code, and a decoder of samples.

    The loss is the negative evidence lower bound (ELBO), in nats: the error of what is decoded,
    -log p(x | z), and the Kullback-Leibler divergence of the code from N(0, I), the prior. With
    the cross-entropy (``task.criterion=binary``) p(x | z) is a Bernoulli distribution, otherwise a
    Gaussian whose variance is learned, or with ``learn_variance=false`` fixed. With the variance
    1/2 the loss is ||x - x̂||² + KL, as textbooks often write it.

    Args:
        code: Number of units of the code. none: a quarter of the numbers of a row, from 2 to 64.
        width: Number of units of each hidden layer, of channels of the smallest feature maps, or
            size of the hidden state.
        layers: Number of hidden layers on either side of the code; 0 only where they are dense.
        activation: Activation function of dense layers.
        structured: Whether images are read by convolutions, and series by an LSTM; otherwise all is
            one vector.
        steps: Number of steps of a series that dense layers read, counted back from its last one.
            none: as many as the longest training series has.
        beta: Weight of the divergence (beta-VAE). 1: the lower bound. 0: nothing keeps the codes
            near the prior.
        kl_warmup: Share of the budget over which that weight rises from 0.
        free_bits: Divergence of each unit, in nats, that costs nothing more than this.
        sample: Whether samples are decoded while training. With beta=0 and sample=false this is an
            autoencoder.
        variance: Of the Gaussian around what is decoded, or where it starts if it is learned.
        learn_variance: Whether it is learned, one for all numbers.

    Sources:
        Kingma & Welling (2014), https://arxiv.org/abs/1312.6114
        beta: Higgins et al. (2017), https://openreview.net/forum?id=Sy2fzU9gl
        Free bits: Kingma et al. (2016), https://arxiv.org/abs/1606.04934, appendix C.8, here for
        each row by itself
        Warm-up: Bowman et al. (2016), https://arxiv.org/abs/1511.06349, section 3.1
        Learned variance: Rybkin, Daniilidis & Levine (2021), https://arxiv.org/abs/2006.13202
    """

    code: int | None = None
    width: int = 256
    layers: int = 1
    activation: Activation = "relu"
    structured: bool = False
    steps: int | None = None
    beta: float = 1.0
    kl_warmup: float = 0.0
    free_bits: float = 0.0
    sample: bool = True
    variance: float = COURSE_VARIANCE
    learn_variance: bool = True

    reads: ClassVar[frozenset[str]] = frozenset({"row", "image", "values"})

    def __post_init__(self) -> None:
        check_code(self.code)
        check_dense(self.width, self.layers, self.steps)
        if min(self.beta, self.free_bits) < 0 or not 0 <= self.kl_warmup <= 1:
            raise ValueError("beta and free_bits must be 0 or more, kl_warmup from 0 to 1")
        if not self.variance > 0:
            raise ValueError("variance must be more than 0")

    @property
    def traits(self) -> frozenset[Trait]:
        return frozenset({Trait.CODES, Trait.SAMPLES})

    def code_size(self, inputs: Inputs) -> int:
        return self.code or usual_code(inputs)

    def coders(self, inputs: Inputs) -> tuple[nn.Module, nn.Module]:
        """Return an encoder to mean and log variance, and a decoder of a code."""
        code = self.code_size(inputs)
        kind = inputs[the_field(inputs)]
        if self.structured and isinstance(kind, Image):
            layers = max(1, self.layers)
            return conv_coders(
                inputs, 2 * code, code, width=self.width, layers=layers, upsampling="transposed"
            )
        if self.structured and isinstance(kind, Values):
            return recurrent_coders(
                inputs, 2 * code, code,
                cell="lstm", width=self.width, layers=max(1, self.layers), bidirectional=False,
                reverse=False, truncate=None,
            )  # fmt: skip
        return dense_coders(
            inputs, 2 * code, code,
            width=self.width, layers=self.layers, activation=self.activation, steps=self.steps,
        )  # fmt: skip

    def build(self, inputs: Inputs) -> "VAE":
        return VAE(self, inputs)

    def tiny(self) -> "VAEOptions":
        return replace(self, code=4, width=8)

    def recipe(self) -> Recipe:
        return Recipe(learning_rate=2e-3, batch_size=64)


class VAE(Backbone):
    """An encoder to a Gaussian for each row, and a decoder."""

    def __init__(self, options: VAEOptions, inputs: Inputs) -> None:
        super().__init__()
        self.options, self.field = options, the_field(inputs)
        self.beside = tuple(read_by(inputs, "decoder"))
        self.width = options.code_size(inputs)
        self.encoder, self.decoder = options.coders(inputs)
        start = torch.tensor(log(options.variance))
        self.log_variance = nn.Parameter(start) if options.learn_variance else None

    def forward(self, batch: Batch) -> States:
        """Return the mean as the summary, and while training a sample as the code."""
        mean, log_variance = self.posterior(batch)
        noisy = self.training and self.options.sample
        return States(
            mean,
            code=sample(mean, log_variance) if noisy else mean,
            penalties=self.penalties(mean, log_variance, batch.progress),
            log_variance=self.output_log_variance(mean),
        )

    def posterior(
        self, batch: Batch
    ) -> tuple[Float[Tensor, "batch code"], Float[Tensor, "batch code"]]:
        """Return the mean and the log variance of each code."""
        mean, log_variance = self.encoder(batch).chunk(2, -1)
        return mean, log_variance.clamp(-LIMIT, LIMIT)

    def encode(self, batch: Batch) -> Float[Tensor, "batch code"]:
        """Return the mean of each code."""
        return self.posterior(batch)[0]

    def decode(self, code: Float[Tensor, "batch code"], batch: Batch) -> Float[Tensor, "batch ..."]:
        """Return the reconstruction of the field, in its shape."""
        decoded: Tensor = self.decoder(with_beside(code, batch, self.beside), batch)
        return decoded

    def prior(
        self, count: int, generator: torch.Generator | None = None
    ) -> Float[Tensor, "count code"]:
        """Draw codes from N(0, I)."""
        return torch.randn(count, self.width, generator=generator)

    def penalties(
        self,
        mean: Float[Tensor, "batch code"],
        log_variance: Float[Tensor, "batch code"],
        progress: float,
    ) -> dict[str, Tensor]:
        """Return the weighted divergence of each row, (batch,)."""
        options = self.options
        divergence = divergence_from_prior(mean.float(), log_variance.float())
        if options.free_bits:
            divergence = divergence.clamp(min=options.free_bits)
        risen = 1.0 if not options.kl_warmup else min(1.0, progress / options.kl_warmup)
        return {"kl": options.beta * risen * divergence.sum(-1)}

    def output_log_variance(self, like: Tensor) -> Float[Tensor, ""] | None:
        """Return the log variance of the Gaussian around what is decoded; None for 1/2."""
        if self.log_variance is not None:
            return self.log_variance
        fixed = self.options.variance
        return None if fixed == COURSE_VARIANCE else torch.tensor(log(fixed), device=like.device)

    def rate(self, name: str) -> float:
        return VARIANCE_RATE if name == "log_variance" else 1.0
