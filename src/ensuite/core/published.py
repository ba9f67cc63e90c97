"""Published checkpoints: the weights in a folder, and how transformers calls tasks and heads."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from ensuite.core.errors import RunError, UsageError, reason
from ensuite.core.printable import printable

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
"""The weights of a checkpoint in one file; or what says in which of several files each is."""

TOKENIZER, TOKENIZER_CONFIG = "tokenizer.json", "tokenizer_config.json"
"""The tokenizer of a checkpoint, and the file of its options."""

PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.h5", "*.msgpack")
"""Other files of weights: reading some of them would run programs that they may hold."""


class PublishedTask(NamedTuple):
    """How transformers calls a task, so that it can build the same head.

    Attributes:
        pipeline: Its name there ("text-classification"); empty: it has none.
        outputs: The names of the outputs of the head, in order; empty: they have none.
        problem: What transformers calls ``problem_type``; empty: it needs none.
        tokens: Size of the vocabulary; 0: it reads no tokens.
        start: The token that begins a text that is written; None: there is none.
        end: The token that ends it.
    """

    pipeline: str = ""
    outputs: tuple[str, ...] = ()
    problem: str = ""
    tokens: int = 0
    start: int | None = None
    end: int | None = None

    def config(self) -> dict[str, Any]:
        """Return what ``config.json`` says of the outputs, and of the ends of a text."""
        config: dict[str, Any] = {}
        if self.outputs:
            config["id2label"] = {str(number): name for number, name in enumerate(self.outputs)}
            config["label2id"] = {name: number for number, name in enumerate(self.outputs)}
        known = {
            "problem_type": self.problem or None,
            "bos_token_id": self.start,
            "eos_token_id": self.end,
        }
        return config | {name: value for name, value in known.items() if value is not None}


class PublishedHead(NamedTuple):
    """The head of a task as a family of checkpoints publishes it.

    Attributes:
        names: Published names by ours, each of a module or a parameter of the model, such as
            ``{"head.linear": "classifier"}``.
        config: What ``config.json`` says of it.
    """

    names: Mapping[str, str] = {}
    config: Mapping[str, Any] = {}


def output_names(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the outputs of a published head, in order.

    Args:
        config: Its ``config.json``, whose ``id2label`` numbers them.

    Raises:
        RunError: If they are not numbered from 0 on.

    >>> output_names({"id2label": {"1": "good", "0": "bad"}})
    ('bad', 'good')
    """
    count, names = config.get("num_labels", 2), config.get("id2label")  # usually two, and left out
    try:
        names = names or {str(each): f"LABEL_{each}" for each in range(count)}
        numbered = sorted((int(number), str(name)) for number, name in names.items())
    except (AttributeError, TypeError, ValueError):
        numbered = []
    if [number for number, _ in numbered] != list(range(len(numbered) or 1)):
        raise RunError("The id2label of config.json does not number the labels from 0 on.")
    return tuple(name for _, name in numbered)


def rename(tensors: Mapping[str, Tensor], names: Mapping[str, str]) -> dict[str, Tensor]:
    """Return tensors under other names.

    Args:
        tensors: By name.
        names: New names by old ones, each of a tensor or of the module that it belongs to. Tensors
            of which nothing is said keep their names.

    >>> rename({"head.linear.bias": 1, "head.lines": 2}, {"head.linear": "classifier"})
    {'classifier.bias': 1, 'head.lines': 2}
    """

    def renamed(name: str) -> str:
        for old, new in names.items():
            if name == old or name.startswith(f"{old}."):
                return new + name.removeprefix(old)
        return name

    return {renamed(name): tensor for name, tensor in tensors.items()}


def below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors whose names have a prefix, without it."""
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}


def read_weights(folder: Path) -> dict[str, Tensor]:
    """Return the tensors of a checkpoint, of one safetensors file or of several.

    They are mapped into memory, and read when they are used.

    Raises:
        RunError: If a file is missing or damaged; names it.
        UsageError: If the weights are in a format that is not opened; says how to convert them.
    """
    if (folder / INDEX).is_file():
        tensors: dict[str, Tensor] = {}
        for name in shards(folder, INDEX):
            tensors |= read_file(folder / name)
        return tensors
    if (folder / WEIGHTS).is_file():
        return read_file(folder / WEIGHTS)
    others = sorted(path.name for kind in PICKLES for path in folder.glob(kind))
    if any(name.endswith(".bin") for name in others):
        raise UsageError(
            f"{printable(folder)} has its weights in {others[0]}, a pickle, which can hold "
            f"programs and is not opened here; convert it once: ensuite convert "
            f"{printable(folder)} --out DIR"
        )
    beside = f"; it has {', '.join(others)}, which is not opened here" if others else ""
    raise RunError(
        f"{printable(folder)} has no {WEIGHTS}{beside}; fetch the checkpoint with its weights."
    )


def shards(folder: Path, index: str) -> list[str]:
    """Return the names of the files that hold the tensors of a checkpoint together.

    Args:
        folder: Of the checkpoint.
        index: The file that says in which of them each tensor is.

    Raises:
        RunError: If the index is damaged, or names a file outside the folder.
    """
    files = read_object(folder / index).get("weight_map")
    if not isinstance(files, dict) or not all(isinstance(name, str) for name in files.values()):
        raise RunError(f"{folder / index} has no weight_map of file names; fetch it again.")
    names = sorted(set(files.values()))
    if away := [name for name in names if Path(name).name != name]:
        raise RunError(f"{folder / index} names {away[0]}, a file outside its folder.")
    return names


def read_file(path: Path) -> dict[str, Tensor]:
    """Return the tensors of one safetensors file.

    Raises:
        RunError: If it is missing or damaged.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, no dict
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise RunError(
            f"{path} cannot be read ({reason(error)}); fetch the checkpoint again."
        ) from error


def read_object(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file of a checkpoint.

    Raises:
        RunError: If it is missing, or holds no object.
    """
    import json

    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(
            f"{path} cannot be read ({reason(error)}); fetch the checkpoint again."
        ) from None
    if not isinstance(found, dict):
        raise RunError(f"{path} holds no JSON object; fetch the checkpoint again.")
    return found
