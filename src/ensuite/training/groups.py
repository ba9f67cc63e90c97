"""Parameter groups: which parameters are trained, at which rate and with which weight decay."""

from collections.abc import Iterator
from typing import NamedTuple

from torch import nn

from ensuite.core.errors import UsageError, nearest
from ensuite.core.model import Model
from ensuite.core.recipe import Recipe


class Group(NamedTuple):
    """Parameters that are updated alike.

    Attributes:
        parameters: All of them are trained.
        rate: Their learning rate as a multiple of the recipe's.
        decay: Their weight decay.
        blocks: Where Muon updates them: the rows of each matrix that a parameter stacks, one below
            the other, for each parameter. None: it does not.
    """

    parameters: list[nn.Parameter]
    rate: float
    decay: float
    blocks: list[tuple[int, ...]] | None = None


def freeze(model: Model, recipe: Recipe) -> None:
    """Exclude from training what the recipe freezes: its parameters need no gradient any more.

    Raises:
        UsageError: If the backbone has no parameter of a given prefix, for which it names the
            nearest, or fewer layers than are to be frozen.
    """
    named = dict(model.backbone.named_parameters())
    layers = 1 + max(map(model.backbone.depth, named), default=0)
    if recipe.freeze_layers > layers:
        raise UsageError(
            f"freeze_layers={recipe.freeze_layers}: the backbone has {layers} layers, the "
            "embeddings among them; give no more."
        )
    for prefix in recipe.freeze:
        if not any(belongs_to(name, prefix) for name in named):
            parts = list(dict.fromkeys(part for name in named for part in prefixes(name)))
            hint = nearest(prefix, parts) or "."
            top = ", ".join(part for part in parts if "." not in part)
            raise UsageError(
                f"freeze={prefix}: the backbone has no parameters of that name{hint} Its parts "
                f"are: {top}."
            )
    for name, parameter in named.items():
        frozen = any(belongs_to(name, prefix) for prefix in recipe.freeze)
        if frozen or (recipe.freeze_layers and model.backbone.depth(name) < recipe.freeze_layers):
            parameter.requires_grad_(False)


def belongs_to(name: str, prefix: str) -> bool:
    """Say whether a parameter belongs to the module of that name, or is the parameter itself.

    >>> belongs_to("cells.1.weight", "cells.1"), belongs_to("cells.10.weight", "cells.1")
    (True, False)
    """
    return name == prefix or name.startswith(f"{prefix}.")


def prefixes(name: str) -> Iterator[str]:
    """Yield the names of all modules that a parameter belongs to, and its own.

    >>> list(prefixes("cells.1.weight"))
    ['cells', 'cells.1', 'cells.1.weight']
    """
    parts = name.split(".")
    return (".".join(parts[: end + 1]) for end in range(len(parts)))


def parameter_groups(model: Model, recipe: Recipe) -> list[Group]:
    """Return the trained parameters of a model, grouped by learning rate and weight decay.

    Matrices come before biases and the like. Where nothing differs there is a single group, which
    a fused kernel updates at once. Muon is for the matrices of the backbone that are no embeddings,
    not for the head.

    Sources:
        Layer-wise rates: Howard & Ruder (2018), https://arxiv.org/abs/1801.06146, section 3.2, and
        Clark et al. (2020), https://arxiv.org/abs/2003.10555, appendix B
    """
    named = [(name, each) for name, each in model.named_parameters() if each.requires_grad]
    named.sort(key=lambda pair: pair[1].dim() < 2)  # stable: otherwise in the order of the model
    exempt = {id(each) for each in embeddings(model)}
    rates = layer_rates(model, recipe.layer_decay)
    groups: dict[tuple[float, float, bool], list[nn.Parameter]] = {}
    for name, each in named:
        decays = each.dim() >= 2 and id(each) not in exempt
        hidden = each.dim() == 2 and id(each) not in exempt and name.startswith("backbone.")
        orthogonal = recipe.optimizer == "muon" and hidden
        key = rates.get(name, 1.0), recipe.weight_decay if decays else 0.0, orthogonal
        groups.setdefault(key, []).append(each)
    rows = stacked_rows(model)
    return [
        Group(each, rate, decay, [rows.get(id(p), (len(p),)) for p in each] if orthogonal else None)
        for (rate, decay, orthogonal), each in groups.items()
    ]


def stacked_rows(model: nn.Module) -> dict[int, tuple[int, ...]]:
    """Return the rows of each matrix in the parameters that stack several, by the parameter's id.

    A module names them in ``stacks``: queries, keys and values in one linear layer, for example.
    """
    return {
        id(module.get_parameter(name)): tuple(rows)
        for module in model.modules()
        for name, rows in getattr(module, "stacks", {}).items()
    }


def embeddings(model: nn.Module) -> Iterator[nn.Parameter]:
    """Yield the parameters that hold embeddings, which do not decay.

    A module of another class than ``nn.Embedding`` names them in ``no_weight_decay``.
    """
    for module in model.modules():
        usual = ("weight",) if isinstance(module, nn.Embedding) else ()
        for name in getattr(module, "no_weight_decay", usual):
            yield getattr(module, name)


def layer_rates(model: Model, layer_decay: float) -> dict[str, float]:
    """Return the learning rate of each parameter of the backbone, as a multiple of the head's.

    It is that of its layer times that of the parameter itself.
    """
    backbone = model.backbone
    names = [name for name, _ in backbone.named_parameters()]
    rates = {f"backbone.{name}": backbone.rate(name) for name in names}
    if layer_decay == 1:
        return rates
    depths = {name: backbone.depth(name) for name in names}
    top = 1 + max(depths.values(), default=0)
    for name, depth in depths.items():
        rates[f"backbone.{name}"] *= layer_decay ** (top - depth)
    return rates
