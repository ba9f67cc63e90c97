"""Rules that turn gradients into updates, by torch's fused kernels: Adam, and SGD with momentum."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from ensuite.core.recipe import Recipe

MOMENTUM = 0.9
"""Share of the last step that SGD goes on with."""

BETAS, EPSILON = (0.9, 0.999), 1e-8
"""Of Adam, as its paper and torch have them."""


class Optimizer(ABC):
    """Parameters, and what a rule remembers of each.

    ``torch.optim`` computes the same bits by the same kernels; but its first optimizer imports a
    compiler for a second, and its bookkeeping takes longer than the update of a small model.

    Args:
        parameters: To be learned. Only matrices decay.
        weight_decay: What is taken off them at each step, as a share times the learning rate.
    """

    remembers: ClassVar[tuple[str, ...]]

    def __init__(self, parameters: Sequence[nn.Parameter], weight_decay: float) -> None:
        matrices = [each for each in parameters if each.dim() >= 2]
        others = [each for each in parameters if each.dim() < 2]
        self.parameters = matrices + others
        self.memory = [self.begin(each) for each in self.parameters]
        self.parts = [(slice(0, len(matrices)), weight_decay), (slice(len(matrices), None), 0.0)]
        if not weight_decay:  # each part costs a call
            self.parts = [(slice(None), 0.0)]

    @property
    def gradients(self) -> list[Tensor]:
        """Those that are there."""
        return [each.grad for each in self.parameters if each.grad is not None]

    @torch.no_grad()
    def step(self, learning_rate: float) -> None:
        """Update every parameter that has a gradient."""
        for part, decay in self.parts:
            pairs = zip(self.parameters[part], self.memory[part], strict=True)
            rows = [(each, each.grad, *kept) for each, kept in pairs if each.grad is not None]
            if rows:
                self.update(*map(list, zip(*rows, strict=True)), rate=learning_rate, decay=decay)

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for each in self.parameters:
            each.grad = None

    def tensors(self) -> dict[str, Tensor]:
        """Return all that is remembered, by the number of the parameter and the name."""
        return {
            f"{number}.{name}": tensor
            for number, kept in enumerate(self.memory)
            for name, tensor in zip(self.remembers, kept, strict=True)
        }

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Remember what ``tensors`` of an equal optimizer were.

        Raises:
            ValueError: If they are of another rule, or of other parameters.
        """
        mine = self.tensors()
        shapes = {name: tensor.shape for name, tensor in tensors.items()}
        if shapes != {name: tensor.shape for name, tensor in mine.items()}:
            raise ValueError("its optimizer is another one")
        for name, tensor in mine.items():
            tensor.copy_(tensors[name])

    @abstractmethod
    def begin(self, parameter: nn.Parameter) -> tuple[Tensor, ...]:
        """Return what is remembered of a parameter before the first step, by ``remembers``."""

    @abstractmethod
    def update(self, *lists: list[Tensor], rate: float, decay: float) -> None:
        """Change parameters: a list of them, of their gradients, and of each thing remembered."""


class AdamW(Optimizer):
    """Adam with decoupled weight decay.

    Sources:
        Kingma & Ba (2015), https://arxiv.org/abs/1412.6980, algorithm 1
        Loshchilov & Hutter (2019), https://arxiv.org/abs/1711.05101, algorithm 2
    """

    remembers = ("step", "exp_avg", "exp_avg_sq")

    def begin(self, parameter: nn.Parameter) -> tuple[Tensor, ...]:
        step = torch.zeros((), device=parameter.device)
        return step, torch.zeros_like(parameter), torch.zeros_like(parameter)

    def update(self, *lists: list[Tensor], rate: float, decay: float) -> None:
        parameters, gradients, steps, means, squares = lists
        torch._foreach_add_(steps, 1)
        torch._fused_adamw_(
            parameters, gradients, means, squares, [], steps,
            lr=rate, beta1=BETAS[0], beta2=BETAS[1], eps=EPSILON, weight_decay=decay,
            amsgrad=False, maximize=False,
        )  # fmt: skip


class SGD(Optimizer):
    """Gradient descent with momentum; the decay is added to the gradient.

    Source:
        Sutskever, Martens, Dahl & Hinton (2013), ICML, PMLR 28:1139-1147, as torch writes it
    """

    remembers = ("momentum_buffer",)

    def begin(self, parameter: nn.Parameter) -> tuple[Tensor, ...]:
        return (torch.zeros_like(parameter),)

    def update(self, *lists: list[Tensor], rate: float, decay: float) -> None:
        torch._fused_sgd_(
            *lists,
            lr=rate, momentum=MOMENTUM, weight_decay=decay, dampening=0.0,
            nesterov=False, maximize=False, is_first_step=False,
        )  # fmt: skip


RULES: dict[str, type[Optimizer]] = {"adam": AdamW, "sgd": SGD}


def make_optimizer(parameters: Sequence[nn.Parameter], recipe: Recipe) -> Optimizer:
    """Return the recipe's rule for these parameters."""
    return RULES[recipe.optimizer](parameters, recipe.weight_decay)
