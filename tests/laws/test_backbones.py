"""What every backbone of the catalog obeys, at each value of each of its options."""

import json
from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
import torch
from torch import Tensor

from ensuite.catalog import backbones
from ensuite.core.backbone import Backbone, BackboneOptions, Steps, Trait
from ensuite.core.batch import Batch, Characters, Image, Inputs, Row, States, Tokens, Values
from ensuite.core.files import read_tensors, write_tensors
from ensuite.core.options import from_json, to_json
from ensuite.laws import pad, random_batch, rows_of

KINDS: dict[str, Inputs] = {
    "tokens": {"tokens": Tokens(12)},
    "characters": {"tokens": Tokens(12), "characters": Characters(7)},
    "values": {"values": Values(3)},
    "image": {"image": Image(2, 9, 5)},
    "row": {"row": Row(5)},
}

CLOSE = 2e-5
"""Rounding of float32 states of order 1 after a dozen steps, with room."""


def variants(options: BackboneOptions) -> Iterator[tuple[str, BackboneOptions]]:
    """Yield the smallest model, and it with each option at each other value it can have."""
    yield "tiny", options
    hints = get_type_hints(type(options))
    for field in fields(options):  # type: ignore[arg-type]
        kind, now = hints[field.name], getattr(options, field.name)
        others: list[Any] = []
        if kind is bool:
            others = [not now]
        elif get_origin(kind) is Literal:
            others = [value for value in get_args(kind) if value != now]
        elif field.name == "layers":
            others = [2]
        elif field.name.endswith("dropout"):
            others = [0.5]
        for value in others:
            if field.name != "cell":  # each cell is a row of the catalog
                yield f"{field.name}={value}", replace(options, **{field.name: value})


CASES = [
    pytest.param(options, KINDS[kind], id=f"{name}-{kind}-{variant}")
    for name, row in backbones.items()
    for variant, options in variants(row.load()(**row.preset).tiny())
    for kind in row.reads
]


def build(options: BackboneOptions, inputs: Inputs) -> Backbone:
    torch.manual_seed(0)
    return options.build(inputs).eval()


def run(backbone: Backbone, batch: Batch) -> States:
    with torch.no_grad():
        states: States = backbone(batch)
    return states


@pytest.fixture
def batch(request: pytest.FixtureRequest) -> Batch:
    return random_batch(request.getfixturevalue("inputs"), rows=5, longest=9)


