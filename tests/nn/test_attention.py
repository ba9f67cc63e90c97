import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from jaxtyping import TypeCheckError
from torch.nn.attention import SDPBackend, sdpa_kernel

from ensuite.core.errors import UsageError
from ensuite.nn.attention import Attention, MultiHeadAttention, attend, scaled_dot_product

MASK = torch.tensor([[True, True, True, True], [True, True, False, False]])


def softmax(scores):
    powers = np.exp(scores - scores.max())
    return powers / powers.sum()


def arrays(module):
    return {name: value.detach().numpy() for name, value in module.named_parameters()}


@pytest.mark.parametrize("kind", ["additive", "dot", "general"])
def test_attention_is_the_equations_of_its_paper(kind):
    attention = Attention(6, 6 if kind == "dot" else 5, kind=kind)
    weights, size = arrays(attention), 6 if kind == "dot" else 5
    queries, values = torch.randn(2, 3, 6), torch.randn(2, 4, size)
    seen, looks = attention(queries, attention.remember(values, MASK))
    for row in range(2):
        keys = values[row][MASK[row]].numpy()
        for place in range(3):
            query, scores = queries[row, place].numpy(), np.empty(len(keys))
            for number, key in enumerate(keys):  # Bahdanau et al., A.1.2; Luong et al., 3.1
                if kind == "additive":
                    hidden = weights["from_query.weight"] @ query + weights["from_key.bias"]
                    hidden = np.tanh(hidden + weights["from_key.weight"] @ key)
                    scores[number] = weights["to_score"] @ hidden
                elif kind == "general":
                    scores[number] = query @ weights["from_key.weight"] @ key
                else:
                    scores[number] = query @ key
            alpha = softmax(scores)
            found = looks[row, place, : len(keys)].detach().numpy()
            np.testing.assert_allclose(found, alpha, rtol=1e-4, atol=1e-6)
            np.testing.assert_allclose(
                seen[row, place].detach().numpy(), alpha @ keys, rtol=1e-4, atol=1e-5
            )
    assert looks[~MASK[:, None].expand_as(looks)].abs().max() == 0


def test_a_query_that_may_look_nowhere_sees_zeros():
    mask = torch.zeros(1, 1, 3, dtype=torch.bool)
    scores = torch.randn(1, 2, 3, requires_grad=True)
    seen, looks = attend(scores, torch.randn(1, 3, 4), mask)
    assert seen.abs().max() == 0
    assert looks.abs().max() == 0
    multi = MultiHeadAttention(8, 2)
    read = torch.randn(1, 2, 8, requires_grad=True)
    found = multi(read, *multi.project(torch.randn(1, 3, 8)), mask[:, None])
    torch.testing.assert_close(found, multi.output.bias.expand_as(found))
    found.sum().backward()
    assert read.grad.isfinite().all()


def test_kinds_that_cannot_be_are_refused():
    with pytest.raises((UsageError, TypeCheckError), match="cosine"):
        Attention(4, 4, kind="cosine")
    with pytest.raises(UsageError, match="not 4 and 8"):
        Attention(4, 8, kind="dot")
    with pytest.raises(UsageError, match=r"width \(8\) must be a multiple of heads \(3\)"):
        MultiHeadAttention(8, 3)


def pair(width=12, heads=3):
    """Return our attention and torch's own, with the same weights."""
    ours, theirs = MultiHeadAttention(width, heads), torch.nn.MultiheadAttention(
        width, heads, batch_first=True
    )  # fmt: skip
    parts = (ours.to_query, ours.to_key, ours.to_value)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
        theirs.in_proj_bias.copy_(torch.cat([part.bias for part in parts]).normal_())
        for part, bias in zip(parts, theirs.in_proj_bias.chunk(3), strict=True):
            part.bias.copy_(bias)
        theirs.out_proj.load_state_dict(ours.output.state_dict())
    return ours, theirs


@pytest.mark.parametrize("masks", ["none", "padding", "causal"])
def test_multi_head_attention_is_that_of_torch(masks):
    ours, theirs = pair()
    read = torch.randn(2, 4, 12, requires_grad=True)
    again = read.detach().clone().requires_grad_()
    causal = torch.ones(4, 4, dtype=torch.bool).tril()
    mask, given = {
        "none": (None, {}),
        "padding": (MASK[:, None, None], {"key_padding_mask": ~MASK}),
        "causal": (causal[None, None], {"attn_mask": ~causal}),
    }[masks]
    keys, values = ours.project(read)
    found = ours(read, keys, values, mask)
    expected, looks = theirs(again, again, again, average_attn_weights=False, **given)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(ours.weights(read, keys, mask), looks)
    for outputs in (found, expected):
        outputs.square().sum().backward()
    torch.testing.assert_close(read.grad, again.grad)
    gradients = torch.cat([p.weight.grad for p in (ours.to_query, ours.to_key, ours.to_value)])
    torch.testing.assert_close(gradients, theirs.in_proj_weight.grad)
    torch.testing.assert_close(ours.output.weight.grad, theirs.out_proj.weight.grad)


def test_a_bias_is_added_to_the_scores():
    attention = MultiHeadAttention(8, 2)
    read, bias = torch.randn(2, 4, 8), torch.randn(2, 2, 4, 4)
    keys, values = attention.project(read)
    scores = scaled_dot_product(attention.split(attention.to_query(read)), keys) + bias
    seen, looks = attend(scores, values, MASK[:, None, None])
    expected = attention.output(seen.transpose(1, 2).flatten(2))
    found = attention(read, keys, values, MASK[:, None, None], bias)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(attention.weights(read, keys, MASK[:, None, None], bias), looks)


def test_the_kernel_is_fused_and_equals_the_equation():
    queries, keys, values = torch.randn(3, 2, 4, 16, 8).unbind()
    with sdpa_kernel(SDPBackend.FLASH_ATTENTION):  # no other may be taken
        fused = F.scaled_dot_product_attention(queries, keys, values)
    torch.testing.assert_close(fused, attend(scaled_dot_product(queries, keys), values)[0])
    attention, read = MultiHeadAttention(32, 4).eval(), torch.randn(2, 16, 32)
    with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
        attention(read, *attention.project(read), torch.ones(2, 1, 1, 16, dtype=torch.bool))


def entropy(scores):
    return float(torch.special.entr(scores.softmax(-1)).sum(-1).mean())


def test_the_root_of_the_width_keeps_scores_and_softmax_as_they_are():
    """Of wide keys the products grow, and the softmax looks at one alone; not if divided."""
    plain, scaled = {}, {}
    for width in (8, 32, 128, 512):
        queries, keys = torch.randn(2, 400, width), torch.randn(2, 64, width)
        products = scaled_dot_product(queries, keys, scale=False)
        assert products.var().item() == pytest.approx(width, rel=0.15)
        divided = scaled_dot_product(queries, keys)
        assert divided.var().item() == pytest.approx(1, rel=0.15)
        plain[width], scaled[width] = entropy(products), entropy(divided)
    assert plain[512] < 0.3 < 1.5 < plain[8]  # nats; all 64 alike are 4.16
    assert min(scaled.values()) > 0.85 * math.log(64)
    assert max(scaled.values()) - min(scaled.values()) < 0.1
