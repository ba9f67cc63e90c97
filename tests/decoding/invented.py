"""A model whose next token depends on the row and on all that was written."""

import torch

from ensuite.core.batch import ATTENTION, DECODER, Batch

START, END, VOCABULARY = 2, 2, 5


class Invented:
    """Scores drawn from a seed for each beginning; written down, so that all can be tried."""

    def __init__(self, attends=False):
        self.table = 2 * torch.randn(
            4, 4096, VOCABULARY, generator=torch.Generator().manual_seed(3)
        )
        self.attends, self.asked = attends, []

    def begin(self, batch):
        rows = len(batch)
        carry = {"row": batch.inputs["tokens"][:, 0], "place": torch.zeros(rows, dtype=torch.long)}
        return carry | ({ATTENTION: torch.zeros(rows, 3)} if self.attends else {})

    def step(self, inputs, carry):
        self.asked.append(len(carry["row"]))
        place = (carry["place"] * VOCABULARY + inputs[DECODER] + 1) % 4096
        carry = {**carry, "place": place}
        if ATTENTION in carry:
            carry[ATTENTION] = torch.stack([place, carry["row"], inputs[DECODER]], 1).float()
        return self.table[carry["row"], place], carry

    def score(self, row, tokens, *, ended=True):
        """Return the logarithm of the probability of tokens, and of the end after them."""
        batch = rows_of(row)
        carry, total, word = self.begin(batch), 0.0, START
        for token in [*tokens, END] if ended else tokens:
            values, carry = self.step({DECODER: torch.tensor([word])}, carry)
            total += float(values.log_softmax(-1)[0, token])
            word = token
        return total


def rows_of(*rows):
    """Return a batch that asks about these rows."""
    return Batch(inputs={"tokens": torch.tensor(rows)[:, None]})
