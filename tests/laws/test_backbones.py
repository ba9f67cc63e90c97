"""What every backbone of the catalog obeys, at each value of each of its options."""

import json
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
import torch
from torch import Tensor

from ensuite.catalog import backbones
from ensuite.core.backbone import Backbone, BackboneOptions, Codes, Samples, Steps, Trait
from ensuite.core.batch import (
    DECODER,
    Batch,
    Characters,
    Image,
    Inputs,
    Row,
    States,
    Tokens,
    Values,
)
from ensuite.core.files import read_tensors, write_tensors
from ensuite.core.options import from_json, to_json
from ensuite.laws import pad, random_batch, rows_of

KINDS: dict[str, Inputs] = {
    "tokens": {"tokens": Tokens(12)},
    "characters": {"tokens": Tokens(12), "characters": Characters(7)},
    "values": {"values": Values(3, steps=9)},
    "image": {"image": Image(2, 9, 5)},
    "row": {"row": Row(5)},
}

WRITTEN: Inputs = {DECODER: Tokens(7)}
"""What a decoder reads beside them: in tokens of its own."""

CLOSE = 2e-5
"""Rounding of float32 states of order 1 after a dozen steps, with room."""


def others(options: BackboneOptions) -> Iterator[tuple[str, Any]]:
    """Yield each option with each other value to try it at."""
    hints = get_type_hints(type(options))
    for field in fields(options):  # type: ignore[arg-type]
        kind, now = hints[field.name], getattr(options, field.name)
        if kind is bool:
            yield field.name, not now
        elif get_origin(kind) is Literal:
            yield from ((field.name, value) for value in get_args(kind) if value != now)
        elif kind == int | None:
            yield field.name, 3
        elif field.name == "layers":
            yield field.name, 2
        elif field.name.endswith("dropout"):
            yield field.name, 0.5


def changed(options: BackboneOptions, name: str, value: Any) -> BackboneOptions | None:
    """Return the options with one value changed, and one switch turned where it needs that.

    None: these options can not have the value. Others of the catalog must then.
    """
    switches = [f.name for f in fields(options) if isinstance(getattr(options, f.name), bool)]  # type: ignore[arg-type]
    for switch in [name, *switches]:
        turned = {switch: not getattr(options, switch)} if switch != name else {}
        try:
            return replace(options, **{**turned, name: value})
        except ValueError:
            continue
    return None


def variants(row_name: str) -> Iterator[tuple[str, BackboneOptions]]:
    """Yield the smallest model, and it with each option at each other value it can have."""
    row = backbones[row_name]
    tiny = row.load()(**row.preset).tiny()
    yield "tiny", tiny
    for name, value in others(tiny):
        options = None if name in row.preset else changed(tiny, name, value)
        if options is not None:
            yield f"{name}={value}", options


def distinct() -> list[str]:
    """Return the names of all rows but those that differ in size alone from one before."""
    seen: dict[BackboneOptions, str] = {}
    for name, row in backbones.items():
        seen.setdefault(row.load()(**row.preset).tiny(), name)
    return list(seen.values())


VARIANTS = {name: list(variants(name)) for name in distinct()}


def jobs(options: BackboneOptions, kind: str) -> Iterator[tuple[str, Inputs]]:
    """Yield what a backbone can be built for: to read, to write, or either."""
    if Trait.SEQUENCE in options.traits or Trait.DECODES not in options.traits:
        yield kind, KINDS[kind]
    if Trait.DECODES in options.traits:
        yield f"{kind}-to-tokens", {**KINDS[kind], **WRITTEN}


CASES = [
    pytest.param(options, inputs, id=f"{name}-{job}-{variant}")
    for name, found in VARIANTS.items()
    for variant, options in found
    for kind in backbones[name].reads
    for job, inputs in jobs(options, kind)
]


def test_every_option_is_tried_at_each_of_its_values() -> None:
    everything = [options for found in VARIANTS.values() for _, options in found]
    tried = {(type(o), f.name, str(getattr(o, f.name))) for o in everything for f in fields(o)}  # type: ignore[arg-type]
    wanted = {(type(o), name, str(value)) for o in everything for name, value in others(o)}
    assert wanted <= tried


