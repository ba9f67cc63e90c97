"""Heads of masked language models and of question answering, beside those of transformers."""

import pytest
import torch

from ensuite.core.backbone import Backbone
from ensuite.core.batch import Batch, States, Tokens
from ensuite.core.errors import UsageError
from ensuite.nn.masked import MaskedHead, MaskedValues, SpanHead
from ensuite.specs import model_options

SIZE, EMPTY = 11, Batch(inputs={})


def backbone(tied: bool) -> Backbone:
    options = model_options(f"transformer:tied={tied},width=16")[1]
    return options.build({"tokens": Tokens(SIZE)})


def states(made: Backbone) -> States:
    return States(torch.randn(2, made.width), torch.randn(2, 3, made.width))


@pytest.mark.parametrize("tied", [True, False])
def test_the_logits_are_those_of_bert(tied: bool) -> None:
    transformers = pytest.importorskip("transformers")
    made = backbone(tied)
    head = MaskedHead(made, SIZE, next_sentence=True)
    config = transformers.BertConfig(
        vocab_size=SIZE, hidden_size=16, layer_norm_eps=made.norm_epsilon
    )
    theirs = transformers.models.bert.modeling_bert.BertPreTrainingHeads(config)
    weight = head.weight if head.weight is not None else made.token_embedding.weight  # type: ignore[union-attr]
    theirs.load_state_dict(
        {
            "predictions.transform.dense.weight": head.dense.weight,
            "predictions.transform.dense.bias": head.dense.bias,
            "predictions.transform.LayerNorm.weight": head.norm.weight,
            "predictions.transform.LayerNorm.bias": head.norm.bias,
            "predictions.decoder.weight": weight,
            "predictions.decoder.bias": head.bias,
            "predictions.bias": head.bias,
            "seq_relationship.weight": head.follows.weight,  # type: ignore[union-attr]
            "seq_relationship.bias": head.follows.bias,  # type: ignore[union-attr]
        }
    )
    read = states(made)
    values = head(read, EMPTY)
    assert isinstance(values, MaskedValues)
    tokens, follows = theirs(read.sequence, read.summary)
    # The same operations in the same order, so that only the last digits may differ.
    torch.testing.assert_close(values.tokens, tokens, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(values.follows, follows, rtol=1e-5, atol=1e-6)


def test_a_tied_head_has_no_output_projection_of_its_own() -> None:
    tied, own = (MaskedHead(backbone(each), SIZE) for each in (True, False))
    assert "weight" not in tied.state_dict()
    assert own.state_dict()["weight"].shape == (SIZE, 16)
    assert isinstance(tied(states(backbone(True)), EMPTY), torch.Tensor)


def test_a_head_may_have_no_biases() -> None:
    made = backbone(True)
    made.head_bias = False
    assert set(MaskedHead(made, SIZE).state_dict()) == {"dense.weight", "norm.weight", "bias"}


def test_a_backbone_without_states_per_position_is_refused() -> None:
    nothing = States(torch.zeros(1, 16))
    for head in (MaskedHead(backbone(True), SIZE), SpanHead(16)):
        with pytest.raises(UsageError, match="no state for each position"):
            head(nothing, EMPTY)
