import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import tensor

from ensuite.core.batch import (
    ROWS,
    Batch,
    Characters,
    Image,
    Tokens,
    Values,
    check_ranges,
    read_by,
    sum_counts,
)
from ensuite.core.errors import DataError
from ensuite.core.loss import Loss, Part


def loss(**totals):
    return Loss({name: Part(tensor(total)) for name, total in totals.items()})


def totals(loss):
    return {name: part.total.item() for name, part in loss.parts.items()}


def test_each_part_is_divided_by_its_own_count():
    divided = loss(words=6.0, follows=6.0) / {ROWS: 2, "words": 3, "follows": 1}
    assert totals(divided) == {"words": 2.0, "follows": 6.0}


def test_penalties_are_divided_by_the_rows():
    divided = loss(label=6.0).with_penalties({"kl": tensor([2.0, 4.0])}) / {ROWS: 2, "label": 3}
    assert totals(divided) == {"label": 2.0, "kl": 3.0}


def test_a_penalty_is_one_number_a_row_under_a_name_of_its_own():
    with pytest.raises(ValueError, match='a penalty "kl", and so is a part'):
        loss(kl=6.0).with_penalties({"kl": tensor([2.0, 4.0])})
    with pytest.raises(ValueError, match="one number for each row"):
        loss(label=6.0).with_penalties({"kl": tensor(6.0)})


def test_fields_say_what_reads_them():
    fields = {
        "tokens": Tokens(3),
        "decoder": Tokens(5, reader="decoder"),
        "x": Values(1, reader="head"),
    }
    assert list(read_by(fields, "backbone")) == ["tokens"]
    assert list(read_by(fields, "backbone", "decoder")) == ["tokens", "decoder"]


def test_the_gradients_are_those_of_the_divided_value():
    weight, counts = tensor([2.0, 3.0], requires_grad=True), {ROWS: 3, "a": 7}
    parts = {"a": Part((weight**2).sum(), weight=0.5), "kl": Part(weight.prod())}
    whole = Loss({**parts, "constant": Part(tensor(1.0))})
    (expected,) = torch.autograd.grad((whole / counts).value, weight, retain_graph=True)
    whole.backward(counts)
    torch.testing.assert_close(weight.grad, expected)


def test_a_part_that_counts_nothing_stays_finite():
    assert totals(loss(words=0.0) / {ROWS: 2, "words": 0}) == {"words": 0.0}


def test_a_weight_counts_in_the_value_and_outlives_the_algebra():
    one = Loss({"a": Part(tensor(4.0), weight=0.5), "b": Part(tensor(1.0))})
    assert one.value == 3.0
    assert ((one + one).detach() / {ROWS: 2}).value == 3.0


def test_a_part_may_be_absent_on_one_side():
    one, other = loss(a=1.0, b=2.0), loss(b=3.0, c=4.0)
    assert totals(one + other) == {"a": 1.0, "b": 5.0, "c": 4.0}
    assert totals(other + one) == totals(one + other)
    assert totals(sum([one, other], Loss())) == totals(one + other)
    assert totals(one) == {"a": 1.0, "b": 2.0}  # not changed by adding


def test_detach_cuts_the_graph():
    weight = tensor(2.0, requires_grad=True)
    cut = Loss({"a": Part(weight * 3)}).detach()
    assert cut.value == 6.0
    assert not cut.value.requires_grad


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 9)), max_size=4))
def test_counts_and_rows_add_up(sizes):
    batches = [Batch(inputs={"x": torch.zeros(n, 2)}, counts={"x": count}) for n, count in sizes]
    counts = sum_counts(batches)
    assert counts[ROWS] == sum(n for n, _ in sizes)
    assert counts.get("x", 0) == sum(count for _, count in sizes)


def whole():
    numbers = torch.tensor([[1, 2, 0], [3, 0, 0]])
    return Batch(
        inputs={"tokens": numbers},
        mask=numbers > 0,
        targets={"label": torch.tensor([0, 1])},
        counts={"label": 2},
        documents=numbers,
        carry={"hidden": torch.ones(2, 4)},
        progress=0.5,
    )


def test_to_moves_every_tensor_and_keeps_the_rest():
    moved = whole().to("meta")
    tensors = [*moved.inputs.values(), *moved.targets.values(), *moved.carry.values()]
    assert {t.device.type for t in [*tensors, moved.mask, moved.documents]} == {"meta"}
    assert (moved.counts, moved.progress) == ({"label": 2}, 0.5)


def test_to_leaves_absent_what_is_absent():
    moved = Batch(inputs={"row": torch.zeros(2, 3)}).to("cpu")
    assert (moved.mask, moved.documents, moved.carry) == (None, None, None)


def test_positions_are_the_real_ones_or_the_rows():
    assert whole().positions == 3
    assert Batch(inputs={"row": torch.zeros(2, 3)}).positions == 2


def test_after_keeps_the_lanes_that_go_on():
    assert whole().after(None).carry is None
    carry = {"hidden": torch.arange(5.0)[:, None]}
    assert whole().after(carry).carry["hidden"].flatten().tolist() == [0.0, 1.0]


@pytest.mark.parametrize("wrong", [-1, 10, 50257])
def test_ids_without_an_embedding_are_refused(wrong):
    batch = Batch(inputs={"tokens": torch.tensor([[1, wrong]])})
    with pytest.raises(DataError, match=rf"the id {wrong} in tokens, but .* has 10, 0 to 9"):
        check_ranges(batch, {"tokens": Tokens(10)})


def test_a_spelling_out_of_range_is_named():
    batch = Batch(inputs={"characters": tensor([[[3, 7]]])})
    with pytest.raises(DataError, match="the id 7 in characters, but its vocabulary has 5"):
        check_ranges(batch, {"characters": Characters(5)})


def test_ranges_are_checked_of_tokens_that_are_there_only():
    inputs = {
        "tokens": Tokens(10),
        "decoder": Tokens(1),
        "values": Values(1),
        "image": Image(1, 1, 1),
    }
    check_ranges(Batch(inputs={"tokens": tensor([[0, 9]]), "values": tensor([[[99.0]]])}), inputs)
    check_ranges(Batch(inputs={"tokens": torch.zeros(2, 0, dtype=torch.long)}), inputs)
