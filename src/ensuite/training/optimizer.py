"""Optimizers on torch's fused kernels: AdamW, SGD with momentum, and Muon."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from ensuite.core.model import Model
from ensuite.core.recipe import Recipe
from ensuite.training.groups import Group, parameter_groups
from ensuite.training.newton_schulz import orthogonalise

MOMENTUM = 0.9
"""Share of the last step that SGD keeps in the next."""

MUON_MOMENTUM = 0.95
"""Share of the running mean of the gradient that Muon keeps at each update."""

ADAM_SIZE = 0.2
"""Root mean square of a typical update of Adam, as a multiple of the learning rate."""


class Rule(ABC):
    """How parameters are updated, given their gradients and what is remembered of each.

    ``torch.optim`` computes the same bits with the same kernels. But its first optimizer imports a
    compiler, which takes a second, and its bookkeeping takes longer than the update of a small
    model.

    Args:
        recipe: The hyper-parameters.

    Attributes:
        remembers: Names of the tensors of state of one parameter.
    """

    remembers: ClassVar[tuple[str, ...]]

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe

    @abstractmethod
    def begin(self, parameter: nn.Parameter) -> tuple[Tensor, ...]:
        """Return the state of a parameter before the first step, in the order of ``remembers``."""

    @abstractmethod
    def update(self, *lists: list[Tensor], rate: float, decay: float) -> None:
        """Change parameters in place: given lists of them, of gradients, and of each state."""


class AdamW(Rule):
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


class SGD(Rule):
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


class Muon(Rule):
    """Gradient descent with momentum, each step of which is made orthogonal; for matrices.

        M ← μ M + (1 - μ) G
        O ← orthogonalise((1 - μ) G + μ M)                       Nesterov's momentum
        W ← W - η λ W - 0.2 √max(rows, columns) η O

    The factor before O gives an update the size of a typical one of Adam, so that both have one
    learning rate η and one weight decay λ. (Jordan's own factor is √max(1, rows / columns), which
    needs another learning rate.)

    Args:
        recipe: The hyper-parameters.
        blocks: The rows of each matrix in a parameter, by its id. Matrices that are stacked in one
            parameter, such as those of queries, keys and values, are updated one by one.

    Sources:
        Jordan et al. (2024), https://kellerjordan.github.io/posts/muon/
        The factor: Liu et al. (2025), https://arxiv.org/abs/2502.16982, section 2.2
    """

    remembers = ("momentum_buffer",)

    def __init__(self, recipe: Recipe, blocks: Mapping[int, Sequence[int]]) -> None:
        super().__init__(recipe)
        self.blocks = blocks

    def begin(self, parameter: nn.Parameter) -> tuple[Tensor, ...]:
        return (torch.zeros_like(parameter),)

    def update(self, *lists: list[Tensor], rate: float, decay: float) -> None:
        parameters, gradients, means = lists
        for mean, gradient in zip(means, gradients, strict=True):
            mean.lerp_(gradient, 1 - MUON_MOMENTUM)
        torch._foreach_mul_(parameters, 1 - rate * decay)
        matrices, steps = list[Tensor](), list[Tensor]()
        for each, gradient, mean in zip(parameters, gradients, means, strict=True):
            rows = list(self.blocks[id(each)])
            matrices += torch.split(each, rows)
            steps += torch.split(gradient.lerp(mean, MUON_MOMENTUM), rows)
        for shape in dict.fromkeys(each.shape for each in matrices):
            places = [place for place, each in enumerate(matrices) if each.shape == shape]
            made = orthogonalise(torch.stack([steps[place] for place in places]))
            size = ADAM_SIZE * max(shape) ** 0.5
            torch._foreach_add_(
                [matrices[place] for place in places], list(made.unbind()), alpha=-rate * size
            )


RULES: dict[str, type[Rule]] = {"adam": AdamW, "sgd": SGD, "muon": AdamW}
"""The rule of all groups but those with blocks, which Muon updates."""


class Optimizer:
    """Parameters, and for each of them an update rule and its state.

    Args:
        groups: The parameters to train. A kernel is called once for each group.
        recipe: The hyper-parameters.
    """

    def __init__(self, groups: Sequence[Group], recipe: Recipe) -> None:
        self.parameters: list[nn.Parameter] = []
        self.parts: list[tuple[slice, Group, Rule]] = []
        self.memory: list[dict[str, Tensor]] = []
        for group in groups:
            rule = rule_of(group, recipe)
            before = len(self.parameters)
            self.parameters += group.parameters
            self.parts.append((slice(before, len(self.parameters)), group, rule))
            states = map(rule.begin, group.parameters)
            self.memory += [dict(zip(rule.remembers, each, strict=True)) for each in states]

    @property
    def gradients(self) -> list[Tensor]:
        """The gradients of the parameters that have one."""
        return [each.grad for each in self.parameters if each.grad is not None]

    @torch.no_grad()
    def step(self, learning_rate: float) -> None:
        """Update every parameter that has a gradient."""
        for part, group, rule in self.parts:
            rate = learning_rate * group.rate
            pairs = zip(self.parameters[part], self.memory[part], strict=True)
            rows = [(p, p.grad, *kept.values()) for p, kept in pairs if p.grad is not None]
            if rows:
                rule.update(*map(list, zip(*rows, strict=True)), rate=rate, decay=group.decay)

    def zero_grad(self) -> None:
        """Remove the gradients."""
        for each in self.parameters:
            each.grad = None

    def tensors(self) -> dict[str, Tensor]:
        """Return the state of all parameters, by number of the parameter and name."""
        return {
            f"{number}.{name}": tensor
            for number, kept in enumerate(self.memory)
            for name, tensor in kept.items()
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


def rule_of(group: Group, recipe: Recipe) -> Rule:
    """Return the rule that updates a group."""
    if group.blocks is None:
        return RULES[recipe.optimizer](recipe)
    return Muon(recipe, dict(zip(map(id, group.parameters), group.blocks, strict=True)))


def make_optimizer(model: Model, recipe: Recipe) -> Optimizer:
    """Return the recipe's optimizer for the parameters of a model that are trained."""
    return Optimizer(parameter_groups(model, recipe), recipe)
