import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as some

from ensuite.nn.packed import Packing, by_length, packed_attention, together
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


@pytest.mark.parametrize("attend", [by_length, together])
@pytest.mark.parametrize("how", ["all", "near", "reach", "bias", "rotated"])
@settings(max_examples=25)
@given(rows=MASKS)
def test_attention_is_that_of_each_row_alone(how, attend, rows):
    mask = torch.tensor(rows)
    if not mask.any():
        return
    projected = torch.randn(*mask.shape, 12)
    packing, places = Packing.of(mask), torch.arange(6)
    near = ((places[:, None] - places).abs() <= 1)[None]
    allowed = {"near": near, "reach": near, "bias": torch.randn(2, 6, 6)}.get(how)
    angles = rotations(places, 2) if how == "rotated" else None
    longest = packing.longest
    limit = {"reach": 1} if how == "reach" else {}
    if how in ("near", "bias"):
        limit = {"allowed": allowed[:, :longest, :longest]}
    found = packing.unpack(attend(packing.pack(projected), packing, 2, angles=angles, **limit))
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


def test_nothing_to_attend_to():
    packing = Packing.of(torch.zeros(2, 3, dtype=torch.bool))
    assert packed_attention(torch.zeros(0, 6), packing, 1).shape == (0, 2)


@pytest.mark.parametrize("attend", [by_length, together])
def test_gradients_reach_real_positions_alone(attend):
    mask = torch.tensor([[True, True, False], [True, True, True], [False, False, False]])
    padded = torch.randn(3, 3, 6, requires_grad=True)
    packing = Packing.of(mask)
    attend(packing.pack(padded), packing, 1).square().sum().backward()
    assert torch.equal(padded.grad.abs().sum(-1) > 0, mask)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("reach", [None, 3])
@pytest.mark.parametrize("rotated", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_gpu_gives_what_a_cpu_gives(dtype, rotated, reach):
    mask = torch.arange(40) < torch.tensor([40, 1, 17, 0, 17, 8])[:, None]
    padded = torch.randn(*mask.shape, 96)
    found = []
    for device in ("cpu", "cuda"):
        packing = Packing.of(mask.to(device))
        places = torch.arange(40, device=device)
        inputs = packing.pack(padded.to(device)).to(dtype).detach().requires_grad_()
        angles = rotations(places, 16) if rotated else None
        if device == "cpu":  # one type for all, which autocast sees to in training
            inputs = inputs.float().detach().requires_grad_()
        outputs = packed_attention(inputs, packing, 2, reach=reach, angles=angles)
        outputs.float().square().sum().backward()
        found.append((outputs.float().cpu(), inputs.grad.float().cpu()))
    close = {} if dtype == torch.float32 else {"rtol": 0.02, "atol": 0.05}
    for cpu, gpu in zip(*found, strict=True):
        torch.testing.assert_close(gpu, cpu, **close)
