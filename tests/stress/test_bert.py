"""A published tiny BERT folder, a candidate beside an lstm: each reads by its own tokenizer."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import torch
from torch import nn

import ensuite
from ensuite import catalog
from ensuite.core.backbone import Backbone, BackboneOptions, Pretrained, Trait
from ensuite.core.batch import States
from ensuite.core.files import read_json, read_tensors, write_json, write_tensors
from ensuite.core.recipe import Recipe
from ensuite.core.registry import Row


class Bert(Backbone):
    """Token, position and segment embeddings, one encoder layer, the state of [CLS]."""

    def __init__(self, options, inputs):
        super().__init__()
        self.width, self.context = options.width, options.length
        self.word = nn.Embedding(inputs["tokens"].size, self.width)
        self.position = nn.Embedding(options.length, self.width)
        self.segment = nn.Embedding(2, self.width)
        self.layer = nn.TransformerEncoderLayer(self.width, 2, 32, 0.0, batch_first=True)

    def forward(self, batch):
        tokens, mask = batch.inputs["tokens"], batch.mask
        if mask is None:
            mask = torch.ones_like(tokens, dtype=torch.bool)
        places = (mask.cumsum(1) - 1).clamp(min=0)
        segments = batch.inputs.get("segments", torch.zeros_like(tokens))
        vectors = self.word(tokens) + self.position(places) + self.segment(segments)
        states = self.layer(vectors, src_key_padding_mask=~mask)
        first = mask.int().argmax(1)
        return States(states[torch.arange(len(states)), first], states)


@dataclass(frozen=True, kw_only=True)
class BertOptions(BackboneOptions):
    width: int = 8
    length: int = 12
    folder: Path | None = field(default=None, metadata={"saved": False})
    reads: ClassVar = frozenset({"tokens"})
    traits = frozenset({Trait.SEQUENCE, Trait.TWO_SIDED})

    def build(self, inputs):
        return Bert(self, inputs)

    def tiny(self):
        return self

    def recipe(self):
        return Recipe(learning_rate=1e-3)

    @classmethod
    def from_checkpoint(cls, folder):
        config = read_json(folder / "config.json")
        length = config["max_position_embeddings"]
        return cls(width=config["hidden_size"], length=length, folder=folder)

    def pretrained(self):
        return Pretrained(self.folder, self.length) if self.folder else None

    def weights(self):
        return read_tensors(self.folder / "model.safetensors") if self.folder else None

    def adopt(self, tensors):
        return {name.replace("bert.", "backbone."): t for name, t in tensors.items()}

    def publish(self, tensors):
        return {name.replace("backbone.", "bert."): t for name, t in tensors.items()}

    def published_config(self):
        size = {"hidden_size": self.width, "max_position_embeddings": self.length}
        return {"model_type": "toy-bert", **size}


# The end of the network; what uses it begins here.

WORDS = ["good", "fine", "bad", "poor", "a", "film", "##ish"]
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
LABELS = {"good": "up", "fine": "up", "bad": "down", "poor": "down"}
ROWS = [
    {"text": f"A {word}ish film {number}", "label": label}
    for number in range(40)
    for word, label in LABELS.items()
]


def publish(folder):
    """Write what a model hub holds: configuration, weights, and the vocabulary as text."""
    options = BertOptions()
    torch.manual_seed(0)
    model = Bert(options, {"tokens": type("Kind", (), {"size": len(VOCABULARY)})})
    for word, label in LABELS.items():  # pretraining has told the words apart
        model.word.weight.data[VOCABULARY.index(word)] += 2.0 if label == "up" else -2.0
    named = {f"backbone.{name}": t for name, t in model.state_dict().items()}
    folder.mkdir()
    write_tensors(folder / "model.safetensors", options.publish(named))
    write_json(folder / "config.json", options.published_config())
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY), encoding="utf-8")
    write_json(folder / "tokenizer_config.json", {"do_lower_case": True})


def test_toy(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    row = Row(
        target="stress.test_bert:BertOptions", caption="a toy", reads=("tokens",),
        traits=("sequence", "two-sided"), default=False, model_types=("toy-bert",),
    )  # fmt: skip
    monkeypatch.setitem(catalog.backbones.rows, "toy-bert", row)
    publish(tmp_path / "tiny-bert")
    board = ensuite.compare(
        "classify", ROWS, models=["tiny-bert", "lstm:width=8"], budget="60steps", seeds=1, out="run"
    )
    scores = {each.name: each.score for each in board.rows if each.kind == "trained"}
    assert scores["tiny-bert"] == 1.0
    assert len(scores) == 2
    theirs, mine = (ensuite.load(f"run/trials/{name}/0") for name in ("tiny-bert", "lstm-width=8"))
    texts = theirs.task.processor
    (window,) = texts.windows(["A goodish film"])[0]
    read = texts.collate([window]).inputs["tokens"][0].tolist()
    assert [VOCABULARY[token] for token in read] == ["[CLS]", "a", "good", "##ish", "film", "[SEP]"]
    assert texts.window <= 12
    assert texts.tokenizer != mine.task.processor.tokenizer
    published = json.loads(Path("run/trials/tiny-bert/0/config.json").read_text(encoding="utf-8"))
    assert published["model_type"] == "toy-bert"
    assert all(
        n.startswith(("bert.", "head.")) for n in read_tensors(theirs.folder / "model.safetensors")
    )
    assert theirs.predict(["a poorish film"])[0].label == "down"


def test_it_tags_words_by_their_first_pieces(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    row = Row(
        target="stress.test_bert:BertOptions", caption="a toy", reads=("tokens",),
        traits=("sequence", "two-sided"), default=False, model_types=("toy-bert",),
    )  # fmt: skip
    monkeypatch.setitem(catalog.backbones.rows, "toy-bert", row)
    publish(tmp_path / "tiny-bert")
    rows = []
    for number in range(40):
        for word, label in LABELS.items():
            pairs = [("a", "O"), (f"{word}ish", label), ("film", "O"), (str(number), "O")]
            pairs = pairs[number % 4 :] + pairs[: number % 4]  # no tag belongs to a position
            rows.append({"tokens": [t for t, _ in pairs], "tags": [tag for _, tag in pairs]})
    for crf in (False, True):
        settings = {"crf": crf, "recipe.learning_rate": 1e-2}
        how = {"budget": "60steps", "settings": settings, "out": f"run-{crf}"}
        run = ensuite.train("tag", rows, model="tiny-bert", **how)
        answer = run.predict([["A", "poorish", "film", "goodish"]])[0]
        assert answer.tags == ("O", "down", "O", "up")
