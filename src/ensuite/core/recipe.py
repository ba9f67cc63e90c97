"""The recipe: the hyper-parameters of training, as options."""

from dataclasses import dataclass
from math import cos, pi
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The hyper-parameters of training.

    Args:
        optimizer: adam: Adam with decoupled weight decay (AdamW); sgd: SGD with momentum; muon:
            Muon for the matrices of hidden layers, AdamW for embeddings, the head, norms and
            biases, at the same learning rate.
        learning_rate: Its highest value.
        schedule: How the learning rate falls, over the share of the budget that is spent.
        warmup: Share of the budget over which the learning rate first rises from 0.
        batch_size: Rows in one forward pass.
        accumulate: Forward passes in one update. The gradient is that of one large batch.
        clip: Largest norm of the gradient; a longer one is scaled to it. None: no limit.
        clip_value: Largest absolute value of each number of the gradient; larger ones are cut to
            it. None: no limit.
        weight_decay: Of matrices, not of embeddings, biases and norms. 0 for none.
        betas: Of Adam: how much of the running means of the gradient and of its square is kept at
            each update.
        epsilon: Of Adam: added to the denominator.
        layer_decay: Factor between the learning rates of neighbouring layers: the head has the
            learning rate, the last layer of the backbone this share of it, and so on down to the
            embeddings. 1: all have the same rate.
        freeze_layers: How many of the lowest layers of the backbone are not trained; the embeddings
            count as the first.
        freeze: Names of parts of the backbone that are not trained.
        precision: Number format of the forward pass; weights stay float32.
    """

    optimizer: Literal["adam", "sgd", "muon"] = "adam"
    learning_rate: float = 1e-3
    schedule: Literal["constant", "linear", "cosine"] = "linear"
    warmup: float = 0.0
    batch_size: int = 32
    accumulate: int = 1
    clip: float | None = 1.0
    clip_value: float | None = None
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8
    layer_decay: float = 1.0
    freeze_layers: int = 0
    freeze: tuple[str, ...] = ()
    precision: Literal["float32", "bfloat16"] = "float32"

    def __post_init__(self) -> None:
        if min(self.batch_size, self.accumulate) < 1:
            raise ValueError("batch_size and accumulate must be 1 or more")
        limits = [limit for limit in (self.clip, self.clip_value) if limit is not None]
        if min(self.learning_rate, *limits, 1) <= 0 or self.weight_decay < 0:
            raise ValueError(
                "learning_rate, clip and clip_value must be more than 0, weight_decay 0 or more"
            )
        if not 0 <= self.warmup <= 1:
            raise ValueError("warmup is a share of the budget, from 0 to 1")
        if not 0 <= min(self.betas) <= max(self.betas) < 1 or not self.epsilon > 0:
            raise ValueError("betas must be from 0 to less than 1, epsilon more than 0")
        if not 0 < self.layer_decay <= 1 or self.freeze_layers < 0:
            raise ValueError(
                "layer_decay must be more than 0 and at most 1, freeze_layers 0 or more"
            )

    def learning_rate_at(self, share: float) -> float:
        """Return the learning rate when ``share`` (0 to 1) of the budget is spent.

        >>> [Recipe(learning_rate=1.0, warmup=0.5).learning_rate_at(s) for s in (0.25, 0.5, 0.75)]
        [0.5, 1.0, 0.5]
        """
        if share < self.warmup:
            return self.learning_rate * share / self.warmup
        left = (1 - min(share, 1.0)) / (1 - self.warmup) if self.warmup < 1 else 1.0
        falls = {"constant": 1.0, "linear": left, "cosine": 0.5 - 0.5 * cos(pi * left)}
        return self.learning_rate * falls[self.schedule]
