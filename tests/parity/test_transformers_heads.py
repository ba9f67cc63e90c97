"""Masked language models and extractive question answering, beside transformers.

A checkpoint of random weights opens here and there with equal outputs, and so does what is saved.
Outputs differ by the rounding of float32 alone, as matrix products are of other shapes.
"""

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

import ensuite
from ensuite.core.batch import Batch
from ensuite.predictor import Predictor

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    transformers = pytest.importorskip("transformers")

from parity.test_transformers_encoders import CASES, CLOSE, open_theirs, padded, publish, vocabulary

pytestmark = pytest.mark.filterwarnings("ignore")  # of transformers

CONTEXT = "a good film was a bad film"


def outputs(run: Predictor, raws: list[Any]) -> tuple[Any, Batch]:
    """Return the outputs of a network for questions, and the batch they make."""
    asked = [run.task.ask(raw) for raw in raws]
    batch = run.task.collate(run.task.items(asked, asking=True))
    with torch.no_grad():
        return run.model.eval()(batch).values, batch


def require_equal(run: Predictor, theirs: Any, raws: list[Any], *names: str) -> None:
    """Compare our outputs with those of these names."""
    found, batch = outputs(run, raws)
    with torch.no_grad():
        expected = theirs(**padded(batch, theirs))
    ours = found if isinstance(found, tuple) else found.unbind(-1) if len(names) > 1 else [found]
    assert batch.mask is not None
    for values, name in zip(ours, names, strict=True):
        other = getattr(expected, name)[..., : values.shape[-1]]  # no logits of rows that pad
        if other.shape[:2] == batch.mask.shape:
            values, other = values[batch.mask], other[batch.mask]
        torch.testing.assert_close(values, other, **CLOSE)


@pytest.mark.parametrize("case", CASES)
def test_a_masked_language_model_fills_as_it_does_and_is_saved_as_it_was(
    case: str, tmp_path: Path
) -> None:
    if case.startswith("electra"):
        pytest.skip("the discriminator of ELECTRA fills no masks")
    theirs = publish(case, "ForMaskedLM", tmp_path / "theirs")
    run = ensuite.load(tmp_path / "theirs")
    asked = ["the [MASK] was good", "a [MASK] film was [MASK]"]
    require_equal(run, theirs, asked, "logits")
    run.save(tmp_path / "ours")
    require_equal(run, open_theirs("ForMaskedLM", tmp_path / "ours"), asked, "logits")
    assert ensuite.load(tmp_path / "ours").predict(asked) == run.predict(asked)
    assert run.embed("the film was good").shape[:2] == (1, 6)


@pytest.mark.parametrize("unit", ["pieces", "words", "characters"])
def test_a_tokenizer_that_was_learned_here_reads_masks_there_as_here(
    unit: str, tmp_path: Path
) -> None:
    words = ("good", "bad")
    texts = [{"text": f"the film was {w} {n} .\nit was {w} !"} for n in range(10) for w in words]
    run = ensuite.train(
        "fill", texts, model="bert:width=8,heads=2,layers=1", budget="1steps", out=tmp_path / "run",
        settings={"unit": unit, "min_frequency": "1", "next_sentence": "true"},
    )  # fmt: skip
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "run")
    batch = outputs(run, ["the [MASK] was [MASK] ."])[1]
    assert theirs("the [MASK] was [MASK] .")["input_ids"] == batch.inputs["tokens"][0].tolist()
    pair = {"text": "the film was good .", "text_pair": "it was bad !"}
    batch, found = outputs(run, [pair])[1], theirs(pair["text"], pair["text_pair"])
    assert found["input_ids"] == batch.inputs["tokens"][0].tolist()
    assert found["token_type_ids"] == batch.inputs["segments"][0].tolist()


WORDS = len(vocabulary("bert"))
VARIANTS: dict[str, dict[str, Any]] = {
    "padded": {"vocab_size": WORDS + 3},
    "untied": {"tie_word_embeddings": False},
    "both": {"vocab_size": WORDS + 3, "tie_word_embeddings": False},
}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("case", ["bert", "roberta", "distilbert", "electra", "modernbert"])
def test_a_vocabulary_may_be_padded_and_an_output_projection_untied(
    case: str, variant: str, tmp_path: Path
) -> None:
    theirs = publish(case, "ForMaskedLM", tmp_path / "theirs", **VARIANTS[variant])
    run, asked = ensuite.load(tmp_path / "theirs"), ["a [MASK] film was [MASK]"]
    require_equal(run, theirs, asked, "logits")
    run.save(tmp_path / "ours")
    again = open_theirs("ForMaskedLM", tmp_path / "ours")
    assert again.config.vocab_size == theirs.config.vocab_size
    require_equal(run, again, asked, "logits")
    texts = [{"text": f"the film was {word}"} for word in ("good", "fine", "bad", "poor")] * 5
    tuned = ensuite.train(
        "fill", texts, model=str(tmp_path / "theirs"), budget="1steps", out=tmp_path / "tuned",
        settings={"next_sentence": "false"},
    )  # fmt: skip
    require_equal(tuned, open_theirs("ForMaskedLM", tmp_path / "tuned"), asked, "logits")


def test_a_pretrained_bert_tells_whether_a_text_follows(tmp_path: Path) -> None:
    case = next(name for name, (model_type, _) in CASES.items() if model_type == "bert")
    theirs = publish(case, "ForPreTraining", tmp_path / "theirs")
    run = ensuite.load(tmp_path / "theirs")
    asked = [{"text": "the film was good", "text_pair": "a bad film"}]
    names = ("prediction_logits", "seq_relationship_logits")
    require_equal(run, theirs, asked, *names)
    run.save(tmp_path / "ours")
    require_equal(run, open_theirs("ForPreTraining", tmp_path / "ours"), asked, *names)
    (answer,) = run.predict(asked)
    assert 0 < answer.follows < 1


# The tokenizer of these tests tells segments apart, which RoBERTa does not.
@pytest.mark.parametrize("case", [c for c in CASES if not c.startswith(("modern", "roberta"))])
def test_a_question_is_answered_as_it_does(case: str, tmp_path: Path) -> None:
    theirs = publish(case, "ForQuestionAnswering", tmp_path / "theirs")
    run = ensuite.load(tmp_path / "theirs")
    asked = [{"context": CONTEXT, "question": "was the film good"}]
    require_equal(run, theirs, asked, "start_logits", "end_logits")
    run.save(tmp_path / "ours")
    again = open_theirs("ForQuestionAnswering", tmp_path / "ours")
    require_equal(run, again, asked, "start_logits", "end_logits")
    (answer,) = ensuite.load(tmp_path / "ours").predict(asked)
    assert answer.text == CONTEXT[answer.start : answer.end]
