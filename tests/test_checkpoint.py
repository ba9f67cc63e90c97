"""Published checkpoints that are opened as they are, and those that are refused."""

import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some

import ensuite
from ensuite import laws
from ensuite.checkpoint import checkpoint_options, published_task
from ensuite.core.backbone import Pretrained
from ensuite.core.errors import DataError, EnsuiteError, RunError, UsageError
from ensuite.core.files import read_json, read_tensors, write_json, write_tensors
from ensuite.models.modern_bert import ModernBertOptions
from ensuite.training.callback import Callback
from published_bert import OPTIONS, VOCABULARY, publish_bert

TEXT = "the film was good"
ROWS = [{"text": f"the film was {n} {w}", "label": w} for n in range(20) for w in ("good", "bad")]


@pytest.fixture
def published(tmp_path: Path) -> Path:
    return publish_bert(tmp_path / "published")


def change(folder: Path, **tensors: torch.Tensor | None) -> None:
    """Add tensors to a checkpoint, replace some, or take some away."""
    found = read_tensors(folder / "model.safetensors")
    changed: dict[str, Any] = {n: t.clone() for n, t in found.items()} | tensors
    kept = {name: tensor for name, tensor in changed.items() if tensor is not None}
    write_tensors(folder / "model.safetensors", kept)


def test_a_checkpoint_without_a_head_embeds(published: Path) -> None:
    run = ensuite.load(published)
    assert run.task_name == "embed"
    states, pooled = run.embed(TEXT), run.embed(TEXT, pool=True)
    assert states.shape == (1, 6, 8)
    torch.testing.assert_close(pooled, states.mean(1))
    (vector,) = run.predict([TEXT])
    np.testing.assert_allclose(vector, pooled[0], rtol=1e-6)


def test_vectors_do_not_depend_on_their_batch(published: Path) -> None:
    run = ensuite.load(published)
    texts = [TEXT, "good", "", " ".join(["film"] * 100)]
    together = run.predict(texts)
    for text, vector in zip(texts, together, strict=True):
        np.testing.assert_allclose(run.predict([text])[0], vector, atol=1e-6)
        embedded = run.embed(text, pool=True)
        assert embedded.dtype == torch.float32
        np.testing.assert_allclose(embedded[0], vector, atol=1e-6)


def test_states_of_several_windows_are_refused(published: Path) -> None:
    with pytest.raises(UsageError, match=r"read in \d+ windows"):
        ensuite.load(published).embed(" ".join(["film"] * 60))


def test_the_laws_hold_of_it(published: Path) -> None:
    verdicts = list(laws.check(ensuite.load(published), [TEXT, "good", "a bad film"]))
    assert len(verdicts) == 4
    assert all(verdict.holds for verdict in verdicts)


def test_a_list_of_texts_is_embedded_text_by_text(published: Path) -> None:
    run, texts = ensuite.load(published), ["the film", "", "a good film " * 40, ("a", "film")]
    together = run.embed(texts, pool=True)
    alone = torch.cat([run.embed(text, pool=True) for text in texts])
    torch.testing.assert_close(together, alone)
    assert run.embed([], pool=True).shape == (0, 8)
    with pytest.raises(UsageError, match="4 texts have states of different lengths; ask for pool"):
        run.embed(texts)
    with pytest.raises(DataError, match="half of a surrogate pair"):
        run.embed("\ud800")


def test_weights_that_are_no_numbers_are_named(published: Path) -> None:
    tensors = read_tensors(published / "model.safetensors")
    name = next(name for name in tensors if name.endswith("attention.self.key.weight"))
    tensors[name] = tensors[name].clone().fill_(float("nan"))
    write_tensors(published / "model.safetensors", tensors)
    with pytest.raises(RunError, match=f"NaN or infinite in {name}; fetch it again"):
        ensuite.load(published)


def test_a_pair_of_texts_is_one_input(published: Path) -> None:
    run = ensuite.load(published)
    assert len(run.predict([("good", "bad")])) == 1


def test_what_it_cannot_do_is_one_sentence(published: Path, tmp_path: Path) -> None:
    run = ensuite.load(published)
    with pytest.raises(UsageError, match="fine-tune it"):
        run.evaluate([{"text": "a"}])
    with pytest.raises(UsageError, match="has no task to be saved with"):
        run.save(tmp_path / "copy")


