"""Blocks, and the whole model, with the weights of torch's own layers give what those give."""

import pytest
import torch

from ensuite.core.batch import DECODER, Batch, Tokens
from ensuite.models.transformer import TransformerOptions
from ensuite.nn.transformer import Block

WIDTH, HEADS, INNER = 12, 3, 20
MASK = torch.tensor([[True, True, True, True], [True, True, True, False]])
MEMORY = torch.tensor([[True, True, False], [True, True, True]])


def copy_attention(ours, theirs):
    parts = (ours.to_query, ours.to_key, ours.to_value)
    weights, biases = theirs.in_proj_weight.chunk(3), theirs.in_proj_bias.chunk(3)
    for part, weight, bias in zip(parts, weights, biases, strict=True):
        part.weight.copy_(weight)
        part.bias.copy_(bias)
    ours.output.load_state_dict(theirs.out_proj.state_dict())


@torch.no_grad()
def copy(block, theirs):
    for parameter in theirs.parameters():  # none is at zero or one, where an error would not show
        parameter.add_(0.1 * torch.randn_like(parameter))
    copy_attention(block.to_itself, theirs.self_attn)
    norms = [theirs.norm1, theirs.norm2]
    if block.to_memory is not None:
        copy_attention(block.to_memory, theirs.multihead_attn)
        norms.append(theirs.norm3)
    block.alone[0].load_state_dict(theirs.linear1.state_dict())
    block.alone[3].load_state_dict(theirs.linear2.state_dict())
    for ours, norm in zip(block.norms, norms, strict=True):
        ours.load_state_dict(norm.state_dict())


def options_of(norm):
    return {"dropout": 0.0, "batch_first": True, "norm_first": norm == "pre"}


def compare(found, expected, ours, theirs, real):
    torch.testing.assert_close(found[real], expected[real], rtol=1e-4, atol=1e-5)
    for outputs in (found, expected):
        outputs[real].square().sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_an_encoder_block_is_that_of_torch(norm):
    block = Block(WIDTH, HEADS, INNER, norm=norm)
    theirs = torch.nn.TransformerEncoderLayer(WIDTH, HEADS, INNER, **options_of(norm))
    copy(block, theirs)
    ours = torch.randn(2, 4, WIDTH, requires_grad=True)
    again = ours.detach().clone().requires_grad_()
    found = block(ours, MASK[:, None, None]).hidden
    expected = theirs(again, src_key_padding_mask=~MASK)
    compare(found, expected, ours, again, MASK)
    torch.testing.assert_close(
        block.alone[0].weight.grad, theirs.linear1.weight.grad, rtol=1e-3, atol=1e-4
    )


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_a_decoder_block_is_that_of_torch(norm):
    block = Block(WIDTH, HEADS, INNER, memory=True, norm=norm)
    theirs = torch.nn.TransformerDecoderLayer(WIDTH, HEADS, INNER, **options_of(norm))
    copy(block, theirs)
    ours, encoded = torch.randn(2, 4, WIDTH, requires_grad=True), torch.randn(2, 3, WIDTH)
    again = ours.detach().clone().requires_grad_()
    causal = torch.ones(4, 4, dtype=torch.bool).tril()
    found = block(ours, causal[None, None], seen=block.remember(encoded, MEMORY)).hidden
    expected = theirs(again, encoded, tgt_mask=~causal, memory_key_padding_mask=~MEMORY)
    compare(found, expected, ours, again, torch.ones(2, 4, dtype=torch.bool))
    torch.testing.assert_close(
        block.to_memory.to_value.weight.grad,
        theirs.multihead_attn.in_proj_weight.grad.chunk(3)[2],
        rtol=1e-3,
        atol=1e-4,
    )


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_the_whole_encoder_and_decoder_are_those_of_torch(norm):
    options = TransformerOptions(
        width=WIDTH, layers=2, heads=HEADS, inner=2, norm=norm, dropout=0.0
    )
    ours = options.build({"tokens": Tokens(9), DECODER: Tokens(7)})
    reads = torch.nn.TransformerEncoder(
        torch.nn.TransformerEncoderLayer(WIDTH, HEADS, 2 * WIDTH, **options_of(norm)),
        2,
        torch.nn.LayerNorm(WIDTH),
        enable_nested_tensor=False,  # it is not for these, and torch would warn
    )
    theirs = torch.nn.Transformer(
        WIDTH, HEADS, 2, 2, 2 * WIDTH, custom_encoder=reads, **options_of(norm)
    )
    for mine, other in ((ours.encoder, theirs.encoder), (ours.decoder, theirs.decoder)):
        for block, layer in zip(mine.blocks, other.layers, strict=True):
            copy(block, layer)
        if norm == "pre":
            mine.norm.load_state_dict(other.norm.state_dict())
        else:  # torch norms once more what its last layer has normed; Vaswani et al. do not
            other.norm = None
    tokens, words = torch.randint(1, 9, (2, 4)), torch.randint(1, 7, (2, 5))
    batch = Batch(inputs={"tokens": tokens, DECODER: words}, mask=MASK)
    places = [torch.arange(each.shape[1]).expand_as(each) for each in (tokens, words)]
    expected = theirs(
        ours.encoder.start(tokens, places[0]),
        ours.decoder.start(words, places[1]),
        tgt_mask=~torch.ones(5, 5, dtype=torch.bool).tril(),
        src_key_padding_mask=~MASK,
        memory_key_padding_mask=~MASK,
    )
    torch.testing.assert_close(ours(batch).sequence, expected, rtol=1e-4, atol=1e-5)
