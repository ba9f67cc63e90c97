"""Names of ModernBERT's tensors, whose layer before a head has one name for two heads."""

import pytest
import torch

from ensuite.core.batch import Tokens
from ensuite.core.published import PublishedTask, rename
from ensuite.models.modern_bert import ModernBertOptions

HEADS = {
    "text-classification": {"head.linear.weight": (2, 8), "head.linear.bias": (2,)},
    "fill-mask": {"head.dense.weight": (8, 8), "head.norm.weight": (8,), "head.bias": (9,)},
}


@pytest.mark.parametrize("pooler", [True, False])
@pytest.mark.parametrize("pipeline", HEADS)
def test_what_is_published_is_adopted_again(pipeline: str, pooler: bool) -> None:
    options = ModernBertOptions(pooler=pooler).tiny()
    state = options.build({"tokens": Tokens(9)}).state_dict()
    tensors = {f"backbone.{name}": tensor for name, tensor in state.items()}
    tensors |= {name: torch.randn(shape) for name, shape in HEADS[pipeline].items()}
    names = options.published_head(PublishedTask(pipeline, tokens=9)).names
    published = options.publish(rename(tensors, names))
    assert len(published) == len(tensors)
    adopted = options.adopt(published)
    assert adopted.keys() == tensors.keys()
    assert all(torch.equal(adopted[name], tensors[name]) for name in tensors)