@pytest.mark.parametrize(
    ("name", "tensor", "said"),
    [
        ("bert.encoder.layer.1.output.dense.bias", None,
         "it has no bert.encoder.layer.1.output.dense.bias;"),
        ("bert.encoder.layer.0.attention.self.key.weight", None,
         "it has no bert.encoder.layer.0.attention.self.key.weight;"),
        ("bert.encoder.layer.2.output.dense.bias", torch.ones(8),
         "no place for bert.encoder.layer.2.output.dense.bias;"),
        ("bert.embeddings.LayerNorm.weight", torch.ones(9), r"has the shape \(9,\), and \(8,\)"),
        ("bert.encoder.layer.0.attention.self.key.weight", torch.ones(3, 8),
         r"attention.self.key.weight has the shape \(3, 8\), and \(8, 8\) is"),
    ],
)  # fmt: skip
def test_weights_that_do_not_fit_are_named(
    name: str, tensor: Any, said: str, published: Path
) -> None:
    change(published, **{name: tensor})
    with pytest.raises(RunError, match=said):
        ensuite.load(published)


def test_many_missing_tensors_are_counted(published: Path) -> None:
    tensors = read_tensors(published / "model.safetensors")
    few = {n: t.clone() for n, t in tensors.items() if "layer.1" not in n}
    write_tensors(published / "model.safetensors", few)
    with pytest.raises(RunError, match=r"layer\.1\..* and 11 more;"):
        ensuite.load(published)


def test_tensors_of_other_heads_may_be_there(published: Path) -> None:
    expected = ensuite.load(published).embed(TEXT)
    change(published, **{"cls.predictions.bias": torch.ones(3), "classifier.bias": torch.ones(2)})
    torch.testing.assert_close(ensuite.load(published).embed(TEXT), expected)


def test_a_vocabulary_smaller_than_the_tokenizers_is_refused(
    published: Path, tmp_path: Path
) -> None:
    (published / "vocab.txt").write_text("\n".join([*VOCABULARY, "more", "words"]), "utf-8")
    with pytest.raises(UsageError, match="vectors for 14 tokens, and its tokenizer has 16"):
        ensuite.load(published)
    with pytest.raises(UsageError, match="vectors for 14 tokens, and its tokenizer has 16"):
        ensuite.train(
            "classify", ROWS, model=str(published), budget="1steps", out=tmp_path / "never"
        )


def test_a_vocabulary_larger_than_the_tokenizers_is_kept(published: Path) -> None:
    (published / "vocab.txt").write_text("\n".join(VOCABULARY[:-1]), "utf-8")
    assert ensuite.load(published).embed("film").shape == (1, 3, 8)


def test_a_head_must_be_whole(published: Path, tmp_path: Path) -> None:
    folder = publish_bert(tmp_path / "b", {"architectures": ["BertForSequenceClassification"]})
    with pytest.raises(UsageError, match="lacks the weights of its head; fetch it again, or train"):
        ensuite.load(folder).predict([TEXT])
    change(folder, **{"classifier.weight": torch.ones(3, 8), "classifier.bias": torch.ones(3)})
    run, expected = ensuite.load(folder), ensuite.load(published).embed(TEXT, pool=True)
    torch.testing.assert_close(run.embed(TEXT, pool=True), expected)
    said = r"has classifier.weight in the shape \(3, 8\), and by its config.json \(2, 8\) is exp"
    with pytest.raises(UsageError, match=said):
        run.predict([TEXT])
    head = {"classifier.weight": torch.ones(2, 8), "classifier.bias": torch.ones(2)}
    change(folder, **head)
    assert ensuite.load(folder).predict([TEXT])[0].label in ("LABEL_0", "LABEL_1")


def test_a_checkpoint_with_a_head_embeds_as_it_does_without(
    published: Path, tmp_path: Path
) -> None:
    expected = ensuite.load(published).embed(TEXT, pool=True)
    folder = publish_bert(tmp_path / "b", {"architectures": ["BertForSequenceClassification"]})
    change(folder, **{"classifier.weight": torch.ones(2, 8), "classifier.bias": torch.ones(2)})
    run = ensuite.load(folder)
    torch.testing.assert_close(run.embed(TEXT, pool=True), expected)
    np.testing.assert_allclose(run.embedder().predict([TEXT])[0], expected[0], rtol=1e-5)
    assert run.task_name == "classify"


