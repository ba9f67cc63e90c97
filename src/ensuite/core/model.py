"""A backbone and the head of a task on it."""

from collections.abc import Mapping
from typing import Any, cast

from torch import Tensor, nn

from ensuite.core.backbone import Backbone, Steps
from ensuite.core.batch import Batch, Carry, Outputs


class Model(nn.Module):
    """A backbone and the head of a task on it."""

    def __init__(self, backbone: Backbone, head: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head

    def forward(self, batch: Batch) -> Outputs:
        states = self.backbone(batch)
        return Outputs(self.head(states, batch), states)

    def begin(self, batch: Batch) -> Carry:
        """Return what the first step starts from."""
        return cast(Steps, self.backbone).begin(batch)

    def step(self, inputs: Mapping[str, Tensor], carry: Carry) -> tuple[Any, Carry]:
        """Take one position; return what the head reads there, and the state after it."""
        states, carry = cast(Steps, self.backbone).step(inputs, carry)
        return self.head(states, Batch(inputs=inputs)), carry
