from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from ensuite.core.batch import Batch, States, Tokens, Values
from ensuite.core.errors import UsageError
from ensuite.core.options import set_options
from ensuite.laws import random_batch
from ensuite.models.recurrent import RecurrentOptions
from ensuite.nn.gru import GRU

TINY = RecurrentOptions(width=6, embedding=4, dropout=0.0)
TOKENS = {"tokens": Tokens(9)}


def run(options: RecurrentOptions, batch: Batch) -> Any:
    """Return the states of a backbone whose cells start from the same weights each time."""
    torch.manual_seed(0)
    with torch.no_grad():
        return options.build(TOKENS).eval()(batch)


@pytest.fixture
def batch() -> Batch:
    return random_batch(TOKENS, rows=5, longest=7)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"width": 0}, "width, layers, embedding and spelling must be 1 or more"),
        ({"layers": 0}, "width, layers, embedding and spelling must be 1 or more"),
        ({"embedding": -1}, "width, layers, embedding and spelling must be 1 or more"),
        ({"dropout": 1.0}, "dropout and word_dropout must be from 0 to less than 1"),
        ({"word_dropout": -0.1}, "dropout and word_dropout must be from 0 to less than 1"),
        ({"span": 2}, "span must be 3 or more"),
        ({"span": 30, "cell": "rnn"}, "only lstm and gru have gates to remember by"),
    ],
)
def test_impossible_options_are_refused(wrong: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        RecurrentOptions(**wrong)


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ({"width": "0"}, "the model lstm: width, layers, embedding and spelling must be 1 or more"),
        ({"cell": "lstn"}, "cell=lstn: choose one of rnn, lstm, gru"),
        ({"summary": "sum"}, "choose one of last, mean, max, mean-max"),
        ({"bidirectional": "perhaps"}, "expected true or false"),
        ({"layer": "2"}, 'the model lstm has no option "layer"; did you mean layers'),
    ],
)
def test_impossible_words_are_a_sentence(typed: dict[str, str], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        set_options(RecurrentOptions(), typed, "the model lstm")


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
class TestSummaries:
    def recompute(self, states: States, mask: Tensor, how: str) -> Tensor:
        """Return the summary of each row, from its real states alone."""
        assert states.sequence is not None
        rows = [sequence[real] for sequence, real in zip(states.sequence, mask, strict=True)]
        ways = {
            "mean": [row.mean(0) for row in rows],
            "max": [row.amax(0) for row in rows],
            "mean-max": [torch.cat([row.mean(0), row.amax(0)]) for row in rows],
            # the second direction ends at the first position
            "last": [torch.cat([row[-1, :6], row[0, 6:]]) for row in rows],
        }
        return torch.stack(ways[how])

    @pytest.mark.parametrize("how", ["last", "mean", "max", "mean-max"])
    def test_is_a_plain_recomputation(
        self, how: Any, cell: Any, bidirectional: bool, batch: Batch
    ) -> None:
        options = replace(TINY, cell=cell, bidirectional=bidirectional, summary=how)
        states = run(options, batch)
        assert batch.mask is not None
        torch.testing.assert_close(states.summary, self.recompute(states, batch.mask, how))

    def test_the_states_are_the_same_whatever_the_summary(
        self, cell: Any, bidirectional: bool, batch: Batch
    ) -> None:
        options = replace(TINY, cell=cell, bidirectional=bidirectional)
        mean = run(replace(options, summary="mean"), batch)
        assert torch.equal(run(options, batch).sequence, mean.sequence)


@pytest.mark.parametrize(
    ("options", "width"),
    [
        ({}, 6),
        ({"bidirectional": True}, 12),
        ({"layers": 3, "bidirectional": True}, 12),
        ({"summary": "mean-max"}, 12),
        ({"summary": "mean-max", "bidirectional": True}, 24),
    ],
)
def test_width_is_that_of_the_summary(options: dict[str, Any], width: int, batch: Batch) -> None:
    options_ = replace(TINY, **options)
    assert options_.build(TOKENS).width == run(options_, batch).summary.shape[1] == width


def test_the_second_direction_reads_from_the_end(batch: Batch) -> None:
    changed = {"tokens": batch.inputs["tokens"].clone()}
    changed["tokens"][:, -1] = changed["tokens"][:, -1] % 8 + 1
    both = replace(TINY, bidirectional=True)
    one, two = (run(both, Batch(inputs=each)).sequence for each in (batch.inputs, changed))
    assert torch.equal(one[:, 0, :6], two[:, 0, :6])
    assert not torch.equal(one[:, 0, 6:], two[:, 0, 6:])


@pytest.mark.parametrize("option", ["dropout", "word_dropout"])
def test_dropout_only_while_training(option: str, batch: Batch) -> None:
    backbone = replace(TINY, **{option: 0.5}).build(TOKENS)
    assert not torch.equal(backbone(batch).summary, backbone(batch).summary)
    backbone.eval()
    assert torch.equal(backbone(batch).summary, backbone(batch).summary)


def test_word_dropout_takes_whole_tokens(batch: Batch) -> None:
    backbone = replace(TINY, word_dropout=0.5).build(TOKENS)
    full = backbone.eval().read(batch.inputs)
    dropped = backbone.train().read(batch.inputs)
    gone = (dropped == 0).all(-1)
    assert torch.equal(dropped[~gone], full[~gone])  # the rest is neither cut nor scaled
    assert (gone & batch.mask).any()
    assert (~gone & batch.mask).any()


# The course counts one bias a gate. So do we: of torch's two the sum is all that acts. The one
# exception is the GRU that resets after the matrix (as torch and Keras do, for speed): there the
# bias of the candidate's recurrent product is reset with it, so it acts on its own, 50 more.
@pytest.mark.parametrize(("cell", "count"), [("rnn", 2_600), ("lstm", 10_400), ("gru", 7_850)])
def test_parameters_as_the_course_counts_them(cell: Any, count: int) -> None:
    backbone = RecurrentOptions(cell=cell, width=50).build({"values": Values(1)})
    assert sum(parameter.numel() for parameter in backbone.parameters()) == count


def test_parameters_of_the_published_gru() -> None:
    assert sum(parameter.numel() for parameter in GRU(1, 50, reset="before").parameters()) == 7_800


def test_fields_are_read_side_by_side() -> None:
    inputs = {"tokens": Tokens(9), "values": Values(2), "tags": Tokens(5)}
    backbone = TINY.build(inputs).eval()
    batch = random_batch(inputs, rows=3, longest=4)
    features = backbone.read(batch.inputs)
    assert features.shape == (3, 4, 4 + 2 + 4)
    for name, columns in (("tokens", [0, 1, 2, 3]), ("values", [4, 5]), ("tags", [6, 7, 8, 9])):
        other = dict(batch.inputs)
        other[name] = torch.zeros_like(other[name])
        moved = (backbone.read(other) != features).any(1).any(0).nonzero().flatten().tolist()
        assert moved == columns


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_span_spreads_what_the_gates_remember(cell: Any) -> None:
    backbone = replace(TINY, cell=cell, width=200, layers=2, span=50).build(TOKENS)
    for each in backbone.recurrent.cells:
        gate = each.from_input.bias[200:400].detach().sigmoid()  # forget, or update, gate
        steps = 1 / (1 - gate)
        assert 2 <= steps.min() < 5
        assert 45 < steps.max() <= 50