def test_a_head_that_is_unknown_leaves_an_encoder(tmp_path: Path) -> None:
    folder = publish_bert(tmp_path / "b", {"architectures": ["BertForMultipleChoice"]})
    assert ensuite.load(folder).task_name == "embed"


def test_a_head_that_is_not_computed_embeds_and_says_so(tmp_path: Path) -> None:
    folder = publish_bert(tmp_path / "b", {"architectures": ["ElectraForPreTraining"]})
    config = {**read_json(folder / "config.json"), "model_type": "electra", "embedding_size": 8}
    write_json(folder / "config.json", config)
    tensors = read_tensors(folder / "model.safetensors")
    renamed = {n.replace("bert.", "electra.", 1): t.clone() for n, t in tensors.items()}
    write_tensors(folder / "model.safetensors", renamed)
    run = ensuite.load(folder)
    with pytest.raises(UsageError, match=r"the head of ElectraForPreTraining.*TEXT --embed"):
        run.predict([TEXT])
    (vector,) = run.embedder().predict([TEXT])
    np.testing.assert_allclose(vector, run.embed(TEXT, pool=True)[0], rtol=1e-5)


def test_a_task_that_does_not_fit_is_not_advised(tmp_path: Path) -> None:
    folder = publish_bert(tmp_path / "b", {"architectures": ["BertLMHeadModel"]})
    with pytest.raises(UsageError, match=r"the head of BertLMHeadModel.*ensuite train TASK DATA"):
        ensuite.load(folder).predict([TEXT])


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("config.json", "{}", "has no model_type, by which"),
        ("config.json", "[]", "holds no JSON object; fetch the checkpoint"),
        ("config.json", "{junk", "cannot be read .*; fetch the checkpoint"),
        ("tokenizer.json", "{}", "The tokenizer in .*published cannot be read .*; fetch it again"),
    ],
)
def test_a_damaged_file_of_a_checkpoint_is_told(
    name: str, content: str, said: str, published: Path, tmp_path: Path
) -> None:
    (published / name).write_text(content, encoding="utf-8")
    with pytest.raises(RunError, match=said):
        ensuite.load(published)
    with pytest.raises(RunError, match=said):
        ensuite.train("classify", ROWS, model=str(published), out=tmp_path / "never")


@pytest.mark.parametrize("name", ["tokenizer.json", "vocab.txt"])
def test_a_tokenizer_that_is_no_text_is_told(name: str, published: Path) -> None:
    (published / name).write_bytes(b"\xff")
    with pytest.raises(RunError, match=f"{name} cannot be read .*; fetch the checkpoint again"):
        ensuite.load(published)


def test_an_entry_that_is_null_is_left_out(published: Path) -> None:
    expected, config = ensuite.load(published).embed(TEXT), read_json(published / "config.json")
    optional = ("pad_token_id", "type_vocab_size", "hidden_act", "layer_norm_eps", "is_decoder")
    write_json(published / "config.json", {**config, **dict.fromkeys(optional)})
    torch.testing.assert_close(ensuite.load(published).embed(TEXT), expected)
    write_json(published / "config.json", {**config, "hidden_size": None})
    with pytest.raises(RunError, match="has no hidden_size"):
        ensuite.load(published)


def test_the_data_check_of_a_training_is_that_of_its_checkpoint(
    published: Path, tmp_path: Path
) -> None:
    """Windows have the length that the checkpoint reads, and tokens are its own."""
    said: list[str] = []

    class Listening(Callback):
        def say(self, sentence: str) -> None:
            said.append(sentence)

    rows = [
        {"context": f"{n} " + "a film " * 20 + word, "question": "was it good", "answers": [word]}
        for n, word in enumerate(("good", "bad", "fine") * 8)
    ]
    ensuite.train(
        "answer", rows, model=str(published), budget="1steps", out=tmp_path / "run",
        callback=Listening(),
    )  # fmt: skip
    assert any("24 of 24 questions are read in several windows of 24" in each for each in said)


