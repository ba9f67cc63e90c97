import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as some

from ensuite.nn.packed import Packing, packed_attention
from ensuite.nn.position import rotate, rotations

MASKS = some.lists(some.lists(some.booleans(), min_size=6, max_size=6), min_size=1, max_size=5)


@given(rows=MASKS)
def test_what_is_packed_is_unpacked(rows):
    mask = torch.tensor(rows)
    padded = torch.randn(*mask.shape, 3).masked_fill(~mask[..., None], 0.0)
    packing = Packing.of(mask)
    packed = packing.pack(padded)
    assert len(packed) == len(packing.places) == int(mask.sum())
    assert torch.equal(packing.unpack(packed), padded)
    assert sum(group.rows * group.length for group in packing.groups) == len(packed)
    assert packing.longest == int(mask.sum(1).max())


@given(rows=MASKS)
def test_places_are_counted_without_padding(rows):
    mask = torch.tensor(rows)
    packing = Packing.of(mask)
    found = packing.unpack(packing.places.float())[mask]
    assert torch.equal(found, (mask.cumsum(1) - 1)[mask].float())


@pytest.mark.parametrize("how", ["all", "near", "bias", "rotated"])
@given(rows=MASKS)
def test_attention_is_that_of_each_row_alone(how, rows):
    mask = torch.tensor(rows)
    projected = torch.randn(*mask.shape, 12)
    packing, places = Packing.of(mask), torch.arange(6)
    near = ((places[:, None] - places).abs() <= 1)[None]
    allowed = {"near": near, "bias": torch.randn(2, 6, 6)}.get(how)
    angles = rotations(places, 2) if how == "rotated" else None
    longest = packing.longest
    cut = None if allowed is None else allowed[:, :longest, :longest]
    found = packing.unpack(
        packed_attention(packing.pack(projected), packing, 2, allowed=cut, angles=angles)
    )
    for row, real, outputs in zip(projected, mask, found, strict=True):
        if not real.any():
            continue
        alone = row[real].unflatten(1, (3, 2, 2)).permute(1, 2, 0, 3)
        queries, keys, values = alone[:, None]
        length = len(outputs[real])
        if angles is not None:
            turns = [each[None, None, :length] for each in angles]
            queries, keys = rotate(queries, *turns), rotate(keys, *turns)
        limit = None if allowed is None else allowed[:, :length, :length]
        expected = F.scaled_dot_product_attention(queries, keys, values, limit)[0]
        torch.testing.assert_close(
            outputs[real], expected.transpose(0, 1).flatten(1), rtol=1e-5, atol=1e-6
        )


def test_gradients_reach_real_positions_alone():
    mask = torch.tensor([[True, True, False], [True, True, True], [False, False, False]])
    padded = torch.randn(3, 3, 6, requires_grad=True)
    packing = Packing.of(mask)
    packed_attention(packing.pack(padded), packing, 1).square().sum().backward()
    assert torch.equal(padded.grad.abs().sum(-1) > 0, mask)
