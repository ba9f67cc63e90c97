"""A backbone and the head of a task on it."""

from collections.abc import Mapping
from typing import Any, Self, cast

from torch import Tensor, nn

from ensuite.core.backbone import Backbone, BackboneOptions, Steps
from ensuite.core.batch import Batch, Carry, Outputs, read_by


class Model(nn.Module):
    """A backbone and the head of a task on it."""

    def __init__(self, backbone: Backbone, head: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head

    @classmethod
    def build(cls, options: BackboneOptions, task: Any) -> Self:
        """Return a model with new weights for a prepared task."""
        backbone = options.build(read_by(task.inputs, "backbone", "decoder"))
        return cls(backbone, task.head(backbone))

    def forward(self, batch: Batch) -> Outputs:
        states = self.backbone(batch)
        return Outputs(self.head(states, batch), states)

    def begin(self, batch: Batch) -> Carry:
        """Return the state before the first position."""
        return cast(Steps, self.backbone).begin(batch)

    def step(self, inputs: Mapping[str, Tensor], carry: Carry) -> tuple[Any, Carry]:
        """Read one position; return the values of the head there, and the next state."""
        states, carry = cast(Steps, self.backbone).step(inputs, carry)
        return self.head(states, Batch(inputs=inputs)), carry
