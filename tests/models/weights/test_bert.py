"""Names and configurations of published encoders, and what is refused."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from ensuite.core.batch import Tokens
from ensuite.core.errors import EnsuiteError, RunError, UsageError
from ensuite.core.files import read_json, write_json
from ensuite.core.published import PublishedTask, rename
from ensuite.models.bert import BertOptions
from ensuite.models.modern_bert import ModernBertOptions
from ensuite.models.weights.bert import FAMILIES
from published_bert import OPTIONS, publish_bert

LABELLED = PublishedTask("text-classification", ("no", "yes"), "single_label_classification", 9)


def named(options: BertOptions) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    backbone = options.build({"tokens": Tokens(9)})
    return {f"backbone.{name}": each for name, each in backbone.state_dict().items()}


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_published_is_adopted_again(family: str) -> None:
    known = FAMILIES[family]
    segments = 2 if "segments" in known.config else 0
    options = replace(OPTIONS, family=family, pad=1, segments=segments, pooler=known.pooled)
    tensors = named(options) | {"head.linear.weight": torch.ones(2, 8)}
    published = options.publish(rename(tensors, options.published_head(LABELLED).names))
    assert not any(name.startswith(("backbone.", "head.")) for name in published)
    adopted = options.adopt(published)
    assert adopted.keys() == tensors.keys()
    assert all(torch.equal(adopted[name], tensors[name]) for name in tensors)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_configuration_gives_the_options_back(family: str, tmp_path: Path) -> None:
    known = FAMILIES[family]
    segments = 2 if "segments" in known.config else 0
    options = replace(
        OPTIONS, family=family, pad=1, segments=segments, pooler=known.pooled, token_rows=9,
        activation="relu", dropout=0.25,
    )  # fmt: skip
    write_json(tmp_path / "config.json", options.published_config())
    (tmp_path / "vocab.txt").write_text("[UNK]\n[CLS]\n[SEP]", encoding="utf-8")
    found = BertOptions.from_checkpoint(tmp_path)
    inner = {"embedding": 8} if family == "electra" else {}
    assert found == replace(options, checkpoint=tmp_path, **inner)


@pytest.mark.parametrize(
    "changed",
    [{"positions": "relative"}, {"reach": 3}, {"embedding": 4}, {"segments": 0}],
)
def test_what_has_no_published_form_is_saved_under_our_names(changed: dict[str, Any]) -> None:
    options = replace(OPTIONS, **changed)
    assert options.published_config() == {}
    assert options.published_head(LABELLED).config == {}
    assert options.adopt(options.publish(named(options))).keys() == named(options).keys()


@pytest.mark.parametrize(
    "changed", [{"pooling": "mean"}, {"pooler": "none"}, {"pooler": "relu"}, {"normalized": True}]
)
def test_a_head_on_another_summary_is_not_published(changed: dict[str, Any]) -> None:
    head = replace(OPTIONS, **changed).published_head(LABELLED)
    assert head.names == {}
    assert head.config == {"vocab_size": 9}


def test_labels_are_published_in_order() -> None:
    config = OPTIONS.published_head(LABELLED).config
    assert config["architectures"] == ["BertForSequenceClassification"]
    assert config["id2label"] == {"0": "no", "1": "yes"}
    assert config["label2id"] == {"no": 0, "yes": 1}


@pytest.mark.parametrize(
    ("entry", "value", "said"),
    [
        ("hidden_size", None, "hidden_size"),
        ("hidden_size", "12", "a whole number is expected"),
        ("num_hidden_layers", -1, "0 or more is expected"),
        ("num_attention_heads", True, "a whole number is expected"),
        ("hidden_act", "swish", "known: gelu"),
        ("hidden_act", 3, "a text is expected"),
        ("hidden_dropout_prob", "x", "a number is expected"),
        ("position_embedding_type", "relative_key", "known: absolute"),
        ("is_decoder", True, "is_decoder is True"),
        ("num_attention_heads", 3, r"width \(8\) must be a multiple of heads \(3\)"),
        ("hidden_dropout_prob", 2, "from 0 to less than 1"),
        ("max_position_embeddings", 0, "longest must be 1 or more"),
    ],
)
def test_a_configuration_that_cannot_be_read_is_one_sentence(
    entry: str, value: Any, said: str, tmp_path: Path
) -> None:
    publish_bert(tmp_path, {entry: value})
    with pytest.raises(EnsuiteError, match=said) as told:
        BertOptions.from_checkpoint(tmp_path)
    assert "config.json" in str(told.value)


def test_an_entry_that_is_missing_is_named(tmp_path: Path) -> None:
    publish_bert(tmp_path)
    config = read_json(tmp_path / "config.json")
    del config["num_hidden_layers"]
    write_json(tmp_path / "config.json", config)
    with pytest.raises(RunError, match=r"config.json has no num_hidden_layers"):
        BertOptions.from_checkpoint(tmp_path)


def test_a_checkpoint_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    publish_bert(tmp_path)
    (tmp_path / "vocab.txt").unlink()
    with pytest.raises(RunError, match=r"no tokenizer \(tokenizer.json, vocab.txt, vocab.json wi"):
        BertOptions.from_checkpoint(tmp_path)
    (tmp_path / "sentencepiece.bpe.model").write_bytes(b"")
    with pytest.raises(RunError, match=r"sentencepiece.bpe.model alone is not read"):
        BertOptions.from_checkpoint(tmp_path)


@pytest.mark.parametrize(
    ("modules", "pooling", "said"),
    [
        ([{"type": "x.Dense", "path": "2_Dense"}], {}, "lists a part Dense"),
        ([{"path": "1"}], {}, "lists no modules with type and path"),
        ({"a": 1}, {}, "lists no modules"),
        ([{"type": "x.Pooling", "path": "1"}], {"pooling_mode_max_tokens": True}, "pooling is poo"),
        ([{"type": "x.Pooling", "path": "1"}], {"pooling_mode": "lasttoken"}, "is lasttoken"),
        ([{"type": "x.Pooling", "path": "1"}], {}, "pooling is none"),
        ([{"type": "x.Pooling", "path": "1"}], [], "holds no JSON object"),
    ],
)
def test_a_sentence_encoder_that_is_not_computed_here_is_refused(
    modules: Any, pooling: Any, said: str, tmp_path: Path
) -> None:
    publish_bert(tmp_path)
    write_json(tmp_path / "modules.json", modules)
    write_json(tmp_path / "1" / "config.json", pooling)
    with pytest.raises(EnsuiteError, match=said):
        BertOptions.from_checkpoint(tmp_path)


@pytest.mark.parametrize("mode", [{"pooling_mode_cls_token": True}, {"pooling_mode": "cls"}])
def test_a_sentence_encoder_may_read_its_first_token(mode: dict[str, Any], tmp_path: Path) -> None:
    publish_bert(tmp_path)
    write_json(tmp_path / "modules.json", [{"type": "x.Pooling", "path": "1"}])
    write_json(tmp_path / "1" / "config.json", mode)
    options = BertOptions.from_checkpoint(tmp_path)
    assert (options.pooling, options.pooler) == ("cls", "tanh")
    found = options.embedding_options()
    assert (found.pooling, found.pooler, found.normalized) == ("cls", "none", False)


def test_blocks_of_modernbert_in_another_order_are_refused(tmp_path: Path) -> None:
    config = ModernBertOptions(layers=4, token_rows=9).published_config()
    (tmp_path / "vocab.txt").write_text("[UNK]\n[CLS]\n[SEP]", encoding="utf-8")
    write_json(tmp_path / "config.json", config)
    found = ModernBertOptions.from_checkpoint(tmp_path)
    assert found == replace(ModernBertOptions(layers=4, token_rows=9, inner=192),
                            checkpoint=tmp_path)  # fmt: skip
    config["layer_types"] = config["layer_types"][::-1]
    config["layer_types"][1] = "full_attention"
    write_json(tmp_path / "config.json", config)
    with pytest.raises(UsageError, match="layer_types has an order"):
        ModernBertOptions.from_checkpoint(tmp_path)
    assert json.dumps(config)