def test_a_pretrained_run_embeds_as_the_checkpoint_that_it_is(
    published: Path, tmp_path: Path
) -> None:
    texts = [{"text": f"the film was {word}"} for word in ("good", "fine", "bad", "poor")] * 5
    run = ensuite.train(
        "fill", texts, model=str(published), budget="1steps", out=tmp_path / "run",
        settings={"next_sentence": "false"},
    )  # fmt: skip
    shutil.copytree(tmp_path / "run", tmp_path / "copy")
    (tmp_path / "copy/task.json").unlink()
    config = read_json(tmp_path / "copy/config.json")
    write_json(tmp_path / "copy/config.json", {**config, "architectures": ["BertModel"]})
    expected = ensuite.load(tmp_path / "copy").embed(TEXT, pool=True)
    for each in (run, ensuite.load(tmp_path / "run")):
        torch.testing.assert_close(each.embed(TEXT, pool=True), expected)
        np.testing.assert_allclose(each.embedder().predict([TEXT])[0], expected[0], rtol=1e-5)


def test_another_architecture_says_which_are_known(tmp_path: Path) -> None:
    folder = publish_bert(tmp_path / "b", {"model_type": "t5"})
    with pytest.raises(UsageError, match=r'"t5", which no model here opens.*bert.*roberta'):
        ensuite.load(folder)


def test_a_layer_that_a_checkpoint_lacks_starts_new(published: Path, tmp_path: Path) -> None:
    change(published, **dict.fromkeys(["bert.pooler.dense.weight", "bert.pooler.dense.bias"]))
    said: list[str] = []

    class Listening(Callback):
        def say(self, sentence: str) -> None:
            said.append(sentence)

    run = ensuite.train(
        "classify", ROWS, model=str(published), budget="2steps", out=tmp_path / "run",
        callback=Listening(), settings={"learning_rate": "1e-9"},
    )  # fmt: skip
    assert any("no weights for pooler, which starts from new ones" in each for each in said)
    shutil.rmtree(published)
    again = ensuite.load(tmp_path / "run")
    assert again.predict([TEXT]) == run.predict([TEXT])


def test_a_fine_tuned_run_is_saved_as_published(published: Path, tmp_path: Path) -> None:
    ensuite.train("classify", ROWS, model=str(published), budget="1steps", out=tmp_path / "run")
    names = read_tensors(tmp_path / "run" / "model.safetensors").keys()
    assert {"classifier.weight", "classifier.bias", "bert.pooler.dense.weight"} < names
    assert (
        names - {"classifier.weight", "classifier.bias"}
        == read_tensors(published / "model.safetensors").keys()
    )


def test_a_checkpoint_from_elsewhere_than_weights_is_told(tmp_path: Path) -> None:
    folder = publish_bert(tmp_path / "b")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(EnsuiteError, match="ensuite convert"):
        ensuite.load(folder)


JSON: Any = some.recursive(
    some.none() | some.booleans() | some.integers(-3, 40) | some.floats(allow_nan=False)
    | some.text(max_size=4) | some.sampled_from(["cls", "full_attention", "regression"]),
    lambda inner: some.lists(inner, max_size=3)
    | some.dictionaries(some.sampled_from(["0", "1", "rope_theta", "x"]), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


@pytest.fixture(scope="module")
def any_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish_bert(tmp_path_factory.mktemp("any"))


@given(
    entries=some.dictionaries(some.integers(0, 100), JSON, min_size=1, max_size=3),
    modern=some.booleans(),
    labelled=some.booleans(),
)
def test_whatever_a_configuration_holds_is_read_or_refused(
    entries: dict[int, Any], modern: bool, labelled: bool, any_folder: Path
) -> None:
    options = ModernBertOptions(layers=2, token_rows=14) if modern else OPTIONS
    config: dict[str, Any] = dict(options.published_config())
    if labelled:
        config |= {"architectures": ["BertForSequenceClassification"], "id2label": {"0": "a"}}
    names = sorted({*config, "id2label", "num_labels", "problem_type", "architectures"})
    config |= {names[number % len(names)]: value for number, value in entries.items()}
    write_json(any_folder / "config.json", config)
    with suppress(EnsuiteError):
        found = checkpoint_options(any_folder)
        published_task(config, found.pretrained() or Pretrained())