def build(options: BackboneOptions, inputs: Inputs) -> Backbone:
    torch.manual_seed(0)
    return options.build(inputs).eval()


def run(backbone: Backbone, batch: Batch) -> States:
    with torch.no_grad():
        states: States = backbone(batch)
    return states


def answered(backbone: Backbone, batch: Batch) -> Tensor:
    """Return what a head reads of a batch: each position of a decoder, or one vector a row."""
    states = run(backbone, batch)
    if DECODER not in batch.inputs:
        return states.summary
    assert states.sequence is not None
    return states.sequence


@pytest.fixture
def batch(request: pytest.FixtureRequest) -> Batch:
    return random_batch(request.getfixturevalue("inputs"), rows=5, longest=9)


def law(holds_for: Callable[[BackboneOptions, Inputs], bool] = lambda options, inputs: True) -> Any:
    """Try a law on every case that it speaks of."""
    cases = [case for case in CASES if holds_for(*case.values)]
    return pytest.mark.parametrize(("options", "inputs"), cases)


def timed(options: BackboneOptions, inputs: Inputs) -> bool:
    """Say whether what is read has a time, and so may be padded."""
    return any(
        not isinstance(kind, Row | Image) for name, kind in inputs.items() if name != DECODER
    )


def writes(options: BackboneOptions, inputs: Inputs) -> bool:
    return DECODER in inputs


def reads_positions(options: BackboneOptions, inputs: Inputs) -> bool:
    """Say whether it has a state for each position of what it reads."""
    return Trait.SEQUENCE in options.traits and DECODER not in inputs


def two_sided(options: BackboneOptions, inputs: Inputs) -> bool:
    return Trait.TWO_SIDED in options.traits and DECODER not in inputs


def goes_by_steps(options: BackboneOptions, inputs: Inputs) -> bool:
    """Say whether it reads, or where it is a decoder writes, one position at a time."""
    if Trait.DECODES in options.traits:
        return DECODER in inputs
    return Trait.STEPS in options.traits and timed(options, inputs)


def has_codes(options: BackboneOptions, inputs: Inputs) -> bool:
    return Trait.CODES in options.traits


def has_series_of_codes(options: BackboneOptions, inputs: Inputs) -> bool:
    return has_codes(options, inputs) and timed(options, inputs)


def has_prior(options: BackboneOptions, inputs: Inputs) -> bool:
    return Trait.SAMPLES in options.traits


def decoded(backbone: Backbone, batch: Batch) -> Tensor:
    """Return the reconstruction of each row."""
    assert isinstance(backbone, Codes)
    with torch.no_grad():
        return backbone.decode(backbone.encode(batch), batch)


def carries(options: BackboneOptions, inputs: Inputs) -> bool:
    return Trait.CARRIES in options.traits and timed(options, inputs)


