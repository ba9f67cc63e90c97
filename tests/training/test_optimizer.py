import copy
import subprocess
import sys

import pytest
import torch
from torch import nn

from ensuite.core.model import Model
from ensuite.core.recipe import Recipe
from ensuite.training.groups import Group
from ensuite.training.optimizer import MOMENTUM, Optimizer, make_optimizer

TORCHS = {
    "adam": lambda groups, rate: torch.optim.AdamW(groups, lr=rate, fused=True),
    "sgd": lambda groups, rate: torch.optim.SGD(groups, lr=rate, momentum=MOMENTUM, fused=True),
}
RATES = (0.1, 0.03, 0.0, 0.2)


class Layers(nn.Sequential):
    """A backbone all of whose parts are trained at the same rate."""

    def rate(self, name):
        return 1.0


def layer():
    return Layers(nn.Linear(3, 5), nn.LayerNorm(5), nn.Linear(5, 2))


def give_gradients(module, seed, but=()):
    """Draw a gradient for every parameter, but for those of some numbers."""
    generator = torch.Generator().manual_seed(seed)
    for number, each in enumerate(module.parameters()):
        each.grad = torch.randn(each.shape, generator=generator)
        if number in but:
            each.grad = None


def make(module, rule, decay, **more):
    model = Model(module, nn.Identity())
    return make_optimizer(model, Recipe(optimizer=rule, weight_decay=decay, **more))


