"""BERT: its sizes, its options, and what its states depend on."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from ensuite.core.batch import Batch, Tokens
from ensuite.core.errors import DataError, UsageError
from ensuite.core.options import set_options
from ensuite.models.bert import Bert, BertOptions
from ensuite.specs import model_options

TINY = BertOptions().tiny()
INPUTS = {"tokens": Tokens(9)}

PUBLISHED = {
    "bert-tiny": 4_385_920,
    "bert-mini": 11_170_560,
    "bert-small": 28_763_648,
    "bert-medium": 41_373_184,
    "bert-base": 109_482_240,
    "bert-large": 335_141_888,
}
"""Parameters of the encoders with the vocabulary of BERT's lower-case English checkpoints."""


def build(inputs: Any = INPUTS, **changed: Any) -> Bert:
    torch.manual_seed(0)
    return replace(TINY, **changed).build(inputs).eval()


@pytest.mark.parametrize(("name", "expected"), PUBLISHED.items())
def test_a_preset_has_as_many_parameters_as_published(name: str, expected: int) -> None:
    with torch.device("meta"):  # no memory is taken
        backbone = model_options(name)[1].build({"tokens": Tokens(30_522)})
    assert sum(parameter.numel() for parameter in backbone.parameters()) == expected


def test_it_reads_segments_where_there_are_some() -> None:
    backbone = build({**INPUTS, "segments": Tokens(2)})
    tokens = torch.tensor([[1, 2, 3]])
    found = [
        backbone(Batch(inputs={"tokens": tokens, "segments": torch.tensor([each])})).summary
        for each in ([0, 0, 0], [0, 0, 1])
    ]
    assert not torch.equal(*found)
    none = backbone(Batch(inputs={"tokens": tokens})).summary
    assert torch.equal(none, found[0])


def test_more_segments_than_it_knows_are_refused() -> None:
    with pytest.raises(UsageError, match=r"vectors for 1 segments.*give segments=2"):
        build({**INPUTS, "segments": Tokens(2)}, segments=1)
    with pytest.raises(UsageError, match="choose a checkpoint that was trained on pairs"):
        build({**INPUTS, "segments": Tokens(2)}, segments=1, checkpoint=Path("folder"))
    assert build({**INPUTS, "segments": Tokens(2)}, segments=0).embed.segments is None


def test_another_field_is_refused() -> None:
    with pytest.raises(UsageError, match="not characters"):
        build({**INPUTS, "characters": Tokens(4)})


def test_a_text_longer_than_its_positions_is_refused() -> None:
    tokens = torch.ones(1, 5, dtype=torch.long)
    with pytest.raises(DataError, match="has 5 positions, but the model has learned 4"):
        build(longest=4)(Batch(inputs={"tokens": tokens}))
    build(longest=4, positions="relative")(Batch(inputs={"tokens": tokens}))


def test_beyond_its_reach_only_the_first_position_is_seen() -> None:
    backbone = build(reach=1, layers=1)
    tokens = torch.tensor([[1, 2, 3, 4, 5, 6]])
    before = backbone(Batch(inputs={"tokens": tokens})).sequence
    tokens[0, 3] = 7
    after = backbone(Batch(inputs={"tokens": tokens})).sequence
    moved = ((before - after).abs().amax(-1) > 1e-6)[0].tolist()
    assert moved == [True, False, True, True, True, False]


def test_the_summary_is_a_mean_of_length_one_if_asked() -> None:
    backbone = build(pooling="mean", pooler="none", normalized=True)
    tokens, mask = torch.tensor([[1, 2, 3]]), torch.tensor([[True, True, False]])
    states = backbone(Batch(inputs={"tokens": tokens}, mask=mask))
    assert states.sequence is not None
    mean = states.sequence[:, :2].mean(1)
    torch.testing.assert_close(states.summary, mean / mean.norm())


def test_depths_go_from_the_embeddings_up() -> None:
    backbone = build(layers=3)
    depths = {name.split(".")[0]: backbone.depth(name) for name, _ in backbone.named_parameters()}
    assert (depths["embed"], depths["pooler"]) == (0, 3)
    assert backbone.depth("blocks.2.norm.bias") == 3


@pytest.mark.parametrize(
    "settings",
    [{"heads": "3"}, {"width": "0"}, {"segments": "-1"}, {"dropout": "1"}, {"reach": "0"},
     {"attention_dropout": "-0.1"}, {"inner": "0"}, {"longest": "0"}],
)  # fmt: skip
def test_wrong_options_are_one_sentence(settings: dict[str, str]) -> None:
    with pytest.raises(UsageError, match=next(iter(settings))):
        set_options(BertOptions(), settings, "the model bert")


@pytest.mark.parametrize("name", ["family", "checkpoint", "token_rows", "pad", "norm_epsilon"])
def test_what_a_checkpoint_fixes_cannot_be_set(name: str) -> None:
    with pytest.raises(UsageError, match=f'has no option "{name}"'):
        set_options(BertOptions(), {name: "1"}, "the model bert")
