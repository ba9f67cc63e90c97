import pytest
import torch

from ensuite.core.batch import Batch, States
from ensuite.core.errors import UsageError
from ensuite.nn import SequenceHead, SummaryHead

BATCH = Batch(inputs={})
STATES = States(summary=torch.randn(2, 3), sequence=torch.randn(2, 5, 3))


def test_heads_are_linear_in_what_they_read():
    summary, sequence = SummaryHead(3, 4), SequenceHead(3, 4)
    assert torch.equal(summary(STATES, BATCH), summary.linear(STATES.summary))
    assert torch.equal(sequence(STATES, BATCH), sequence.linear(STATES.sequence))


def test_a_sequence_head_reads_a_single_step():
    step = States(summary=STATES.summary, sequence=STATES.summary)
    assert SequenceHead(3, 4)(step, BATCH).shape == (2, 4)


def test_dropout_is_for_training():
    for head in (SummaryHead(3, 4, dropout=0.5), SequenceHead(3, 4, dropout=0.5)):
        assert not torch.equal(head(STATES, BATCH), head(STATES, BATCH))
        head.eval()
        assert torch.equal(head(STATES, BATCH), head(STATES, BATCH))


def test_a_backbone_without_sequence_is_refused():
    with pytest.raises(UsageError, match="no state for each position"):
        SequenceHead(3, 4)(States(summary=torch.randn(2, 3)), BATCH)
