"""What is trained, at which rate, and what decays."""

import pytest
import torch

from ensuite.core.batch import DECODER, Image, Tokens
from ensuite.core.errors import UsageError
from ensuite.core.model import Model
from ensuite.core.recipe import Recipe
from ensuite.nn.heads import SummaryHead
from ensuite.specs import model_options
from ensuite.training.groups import freeze, layer_rates, parameter_groups
from ensuite.training.loop import fit
from training.line import Pass, start

TOKENS = {"tokens": Tokens(9)}


def build(spec, inputs=TOKENS):
    backbone = model_options(spec)[1].tiny().build(inputs)
    return Model(backbone, SummaryHead(backbone.width, 2))


def frozen(model, **recipe):
    freeze(model, Recipe(**recipe))
    return {name for name, each in model.named_parameters() if not each.requires_grad}


def test_one_group_unless_something_differs():
    model = build("lstm:layers=2")
    (group,) = parameter_groups(model, Recipe())
    assert group.rate == 1.0
    assert group.decay == 0.0
    dimensions = [each.dim() for each in group.parameters]
    assert dimensions == sorted(dimensions, reverse=True)
    assert len(group.parameters) == len(list(model.parameters()))


@pytest.mark.parametrize("spec", ["lstm", "transformer:positions=learned"])
def test_embeddings_norms_and_biases_do_not_decay(spec):
    model = build(spec)
    names = {id(each): name for name, each in model.named_parameters()}
    groups = parameter_groups(model, Recipe(weight_decay=0.1))
    decaying = {names[id(p)] for group in groups if group.decay for p in group.parameters}
    still = {names[id(p)] for group in groups if not group.decay for p in group.parameters}
    assert "head.linear.weight" in decaying
    assert not any("embed" in name or "places" in name or "readers" in name for name in decaying)
    assert all("bias" not in name and "norm" not in name for name in decaying)
    assert len(decaying) + len(still) == len(names)


def test_rates_fall_with_depth():
    rates = layer_rates(build("lstm:layers=2"), 0.5)
    assert rates["backbone.readers.0.weight"] == 0.125
    assert rates["backbone.recurrent.cells.0.from_input.weight"] == 0.25
    assert rates["backbone.recurrent.cells.1.from_hidden.weight"] == 0.5
    assert "head.linear.weight" not in rates  # it has the learning rate itself
    groups = parameter_groups(build("lstm:layers=2"), Recipe(layer_decay=0.5))
    assert sorted(group.rate for group in groups) == [0.125, 0.25, 0.5, 1.0]


@pytest.mark.parametrize(
    ("spec", "inputs", "depths"),
    [
        ("lstm:bidirectional=true,layers=2", TOKENS, {0, 1, 2}),
        ("transformer", TOKENS, {0, 1}),
        ("transformer", {**TOKENS, DECODER: Tokens(5)}, {0, 1, 2}),
        ("seq2seq", {**TOKENS, DECODER: Tokens(5)}, {0, 1, 2}),
        ("conv", TOKENS, {0, 1, 2}),
        ("conv", {"image": Image(1, 8, 8)}, {1, 2, 3}),
        ("mlp", {"image": Image(1, 8, 8)}, {1}),
    ],
)  # fmt: skip
def test_layers_are_numbered_from_the_input(spec, inputs, depths):
    backbone = build(spec, inputs).backbone
    assert {backbone.depth(name) for name, _ in backbone.named_parameters()} == depths


def test_the_lowest_layers_can_be_frozen():
    assert frozen(build("lstm:layers=2"), freeze_layers=0) == set()
    assert frozen(build("lstm:layers=2"), freeze_layers=1) == {"backbone.readers.0.weight"}
    both = frozen(build("lstm:layers=2"), freeze_layers=2)
    assert both > {"backbone.readers.0.weight"}
    assert all("cells.0" in name or "readers" in name for name in both)


def test_parts_can_be_frozen_by_name():
    lower = frozen(build("lstm:layers=2"), freeze=("recurrent.cells.0",))
    assert lower
    assert all(name.startswith("backbone.recurrent.cells.0.") for name in lower)
    with pytest.raises(UsageError, match=r"freeze=reader: .*did you mean readers\? Its parts are"):
        frozen(build("lstm"), freeze=("reader",))


def test_frozen_parameters_stay_as_they_were_and_the_others_do_not():
    training = start(budget="5steps", freeze=("layer",))
    before = {name: each.clone() for name, each in training.model.state_dict().items()}
    list(fit(training))
    after = training.model.state_dict()
    same = {name for name in before if torch.equal(before[name], after[name])}
    assert same == {f"backbone.{name}" for name, _ in Pass(None).named_parameters()}


def test_a_cell_of_which_all_is_frozen_still_trains_the_head():
    model = build("lstm")
    with pytest.raises(UsageError, match="freeze_layers=9: the backbone has 2 layers"):
        freeze(model, Recipe(freeze_layers=9))
    freeze(model, Recipe(freeze_layers=2))
    groups = parameter_groups(model, Recipe(layer_decay=0.9, weight_decay=0.1))
    assert sum(len(group.parameters) for group in groups) == 2
    assert {group.rate for group in groups} == {1.0}
