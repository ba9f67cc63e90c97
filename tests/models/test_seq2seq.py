"""An encoder and a decoder: who starts where, and what is looked at."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from ensuite.core.batch import ATTENTION, DECODER, Batch, Image, Tokens
from ensuite.core.errors import UsageError
from ensuite.core.options import set_options
from ensuite.laws import random_batch, rows_of
from ensuite.models.seq2seq import Seq2Seq, Seq2SeqOptions

TINY = Seq2SeqOptions(width=6, embedding=4, dropout=0.0)
INPUTS = {"tokens": Tokens(9), DECODER: Tokens(7)}


def build(**changed: Any) -> Seq2Seq:
    torch.manual_seed(0)
    return replace(TINY, **changed).build(INPUTS).eval()


def written(model: Seq2Seq, batch: Batch) -> Tensor:
    sequence = model(batch).sequence
    assert sequence is not None
    found: Tensor = sequence
    return found


@pytest.fixture
def batch() -> Batch:
    return random_batch(INPUTS, rows=5, longest=7)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"width": "0"}, "width, layers and embedding must be 1 or more"),
        ({"width": "7"}, "width must be even with bidirectional=true"),
        ({"dropout": "1"}, "dropout must be from 0 to less than 1"),
        ({"attention": "none", "feeding": "true"}, "feeding needs attention"),
        ({"attention": "cosine"}, "choose one of none, additive, dot, general"),
    ],
)
def test_options_that_cannot_be(settings: dict[str, str], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        set_options(Seq2SeqOptions(), settings, "model seq2seq")


@torch.no_grad()
def test_without_attention_a_linear_layer_of_the_last_states_is_all_that_is_handed_over(
    batch: Batch,
) -> None:
    """Sutskever et al.: the encoder's states start the decoder, layer by layer and cell by cell."""
    model = build(cell="lstm", layers=2, attention="none", bidirectional=False)
    _, _, summary = model.encoder(batch)
    assert summary.shape == (5, 2 * 2 * 6)  # two layers of a hidden and a cell state
    start = model.to_start(summary).tanh().chunk(4, dim=-1)
    state = [type(s)(*start[2 * n : 2 * n + 2]) for n, s in enumerate(model.decoder.begin(5))]
    expected, _ = model.decoder(model.embed(batch.inputs[DECODER]), None, tuple(state))
    torch.testing.assert_close(written(model, batch), expected)


@torch.no_grad()
@pytest.mark.parametrize("feeding", [False, True])
def test_a_decoder_with_attention_is_the_loop_of_its_papers(batch: Batch, feeding: bool) -> None:
    model = build(attention="general", feeding=feeding)
    states, mask, _ = model.encoder(batch)
    _, state = model.encode(batch)
    weight = model.attention.from_key.weight  # type: ignore[union-attr]
    fed, expected = torch.zeros(5, 6), []
    for word in model.embed(batch.inputs[DECODER]).unbind(1):
        read = torch.cat([word, fed], 1) if feeding else word
        hidden, state = model.decoder.step(read, state)
        scores = torch.einsum("rq,qk,rtk->rt", hidden, weight, states)
        looks = scores.masked_fill(~mask, -torch.inf).softmax(1)
        context = torch.einsum("rt,rtk->rk", looks, states)
        fed = model.combine(torch.cat([context, hidden], 1)).tanh()  # type: ignore[misc]
        expected.append(fed)
    found = written(model, batch)
    torch.testing.assert_close(found, torch.stack(expected, 1), rtol=0, atol=1e-5)


@torch.no_grad()
def test_a_reversed_source_is_read_from_its_end(batch: Batch) -> None:
    """With the states put back where their words stand, so that attention points rightly."""
    plain, backwards = build(bidirectional=False), build(bidirectional=False, reverse=True)
    for row in rows_of(batch):
        flipped = replace(row, inputs={**row.inputs, "tokens": row.inputs["tokens"].flip(1)})
        states, _, summary = backwards.encoder(row)
        expected, _, last = plain.encoder(flipped)
        torch.testing.assert_close(states.flip(1), expected)
        torch.testing.assert_close(summary, last)


