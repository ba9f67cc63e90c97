"""A trained network as a fitted model: a backbone with its options, and the head of a task."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ensuite import catalog
from ensuite.core.backbone import BackboneOptions, Codes, Samples, Trait
from ensuite.core.batch import Batch
from ensuite.core.errors import UsageError
from ensuite.core.files import read_tensors, write_tensors
from ensuite.core.fitted import WEIGHTS, FittedModel
from ensuite.core.model import Model
from ensuite.core.options import from_json, to_json
from ensuite.core.published import PublishedTask, rename
from ensuite.core.task import Task
from ensuite.nn.int8 import to_int8
from ensuite.tasks.embed import Summary, mean_of_windows
from ensuite.training.evaluate import predict


class Network(FittedModel):
    """A backbone and the head of a task on it.

    Args:
        model: The torch module.
        options: Of its backbone.
        task: How other programs call what the head does.
    """

    kind = "network"

    def __init__(
        self, model: Model, options: BackboneOptions, task: PublishedTask | None = None
    ) -> None:
        self.model, self.options = model, options
        self.head = options.published_head(task or PublishedTask())

    def predict(self, task: Task[Any, Any, Any], examples: Sequence[Any]) -> list[Any]:
        return predict(task, self.model, examples)

    @property
    def parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.model.parameters())

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the weights, named as published where the family has checkpoints."""
        tensors = rename(self.model.state_dict(), self.head.names)
        write_tensors(folder / WEIGHTS, self.options.publish(tensors))
        name = catalog.backbones.name_of(self.options)
        return {"backbone": name, "options": to_json(self.options)}

    @classmethod
    def load(cls, folder: Path, config: Mapping[str, Any], task: Task[Any, Any, Any]) -> Self:
        options = saved_options(config)
        model = Model.build(options, task)
        model.load_state_dict(options.adopt(read_tensors(folder / WEIGHTS)))
        return cls(model.eval(), options, task.published)

    def published_config(self) -> Mapping[str, Any]:
        return {**self.options.published_config(), **self.head.config}

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

    def decode(self, task: Any, codes: NDArray[Any], batch: Batch) -> NDArray[Any]:
        backbone = self.model.eval().backbone
        if not isinstance(backbone, Codes):
            raise UsageError("This network has no codes; choose a run of an autoencoder.")
        device = next(self.model.parameters()).device
        code = torch.from_numpy(np.ascontiguousarray(codes)).to(device, torch.float32)
        if code.shape[1] != self.model.backbone.width:
            raise UsageError(
                f"Codes of this model have {self.model.backbone.width} numbers, and these "
                f"{code.shape[1]}."
            )
        with torch.inference_mode():
            values: NDArray[Any] = (
                task.numbers(backbone.decode(code, batch.to(device))).cpu().numpy()
            )
        return values

    def draw(self, count: int, seed: int) -> NDArray[Any]:
        backbone = self.model.backbone
        if not isinstance(backbone, Samples):
            raise UsageError(
                "The codes of this network have no distribution to draw from; choose a run of a "
                "vae or vae-gan."
            )
        drawn: NDArray[Any] = backbone.prior(count, torch.Generator().manual_seed(seed)).numpy()
        return drawn

    @property
    def embedder(self) -> "Network":
        return Network(Model(self.model.backbone, Summary()).eval(), self.options)

    def embed(self, task: Task[Any, Any, Any], example: Any, *, pool: bool) -> Tensor:
        if not pool and Trait.SEQUENCE not in self.options.traits:
            raise UsageError("This network has no state for each position; ask for pool=True.")
        items = task.items([example], asking=True)
        if len(items) > 1 and not pool:
            raise UsageError(
                f"This input is read in {len(items)} windows, which have no states in common; ask "
                "for pool=True, or give a shorter one."
            )
        batch = task.collate(items)
        device = next(self.model.parameters()).device
        with torch.inference_mode():
            states = self.model.eval().backbone(batch.to(device))
        if len(items) == 1 or batch.mask is None:
            embedded: Tensor = states.summary if pool else states.sequence
            return embedded
        vectors, weights = states.summary.cpu().numpy(), batch.mask.sum(1).numpy()
        return torch.from_numpy(mean_of_windows(vectors, weights))[None]


def saved_options(config: Mapping[str, Any]) -> BackboneOptions:
    """Return the options of a saved network's backbone.

    Raises:
        UsageError: If the backbone is not installed here.
    """
    kind: type[BackboneOptions] = catalog.backbones.resolve(config["backbone"])
    return from_json(kind, config["options"])  # type: ignore[no-any-return]