@pytest.mark.parametrize(("options", "inputs"), CASES)
class TestLaws:
    def test_shapes(self, options: BackboneOptions, inputs: Inputs, batch: Batch) -> None:
        backbone = build(options, inputs)
        states = run(backbone, batch)
        assert states.summary.shape == (5, backbone.width)
        has_sequence = Trait.SEQUENCE in options.traits
        assert (states.sequence is not None) == has_sequence
        if states.sequence is not None:
            assert states.sequence.shape[:2] == (5, 9)

    def test_padding_changes_nothing(
        self, options: BackboneOptions, inputs: Inputs, batch: Batch
    ) -> None:
        if batch.mask is None:
            pytest.skip("its inputs have no time")
        backbone = build(options, inputs)
        before = run(backbone, batch)
        for left, right in ((3, 0), (0, 3)):
            padded = pad(batch, left, right)
            after = run(backbone, padded)
            torch.testing.assert_close(after.summary, before.summary, rtol=0, atol=CLOSE)
            if before.sequence is not None and after.sequence is not None:
                assert padded.mask is not None
                real = after.sequence[padded.mask], before.sequence[batch.mask]
                torch.testing.assert_close(*real, rtol=0, atol=CLOSE)

    def test_a_row_alone_is_the_row_in_the_batch(
        self, options: BackboneOptions, inputs: Inputs, batch: Batch
    ) -> None:
        backbone = build(options, inputs)
        alone = torch.cat([run(backbone, row).summary for row in rows_of(batch)])
        torch.testing.assert_close(alone, run(backbone, batch).summary, rtol=0, atol=CLOSE)

    def test_causal_if_and_only_if_it_says_so(
        self, options: BackboneOptions, inputs: Inputs, batch: Batch
    ) -> None:
        if Trait.SEQUENCE not in options.traits:
            pytest.skip("it has no state for each position")
        backbone = build(options, inputs)
        whole = random_batch(inputs, rows=1, longest=9)
        whole = Batch(inputs={n: t[:1] for n, t in whole.inputs.items()}, mask=None)
        other = {name: _change_last(tensor) for name, tensor in whole.inputs.items()}
        one, two = run(backbone, whole).sequence, run(backbone, Batch(inputs=other)).sequence
        assert one is not None
        assert two is not None
        same = torch.equal(one[:, :-1], two[:, :-1])
        assert same == (Trait.CAUSAL in options.traits)
        assert not torch.equal(one[:, -1], two[:, -1])

    def test_two_sided_sees_both_sides(
        self, options: BackboneOptions, inputs: Inputs, batch: Batch
    ) -> None:
        if Trait.TWO_SIDED not in options.traits:
            pytest.skip("it does not say so")
        backbone = build(options, inputs)
        whole = Batch(inputs={n: t[:1] for n, t in batch.inputs.items()})
        first, last = dict(whole.inputs), dict(whole.inputs)
        first = {name: _change_last(t.flip(1)).flip(1) for name, t in first.items()}
        last = {name: _change_last(t) for name, t in last.items()}
        middle = [run(backbone, Batch(inputs=i)).sequence for i in (whole.inputs, first, last)]
        assert not torch.equal(middle[0][:, 4], middle[1][:, 4])  # type: ignore[index]
        assert not torch.equal(middle[0][:, 4], middle[2][:, 4])  # type: ignore[index]

    def test_every_parameter_gets_a_gradient(
        self, options: BackboneOptions, inputs: Inputs, batch: Batch
    ) -> None:
        torch.manual_seed(0)
        backbone = options.build(inputs)
        states = backbone(batch)
        total = states.summary.square().sum()
        if states.sequence is not None:
            total = total + states.sequence.square().sum()
        total.backward()
        without = [n for n, p in backbone.named_parameters() if p.grad is None or not p.grad.any()]
        assert not without

    def test_saved_is_loaded(
        self, options: BackboneOptions, inputs: Inputs, batch: Batch, tmp_path: Any
    ) -> None:
        backbone = build(options, inputs)
        write_tensors(tmp_path / "weights.safetensors", backbone.state_dict())
        torch.manual_seed(1)
        again = options.build(inputs).eval()
        again.load_state_dict(read_tensors(tmp_path / "weights.safetensors"))
        assert torch.equal(run(again, batch).summary, run(backbone, batch).summary)

    def test_options_survive_json(
        self, options: BackboneOptions, inputs: Inputs, batch: Batch
    ) -> None:
        assert from_json(type(options), json.loads(json.dumps(to_json(options)))) == options

    def test_steps_repeated_are_forward(
        self, options: BackboneOptions, inputs: Inputs, batch: Batch
    ) -> None:
        backbone = build(options, inputs)
        if Trait.STEPS not in options.traits:
            pytest.skip("it does not go by steps")
        assert isinstance(backbone, Steps)
        whole = Batch(inputs=batch.inputs)
        expected = run(backbone, whole).sequence
        carry, states = backbone.begin(whole), []
        with torch.no_grad():
            for now in range(9):
                position = {name: tensor[:, now] for name, tensor in whole.inputs.items()}
                state, carry = backbone.step(position, carry)
                states.append(state.summary)
        torch.testing.assert_close(torch.stack(states, 1), expected, rtol=0, atol=CLOSE)
        assert all(len(tensor) == len(whole) for tensor in carry.values())

    def test_a_carried_state_goes_on(
        self, options: BackboneOptions, inputs: Inputs, batch: Batch
    ) -> None:
        if Trait.CARRIES not in options.traits:
            pytest.skip("it does not carry")
        backbone = build(options, inputs)
        halves = [{n: t[:, part] for n, t in batch.inputs.items()} for part in
                  (slice(0, 4), slice(4, 9))]  # fmt: skip
        first = run(backbone, Batch(inputs=halves[0]))
        second = run(backbone, Batch(inputs=halves[1], carry=first.carry))
        whole = run(backbone, Batch(inputs=batch.inputs)).sequence
        joined = torch.cat([first.sequence, second.sequence], 1)  # type: ignore[list-item]
        torch.testing.assert_close(joined, whole, rtol=0, atol=CLOSE)

    def test_finite_in_bfloat16(
        self, options: BackboneOptions, inputs: Inputs, batch: Batch
    ) -> None:
        backbone = build(options, inputs)
        expected = run(backbone, batch).summary
        with torch.autocast("cpu", torch.bfloat16):
            found = run(backbone, batch).summary
        assert found.isfinite().all()
        torch.testing.assert_close(found.float(), expected, rtol=0.1, atol=0.05)


def _change_last(tensor: Tensor) -> Tensor:
    changed = tensor.clone()
    changed[:, -1] = tensor[:, -1] % 10 + 1 if not tensor.is_floating_point() else tensor[:, -1] + 1
    return changed


@pytest.mark.parametrize("name", list(backbones))
def test_the_catalog_says_what_the_options_say(name: str) -> None:
    row = backbones[name]
    options = row.load()(**row.preset)
    assert set(row.traits) == options.traits
    assert set(row.reads) == options.reads
    assert row.caption
    assert row.paper
    assert row.year
