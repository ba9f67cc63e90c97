"""ModernBERT: its sizes, and who sees whom."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from ensuite.core.batch import Batch, Tokens
from ensuite.core.errors import UsageError
from ensuite.core.options import set_options
from ensuite.models.modern_bert import ModernBert, ModernBertOptions
from ensuite.specs import model_options

TINY = ModernBertOptions().tiny()
INPUTS = {"tokens": Tokens(9)}

PUBLISHED = {"modernbert-base": 149e6, "modernbert-large": 395e6}
"""Parameters, as the paper rounds them (section 2.1)."""


def build(**changed: Any) -> ModernBert:
    torch.manual_seed(0)
    return replace(TINY, **changed).build(INPUTS).eval()


@pytest.mark.parametrize(("name", "expected"), PUBLISHED.items())
def test_a_preset_has_as_many_parameters_as_published(name: str, expected: float) -> None:
    with torch.device("meta"):
        backbone = model_options(name)[1].build({"tokens": Tokens(50_368)})
    assert sum(p.numel() for p in backbone.parameters()) == pytest.approx(expected, rel=5e-3)


@pytest.mark.parametrize(("layers", "expected"), [(1, [True] * 6), (2, [True] * 6)])
def test_the_first_block_sees_everything(layers: int, expected: list[bool]) -> None:
    assert moved(build(layers=layers, reach=1)) == expected


def test_other_blocks_see_neighbours() -> None:
    backbone = build(layers=2, reach=1)
    backbone.blocks[
        0
    ].output.weight.data.zero_()  # the block that sees everything passes on nothing
    assert moved(backbone) == [False, False, True, True, True, False]


def moved(backbone: ModernBert) -> list[bool]:
    """Say which states change with the fourth of six tokens."""
    tokens = torch.tensor([[1, 2, 3, 4, 5, 6]])
    before = backbone(Batch(inputs={"tokens": tokens})).sequence
    tokens[0, 3] = 7
    after = backbone(Batch(inputs={"tokens": tokens})).sequence
    changed: list[bool] = ((before - after).abs().amax(-1) > 0)[0].tolist()
    return changed


def test_order_is_seen_by_rotation_alone() -> None:
    backbone = build()
    for block in backbone.blocks:
        block.project.weight.data *= 50  # new weights are so small that all is seen alike
        block.output.weight.data *= 50
    one, other = (
        backbone(Batch(inputs={"tokens": torch.tensor([tokens])})).sequence[0, 0]
        for tokens in ([1, 2, 3], [1, 3, 2])
    )
    assert not torch.allclose(one, other)


@pytest.mark.parametrize(
    "settings",
    [{"heads": "8"}, {"reach": "0"}, {"global_every": "0"}, {"dropout": "1"}, {"local_base": "0"}],
)
def test_wrong_options_are_one_sentence(settings: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="the model modernbert: "):
        set_options(TINY, settings, "the model modernbert")
