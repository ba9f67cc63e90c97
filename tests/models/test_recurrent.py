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
        ({"width": 0}, "width, layers, embedding and character_embedding must be 1 or more"),
        ({"layers": 0}, "width, layers, embedding and character_embedding must be 1 or more"),
        ({"embedding": -1}, "width, layers, embedding and character_embedding must be 1 or more"),
        ({"dropout": 1.0}, "dropout, recurrent_dropout, word_dropout, output_dropout must each"),
        ({"recurrent_dropout": 1.5}, "output_dropout must each be from 0 to less than 1"),
        ({"word_dropout": -0.1}, "output_dropout must each be from 0 to less than 1"),
        ({"output_dropout": 1.0}, "output_dropout must each be from 0 to less than 1"),
        ({"span": 2}, "span must be 3 or more"),
        ({"span": 30, "cell": "rnn"}, "is an option of lstm and gru only"),
        ({"truncate": 0}, "truncate must be 1 position or more, or none"),
        ({"combine": "sum"}, "combine=sum needs two directions: set bidirectional=true"),
        ({"initial": "identity"}, "initial=identity is for the rnn; use span for lstm and gru"),
        (
            {"peepholes": "full", "cell": "gru"},
            "peepholes is an option of the lstm, not of the gru",
        ),
        ({"reset": "before"}, "reset is an option of the gru, not of the lstm"),
        ({"activation": "relu"}, "activation is an option of the rnn, not of the lstm"),
    ],
)
def test_impossible_options_are_refused(wrong: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        RecurrentOptions(**wrong)


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        (
            {"width": "0"},
            "the model lstm: width, layers, embedding and character_embedding must be 1 or more",
        ),
        ({"cell": "lstn"}, "cell=lstn: choose one of rnn, lstm, gru"),
        ({"summary": "sum"}, "choose one of last, mean, max, mean-max"),
        ({"peepholes": "true"}, "peepholes=true: choose one of none, diagonal, full"),
        ({"truncate": "some"}, "truncate=some: expected a whole number"),
        ({"combine": "mean"}, "the model lstm: combine=mean needs two directions"),
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
        ({"bidirectional": True, "combine": "sum"}, 6),
        ({"bidirectional": True, "combine": "mean", "summary": "mean-max"}, 12),
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


@pytest.mark.parametrize("option", ["dropout", "recurrent_dropout", "word_dropout"])
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
@pytest.mark.parametrize(
    ("options", "count"),
    [
        ({"cell": "rnn"}, 2_600),
        ({"cell": "lstm"}, 10_400),
        ({"cell": "lstm", "peepholes": "full"}, 17_900),
        ({"cell": "gru"}, 7_850),
        ({"cell": "gru", "reset": "before"}, 7_800),
    ],
)
def test_parameters_as_the_course_counts_them(options: dict[str, Any], count: int) -> None:
    backbone = RecurrentOptions(width=50, **options).build({"values": Values(1)})
    assert sum(parameter.numel() for parameter in backbone.parameters()) == count


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


@pytest.mark.parametrize(
    "options",
    [
        {"cell": "rnn", "activation": "gelu", "initial": "identity"},
        {"cell": "lstm", "peepholes": "full", "normalize": True, "recurrent_dropout": 0.25},
        {"cell": "gru", "reset": "before", "learn_start": True, "initial": "orthogonal"},
    ],
)
def test_options_reach_every_cell(options: dict[str, Any]) -> None:
    both = RecurrentOptions(
        width=6, layers=2, bidirectional=True, combine="mean", truncate=4, **options
    )
    recurrent = both.build(TOKENS).recurrent
    assert (recurrent.combine, recurrent.truncate, len(recurrent.cells)) == ("mean", 4, 4)
    for cell in recurrent.cells:
        assert cell.recurrent_dropout == both.recurrent_dropout
        assert (cell.from_hidden.gain is not None) == both.normalize
        assert (cell.start is not None) == both.learn_start
        hidden = cell.from_hidden.weight[:6]
        if both.initial == "identity":
            assert torch.equal(hidden, torch.eye(6))
            assert cell.activation is torch.nn.functional.gelu
        elif both.initial == "orthogonal":
            torch.testing.assert_close(hidden @ hidden.T, torch.eye(6))
            assert cell.reset_bias is None
        else:
            assert cell.peepholes.shape == (3, 6, 6)


CARRIED = [
    {"cell": "rnn"},
    {"cell": "lstm", "learn_start": True, "layers": 2},
    {"cell": "gru", "truncate": 2},
]


@pytest.mark.parametrize("options", CARRIED)
class TestDocuments:
    """Two rows: documents 4 (all 7 positions of it), 2, 2 and 1, and padding on either side."""

    tokens = torch.tensor([[1, 2, 3, 4, 5, 6, 7, 8, 1, 0], [0, 3, 1, 4, 1, 5, 0, 2, 6, 5]])
    numbers = torch.tensor([[4, 4, 4, 4, 4, 4, 4, 2, 2, 9], [9, 2, 2, 1, 1, 1, 9, 1, 4, 4]])

    def whole(self) -> Batch:
        return Batch(inputs={"tokens": self.tokens}, mask=self.tokens > 0, documents=self.numbers)

    def build(self, options: dict[str, Any]) -> Any:
        torch.manual_seed(0)
        backbone = replace(TINY, **options).build(TOKENS).eval()
        for cell in backbone.recurrent.cells:
            if cell.start is not None:
                torch.nn.init.normal_(cell.start)
        return backbone

    @torch.no_grad()
    def test_equal_each_document_alone(self, options: dict[str, Any]) -> None:
        backbone, states = self.build(options), None
        found = backbone(self.whole())
        for row in range(2):
            for number in self.numbers[row].unique():
                chosen = (self.numbers[row] == number) & (self.tokens[row] > 0)
                if not chosen.any():
                    continue
                states = backbone(Batch(inputs={"tokens": self.tokens[row, chosen][None]}))
                torch.testing.assert_close(found.sequence[row, chosen], states.sequence[0])
                if number == self.numbers[row][self.tokens[row] > 0][-1]:
                    torch.testing.assert_close(found.summary[row], states.summary[0])

    @torch.no_grad()
    @pytest.mark.parametrize("cut", range(1, 10))
    def test_carried_from_batch_to_batch_are_read_at_once(
        self, options: dict[str, Any], cut: int
    ) -> None:
        backbone, whole, carry, sequence = self.build(options), self.whole(), None, []
        for piece in (slice(0, cut), slice(cut, 10)):
            tokens = self.tokens[:, piece]
            batch = Batch(
                inputs={"tokens": tokens}, mask=tokens > 0, documents=self.numbers[:, piece]
            )
            states = backbone(batch.after(carry))
            carry = states.carry
            sequence.append(states.sequence)
        at_once = backbone(whole)
        real = self.tokens > 0
        torch.testing.assert_close(torch.cat(sequence, 1)[real], at_once.sequence[real])
        torch.testing.assert_close(states.summary, at_once.summary)
        assert carry.keys() == at_once.carry.keys()
        for name, tensor in at_once.carry.items():
            torch.testing.assert_close(carry[name], tensor)


def test_a_carry_without_documents_goes_on() -> None:
    backbone = TINY.build(TOKENS).eval()
    tokens = torch.tensor([[1, 2, 3, 4]])
    first = backbone(Batch(inputs={"tokens": tokens[:, :2]}))
    one = Batch(inputs={"tokens": tokens[:, 2:]}, carry=first.carry)
    other = replace(one, documents=torch.tensor([[5, 5]]))
    torch.testing.assert_close(backbone(other).sequence, backbone(one).sequence)
    assert "document" not in first.carry


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        ({"width": 8}, "needs a state of width 6, 0.hidden, 0.cell, but was given 0.hidden of 8"),
        ({"cell": "gru"}, "0.hidden, 0.cell, but was given 0.hidden of 6: pass the state"),
        ({"layers": 2}, "1.hidden of 6, 1.cell of 6"),
    ],
)
def test_the_state_of_another_network_is_refused(other: dict[str, Any], sentence: str) -> None:
    batch = random_batch(TOKENS, rows=3, longest=4)
    carry = replace(TINY, **other).build(TOKENS)(batch).carry
    backbone = TINY.build(TOKENS)
    with pytest.raises(UsageError, match=sentence):
        backbone(replace(batch, carry=carry))
    with pytest.raises(UsageError, match=sentence):
        backbone.step({"tokens": batch.inputs["tokens"][:, 0]}, carry)


