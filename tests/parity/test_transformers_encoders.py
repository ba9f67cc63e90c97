"""Checkpoints of encoders: transformers and ensuite open those of each other, with equal outputs.

Outputs differ by the rounding of float32 alone: matrix products are of other shapes, as padding is
not computed here, and queries, keys and values are one product.
"""

import shutil
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors

import ensuite
from ensuite.checkpoint import checkpoint_options, load_weights
from ensuite.core.batch import Batch, Tokens
from ensuite.core.errors import UsageError
from ensuite.core.files import read_json, read_tensors, write_json, write_tensors
from ensuite.core.model import Model
from ensuite.predictor import Predictor

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    transformers = pytest.importorskip("transformers")

pytestmark = pytest.mark.filterwarnings("ignore")  # of transformers

CLOSE = {"rtol": 1e-4, "atol": 2e-6}

WORDS = ["good", "fine", "bad", "poor", "a", "film", "was", "##ish", "the"]
SIZES = {
    "hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 20,
    "max_position_embeddings": 24,
}  # fmt: skip
DISTIL = {"dim": 12, "n_layers": 2, "n_heads": 3, "hidden_dim": 20, "max_position_embeddings": 24}
MODERN = {**SIZES, "hidden_size": 24, "num_hidden_layers": 5, "local_attention": 4}
PAD_SECOND = {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "bert": ("bert", SIZES),
    "bert-gelu_new": ("bert", {**SIZES, "hidden_act": "gelu_new", "layer_norm_eps": 1e-3}),
    "bert-relu": ("bert", {**SIZES, "hidden_act": "relu", "type_vocab_size": 3}),
    "roberta": ("roberta", {**SIZES, **PAD_SECOND, "type_vocab_size": 1}),
    "camembert": ("camembert", {**SIZES, **PAD_SECOND}),
    "xlm-roberta": ("xlm-roberta", {**SIZES, **PAD_SECOND}),
    "distilbert": ("distilbert", DISTIL),
    "distilbert-sines": ("distilbert", {**DISTIL, "sinusoidal_pos_embds": True}),
    "electra": ("electra", {**SIZES, "embedding_size": 8}),
    "electra-square": ("electra", {**SIZES, "embedding_size": 12}),
    "modernbert": ("modernbert", {**MODERN, "pad_token_id": 0}),
    "modernbert-mean": ("modernbert", {
        **MODERN, "pad_token_id": 0, "classifier_pooling": "mean", "local_attention": 8,
        "global_rope_theta": 50.0, "norm_eps": 1e-3,
    }),
}  # fmt: skip


def vocabulary(model_type: str) -> list[str]:
    first = ["[PAD]", "[CLS]"]
    if "pad_token_id" in CASES[model_type][1] and CASES[model_type][1]["pad_token_id"]:
        first = first[::-1]
    return [*first, "[SEP]", "[UNK]", "[MASK]", *WORDS]


def publish(case: str, kind: str, folder: Path, **more: Any) -> Any:
    """Write a random checkpoint as transformers does, and return its network."""
    model_type, options = CASES[case]
    words = vocabulary(case)
    config = transformers.AutoConfig.for_model(
        model_type, **{**options, "vocab_size": len(words), **more}
    )
    torch.manual_seed(1)
    model = getattr(transformers, f"AutoModel{kind}").from_config(config).eval()
    for parameter in model.parameters():  # norms are not at one, biases not at zero
        parameter.data += 0.2 * torch.randn_like(parameter)
    model.save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    return model


def random_batch(size: int) -> Batch:
    torch.manual_seed(2)
    tokens = torch.randint(2, size, (4, 11))
    mask = torch.arange(11) < torch.tensor([11, 7, 1, 7])[:, None]
    return Batch(inputs={"tokens": tokens}, mask=mask)


def padded(batch: Batch, model: Any) -> dict[str, torch.Tensor]:
    """Return the arguments of a network of transformers."""
    assert batch.mask is not None
    pad = model.config.pad_token_id or 0
    tokens = batch.inputs["tokens"].masked_fill(~batch.mask, pad)
    given = {"input_ids": tokens, "attention_mask": batch.mask.long()}
    if "segments" in batch.inputs:
        given["token_type_ids"] = batch.inputs["segments"]
    return given


