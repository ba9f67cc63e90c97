"""Heads of masked language models: a token for each position, and whether two texts follow."""

from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ensuite.core.backbone import Backbone
from ensuite.core.batch import Batch, States
from ensuite.nn.heads import require_sequence
from ensuite.nn.vocabulary import Projected


class MaskedValues(NamedTuple):
    """The outputs of a head that also predicts the next sentence."""

    tokens: Tensor  # (batch, time, vocabulary), logits
    follows: Tensor  # (batch, 2), logits: the second text follows the first, it does not


class MaskedHead(nn.Module):
    """Logits over the vocabulary at each position, as BERT computes them.

        logits = E LayerNorm(a(W h + b)) + c

    a is the activation of the backbone, mostly GELU. E is the token embedding of the backbone if
    it offers one (weight tying). W maps the states to the width of E.

    Args:
        backbone: Whose states are read.
        size: Size of the vocabulary. A checkpoint may have more rows than that, which keep their
            weights and get no logits.
        next_sentence: Whether two more logits say if the second text of a pair follows the first.

    Source:
        Devlin et al. (2019), https://arxiv.org/abs/1810.04805, section 3.1; the published code has
        the transformation before the output projection.
    """

    def __init__(self, backbone: Backbone, size: int, *, next_sentence: bool = False) -> None:
        super().__init__()
        embedding: Any = backbone.token_embedding
        inner, bias = backbone.token_width, backbone.head_bias
        rows = max(size, backbone.token_rows or 0)
        self.size, self.activation = size, backbone.head_activation
        self.dense = nn.Linear(backbone.sequence_width, inner, bias=bias)
        self.norm = nn.LayerNorm(inner, eps=backbone.norm_epsilon, bias=bias)
        self.weight = nn.Parameter(torch.empty(rows, inner)) if embedding is None else None
        self.bias = nn.Parameter(torch.zeros(rows))
        self.follows = nn.Linear(backbone.width, 2) if next_sentence else None
        # In a tuple, so that it is not registered as a submodule: the backbone owns its weights.
        self.embedding = (embedding,)
        if self.weight is not None:
            nn.init.normal_(self.weight, std=inner**-0.5)

    def forward(self, states: States, batch: Batch) -> Tensor | MaskedValues:
        """Return the logits of all tokens at each position, and with ``next_sentence`` of both.

        Raises:
            UsageError: If the backbone has no state for each position.
        """
        tokens = self.factors(require_sequence(states)).scores()
        return tokens if self.follows is None else MaskedValues(tokens, self.pair(states))

    def factors(self, hidden: Float[Tensor, "*positions width"]) -> Projected:
        """Return the two factors of the logits, from which their loss can be computed directly."""
        (embedding,) = self.embedding
        weight = self.weight if embedding is None else embedding.weight
        assert weight is not None
        states = self.norm(self.activation(self.dense(hidden)))
        return Projected(states, weight[: self.size], self.bias[: self.size])

    def pair(self, states: States) -> Float[Tensor, "batch 2"]:
        """Return two logits for each row: the second text follows the first, it does not."""
        assert self.follows is not None
        values: Tensor = self.follows(states.summary)
        return values


class SpanHead(nn.Module):
    """Two logits for each position: that an answer starts there, and that it ends there.

    Args:
        width: Size of the backbone's states.

    Source:
        Devlin et al. (2019), https://arxiv.org/abs/1810.04805, section 4.2
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.spans = nn.Linear(width, 2)

    def forward(self, states: States, batch: Batch) -> Float[Tensor, "batch time 2"]:
        """Return the logits of start and end at each position.

        Raises:
            UsageError: If the backbone has no state for each position.
        """
        values: Tensor = self.spans(require_sequence(states))
        return values