@torch.no_grad()
def test_where_a_step_looked_is_in_the_carry_if_it_was_there(batch: Batch) -> None:
    model = build()
    carry = model.begin(batch)
    position = {DECODER: batch.inputs[DECODER][:, 0]}
    _, after = model.step(position, carry)
    torch.testing.assert_close(after[ATTENTION].sum(1), torch.ones(5))
    assert batch.mask is not None
    assert after[ATTENTION][~batch.mask].abs().max() == 0
    quiet = {name: part for name, part in carry.items() if name != ATTENTION}
    assert ATTENTION not in model.step(position, quiet)[1]


def test_output_and_input_share_their_vectors_only_where_tied() -> None:
    model = build()
    assert model.token_embedding is model.embed
    assert build(tied=False).token_embedding is None


def test_dot_attention_adds_the_two_directions(batch: Batch) -> None:
    both, one = build(attention="dot"), build(attention="dot", bidirectional=False)
    assert both.encoder.width == one.encoder.width == 6
    assert written(both, batch).shape == written(one, batch).shape


def test_dropout_while_training_alone(batch: Batch) -> None:
    model = build(dropout=0.5)
    assert torch.equal(written(model, batch), written(model, batch))
    model.train()
    assert not torch.equal(written(model, batch), written(model, batch))


@torch.no_grad()
@pytest.mark.parametrize(
    ("height", "width", "regions"),
    [(8, 32, 16), (48, 48, 36), (5, 7, 4), (100, 40, 7 * 3)],
)
def test_a_picture_is_a_handful_of_regions(height: int, width: int, regions: int) -> None:
    """Halved until the longer side has at most eight, but at least twice."""
    inputs = {"image": Image(3, height, width), DECODER: Tokens(7)}
    model = TINY.build(inputs).eval()
    states, mask, summary = model.encoder(random_batch(inputs, rows=2))
    assert mask is None
    assert states.shape == (2, regions, 6)
    assert summary.shape == (2, 6 * regions)


@torch.no_grad()
def test_regions_that_show_the_same_differ_by_where_they_lie() -> None:
    inputs = {"image": Image(1, 16, 16), DECODER: Tokens(7)}
    torch.manual_seed(0)
    model = TINY.build(inputs).eval()
    states, _, _ = model.encoder(Batch(inputs={"image": torch.ones(1, 1, 16, 16)}))
    middle = states[0].view(4, 4, 6)[1:3, 1:3].flatten(0, 1)
    assert torch.pdist(middle).min() > 1e-3


@torch.no_grad()
def test_without_attention_a_picture_is_but_the_state_to_start_from() -> None:
    """Vinyals et al.: it goes in once, at the start."""
    inputs = {"image": Image(1, 8, 8), DECODER: Tokens(7)}
    torch.manual_seed(0)
    model = replace(TINY, attention="none").build(inputs).eval()
    batch = random_batch(inputs, rows=3)
    _, _, summary = model.encoder(batch)
    state = model.to_start(summary)
    expected, _ = model.decoder(
        model.embed(batch.inputs[DECODER]), None, (type(model.decoder.begin(3)[0])(state),)
    )
    torch.testing.assert_close(written(model, batch), expected)


@torch.no_grad()
def test_pictures_that_are_mostly_alike_start_the_decoder_apart() -> None:
    inputs = {"image": Image(1, 8, 32), DECODER: Tokens(7)}
    torch.manual_seed(0)
    model = replace(TINY, width=32, attention="none").build(inputs).eval()
    pictures = torch.zeros(3, 1, 8, 32)
    pictures[1, 0, 2:6, 4:8] = pictures[2, 0, 2:6, 20:24] = 1
    _, _, summary = model.encoder(Batch(inputs={"image": pictures}))
    assert summary[0].count_nonzero() == 0  # a blank one
    torch.testing.assert_close(summary[1:].square().mean(1), torch.ones(2), rtol=1e-3, atol=0)
    assert torch.cosine_similarity(summary[1], summary[2], dim=0) < 0.5
