"""How a checkpoint of sentence-transformers summarises a text in one vector."""

import json
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ensuite.core.errors import RunError, UsageError, reason
from ensuite.models.weights.config import Reader

MODULES = "modules.json"
"""The file that lists what follows on the encoder."""

POOLINGS: dict[str, Literal["cls", "mean"]] = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
}

LATER_POOLINGS: dict[str, Literal["cls", "mean"]] = {"cls": "cls", "mean": "mean"}
"""Values of ``pooling_mode``, the one entry that newer checkpoints have instead."""


class Sentence(NamedTuple):
    """How the states of a text become its embedding.

    Attributes:
        pooling: The state of [CLS], or the mean of all.
        normalized: Whether the vector is scaled to length 1.
        length: Most tokens of a text, special tokens included; None: as many as the encoder reads.
    """

    pooling: Literal["cls", "mean"]
    normalized: bool = False
    length: int | None = None


def read_sentence(folder: Path) -> Sentence | None:
    """Return how a checkpoint embeds texts; None if it was not trained for that.

    Raises:
        RunError: If a file is damaged.
        UsageError: If it has a part that is not computed here; names it.
    """
    if not (folder / MODULES).is_file():
        return None
    pooling: Literal["cls", "mean"] = "mean"
    normalized = False
    for kind, path in read_modules(folder / MODULES):
        if kind == "Pooling":
            pooling = read_pooling(folder / path / "config.json")
        elif kind == "Normalize":
            normalized = True
        elif kind != "Transformer":
            raise UsageError(
                f"{folder / MODULES} lists a part {kind}, which is not computed here; known: "
                "Transformer, Pooling, Normalize."
            )
    return Sentence(pooling, normalized, read_length(folder / "sentence_bert_config.json"))


def read_modules(path: Path) -> list[tuple[str, str]]:
    """Return the class and the folder of each part of a checkpoint."""
    modules = read_json(path)
    try:
        return [(str(each["type"]).rpartition(".")[2], str(each["path"])) for each in modules]
    except (TypeError, KeyError, AttributeError):
        raise RunError(f"{path} lists no modules with type and path; fetch it again.") from None


def read_pooling(path: Path) -> Literal["cls", "mean"]:
    """Return the pooling that a file describes.

    Raises:
        UsageError: If it is another one than those that are known.
    """
    entries = read_json(path)
    if isinstance(entries, dict):
        if "pooling_mode" in entries:
            names = [entries["pooling_mode"]]
            found = [LATER_POOLINGS.get(str(name)) for name in names]
        else:
            names = [n for n, on in entries.items() if n.startswith("pooling_mode_") and on]
            found = [POOLINGS.get(name) for name in names]
        if len(found) == 1 and found[0]:
            return found[0]
        said = ", ".join(map(str, names)) or "none"
        raise UsageError(f"{path}: the pooling is {said}; known: the first token, or the mean.")
    raise RunError(f"{path} holds no JSON object; fetch the checkpoint again.")


def read_length(path: Path) -> int | None:
    """Return the most tokens of a text; None where no file says it."""
    if not path.is_file():
        return None
    entries = read_json(path)
    if not isinstance(entries, dict) or entries.get("max_seq_length") is None:
        return None
    return Reader(path, entries).count("max_seq_length") or None


def read_json(path: Path) -> Any:
    """Return the content of a JSON file.

    Raises:
        RunError: If it cannot be read.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(
            f"{path} cannot be read ({reason(error)}); fetch the checkpoint again."
        ) from None