@pytest.mark.parametrize("case", CASES)
def test_the_states_of_a_published_encoder_are_equal(case: str, tmp_path: Path) -> None:
    theirs = publish(case, "", tmp_path)
    size = len(vocabulary(case))
    options = checkpoint_options(tmp_path)
    backbone = options.build({"tokens": Tokens(size)}).eval()
    load_weights(Model(backbone, torch.nn.Identity()), options)
    batch = random_batch(size)
    with torch.no_grad():
        found, expected = backbone(batch), theirs(**padded(batch, theirs))
    states = expected.last_hidden_state[batch.mask]
    torch.testing.assert_close(found.sequence[batch.mask], states, **CLOSE)
    if case.startswith("bert"):
        torch.testing.assert_close(found.summary, expected.pooler_output, **CLOSE)


def outputs(run: Predictor, raws: list[Any]) -> tuple[torch.Tensor, Batch]:
    """Return the outputs of a network for inputs, and the batch they make."""
    task = run.task
    batch = task.collate(task.items([task.ask(raw) for raw in raws]))
    with torch.no_grad():
        values = run.model.eval()(batch).values
    return getattr(values, "emissions", values), batch


TEXTS = ["the film was good", "poorish", "a bad film was a bad film", "fine"]


def require_equal(run: Predictor, theirs: Any, raws: list[Any]) -> None:
    found, batch = outputs(run, raws)
    assert batch.mask is not None
    with torch.no_grad():
        expected = theirs(**padded(batch, theirs)).logits
    if found.dim() == 3:
        found, expected = found[batch.mask], expected[batch.mask]
    torch.testing.assert_close(found, expected, **CLOSE)


def open_theirs(kind: str, folder: Path) -> Any:
    model, told = getattr(transformers, f"AutoModel{kind}").from_pretrained(
        folder, output_loading_info=True
    )
    assert not told["missing_keys"]
    assert not told["mismatched_keys"]
    return model.eval()


NAMES = {"id2label": {0: "up", 1: "down", 2: "none"}, "label2id": {"up": 0, "down": 1, "none": 2}}


@pytest.mark.parametrize("case", CASES)
def test_a_published_classifier_answers_as_it_is_and_is_saved_as_it_was(
    case: str, tmp_path: Path
) -> None:
    theirs = publish(case, "ForSequenceClassification", tmp_path / "theirs", **NAMES)
    run = ensuite.load(tmp_path / "theirs")
    assert run.task.labels.names == ("up", "down", "none")
    require_equal(run, theirs, TEXTS)
    run.save(tmp_path / "ours")
    again = open_theirs("ForSequenceClassification", tmp_path / "ours")
    assert again.config.id2label == NAMES["id2label"]
    require_equal(ensuite.load(tmp_path / "ours"), again, TEXTS)
    same = [
        torch.equal(*pair) for pair in zip(theirs.parameters(), again.parameters(), strict=True)
    ]
    assert all(same) or "roberta" in case or case == "camembert"  # rows of no position are zero
    tensors = read_tensors(tmp_path / "ours" / "model.safetensors")
    assert tensors.keys() == read_tensors(tmp_path / "theirs" / "model.safetensors").keys()


@pytest.mark.parametrize("case", [c for c in CASES if not c.startswith("modern")])
def test_a_published_tagger_answers_as_it_is(case: str, tmp_path: Path) -> None:
    names = {"id2label": {0: "O", 1: "B-PER", 2: "I-PER"}}
    theirs = publish(case, "ForTokenClassification", tmp_path, **names)
    run = ensuite.load(tmp_path)
    assert run.task.entities
    require_equal(run, theirs, [["the", "film", "was", "goodish"], ["bad"]])
    assert len(run.predict([["the", "film", "was", "goodish"]])[0].tags) == 4


def test_a_tagger_with_another_head_is_refused(tmp_path: Path) -> None:
    publish("modernbert", "ForTokenClassification", tmp_path)
    run = ensuite.load(tmp_path)
    with pytest.raises(UsageError, match="ForTokenClassification, which is not computed here"):
        run.predict(["the film"])
    assert run.embed("the film").shape[-1] == MODERN["hidden_size"]


