"""Small random checkpoints of BERT, written as model hubs hold them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from ensuite.core.batch import Tokens
from ensuite.core.files import write_json, write_tensors
from ensuite.models.bert import BertOptions

WORDS = ["good", "fine", "bad", "poor", "a", "film", "was", "##ish", "the"]
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]

OPTIONS = BertOptions(width=8, heads=2, inner=12, longest=24, dropout=0.0, attention_dropout=0.0)


def publish_bert(folder: Path, config: dict[str, Any] | None = None, **changed: Any) -> Path:
    """Write a checkpoint of random weights.

    Args:
        folder: To be made.
        config: Entries of ``config.json`` that are added, or changed.
        changed: Options of the encoder.
    """
    torch.manual_seed(3)
    options = replace(OPTIONS, token_rows=len(VOCABULARY), **changed)
    backbone = options.build({"tokens": Tokens(len(VOCABULARY))})
    for parameter in backbone.parameters():
        parameter.data += 0.2 * torch.randn_like(parameter)
    named = {f"backbone.{name}": tensor for name, tensor in backbone.state_dict().items()}
    folder.mkdir(parents=True, exist_ok=True)
    write_tensors(folder / "model.safetensors", options.publish(named))
    write_json(folder / "config.json", {**options.published_config(), **(config or {})})
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY), encoding="utf-8")
    return folder