def test_the_state_of_other_rows_is_refused() -> None:
    backbone = TINY.build(TOKENS)
    carry = backbone(random_batch(TOKENS, rows=3, longest=4)).carry
    with pytest.raises(UsageError, match=r"must have the shape \(2, 6\), but it was given"):
        backbone(replace(random_batch(TOKENS, rows=2, longest=4), carry=carry))


def test_output_dropout_hides_the_same_numbers_of_a_row_everywhere(batch: Batch) -> None:
    model = replace(TINY, output_dropout=0.5).build(TOKENS)
    whole = replace(TINY, output_dropout=0.0).build(TOKENS)
    whole.load_state_dict(model.state_dict())
    torch.manual_seed(1)
    hidden, seen = model.train()(batch), whole.train()(batch)
    assert hidden.sequence is not None
    assert seen.sequence is not None
    share = hidden.sequence / seen.sequence
    assert set(share.unique().round(decimals=4).tolist()) == {0.0, 2.0}
    assert (share - share[:, :1]).abs().max() < 1e-4  # alike at every position
    assert len((share[:, 0] > 0).unique(dim=0)) > 1  # but not in every row
    torch.testing.assert_close(hidden.summary, seen.summary)
    for name, part in (seen.carry or {}).items():  # what is handed on is whole
        torch.testing.assert_close((hidden.carry or {})[name], part)
    torch.testing.assert_close(model.eval()(batch).sequence, seen.sequence)
