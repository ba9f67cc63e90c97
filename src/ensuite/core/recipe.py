"""How a model is trained: the numbers that a family's papers fix, as options."""

from dataclasses import dataclass
from math import cos, pi
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The hyper-parameters of training.

    Args:
        optimizer: Name of the rule that turns gradients into updates.
        learning_rate: Its highest value.
        schedule: How the learning rate falls, over the share of the budget that is spent.
        warmup: Share of the budget over which the learning rate first rises from 0.
        batch_size: Rows in one forward pass.
        accumulate: Forward passes in one update; exact, whatever each of them counts.
        clip: Largest norm of the gradient; longer ones are shortened to it. None: any.
        clip_value: Largest size of each of its numbers; larger ones are cut to it. None: any.
        weight_decay: Decoupled decay of matrices (AdamW); 0 for none.
        precision: Numbers of the forward pass; weights stay float32.
    """

    optimizer: Literal["adam", "sgd"] = "adam"
    learning_rate: float = 1e-3
    schedule: Literal["constant", "linear", "cosine"] = "linear"
    warmup: float = 0.0
    batch_size: int = 32
    accumulate: int = 1
    clip: float | None = 1.0
    clip_value: float | None = None
    weight_decay: float = 0.0
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
