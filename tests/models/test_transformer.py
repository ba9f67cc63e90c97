"""The Transformer: order, places, and what a step keeps."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from ensuite.core.batch import ATTENTION, DECODER, Batch, Image, Tokens, Values
from ensuite.core.errors import DataError, UsageError
from ensuite.core.options import set_options
from ensuite.laws import random_batch
from ensuite.models.transformer import Transformer, TransformerOptions
from ensuite.nn.gru import GRU
from ensuite.nn.recurrent import Recurrent

TINY = TransformerOptions(width=8, layers=2, heads=2, inner=2, dropout=0.0)
INPUTS = {"tokens": Tokens(9), DECODER: Tokens(7)}
POSITIONS = ["none", "sinusoidal", "learned", "relative"]


def build(inputs: Any = INPUTS, **changed: Any) -> Transformer:
    torch.manual_seed(0)
    return replace(TINY, **changed).build(inputs).eval()


def states(model: Transformer, tokens: Tensor) -> Tensor:
    with torch.no_grad():
        sequence = model(Batch(inputs={"tokens": tokens})).sequence
    assert sequence is not None
    found: Tensor = sequence
    return found


@pytest.fixture
def batch() -> Batch:
    return random_batch(INPUTS, rows=5, longest=7)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"width": "0"}, "width, layers, heads, inner and longest must be 1 or more"),
        ({"width": "10", "heads": "4"}, r"width \(10\) must be a multiple of heads \(4\)"),
        ({"dropout": "1"}, "dropout must be from 0 to less than 1"),
    ],
)
def test_options_that_cannot_be(settings: dict[str, str], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        set_options(TransformerOptions(), settings, "model transformer")


@pytest.mark.parametrize("positions", POSITIONS)
def test_without_positions_the_order_is_unknown_and_with_them_known(positions: str) -> None:
    """Permuting what is read permutes what comes out, and nothing else, only without positions."""
    model = build({"tokens": Tokens(9)}, positions=positions)
    tokens, order = torch.randint(1, 9, (3, 6)), torch.randperm(6)
    permuted = states(model, tokens[:, order])
    same = torch.allclose(permuted, states(model, tokens)[:, order], rtol=0, atol=1e-5)
    assert same == (positions == "none")


@pytest.mark.parametrize("positions", POSITIONS)
def test_the_same_word_at_two_places_is_told_apart_by_its_place(positions: str) -> None:
    model = build({"tokens": Tokens(9)}, positions=positions)
    first, *others = states(model, torch.tensor([[3, 3, 4, 3]]))[0]
    same = torch.allclose(first, others[0], rtol=0, atol=1e-5)
    assert same == (positions == "none")


def test_learned_positions_end(batch: Batch) -> None:
    model = build(positions="learned", longest=4)
    with pytest.raises(DataError, match="the model has learned 4; shorten it, or train with"):
        model(batch)


@torch.no_grad()
@pytest.mark.parametrize("positions", POSITIONS)
def test_a_step_makes_the_keys_of_one_position_and_keeps_the_others(
    batch: Batch, positions: str
) -> None:
    model = build(positions=positions)
    carry = model.begin(batch)
    for place, word in enumerate(batch.inputs[DECODER].unbind(1)):
        assert carry["past.1.keys"].shape == (5, 2, place, 4)
        before = carry["past.0.values"]
        _, carry = model.step({DECODER: word}, carry)
        assert torch.equal(carry["past.0.values"][:, :, :place], before)


@torch.no_grad()
def test_where_a_step_looked_is_the_mean_of_the_heads_of_the_last_block(batch: Batch) -> None:
    model = build()
    carry = model.begin(batch)
    position = {DECODER: batch.inputs[DECODER][:, 0]}
    _, after = model.step(position, carry)
    torch.testing.assert_close(after[ATTENTION].sum(1), torch.ones(5))
    assert batch.mask is not None
    assert after[ATTENTION][~batch.mask].abs().max() == 0
    quiet = {name: part for name, part in carry.items() if name != ATTENTION}
    assert ATTENTION not in model.step(position, quiet)[1]


def test_an_encoder_alone_has_no_decoder() -> None:
    alone, both = build({"tokens": Tokens(9)}), build()
    assert alone.decoder is None
    assert alone.token_embedding is alone.encoder.embed
    assert build({"values": Values(3)}).token_embedding is None
    assert both.decoder is not None
    assert both.token_embedding is both.decoder.embed
    assert build(tied=False).token_embedding is None


def test_a_series_is_projected_where_tokens_would_be_embedded() -> None:
    model = build({"values": Values(3)}, positions="none")
    series, places = torch.randn(2, 4, 3), torch.arange(4).expand(2, -1)
    layer = model.encoder.embed
    assert isinstance(layer, torch.nn.Linear)
    expected = series @ layer.weight.T + layer.bias
    torch.testing.assert_close(model.encoder.start(series, places), expected)


@pytest.mark.parametrize("positions", POSITIONS)
def test_the_order_of_a_series_is_known_by_its_positions(positions: str) -> None:
    model = build({"values": Values(3)}, positions=positions)
    series, order = torch.randn(3, 6, 3), torch.randperm(6)
    found, permuted = (model(Batch(inputs={"values": s})) for s in (series, series[:, order]))
    same = torch.allclose(permuted.sequence, found.sequence[:, order], rtol=0, atol=1e-5)
    assert same == (positions == "none")


def test_a_picture_is_refused() -> None:
    with pytest.raises(TypeError, match="reads tokens or series, not Image"):
        TINY.build({"image": Image(1, 2, 2)})


def test_embeddings_are_as_large_as_positions() -> None:
    """Scaled by the root of the width (Vaswani et al., section 3.4), each number has variance 1."""
    model = build({"tokens": Tokens(500)}, width=64, positions="none")
    tokens = torch.arange(1, 500)[None]
    assert model.encoder.start(tokens, tokens).std().item() == pytest.approx(1, rel=0.05)


def test_a_longer_row_is_more_steps_of_a_recurrent_network_and_none_of_a_transformer() -> None:
    """Vaswani et al., table 1: how many operations must wait for each other."""
    transformer = build({"tokens": Tokens(9)})
    recurrent = Recurrent(GRU, 8, 8)

    def depths(longest: int) -> tuple[int, int]:
        tokens = torch.randint(1, 9, (2, longest))
        read = transformer(Batch(inputs={"tokens": tokens})).sequence
        state = recurrent.begin(2)
        for inputs in torch.randn(longest, 2, 8):
            last, state = recurrent.step(inputs, state)
        return depth(read), depth(last)

    (short, few), (long, many) = depths(8), depths(32)
    assert short == long
    assert many > 3.5 * few


def depth(outputs: Tensor | None) -> int:
    """Return how many operations of the longest chain behind outputs wait for each other."""
    assert outputs is not None
    deepest: dict[Any, int] = {}
    todo: list[Any] = [outputs.grad_fn]
    while todo:
        before = [node for node, _ in todo[-1].next_functions if node is not None]
        unknown = [node for node in before if node not in deepest]
        if unknown:
            todo += unknown
        else:
            node = todo.pop()
            deepest[node] = 1 + max((deepest[earlier] for earlier in before), default=0)
    return deepest[outputs.grad_fn]


def test_further_fields_of_tokens_are_added_to_the_embeddings() -> None:
    inputs = {"tokens": Tokens(9), "segments": Tokens(2)}
    backbone = TransformerOptions().tiny().build(inputs).eval()
    assert not backbone.state_dict()["beside.segments.weight"].any()
    torch.nn.init.normal_(backbone.beside["segments"].weight)  # type: ignore[arg-type]
    tokens = torch.randint(9, (2, 5))
    segments = torch.tensor([[0, 0, 1, 1, 1], [0, 0, 0, 0, 0]])

    def states(segments: torch.Tensor) -> torch.Tensor:
        batch = Batch(inputs={"tokens": tokens, "segments": segments})
        return backbone(batch).sequence  # type: ignore[no-any-return]

    changed = (states(segments) - states(torch.zeros_like(segments))).abs().amax((1, 2))
    assert changed[0] > 1e-3
    assert changed[1] == 0
