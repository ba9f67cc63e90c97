"""ensuite convert: weights in a pickle, a GGUF file or of llama2.c as a checkpoint to open."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ensuite.core.errors import RunError, UsageError
from ensuite.core.printable import printable
from ensuite.core.runs import require_apart

if TYPE_CHECKING:
    from torch import Tensor

PICKLE, PICKLE_INDEX = "pytorch_model.bin", "pytorch_model.bin.index.json"
"""The weights of a checkpoint in one file; or what says in which of several files each is."""

KEPT = (".json", ".txt", ".md", ".model", ".jinja")
"""Endings of the files that are copied: configuration, tokenizer, model card."""


def command(
    folder: Annotated[
        str,
        typer.Argument(
            metavar="PATH",
            help=f"Folder of a checkpoint with {PICKLE}, a .gguf file, or a model of llama2.c.",
        ),
    ],
    out: Annotated[str, typer.Option(metavar="DIR", help="Folder to write.")],
    tokenizer: Annotated[
        str | None, typer.Option(metavar="FILE", help="The tokenizer.bin of a model of llama2.c.")
    ] = None,
) -> None:
    """Convert weights of other formats to a checkpoint in safetensors.

    A published pytorch_model.bin is read as data alone. The quantised weights of a GGUF file are
    written as the float32 numbers that they stand for.
    """
    require_apart(out, [folder])
    source, target = Path(folder), Path(out)
    if target.exists() and any(target.iterdir() if target.is_dir() else [target]):
        raise UsageError(f"--out {printable(out)} is not empty; choose a new folder.")
    if source.is_file():
        convert_file(source, target, tokenizer)
        return
    if not source.is_dir():
        raise UsageError(
            f"{printable(folder)} is not a folder; give that of a checkpoint, or a file of weights."
        )
    convert_pickle(source, target)


def convert_file(source: Path, target: Path, tokenizer: str | None) -> None:
    """Write a GGUF file, or a model of llama2.c with its tokenizer, as a checkpoint.

    Raises:
        UsageError: If it is another file, or the tokenizer is not given.
    """
    if source.suffix == ".gguf":
        from ensuite.models.weights import gguf

        gguf.convert(source, target)
    elif source.name.startswith("pytorch_model"):
        raise UsageError(f"{printable(source)} is one file of a checkpoint; give its folder.")
    elif source.suffix != ".bin":
        raise UsageError(
            f"{printable(source)} is neither a .gguf file nor the .bin file of llama2.c; give one "
            "of them, or the folder of a checkpoint."
        )
    elif tokenizer is None:
        raise UsageError(
            f"{printable(source)} is read as a model of llama2.c, which needs its tokenizer: "
            "--tokenizer tokenizer.bin."
        )
    else:
        from ensuite.models.weights import llama2c

        llama2c.convert(source, Path(tokenizer), target)
    print(f"a checkpoint in {printable(target)}")


def convert_pickle(source: Path, target: Path) -> None:
    """Write the checkpoint of a folder with its weights as safetensors."""
    names = pickles(source)
    from ensuite.core.files import write_bytes, write_tensors
    from ensuite.core.published import WEIGHTS

    tensors: dict[str, Tensor] = {}
    for name in names:
        tensors |= read_pickle(source / name)
    for path in sorted(source.rglob("*")):
        if path.is_file() and path.suffix in KEPT and not path.name.endswith(".index.json"):
            write_bytes(target / path.relative_to(source), path.read_bytes())
    write_tensors(target / WEIGHTS, tensors)
    print(f"{len(tensors)} tensors in {printable(target / WEIGHTS)}")


def pickles(folder: Path) -> list[str]:
    """Return the names of the files that hold the weights.

    Raises:
        RunError: If there are none, or the index names files outside the folder.
        UsageError: If the weights are safetensors already.
    """
    if (folder / PICKLE_INDEX).is_file():
        from ensuite.core.published import shards

        return shards(folder, PICKLE_INDEX)
    if (folder / PICKLE).is_file():
        return [PICKLE]
    if any(folder.glob("*.safetensors")):
        raise UsageError(f"{printable(folder)} has its weights in safetensors already.")
    raise RunError(f"{printable(folder)} has no {PICKLE}; give the folder of a checkpoint.")


def read_pickle(path: Path) -> "dict[str, Tensor]":
    """Return the tensors of a file of torch, whatever else it holds being refused.

    Raises:
        RunError: If it holds anything else than tensors by name, or is damaged.
    """
    import pickle

    import torch

    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise RunError(
            f"{path} holds more than tensors, or is damaged, and is not read: a program may hide "
            "in it; ask for a version in safetensors."
        ) from None
    except (OSError, RuntimeError, EOFError, ValueError, KeyError) as error:
        reason = str(error).partition("\n")[0]
        raise RunError(f"{path} cannot be read ({reason}); fetch the checkpoint again.") from None
    if not isinstance(found, dict) or not all(
        isinstance(name, str) and isinstance(each, torch.Tensor) for name, each in found.items()
    ):
        raise RunError(f"{path} does not hold tensors by name; give the weights of a checkpoint.")
    return found