def test_a_published_regression_answers_as_it_is(tmp_path: Path) -> None:
    more = {"num_labels": 1, "problem_type": "regression"}
    theirs = publish("bert", "ForSequenceClassification", tmp_path, **more)
    run = ensuite.load(tmp_path)
    require_equal(run, theirs, TEXTS)
    expected = outputs(run, TEXTS[:1])[0].item()
    assert run.predict(TEXTS[:1])[0].value == pytest.approx(expected, rel=1e-5)


LABELS = {"good": "up", "bad": "down"}
ROWS = [
    {"text": f"the {w} film was {n} {w}ish", "label": LABELS[w]} for n in range(12) for w in LABELS
]
RATED = [{"text": row["text"], "target": len(row["label"])} for row in ROWS]
TAGGED = [{"tokens": r["text"].split(), "tags": ["O", "B-X", "I-X", "O", "O", "B-X"]} for r in ROWS]


@pytest.mark.parametrize(
    ("case", "task", "rows", "kind", "settings"),
    [
        ("bert", "classify", ROWS, "ForSequenceClassification", {}),
        ("roberta", "classify", ROWS, "ForSequenceClassification", {}),
        ("modernbert", "classify", ROWS, "ForSequenceClassification", {}),
        ("distilbert", "regress", RATED, "ForSequenceClassification", {}),
        ("electra", "tag", TAGGED, "ForTokenClassification", {"crf": False}),
        ("bert", "tag", TAGGED, "ForTokenClassification", {"crf": True}),
    ],
)
def test_what_is_fine_tuned_here_opens_there(
    case: str, task: str, rows: list[Any], kind: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    publish(case, "", tmp_path / "theirs")
    run = ensuite.train(
        task, rows, model=str(tmp_path / "theirs"), budget="2steps", out=tmp_path / "run",
        settings=settings,
    )  # fmt: skip
    theirs = open_theirs(kind, tmp_path / "run")
    require_equal(run, theirs, [row.get("text") or row["tokens"] for row in rows[:2]])


@pytest.mark.parametrize("case", ["bert", "roberta"])
def test_a_pipeline_of_transformers_answers_as_the_run_does(case: str, tmp_path: Path) -> None:
    publish(case, "", tmp_path / "theirs")
    if case == "roberta":
        write_tokenizer(vocabulary(case), tmp_path / "theirs")
    model = str(tmp_path / "theirs")
    run = ensuite.train("classify", ROWS, model=model, budget="2steps", out=tmp_path / "run")
    theirs = transformers.pipeline("text-classification", model=str(tmp_path / "run"), top_k=None)
    texts = [*TEXTS, ""]
    for text, found in zip(texts, theirs(texts), strict=True):
        shares = torch.tensor([{each["label"]: each["score"] for each in found}[name]
                               for name in run.task.labels.names])  # fmt: skip
        logits = outputs(run, [text])[0][0]
        torch.testing.assert_close(shares, logits.softmax(-1), **CLOSE)


ASKED = [("the film was good", "a bad film"), "poorish", ("a", "film was a good good film"), ""]


def their_logits(model: Any, tokenizer: Any, raws: list[Any]) -> torch.Tensor:
    """Return what transformers computes for texts and pairs, by its own tokenizer, one by one."""
    rows = []
    for raw in raws:
        given = tokenizer(*([raw] if isinstance(raw, str) else raw), return_tensors="pt")
        with torch.no_grad():
            rows.append(model(**given).logits[0])
    return torch.stack(rows)


@pytest.mark.parametrize("case", ["bert", "electra", "distilbert"])
def test_a_published_classifier_of_pairs_tells_the_two_texts_apart(
    case: str, tmp_path: Path
) -> None:
    theirs = publish(case, "ForSequenceClassification", tmp_path, **NAMES)
    names = ["input_ids", "attention_mask"]
    names += [] if case == "distilbert" else ["token_type_ids"]
    tokenizer = transformers.BertTokenizer.from_pretrained(tmp_path, model_input_names=names)
    expected, run = their_logits(theirs, tokenizer, ASKED), ensuite.load(tmp_path)
    torch.testing.assert_close(outputs(run, ASKED)[0], expected, **CLOSE)
    for raw, logits in zip(ASKED, expected, strict=True):
        torch.testing.assert_close(outputs(run, [raw])[0][0], logits, **CLOSE)


@pytest.mark.parametrize("case", ["bert", "distilbert"])
def test_a_run_of_pairs_opens_there_with_its_tokenizer(case: str, tmp_path: Path) -> None:
    publish(case, "", tmp_path / "theirs")
    rows = [{**row, "text_pair": "a bad film was fine"} for row in ROWS]
    run = ensuite.train(
        "classify", rows, model=str(tmp_path / "theirs"), budget="2steps", out=tmp_path / "run"
    )
    theirs = open_theirs("ForSequenceClassification", tmp_path / "run")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "run")
    expected = their_logits(theirs, tokenizer, ASKED)
    torch.testing.assert_close(outputs(run, ASKED)[0], expected, **CLOSE)


