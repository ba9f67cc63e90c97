"""Published checkpoints on the command line: compared, fine-tuned, asked for vectors."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ensuite as package
from published_bert import publish_bert

FAST = "--budget 2steps --seeds 1 --threads 1"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write a checkpoint and a table into the working folder."""
    monkeypatch.chdir(tmp_path)
    publish_bert(Path("bert-bases"))  # a name that is nearly one of the catalog
    lines = [f"the film was {n} {word},{word}" for n in range(20) for word in ("good", "bad")]
    Path("films.csv").write_text("\n".join(["text,label", *lines]), encoding="utf-8")


def test_a_checkpoint_competes_with_others(works: Any) -> None:
    models = "gru,bert,bert-bases,bert-bases:frozen=true,bert-bases:pooling=mean"
    small = "--set recipe.batch_size=8"
    done = works(f"compare classify films.csv --models {models} {FAST} {small} --out out --json")
    rows = {row["name"]: row for row in json.loads(done.out)["rows"]}
    assert {"gru", "bert", "bert-bases", "bert-bases:frozen=true", "bert-bases:pooling=mean",
            "TF-IDF + logistic"} <= set(rows)  # fmt: skip
    assert rows["bert-bases"]["parameters"] == rows["bert-bases:frozen=true"]["parameters"] + 72
    assert package.load("out").predict(["the film was good"])


def test_layers_are_frozen_by_an_option(works: Any) -> None:
    works("train classify films.csv --model bert-bases --budget 3steps --out run "
          "--set freeze_layers=2 --set layer_decay=0.8")  # fmt: skip
    before = package.load("bert-bases").model.backbone.state_dict()
    after = package.load("run").model.backbone.state_dict()
    moved = {n.split(".")[0] + n.split(".")[1][:1] for n in before
             if not np.array_equal(before[n], after[n])}  # fmt: skip
    assert moved == {"blocks1"}


def test_vectors_are_printed_and_written(works: Any) -> None:
    done = works('predict bert-bases "the film was good"')
    assert "of 8" in done.out
    works("predict bert-bases --file films.csv --out vectors.jsonl")
    rows = [json.loads(line) for line in Path("vectors.jsonl").read_text().splitlines()]
    assert len(rows) == 40
    expected = package.load("bert-bases").embed(rows[3]["text"], pool=True)[0]
    np.testing.assert_allclose(rows[3]["embedding"], expected, atol=1e-6)


def test_a_run_gives_vectors_if_asked(works: Any, ensuite: Any) -> None:
    works("train classify films.csv --model bert-bases --budget 1steps --out run")
    done = works('predict run "the film was good" --embed --json')
    (row,) = json.loads(done.out)
    expected = package.load("run").embed("the film was good", pool=True)[0]
    np.testing.assert_allclose(row["embedding"], expected, atol=1e-6)
    works("train classify films.csv --model 'most frequent' --budget 1steps --out simple")
    assert "has no states to embed with" in ensuite("predict simple a --embed").err


def test_a_misspelt_option_of_a_checkpoint_is_told(ensuite: Any) -> None:
    done = ensuite("compare classify films.csv --models bert-bases:pool=mean")
    assert done.code == 2
    assert 'the checkpoint bert-bases has no option "pool"' in done.err


def test_a_start_that_failed_leaves_its_folder_free(ensuite: Any, works: Any) -> None:
    publish_bert(Path("cut"))
    weights = Path("cut/model.safetensors")
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-8])
    line = "train classify films.csv --model cut --budget 1steps --out run"
    assert "cut/model.safetensors cannot be read" in ensuite(line).err
    weights.write_bytes(whole)
    works(line)
    assert "already holds a run" in ensuite(line).err
