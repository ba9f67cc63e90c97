"""A GPT: random chunks of its context, a prompt read in one pass, prompted for classification."""

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import nn

import ensuite
from ensuite import catalog
from ensuite.core.backbone import Backbone, BackboneOptions, Trait
from ensuite.core.batch import Batch, States
from ensuite.core.recipe import Recipe
from ensuite.core.registry import Row

WIDTH, CONTEXT = 32, 24


class GPT(Backbone):
    """One block of masked self-attention; the cache is (batch, CONTEXT, width) and a length."""

    width, context = WIDTH, CONTEXT

    def __init__(self, inputs):
        super().__init__()
        self.embed = nn.Embedding(inputs["tokens"].size, WIDTH)
        self.place = nn.Embedding(CONTEXT, WIDTH)
        self.query, self.key = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.out, self.norm = nn.Linear(WIDTH, WIDTH), nn.LayerNorm(WIDTH)
        nn.init.normal_(self.embed.weight, std=0.1)
        nn.init.normal_(self.place.weight, std=0.1)

    def attend(self, tokens, past, offset, allowed):
        """Return the states of new positions, and the vectors of all that were read."""
        places = offset[:, None] + torch.arange(tokens.shape[1])
        new = self.embed(tokens) + self.place(places)
        rows = torch.arange(len(tokens))[:, None]
        seen = past.index_put((rows, places), new)
        looked = F.scaled_dot_product_attention(self.query(new), self.key(seen), seen, allowed)
        return self.norm(new + self.out(looked)), seen

    def forward(self, batch):
        tokens, mask = batch.inputs["tokens"], batch.mask
        if mask is None:
            mask = torch.ones_like(tokens, dtype=torch.bool)
        first = mask.int().argmax(1)  # padding may stand before a row
        lasts = mask.sum(1) - 1
        moved = (first[:, None] + torch.arange(tokens.shape[1])) % tokens.shape[1]
        count = mask.sum(1, keepdim=True)
        tokens = tokens.gather(1, moved)[:, : int(count.max())]
        time = torch.arange(tokens.shape[1])
        past = self.embed.weight.new_zeros(len(tokens), CONTEXT, WIDTH)
        causal = time[:, None] >= torch.arange(CONTEXT)
        offset = torch.zeros(len(tokens), dtype=torch.long)
        states, _ = self.attend(tokens, past, offset, causal)
        sequence = states.new_zeros(*mask.shape, WIDTH)
        back = (torch.arange(mask.shape[1]) - first[:, None]).clamp(0, states.shape[1] - 1)
        sequence = states.gather(1, back[..., None].expand_as(sequence)) * mask[..., None]
        return States(states[torch.arange(len(states)), lasts], sequence)

    def begin(self, batch):
        past = self.embed.weight.new_zeros(len(batch), CONTEXT, WIDTH)
        return {"past": past, "length": torch.zeros(len(batch), dtype=torch.long)}

    def read(self, batch, carry):
        tokens, length = batch.inputs["tokens"], carry["length"]
        places = length[:, None] + torch.arange(tokens.shape[1])
        allowed = places[..., None] >= torch.arange(CONTEXT)
        states, past = self.attend(tokens, carry["past"], length, allowed)
        return States(states[:, -1], states), {"past": past, "length": length + tokens.shape[1]}

    def step(self, inputs, carry):
        states, carry = self.read(Batch(inputs={"tokens": inputs["tokens"][:, None]}), carry)
        return States(states.summary, states.summary), carry


@dataclass(frozen=True, kw_only=True)
class GPTOptions(BackboneOptions):
    reads = frozenset({"tokens"})
    context = CONTEXT

    @property
    def traits(self):
        return frozenset({Trait.SEQUENCE, Trait.CAUSAL, Trait.STEPS})

    def build(self, inputs):
        return GPT(inputs)

    def tiny(self):
        return replace(self)

    def recipe(self):
        return Recipe(learning_rate=1e-2, batch_size=16)


# The end of the network; what uses it begins here.

WORDS = {"fine": "good", "great": "good", "bad": "poor", "dull": "poor"}
TEXTS = [
    f"{number} it was {word}: {label}" for number in range(60) for word, label in WORDS.items()
]
ROWS = [
    {"text": f"{n} it was {word}", "label": label}
    for n in range(15)
    for word, label in WORDS.items()
]


def test_toy(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    row = Row(
        target="stress.test_gpt:GPTOptions",
        caption="a toy",
        traits=("sequence", "causal", "steps"),
        reads=("tokens",),
        default=False,
    )
    monkeypatch.setitem(catalog.backbones.rows, "toy-gpt", row)
    how = {"budget": "400steps", "settings": {"unit": "words"}, "out": "language"}
    language = ensuite.train("generate", {"text": TEXTS}, model="toy-gpt", **how)
    task = language.task
    assert (task.carries, task.chunk) == (False, CONTEXT)
    text = "7 it was dull: poor " * 9
    chunks = task.items([task.ask(text)], asking=True)
    (tokens,) = task.writing.spell([text]).lengths
    assert len(chunks) > 1
    assert sum(len(chunk.examples) for chunk in chunks) == tokens  # each target once
    assert language.generate("7 it was great:", temperature=0, max_new_tokens=1).strip() == "good"
    prompted_by_steps(language)
    (tmp_path / "prompt.txt").write_text("{text}:", encoding="utf-8")
    models = ["language:template=prompt.txt", "lstm:width=8"]
    board = ensuite.compare("classify", ROWS, models=models, budget="5steps", seeds=1)
    (prompted,) = (row for row in board.rows if row.kind == "prompted")
    assert prompted.score > 0.9


def prompted_by_steps(language):
    """Assert that a prompt read in one pass is what its tokens are one by one."""
    model = language.model
    ids = torch.tensor([language.task.prompt_ids("7 it was great:")])
    at_once, _ = model.read(
        Batch(inputs={"tokens": ids}), model.begin(Batch(inputs={"tokens": ids}))
    )
    carry = model.begin(Batch(inputs={"tokens": ids}))
    for token in ids.unbind(1):
        logits, carry = model.step({"tokens": token}, carry)
    torch.testing.assert_close(at_once, logits)