def write_tokenizer(words: list[str], folder: Path) -> None:
    """Write a tokenizer of RoBERTa's kind, whose names are those of BERT here."""
    ids = {word: number for number, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    ends = [(name, ids[name]) for name in ("[SEP]", "[CLS]")]
    tokenizer.post_processor = processors.RobertaProcessing(*ends)
    tokenizer.add_special_tokens(["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"])
    tokenizer.save(str(folder / "tokenizer.json"))


def test_a_new_encoder_opens_there(tmp_path: Path) -> None:
    model = "bert:width=8,heads=2,positions=sinusoidal,longest=20"
    run = ensuite.train("classify", ROWS, model=model, budget="2steps", out=tmp_path / "run")
    require_equal(run, open_theirs("ForSequenceClassification", tmp_path / "run"), TEXTS)


@pytest.mark.parametrize("case", ["bert", "distilbert", "modernbert"])
def test_one_file_or_several_and_names_old_or_new_are_the_same_weights(
    case: str, tmp_path: Path
) -> None:
    theirs = publish(case, "", tmp_path / "theirs")
    expected = ensuite.load(tmp_path / "theirs").embed("a good film")
    theirs.save_pretrained(tmp_path / "cut", max_shard_size="4KB")
    shutil.copy(tmp_path / "theirs" / "vocab.txt", tmp_path / "cut")
    assert len(list((tmp_path / "cut").glob("*.safetensors"))) > 1
    torch.testing.assert_close(ensuite.load(tmp_path / "cut").embed("a good film"), expected)
    old = tmp_path / "old"
    shutil.copytree(tmp_path / "theirs", old)
    prefix = {"modernbert": "model."}.get(case, f"{case}.")
    write_tensors(
        old / "model.safetensors",
        {
            prefix + name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
                "LayerNorm.bias", "LayerNorm.beta"
            ): tensor
            for name, tensor in read_tensors(old / "model.safetensors").items()
        },
    )  # fmt: skip
    torch.testing.assert_close(ensuite.load(old).embed("a good film"), expected)


def test_an_encoder_for_sentences_embeds_them_as_published(tmp_path: Path) -> None:
    theirs = publish("bert", "", tmp_path)
    parts = ("Transformer", "Pooling", "Normalize")
    write_json(tmp_path / "modules.json", [
        {"type": f"sentence_transformers.models.{part}", "path": f"{number}_{part}" * (number > 0)}
        for number, part in enumerate(parts)
    ])  # fmt: skip
    means = {"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}
    write_json(tmp_path / "1_Pooling" / "config.json", means)
    write_json(tmp_path / "sentence_bert_config.json", {"max_seq_length": 9})
    run = ensuite.load(tmp_path)
    batch = run.task.collate(run.task.items(TEXTS[:2]))
    with torch.no_grad():
        states = theirs(**padded(batch, theirs)).last_hidden_state
    mask = batch.mask[..., None]
    expected = torch.nn.functional.normalize((states * mask).sum(1) / mask.sum(1))
    for text, vector in zip(TEXTS, expected, strict=False):
        torch.testing.assert_close(run.embed(text, pool=True)[0], vector, **CLOSE)
    assert run.task.processor.window == 9
    assert run.embed(TEXTS[0]).shape == (1, 6, 12)
    long = run.embed(" ".join(["film"] * 30), pool=True)  # several windows
    assert long.shape == (1, 12)
    assert long.norm().item() == pytest.approx(1, abs=1e-5)
    assert read_json(tmp_path / "config.json")["model_type"] == "bert"
