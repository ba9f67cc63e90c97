"""A trained network as a fitted model: a backbone with its options, and the head of a task."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from ensuite import catalog
from ensuite.core.backbone import BackboneOptions, Trait
from ensuite.core.errors import UsageError
from ensuite.core.files import read_tensors, write_tensors
from ensuite.core.fitted import WEIGHTS, FittedModel
from ensuite.core.model import Model
from ensuite.core.options import from_json, to_json
from ensuite.core.task import Task
from ensuite.nn.int8 import to_int8
from ensuite.training.evaluate import predict


class Network(FittedModel):
    """A backbone and the head of a task on it.

    Args:
        model: The torch module.
        options: Of its backbone.
    """

    kind = "network"

    def __init__(self, model: Model, options: BackboneOptions) -> None:
        self.model, self.options = model, options

    def predict(self, task: Task[Any, Any, Any], examples: Sequence[Any]) -> list[Any]:
        return predict(task, self.model, examples)

    @property
    def parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.model.parameters())

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the weights, named as published where the family has checkpoints."""
        write_tensors(folder / WEIGHTS, self.options.publish(self.model.state_dict()))
        name = catalog.backbones.name_of(self.options)
        return {"backbone": name, "options": to_json(self.options)}

    @classmethod
    def load(cls, folder: Path, config: Mapping[str, Any], task: Task[Any, Any, Any]) -> Self:
        options = saved_options(config)
        model = Model.build(options, task)
        model.load_state_dict(options.adopt(read_tensors(folder / WEIGHTS)))
        return cls(model.eval(), options)

    def published_config(self) -> Mapping[str, Any]:
        return self.options.published_config()

    def to(self, device: str) -> Self:
        self.model.to(device)
        return self

    def to_int8(self) -> Self:
        to_int8(self.model)
        return self

    @property
    def module(self) -> Model:
        return self.model

    @property
    def backbone_options(self) -> BackboneOptions:
        return self.options

    @property
    def context(self) -> int | None:
        return self.model.backbone.context

    @property
    def language_model(self) -> Model:
        return self.model.eval()

    def embed(self, task: Task[Any, Any, Any], example: Any, *, pool: bool) -> Tensor:
        if not pool and Trait.SEQUENCE not in self.options.traits:
            raise UsageError("This network has no state for each position; ask for pool=True.")
        batch = task.collate(task.items([example]))
        device = next(self.model.parameters()).device
        with torch.inference_mode():
            states = self.model.eval().backbone(batch.to(device))
        embedded: Tensor = states.summary if pool else states.sequence
        return embedded


def saved_options(config: Mapping[str, Any]) -> BackboneOptions:
    """Return the options of a saved network's backbone.

    Raises:
        UsageError: If the backbone is not installed here.
    """
    kind: type[BackboneOptions] = catalog.backbones.resolve(config["backbone"])
    return from_json(kind, config["options"])  # type: ignore[no-any-return]
