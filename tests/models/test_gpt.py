"""GPT: sizes, documents, windows, memory and caches."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from ensuite.catalog import BACKBONES
from ensuite.core.batch import Batch, Inputs, Tokens
from ensuite.core.errors import DataError
from ensuite.models.gpt import GPT, GPTOptions
from ensuite.nn.heads import TokenHead
from ensuite.specs import model_options

INPUTS: Inputs = {"tokens": Tokens(12)}
SMALL = GPTOptions(width=12, layers=2, heads=6, context=16)
LEARNED = replace(SMALL, positions="learned")
LINEAR = replace(SMALL, attention="linear")
CLOSE = {"rtol": 0, "atol": 2e-5}

SIZES = {
    "gpt2": 124_439_808,
    "gpt2-medium": 354_823_168,
    "gpt2-large": 774_030_080,
    "gpt2-xl": 1_557_611_200,
}
"""Numbers of parameters of the published checkpoints."""

GPT3 = {
    "gpt3-125m": 125e6, "gpt3-350m": 350e6, "gpt3-760m": 760e6, "gpt3-1.3b": 1.3e9,
    "gpt3-2.7b": 2.7e9, "gpt3-6.7b": 6.7e9, "gpt3-13b": 13e9, "gpt3-175b": 174.6e9,
}  # fmt: skip
"""As table 2.1 of Brown et al. (2020) prints them, rounded."""


def build(options: GPTOptions, inputs: Inputs = INPUTS) -> GPT:
    torch.manual_seed(0)
    return options.build(inputs).eval()


def draw(rows: int = 2, time: int = 10) -> Tensor:
    return torch.randint(12, (rows, time), generator=torch.Generator().manual_seed(1))


def run(backbone: GPT, tokens: Tensor, **fields: Any) -> Tensor:
    with torch.no_grad():
        states = backbone(Batch(inputs={"tokens": tokens}, **fields))
    assert states.sequence is not None
    return states.sequence


def count(name: str) -> int:
    """Count the parameters of a preset with the vocabulary of GPT-2, without memory for them."""
    with torch.device("meta"):
        backbone = model_options(name)[1].build({"tokens": Tokens(50_257)})
    assert all(parameter.is_meta for parameter in backbone.parameters())
    return sum(parameter.numel() for parameter in backbone.parameters())


@pytest.mark.parametrize(("name", "parameters"), SIZES.items())
def test_gpt2_has_its_published_size(name: str, parameters: int) -> None:
    assert count(name) == parameters


@pytest.mark.parametrize(("name", "parameters"), GPT3.items())
def test_gpt3_has_its_published_size(name: str, parameters: float) -> None:
    assert count(name) == pytest.approx(parameters, rel=0.02)


def test_a_comparison_takes_only_the_small_one_by_itself() -> None:
    mine = {n for n, row in BACKBONES.items() if row.target.endswith(":GPTOptions")}
    assert {name for name in mine if BACKBONES[name].default} == {"gpt"}


def test_new_weights_are_drawn_as_gpt2_draws_them() -> None:
    backbone = build(replace(LEARNED, width=96, layers=8, bias="all", norm="layer"))
    block: Any = backbone.blocks[0]
    assert float(backbone.embed.weight.detach().std()) == pytest.approx(0.02, rel=0.1)
    assert float(block.feed.up.weight.detach().std()) == pytest.approx(0.02, rel=0.1)
    assert float(block.feed.down.weight.detach().std()) == pytest.approx(
        0.02 / math.sqrt(16), rel=0.1
    )
    assert not block.attention.output.bias.any()


@pytest.mark.parametrize("options", [SMALL, LEARNED, LINEAR, replace(SMALL, window=3)])
def test_a_document_in_a_row_is_the_document_alone(options: GPTOptions) -> None:
    backbone, tokens = build(options), draw()
    documents = torch.tensor([[4, 4, 4, 5, 5, 5, 5, 5, 9, 9], [7, 7, 7, 7, 7, 7, 7, 7, 7, 8]])
    packed = run(backbone, tokens, documents=documents)
    for row, number in ((0, 4), (0, 5), (0, 9), (1, 7), (1, 8)):
        mine = documents[row] == number
        alone = run(backbone, tokens[row : row + 1, mine])
        torch.testing.assert_close(packed[row : row + 1, mine], alone, **CLOSE)


def test_padding_and_documents_change_nothing_together() -> None:
    backbone, tokens = build(SMALL), draw()
    documents = torch.tensor([[1, 1, 1, 2, 2, 2, 2, 2, 2, 2]] * 2)
    packed = run(backbone, tokens, documents=documents)
    mask = torch.ones(2, 15, dtype=torch.bool)
    mask[:, :3] = mask[:, 13:] = False
    wide = [torch.nn.functional.pad(each, (3, 2)) for each in (tokens, documents)]
    padded = run(backbone, wide[0], documents=wide[1], mask=mask)
    torch.testing.assert_close(padded[mask].view(2, 10, -1), packed, **CLOSE)


@pytest.mark.parametrize("options", [SMALL, LEARNED, LINEAR, replace(SMALL, window=3)])
def test_padding_may_be_longer_than_the_context(options: GPTOptions) -> None:
    backbone, tokens = build(options), draw()
    for before, after in ((30, 0), (0, 30), (9, 30)):
        wide = torch.nn.functional.pad(tokens, (before, after))
        mask = torch.nn.functional.pad(torch.ones_like(tokens, dtype=torch.bool), (before, after))
        padded = run(backbone, wide, mask=mask)[mask].view(2, 10, -1)
        torch.testing.assert_close(padded, run(backbone, tokens), **CLOSE)


@pytest.mark.parametrize("window", [1, 3, 9])
def test_a_window_of_one_layer_sees_so_many(window: int) -> None:
    backbone, tokens = build(replace(SMALL, layers=1, window=window)), draw(rows=1)
    other = tokens.clone()
    other[0, 0] = (other[0, 0] + 1) % 12
    moved = (run(backbone, tokens) - run(backbone, other)).abs().amax(-1)[0]
    assert (moved > 1e-6).tolist() == [place < window for place in range(10)]


def test_a_window_goes_on_past_the_context() -> None:
    backbone, tokens = build(replace(SMALL, window=5)), draw(time=40)
    assert (backbone.context, build(SMALL).context) == (None, 16)
    whole = run(backbone, tokens)
    carry = backbone.begin(Batch(inputs={"tokens": tokens}))
    found = []
    with torch.no_grad():
        for part in (slice(0, 12), *(slice(n, n + 1) for n in range(12, 24)), slice(24, 40)):
            states, carry = backbone.read(Batch(inputs={"tokens": tokens[:, part]}), carry)
            found.append(states.sequence)
    torch.testing.assert_close(torch.cat(found, 1), whole, **CLOSE)
    assert carry["0.keys"].shape[2] == 5


def test_linear_attention_goes_on_past_the_context_with_a_state_of_one_size() -> None:
    backbone, tokens = build(replace(LINEAR, key_heads=2)), draw(time=100)
    assert backbone.context is None
    whole = run(backbone, tokens)
    carry = backbone.begin(Batch(inputs={"tokens": tokens}))
    shapes, found = {name: part.shape for name, part in carry.items()}, []
    with torch.no_grad():
        for part in (slice(0, 70), *(slice(n, n + 1) for n in range(70, 80)), slice(80, 100)):
            states, carry = backbone.read(Batch(inputs={"tokens": tokens[:, part]}), carry)
            found.append(states.sequence)
    torch.testing.assert_close(torch.cat(found, 1), whole, **CLOSE)
    assert {name: part.shape for name, part in carry.items()} == shapes


def test_memory_hands_documents_over() -> None:
    backbone = build(replace(SMALL, window=4, memory=True))
    tokens, documents = draw(), torch.tensor([[0] * 3 + [1] * 7, [0] * 6 + [1] * 4])
    whole = run(backbone, tokens, documents=documents)
    carry, parts = None, []
    for part in (slice(0, 2), slice(2, 7), slice(7, 10)):
        fields = {"documents": documents[:, part], "carry": carry}
        with torch.no_grad():
            states = backbone(Batch(inputs={"tokens": tokens[:, part]}, **fields))
        parts, carry = [*parts, states.sequence], states.carry
    torch.testing.assert_close(torch.cat(parts, 1), whole, **CLOSE)


def test_learned_positions_end_with_the_context() -> None:
    with pytest.raises(
        DataError, match="A sequence has 17 positions, but the model has learned 16"
    ):
        run(build(LEARNED), draw(time=17))
    assert run(build(SMALL), draw(time=17)).isfinite().all()


def test_rows_of_a_carry_have_read_equally_many() -> None:
    backbone = build(SMALL)
    carry = backbone.begin(Batch(inputs={"tokens": draw()}))
    with pytest.raises(ValueError, match="equally many"):
        backbone.step({"tokens": draw()[:, 0]}, {**carry, "read": torch.tensor([0, 1])})


@pytest.mark.parametrize("options", [SMALL, LINEAR])
def test_a_step_can_be_trained_through(options: GPTOptions) -> None:
    backbone, tokens = build(options), draw(time=3)
    carry, total = backbone.begin(Batch(inputs={"tokens": tokens})), torch.zeros(())
    for now in tokens.unbind(1):
        states, carry = backbone.step({"tokens": now}, carry)
        total = total + states.summary.square().sum()
    total.backward()
    stepped = [parameter.grad.clone() for parameter in backbone.parameters()]  # type: ignore[union-attr]
    backbone.zero_grad()
    backbone(Batch(inputs={"tokens": tokens})).sequence.square().sum().backward()
    for one, parameter in zip(stepped, backbone.parameters(), strict=True):
        torch.testing.assert_close(one, parameter.grad, rtol=1e-3, atol=1e-5)


def test_rows_beyond_the_vocabulary_are_never_scored() -> None:
    options = replace(SMALL, token_rows=20)
    backbone = build(options)
    assert len(backbone.embed.weight) == 20
    head = TokenHead(12, 12, rows=backbone.token_rows, bias=backbone.token_bias)
    states = backbone(Batch(inputs={"tokens": draw()}))
    assert head.weight is not None
    assert (len(head.weight), head(states, Batch(inputs={})).shape) == (20, (2, 10, 12))
    assert head.bias is None


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"heads": 5}, r"width \(12\) must be a multiple of heads \(5\)"),
        ({"key_heads": 4}, r"key_heads \(4\) must divide heads \(6\)"),
        ({"window": 0}, "must be 1 or more"),
        ({"context": 0}, "must be 1 or more"),
        ({"dropout": 1.0}, "dropout must be"),
        ({"memory": True}, "memory needs a window"),
        ({"memory": True, "attention": "linear"}, "memory needs a window"),
        ({"attention": "linear", "window": 3}, "attention=linear has no window"),
        ({"memory": True, "window": 3, "positions": "learned"}, "positions=rotary"),
    ],
)
def test_what_makes_no_network_is_refused(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        replace(SMALL, **given)
