"""Optimizers on torch's fused kernels: Adam with weight decay, and SGD with momentum."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from ensuite.core.model import Model
from ensuite.core.recipe import Recipe
from ensuite.training.groups import Group, parameter_groups

MOMENTUM = 0.9
"""Share of the last step that SGD keeps in the next."""


class Optimizer(ABC):
    """Parameters, and the state of an update rule for each of them.

    ``torch.optim`` computes the same bits with the same kernels. But its first optimizer imports a
    compiler, which takes a second, and its bookkeeping takes longer than the update of a small
    model.

    Args:
        groups: The parameters to train. A kernel is called once for each group.
        recipe: The hyper-parameters.

    Attributes:
        remembers: Names of the tensors of state of one parameter.
    """

    remembers: ClassVar[tuple[str, ...]]

    def __init__(self, groups: Sequence[Group], recipe: Recipe) -> None:
        self.recipe = recipe
        self.parameters: list[nn.Parameter] = []
        self.parts: list[tuple[slice, Group]] = []
        for group in groups:
            before = len(self.parameters)
            self.parameters += group.parameters
            self.parts.append((slice(before, len(self.parameters)), group))
        self.memory = [self.begin(each) for each in self.parameters]

    @property
    def gradients(self) -> list[Tensor]:
        """The gradients of the parameters that have one."""
        return [each.grad for each in self.parameters if each.grad is not None]

    @torch.no_grad()
    def step(self, learning_rate: float) -> None:
        """Update every parameter that has a gradient."""
        for part, group in self.parts:
            rate = learning_rate * group.rate
            pairs = zip(self.parameters[part], self.memory[part], strict=True)
            rows = [(each, each.grad, *kept) for each, kept in pairs if each.grad is not None]
            if rows:
                self.update(*map(list, zip(*rows, strict=True)), rate=rate, decay=group.decay)

    def zero_grad(self) -> None:
        """Remove the gradients."""
        for each in self.parameters:
            each.grad = None

    def tensors(self) -> dict[str, Tensor]:
        """Return the state of all parameters, by number of the parameter and name."""
        return {
            f"{number}.{name}": tensor
            for number, kept in enumerate(self.memory)
            for name, tensor in zip(self.remembers, kept, strict=True)
        }

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Restore the state that :meth:`tensors` of an equal optimizer returned.

        Raises:
            ValueError: If it is of another rule, or of other parameters.
        """
        mine = self.tensors()
        shapes = {name: tensor.shape for name, tensor in tensors.items()}
        if shapes != {name: tensor.shape for name, tensor in mine.items()}:
            raise ValueError("its optimizer is another one")
        for name, tensor in mine.items():
            tensor.copy_(tensors[name])

    @abstractmethod
    def begin(self, parameter: nn.Parameter) -> tuple[Tensor, ...]:
        """Return the state of a parameter before the first step, in the order of ``remembers``."""

    @abstractmethod
    def update(self, *lists: list[Tensor], rate: float, decay: float) -> None:
        """Change parameters in place: given lists of them, of gradients, and of each state."""


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
        beta1, beta2 = self.recipe.betas
        torch._foreach_add_(steps, 1)
        torch._fused_adamw_(
            parameters, gradients, means, squares, [], steps,
            lr=rate, beta1=beta1, beta2=beta2, eps=self.recipe.epsilon, weight_decay=decay,
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


def make_optimizer(model: Model, recipe: Recipe) -> Optimizer:
    """Return the recipe's optimizer for the parameters of a model that are trained."""
    return RULES[recipe.optimizer](parameter_groups(model, recipe), recipe)
