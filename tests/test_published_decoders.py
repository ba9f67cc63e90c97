"""Published decoders from end to end: opened by their folder, continued, fine-tuned, saved."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import ensuite
from ensuite.core.batch import Tokens
from ensuite.core.errors import RunError
from ensuite.core.files import read_json, read_tensors, write_json, write_tensors
from ensuite.models.gpt import GPTOptions

LETTERS = ["<|endoftext|>", *"abcdefghij,.", "Ġ", "Ġa", "ab"]
ROWS = len(LETTERS) + 3
OPTIONS = GPTOptions(
    width=16, layers=2, heads=2, context=12, positions="learned", norm="layer", bias="all",
    activation="gelu", qk_norm=False, tied=True,
)  # fmt: skip


@pytest.fixture
def gpt2(tmp_path: Path) -> Path:
    """Return a checkpoint of GPT-2 with random weights and more rows than tokens."""
    folder = tmp_path / "gpt2-folder"
    torch.manual_seed(0)
    backbone = OPTIONS.build({"tokens": Tokens(ROWS)})
    for parameter in backbone.parameters():
        nn.init.normal_(parameter, std=0.3)
    tensors = {f"backbone.{name}": tensor for name, tensor in backbone.state_dict().items()}
    write_tensors(folder / "model.safetensors", OPTIONS.publish(tensors))
    config = {
        **OPTIONS.published_config(),
        "vocab_size": ROWS,
        "architectures": ["GPT2LMHeadModel"],
    }
    write_json(folder / "config.json", config)
    write_json(folder / "vocab.json", {letter: number for number, letter in enumerate(LETTERS)})
    (folder / "merges.txt").write_text("#version: 0.2\nĠ a\na b\n", encoding="utf-8")
    return folder


def greedy(folder: Path, ids: list[int], count: int) -> list[int]:
    """Write without a cache: every token is read anew."""
    backbone = OPTIONS.build({"tokens": Tokens(ROWS)}).eval()
    named = OPTIONS.adopt(read_tensors(folder / "model.safetensors"))
    backbone.load_state_dict({n.removeprefix("backbone."): t for n, t in named.items()})
    written = list(ids)
    from ensuite.core.batch import Batch

    for _ in range(count):
        with torch.no_grad():
            states: Any = backbone(Batch(inputs={"tokens": torch.tensor([written])}))
        scores = states.sequence[0, -1] @ backbone.embed.weight.T
        written.append(int(scores[: len(LETTERS)].argmax()))
        if not written[-1]:
            break
    return written[len(ids) :]


def test_the_listing_of_the_course(gpt2: Path) -> None:
    model = ensuite.load(gpt2)
    ids = model.task.prompt_ids("ab a")
    assert [LETTERS[token] for token in ids] == ["ab", "Ġa"]  # as its tokenizer has it: no start
    (found,) = model.complete("ab a", temperature=0, max_new_tokens=8)
    assert list(found.tokens) == greedy(gpt2, ids, 8)
    assert model.generate("ab a", temperature=0, max_new_tokens=8) == found.text
    assert len(model.generate("ab a", max_new_tokens=50, slide=True, seed=1)) > 0


def test_it_is_saved_as_it_was_published(gpt2: Path, tmp_path: Path) -> None:
    model = ensuite.load(gpt2)
    again = ensuite.load(model.save(tmp_path / "run"))
    how = {"temperature": 0, "max_new_tokens": 6}
    assert again.generate("ba", **how) == model.generate("ba", **how)
    ours, theirs = (read_json(f / "config.json") for f in (tmp_path / "run", gpt2))
    assert {name: ours[name] for name in theirs} == theirs
    mine, published = (read_tensors(f / "model.safetensors") for f in (tmp_path / "run", gpt2))
    assert mine.keys() == published.keys()
    assert all(torch.equal(mine[name], published[name]) for name in published)


def test_it_is_fine_tuned_on_another_task(gpt2: Path, tmp_path: Path) -> None:
    rows = [
        {"text": f"a{'b' if n % 2 else 'c'} {n % 10}a", "label": "bc"[n % 2]} for n in range(40)
    ]
    run = ensuite.train("classify", rows, model=str(gpt2), budget="2steps", out=tmp_path / "labels")
    assert run.predict(["ab a"])[0].label in "bc"
    assert "transformer.h.0.attn.c_attn.weight" in read_tensors(
        tmp_path / "labels/model.safetensors"
    )


def test_a_checkpoint_with_extra_layers_is_refused(gpt2: Path) -> None:
    config = json.loads((gpt2 / "config.json").read_text(encoding="utf-8"))
    write_json(gpt2 / "config.json", {**config, "n_layer": 1})
    with pytest.raises(RunError, match=r"transformer\.h\.1\."):
        ensuite.load(gpt2)