def equal(one, other):
    return all(a.equal(b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize("decay", [0.0, 0.3])
@pytest.mark.parametrize("rule", ["adam", "sgd"])
def test_every_bit_is_that_of_torchs_own_with_matrices_alone_decaying(rule, decay):
    ours, theirs = layer(), layer()
    theirs.load_state_dict(ours.state_dict())
    matrices = {"params": [p for p in theirs.parameters() if p.dim() == 2], "weight_decay": decay}
    others = {"params": [p for p in theirs.parameters() if p.dim() == 1], "weight_decay": 0.0}
    reference, optimizer = TORCHS[rule]([matrices, others], 1.0), make(ours, rule, decay)
    for seed, rate in enumerate(RATES):
        late = rule == "adam" and seed in (0, 2)  # torch's fused SGD cannot
        but = (0, 5) if late else ()  # some get their first gradient later
        give_gradients(ours, seed, but)
        give_gradients(theirs, seed, but)
        for group in reference.param_groups:
            group["lr"] = rate
        reference.step()
        optimizer.step(rate)
        assert equal(ours, theirs)


def test_the_recipe_sets_the_betas_and_epsilon():
    ours, theirs = layer(), layer()
    theirs.load_state_dict(ours.state_dict())
    how = {"betas": (0.8, 0.95), "eps": 1e-3}
    reference = torch.optim.AdamW(theirs.parameters(), lr=0.1, weight_decay=0.0, fused=True, **how)
    optimizer = make(ours, "adam", 0.0, betas=how["betas"], epsilon=how["eps"])
    for seed in range(3):
        give_gradients(ours, seed)
        give_gradients(theirs, seed)
        reference.step()
        optimizer.step(0.1)
    torch.testing.assert_close(
        [*ours.parameters()], [*theirs.parameters()], rtol=0, atol=1e-7
    )  # the order of matrices and vectors differs


@pytest.mark.parametrize("rule", ["adam", "sgd"])
def test_each_group_has_its_own_rate_and_decay(rule):
    ours, theirs = layer(), layer()
    theirs.load_state_dict(ours.state_dict())
    first, second = (
        Group([*ours[0].parameters()], 0.25, 0.3),
        Group([*ours[2].parameters()], 1.0, 0.0),
    )
    optimizer = Optimizer([first, second], Recipe(optimizer=rule))
    reference = TORCHS[rule](
        [
            {"params": [*theirs[0].parameters()], "lr": 0.025, "weight_decay": 0.3},
            {"params": [*theirs[2].parameters()], "lr": 0.1, "weight_decay": 0.0},
        ],
        1.0,
    )
    for seed in range(3):
        give_gradients(ours, seed)
        give_gradients(theirs, seed)
        reference.step()
        optimizer.step(0.1)
    assert equal(ours, theirs)


def test_gradients_are_forgotten():
    optimizer = make(module := layer(), "adam", 0.0)
    give_gradients(module, 0, but=(1,))
    assert len(optimizer.gradients) == 5
    optimizer.zero_grad()
    assert optimizer.gradients == []
    before = copy.deepcopy(module)
    optimizer.step(1.0)
    assert equal(module, before)


@pytest.mark.parametrize("rule", ["adam", "sgd", "muon"])
def test_what_was_remembered_goes_on(rule):
    first = make(one := layer(), rule, 0.1)
    for seed in range(3):
        give_gradients(one, seed)
        first.step(0.1)
    other = copy.deepcopy(one)
    second = make(other, rule, 0.1)
    second.load({name: tensor.clone() for name, tensor in first.tensors().items()})
    for module, optimizer in ((one, first), (other, second)):
        give_gradients(module, 9)
        optimizer.step(0.1)
    assert equal(one, other)


@pytest.mark.parametrize(("rule", "module"), [
    ("sgd", layer()), ("muon", layer()), ("adam", Layers(nn.Linear(3, 5)))
])  # fmt: skip
def test_what_another_remembered_is_refused(rule, module):
    with pytest.raises(ValueError, match="its optimizer is another one"):
        make(module, rule, 0.0).load(make(layer(), "adam", 0.0).tensors())


def reference_muon(weight, gradient, mean, rate, decay):
    """Return the weight and the mean after one update, as the equations state it, in float64."""
    weight, gradient, mean = weight.double(), gradient.double(), mean.double()
    mean = 0.95 * mean + 0.05 * gradient
    step = 0.05 * gradient + 0.95 * mean
    made = step / step.norm()
    for _ in range(5):
        gram = made @ made.T
        made = 3.4445 * made - 4.7750 * gram @ made + 2.0315 * gram @ gram @ made
    size = 0.2 * max(weight.shape) ** 0.5
    return weight - rate * decay * weight - rate * size * made, mean


@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_muon_is_what_its_equations_state_for_matrices_and_adam_for_all_else(decay):
    ours, theirs = layer(), layer()
    theirs.load_state_dict(ours.state_dict())
    vectors = [p for p in theirs.parameters() if p.dim() == 1]
    adam = torch.optim.AdamW(vectors, lr=1.0, weight_decay=0.0, fused=True)
    optimizer = make(ours, "muon", decay)
    matrices = {name: p.detach() for name, p in theirs.named_parameters() if p.dim() == 2}
    means = {name: torch.zeros_like(each) for name, each in matrices.items()}
    for seed, rate in enumerate(RATES):
        give_gradients(ours, seed)
        give_gradients(theirs, seed)
        adam.param_groups[0]["lr"] = rate
        adam.step()
        gradients = {name: p.grad for name, p in theirs.named_parameters()}
        for name, weight in matrices.items():
            matrices[name], means[name] = reference_muon(
                weight, gradients[name], means[name], rate, decay
            )
        optimizer.step(rate)
    for (name, mine), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        if name in matrices:
            # float32 against float64, over four updates
            torch.testing.assert_close(mine.double(), matrices[name], rtol=0, atol=1e-5)
        else:
            assert mine.equal(other)


def test_muon_is_torchs_own_up_to_its_bfloat16():
    ours = Layers(nn.Linear(24, 40, bias=False), nn.Linear(40, 24, bias=False))
    theirs = copy.deepcopy(ours)
    reference = torch.optim.Muon(
        theirs.parameters(), lr=0.02, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"
    )
    optimizer, before = make(ours, "muon", 0.1), copy.deepcopy(ours)
    for seed in range(3):
        give_gradients(ours, seed)
        give_gradients(theirs, seed)
        reference.step()
        optimizer.step(0.02)
    for mine, other, old in zip(*(m.parameters() for m in (ours, theirs, before)), strict=True):
        # torch iterates in bfloat16, which has 8 bits, and the iteration enlarges its rounding
        assert (mine - other).norm() < 0.03 * (mine - old).norm()


def test_muon_updates_stacked_matrices_one_by_one():
    stacked, apart = nn.Linear(4, 10, bias=False), nn.ModuleList()
    stacked.stacks = {"weight": [4, 6]}
    apart.extend([nn.Linear(4, 4, bias=False), nn.Linear(4, 6, bias=False)])
    parts = stacked.weight.detach().split([4, 6])
    for layer_, part in zip(apart, parts, strict=True):
        layer_.weight.data.copy_(part)
    one, other = make(Layers(stacked), "muon", 0.1), make(Layers(*apart), "muon", 0.1)
    for seed in range(3):
        give_gradients(stacked, seed)
        for layer_, part in zip(apart, stacked.weight.grad.split([4, 6]), strict=True):
            layer_.weight.grad = part.clone()
        one.step(0.1)
        other.step(0.1)
    torch.testing.assert_close(stacked.weight, torch.cat([each.weight for each in apart]))


def test_muon_does_not_update_embeddings_nor_the_head():
    backbone = Layers(nn.Embedding(4, 3), nn.Linear(3, 3))
    model = Model(backbone, nn.Linear(3, 2))
    groups = make_optimizer(model, Recipe(optimizer="muon")).parts
    (hidden,) = (group for _, group, _ in groups if group.blocks)
    assert [id(p) for p in hidden.parameters] == [id(backbone[1].weight)]
    assert sum(len(group.parameters) for _, group, _ in groups) == 5


def test_training_does_not_wait_for_a_compiler_or_sympy_to_be_imported():
    lines = """
import sys
from ensuite.candidates import Trained
from ensuite.specs import model_options
from ensuite.problem import open_problem
from ensuite.training.budget import Budget
from ensuite.training.loop import fit

rows = {"a": [n / 9 for n in range(40)], "label": ["no", "yes"] * 20}
options = model_options("mlp")[1].tiny()
candidate = Trained("mlp", "mlp", options, options.recipe())
training = candidate.begin(open_problem("classify", rows), Budget(2, "steps", None), 0)
assert len(list(fit(training))) == 2
sys.exit(bool({"torch._dynamo", "sympy"} & set(sys.modules)))
"""
    assert subprocess.run([sys.executable, "-c", lines]).returncode == 0