class TestLaws:
    @law()
    def test_shapes(self, options: BackboneOptions, inputs: Inputs, batch: Batch) -> None:
        backbone = build(options, inputs)
        states = run(backbone, batch)
        assert states.summary.shape == (5, backbone.width)
        wrote = DECODER in inputs
        assert (states.sequence is not None) == (wrote or Trait.SEQUENCE in options.traits)
        if states.sequence is not None:
            assert len(states.sequence) == 5
            if wrote:
                assert states.sequence.shape[1] == batch.inputs[DECODER].shape[1]
            elif batch.mask is not None:  # a picture: as it is read
                assert states.sequence.shape[1] == 9

    @law(timed)
    def test_padding_changes_nothing(
        self, options: BackboneOptions, inputs: Inputs, batch: Batch
    ) -> None:
        backbone = build(options, inputs)
        before = run(backbone, batch)
        for left, right in ((3, 0), (0, 3)):
            padded = pad(batch, left, right)
            after = run(backbone, padded)
            torch.testing.assert_close(after.summary, before.summary, rtol=0, atol=CLOSE)
            if before.sequence is not None and after.sequence is not None:
                assert padded.mask is not None
                real = after.sequence, before.sequence
                if DECODER not in inputs:
                    real = real[0][padded.mask], real[1][batch.mask]
                torch.testing.assert_close(*real, rtol=0, atol=CLOSE)

    @law()
    def test_a_row_alone_is_the_row_in_the_batch(
        self, options: BackboneOptions, inputs: Inputs, batch: Batch
    ) -> None:
        backbone = build(options, inputs)
        alone = torch.cat([answered(backbone, row) for row in rows_of(batch)])
        torch.testing.assert_close(alone, answered(backbone, batch), rtol=0, atol=CLOSE)

    @law(reads_positions)
    def test_causal_if_and_only_if_it_says_so(
        self, options: BackboneOptions, inputs: Inputs, batch: Batch
    ) -> None:
        backbone = build(options, inputs)
        whole = random_batch(inputs, rows=1, longest=9)
        whole = Batch(inputs={n: t[:1] for n, t in whole.inputs.items()}, mask=None)
        other = {name: _change_last(tensor) for name, tensor in whole.inputs.items()}
        one, two = run(backbone, whole).sequence, run(backbone, Batch(inputs=other)).sequence
        assert one is not None
        assert two is not None
        moved = (one - two).abs()
        same = float(moved[:, :-1].max()) < CLOSE  # another spelling is another matrix product
        assert same == (Trait.CAUSAL in options.traits)
        assert moved[:, -1].max() > CLOSE

    @law(writes)
    def test_no_position_of_a_decoder_sees_a_later_one(
        self, options: BackboneOptions, inputs: Inputs, batch: Batch
    ) -> None:
        backbone = build(options, inputs)
        other = {**batch.inputs, DECODER: _change_last(batch.inputs[DECODER])}
        one, two = answered(backbone, batch), answered(backbone, replace(batch, inputs=other))
        assert torch.equal(one[:, :-1], two[:, :-1])
        assert not torch.equal(one[:, -1], two[:, -1])

    @law(writes)
    def test_a_decoder_sees_what_was_encoded(
        self, options: BackboneOptions, inputs: Inputs, batch: Batch
    ) -> None:
        backbone = build(options, inputs)
        whole = replace(batch, mask=None)
        other = {n: t if n == DECODER else _change_last(t) for n, t in batch.inputs.items()}
        one, two = answered(backbone, whole), answered(backbone, replace(whole, inputs=other))
        assert (one != two).any(-1).all()

    @law(two_sided)
    def test_two_sided_sees_both_sides(
        self, options: BackboneOptions, inputs: Inputs, batch: Batch
    ) -> None:
        backbone = build(options, inputs)
        whole = Batch(inputs={n: t[:1] for n, t in batch.inputs.items()})
        first, last = dict(whole.inputs), dict(whole.inputs)
        first = {name: _change_last(t.flip(_time(t))).flip(_time(t)) for name, t in first.items()}
        last = {name: _change_last(t) for name, t in last.items()}
        found = [run(backbone, Batch(inputs=i)).sequence for i in (whole.inputs, first, last)]
        middle = [each[:, each.shape[1] // 2] for each in found]  # type: ignore[index, union-attr]
        assert not torch.equal(middle[0], middle[1])
        assert not torch.equal(middle[0], middle[2])

    @law()
    def test_every_parameter_gets_a_gradient(
        self, options: BackboneOptions, inputs: Inputs, batch: Batch
    ) -> None:
        torch.manual_seed(0)
        backbone = options.build(inputs)
        states = backbone(batch)
        total = states.summary.square().sum()
        if states.sequence is not None:
            total = total + states.sequence.square().sum()
        if isinstance(backbone, Codes):
            assert states.code is not None
            total = total + backbone.decode(states.code, batch).square().sum()
            total = total + sum(each.sum() for each in states.penalties.values())
            total = total + (0 if states.log_variance is None else states.log_variance)
        total.backward()
        without = [n for n, p in backbone.named_parameters() if p.grad is None or not p.grad.any()]
        assert not without

    @law()
    def test_saved_is_loaded(
        self, options: BackboneOptions, inputs: Inputs, batch: Batch, tmp_path: Any
    ) -> None:
        backbone = build(options, inputs)
        write_tensors(tmp_path / "weights.safetensors", backbone.state_dict())
        torch.manual_seed(1)
        again = options.build(inputs).eval()
        again.load_state_dict(read_tensors(tmp_path / "weights.safetensors"))
        assert torch.equal(answered(again, batch), answered(backbone, batch))

    @law()
    def test_options_survive_json(
        self, options: BackboneOptions, inputs: Inputs, batch: Batch
    ) -> None:
        assert from_json(type(options), json.loads(json.dumps(to_json(options)))) == options

    @law(goes_by_steps)
    def test_steps_repeated_are_forward(
        self, options: BackboneOptions, inputs: Inputs, batch: Batch
    ) -> None:
        backbone = build(options, inputs)
        assert isinstance(backbone, Steps)
        whole = batch if DECODER in inputs else replace(batch, mask=None)
        stepped = {n: whole.inputs[n] for n in (WRITTEN if DECODER in inputs else inputs)}
        expected = run(backbone, whole).sequence
        carry, states = backbone.begin(whole), []
        with torch.no_grad():
            for now in range(next(iter(stepped.values())).shape[1]):
                position = {name: tensor[:, now] for name, tensor in stepped.items()}
                state, carry = backbone.step(position, carry)
                states.append(state.summary)
        torch.testing.assert_close(torch.stack(states, 1), expected, rtol=0, atol=CLOSE)
        assert all(len(tensor) == len(whole) for tensor in carry.values())

    @law(goes_by_steps)
    def test_positions_read_at_once_are_steps(
        self, options: BackboneOptions, inputs: Inputs, batch: Batch
    ) -> None:
        backbone = build(options, inputs)
        assert isinstance(backbone, Steps)
        whole = batch if DECODER in inputs else replace(batch, mask=None)
        fields = {n: whole.inputs[n] for n in (WRITTEN if DECODER in inputs else inputs)}
        expected = run(backbone, whole).sequence
        assert expected is not None
        carry, found = backbone.begin(whole), []
        with torch.no_grad():
            for part in (slice(0, 4), slice(4, 6)):  # after some were read, too
                read = Batch(inputs={name: tensor[:, part] for name, tensor in fields.items()})
                states, carry = backbone.read(read, carry)
                assert states.sequence is not None
                torch.testing.assert_close(states.summary, states.sequence[:, -1])
                found.append(states.sequence)
            position = {name: tensor[:, 6] for name, tensor in fields.items()}
            after, carry = backbone.step(position, carry)
        found.append(after.summary[:, None])
        torch.testing.assert_close(torch.cat(found, 1), expected[:, :7], rtol=0, atol=CLOSE)
        assert all(len(tensor) == len(whole) for tensor in carry.values())

    @law()
    def test_every_parameter_has_a_depth(
        self, options: BackboneOptions, inputs: Inputs, batch: Batch
    ) -> None:
        backbone = build(options, inputs)
        assert all(backbone.depth(name) >= 0 for name, _ in backbone.named_parameters())

    @law(carries)
    def test_a_carried_state_goes_on(
        self, options: BackboneOptions, inputs: Inputs, batch: Batch
    ) -> None:
        backbone = build(options, inputs)
        halves = [{n: t[:, part] for n, t in batch.inputs.items()} for part in
                  (slice(0, 4), slice(4, 9))]  # fmt: skip
        first = run(backbone, Batch(inputs=halves[0]))
        second = run(backbone, Batch(inputs=halves[1], carry=first.carry))
        whole = run(backbone, Batch(inputs=batch.inputs)).sequence
        joined = torch.cat([first.sequence, second.sequence], 1)  # type: ignore[list-item]
        torch.testing.assert_close(joined, whole, rtol=0, atol=CLOSE)

    @law(has_codes)
    def test_codes_are_decoded_in_the_shape_of_the_field(
        self, options: BackboneOptions, inputs: Inputs, batch: Batch
    ) -> None:
        backbone = build(options, inputs)
        assert isinstance(backbone, Codes)
        states = run(backbone, batch)
        assert torch.equal(backbone.encode(batch), states.summary)
        assert states.code is not None
        assert states.code.shape == (5, options.code_size(inputs))
        assert decoded(backbone, batch).shape == batch.inputs[backbone.field].shape
        for penalty in states.penalties.values():
            assert penalty.shape == (5,)
        whole = replace(batch, mask=None)
        alone = torch.cat([decoded(backbone, row) for row in rows_of(whole)])
        torch.testing.assert_close(alone, decoded(backbone, whole), rtol=0, atol=CLOSE)

    @law(has_codes)
    def test_a_decoder_sees_the_code_alone(
        self, options: BackboneOptions, inputs: Inputs, batch: Batch
    ) -> None:
        backbone = build(options, inputs)
        assert isinstance(backbone, Codes)
        code, empty = backbone.encode(batch), torch.zeros_like(batch.inputs[backbone.field])
        without = replace(batch, inputs={**batch.inputs, backbone.field: empty})
        assert torch.equal(backbone.decode(code, without), backbone.decode(code, batch))

    @law(has_series_of_codes)
    def test_padding_changes_no_reconstruction(
        self, options: BackboneOptions, inputs: Inputs, batch: Batch
    ) -> None:
        backbone = build(options, inputs)
        before = decoded(backbone, batch)[batch.mask]
        for left, right in ((3, 0), (0, 3)):
            padded = pad(batch, left, right)
            after = decoded(backbone, padded)[padded.mask]
            torch.testing.assert_close(after, before, rtol=0, atol=CLOSE)

    @law(has_prior)
    def test_the_posterior_has_the_code_as_its_mean(
        self, options: BackboneOptions, inputs: Inputs, batch: Batch
    ) -> None:
        backbone = build(options, inputs)
        assert isinstance(backbone, Samples)
        with torch.no_grad():
            mean, log_variance = backbone.posterior(batch)
            assert torch.equal(mean, backbone.encode(batch))
        assert mean.shape == log_variance.shape == (5, options.code_size(inputs))
        one, two = (backbone.prior(3, torch.Generator().manual_seed(s)) for s in (1, 1))
        assert torch.equal(one, two)
        assert one.shape == (3, options.code_size(inputs))

    @law()
    def test_finite_in_bfloat16(
        self, options: BackboneOptions, inputs: Inputs, batch: Batch
    ) -> None:
        backbone = build(options, inputs)
        expected = answered(backbone, batch)
        with torch.autocast("cpu", torch.bfloat16):
            found = answered(backbone, batch)
        assert found.isfinite().all()
        torch.testing.assert_close(found.float(), expected, rtol=0.1, atol=0.05)


def _time(tensor: Tensor) -> int:
    """Return the dimension of time; a picture is read from top to bottom."""
    return 2 if tensor.dim() == 4 else 1


def _change_last(tensor: Tensor) -> Tensor:
    changed = tensor.clone()
    last = changed.select(_time(tensor), -1)
    last.copy_(last + 1 if tensor.is_floating_point() else last % 5 + 1)
    return changed


@pytest.mark.parametrize("name", list(backbones))
def test_a_run_is_saved_by_the_name_of_a_row(name: str) -> None:
    """By the name of its class it could not be opened in another process."""
    row = backbones[name]
    assert backbones.name_of(row.load()(**row.preset)) in backbones


@pytest.mark.parametrize("name", list(backbones))
def test_the_catalog_says_what_the_options_say(name: str) -> None:
    row = backbones[name]
    options = row.load()(**row.preset)
    assert set(row.traits) == options.traits
    assert set(row.reads) == options.reads
    assert row.caption
    assert row.paper
    assert row.year
