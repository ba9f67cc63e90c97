"""Int8 weights: matrices at a quarter of their size, for decoding, which is bound by memory."""

import importlib.util
from functools import cache
from typing import Any, cast

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, Int8
from torch import Tensor, nn

from ensuite.core.batch import Batch, States
from ensuite.core.errors import UsageError
from ensuite.core.model import Model
from ensuite.nn.embed import Embedding
from ensuite.nn.heads import TokenHead, require_sequence

FEW = 12
"""Positions up to which rows are multiplied as they are; for more, they are made float32 first."""

ROWS = 4096
"""Rows that are made float32 at once."""


@cache
def kernel() -> Any:
    """Return the compiled product, imported when it is first needed."""
    from ensuite.nn.kernels.int8 import product

    return product


class Int8Matrix(nn.Module):
    """The rows of a matrix as int8 numbers with one scale each.

    A row is divided by its largest absolute number over 127 and rounded, so that no number moves by
    more than 0.4 % of the largest one of its row. Products are summed in float32.

    Args:
        weight: The matrix.

    Source:
        Dettmers et al. (2022), https://arxiv.org/abs/2208.07339, section 2: absmax, here of each
        row of the weights alone.
    """

    rows: Int8[Tensor, "row column"]
    scales: Float[Tensor, " row"]

    def __init__(self, weight: Float[Tensor, "row column"]) -> None:
        super().__init__()
        weight = weight.detach().float()
        scales = weight.abs().amax(1) / 127
        safe = torch.where(scales > 0, scales, 1.0)
        self.register_buffer("rows", (weight / safe[:, None]).round().to(torch.int8))
        self.register_buffer("scales", scales)

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        raise UsageError("A model with int8 weights is not saved; copy the run that it came from.")

    def product(
        self, inputs: Float[Tensor, "*batch column"], size: int | None = None
    ) -> Float[Tensor, "*batch row"]:
        """Return the products of vectors with the rows, or with the first ``size`` of them."""
        rows, scales = self.rows, self.scales
        if size is not None and size < rows.shape[0]:
            rows, scales = rows[:size], scales[:size]
        flat = inputs.detach().reshape(-1, rows.shape[1]).float().contiguous()
        count, outputs = flat.shape[0], flat.new_empty(flat.shape[0], rows.shape[0])
        if count <= FEW and flat.is_cpu:
            kernel()(flat.numpy(), rows.numpy(), scales.numpy(), outputs.numpy())
        else:
            for start in range(0, rows.shape[0], ROWS):
                part = slice(start, start + ROWS)
                outputs[:, part] = F.linear(flat, rows[part].float()) * scales[part]
        return outputs.view(*inputs.shape[:-1], rows.shape[0]).to(inputs.dtype)


class Int8Linear(Int8Matrix):
    """A linear layer with int8 weights. It computes no gradients.

    Args:
        layer: The layer that it stands for.
    """

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__(layer.weight)
        self.bias = None if layer.bias is None else nn.Parameter(layer.bias.detach(), False)

    def forward(self, inputs: Float[Tensor, "*batch features"]) -> Float[Tensor, "*batch outputs"]:
        """Return the outputs of the layer."""
        outputs = self.product(inputs)
        return outputs if self.bias is None else outputs + self.bias


class Int8Embedding(Int8Matrix):
    """A token embedding with int8 vectors.

    Args:
        embedding: The embedding that it stands for.
    """

    def __init__(self, embedding: Embedding) -> None:
        super().__init__(embedding.weight)

    def forward(self, tokens: Int[Tensor, "batch time"]) -> Float[Tensor, "batch time width"]:
        """Return one vector per token."""
        return self.rows[tokens].float() * self.scales[tokens][..., None]


class Int8TokenHead(nn.Module):
    """Logits over the vocabulary from an int8 output projection.

    Args:
        head: The head that it stands for.
        tied: The embedding that is its output projection too; None: it has a matrix of its own.
    """

    def __init__(self, head: TokenHead, tied: Int8Embedding | None) -> None:
        super().__init__()
        self.size, self.project, self.bias = head.size, head.project, head.bias
        if tied is None:
            assert head.weight is not None, "it is not tied"
            self.matrix: Int8Matrix | None = Int8Matrix(head.weight)
        else:
            self.matrix = None
        self.tied = (tied,)  # in a tuple, so that it is not registered twice

    def forward(self, states: States, batch: Batch) -> Float[Tensor, "*positions size"]:
        """Return the logits at each position."""
        matrix = self.matrix or self.tied[0]
        assert matrix is not None, "a head has one of the two"
        logits = matrix.product(self.project(require_sequence(states)), self.size)
        return logits if self.bias is None else logits + self.bias


def to_int8(model: Model) -> None:
    """Replace the large matrices of a model by int8 ones, in place.

    Raises:
        UsageError: If its backbone does not allow it, or numba is not installed.
    """
    backbone = model.backbone
    if not backbone.replaceable:
        raise UsageError(f"int8 weights: {type(backbone).__name__} has none; leave int8 out.")
    if importlib.util.find_spec("numba") is None:
        raise UsageError("int8 weights need the package numba: pip install ensuite[fast]")
    head, tied = model.head, None
    for name in backbone.replaceable:
        parent, _, last = name.rpartition(".")
        layer: Any = backbone.get_submodule(name)
        made = Int8Embedding(layer) if isinstance(layer, Embedding) else Int8Linear(layer)
        if isinstance(head, TokenHead) and head.embedding[0] is layer:
            tied = cast(Int8Embedding, made)
        setattr(backbone.get_submodule(parent), last, made)
    if isinstance(head, TokenHead):
        model.head = Int8TokenHead(head, tied)
