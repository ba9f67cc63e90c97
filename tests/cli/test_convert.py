"""ensuite convert: from a pickle of tensors to safetensors, and nothing else."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import ensuite as package
from ensuite.core.files import read_tensors
from models.weights.test_llama2c import SIZES, write_model
from published_bert import publish_bert


@pytest.fixture
def pickled(tmp_path: Path) -> Path:
    """Write a checkpoint as it was published before safetensors."""
    folder = publish_bert(tmp_path / "old")
    tensors = read_tensors(folder / "model.safetensors")
    torch.save(tensors, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    return folder


def test_a_pickle_becomes_safetensors(works: Any, pickled: Path) -> None:
    expected = torch.load(pickled / "pytorch_model.bin", weights_only=True)
    done = works("convert old --out new")
    assert done.out == f"{len(expected)} tensors in new/model.safetensors\n"
    found = read_tensors(Path("new/model.safetensors"))
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert package.load("new").embed("a good film").shape == (1, 5, 8)


def test_several_files_become_one(works: Any, pickled: Path) -> None:
    tensors = torch.load(pickled / "pytorch_model.bin", weights_only=True)
    names = {name: f"{number % 2}.bin" for number, name in enumerate(tensors)}
    for file in ("0.bin", "1.bin"):
        torch.save({n: t for n, t in tensors.items() if names[n] == file}, pickled / file)
    (pickled / "pytorch_model.bin").unlink()
    index = json.dumps({"weight_map": names})
    (pickled / "pytorch_model.bin.index.json").write_text(index, encoding="utf-8")
    works("convert old --out new")
    assert read_tensors(Path("new/model.safetensors")).keys() == tensors.keys()
    assert not list(Path("new").glob("*.index.json"))


class Program:
    """What a pickle may hold: something that runs when it is read."""

    def __reduce__(self) -> Any:
        return (Path("ran").touch, ())


def test_a_program_in_a_pickle_does_not_run(ensuite: Any, pickled: Path) -> None:
    torch.save({"a": Program()}, pickled / "pytorch_model.bin")
    done = ensuite("convert old --out new")
    assert done.code == 1
    assert "holds more than tensors" in done.err
    assert not Path("ran").exists()
    assert not Path("new").exists()


@pytest.mark.parametrize("content", [b"", b"x", b"PK\x03\x04 damaged"])
def test_a_damaged_pickle_is_one_sentence(content: bytes, ensuite: Any, pickled: Path) -> None:
    (pickled / "pytorch_model.bin").write_bytes(content)
    done = ensuite("convert old --out new")
    assert done.code == 1
    assert done.err.startswith("ensuite: old/pytorch_model.bin")
    assert done.err.count("\n") == 1


@pytest.mark.parametrize("held", [[torch.ones(2)], {"a": 1}, {"model": {"a": torch.ones(2)}}])
def test_other_things_than_named_tensors_are_refused(
    held: Any, ensuite: Any, pickled: Path
) -> None:
    torch.save(held, pickled / "pytorch_model.bin")
    done = ensuite("convert old --out new")
    assert "does not hold tensors by name" in done.err


def test_what_cannot_be_converted_is_told(ensuite: Any, pickled: Path, tmp_path: Path) -> None:
    assert "is not a folder" in ensuite("convert nowhere --out new").err
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a").touch()
    assert "is not empty" in ensuite("convert old --out full").err
    assert "is the input" in ensuite("convert old --out old").err
    (pickled / "pytorch_model.bin").unlink()
    assert "has no pytorch_model.bin" in ensuite("convert old --out new").err
    publish_bert(tmp_path / "whole")
    done = ensuite("convert whole --out new")
    assert done.code == 2
    assert "in safetensors already" in done.err


def test_every_other_command_names_the_conversion(ensuite: Any, pickled: Path) -> None:
    for line in ("predict old good", "train classify memory --model old --out run"):
        done = ensuite(line)
        assert done.code == 2
        assert "ensuite convert old --out DIR" in done.err


def test_a_model_of_llama2c_becomes_a_checkpoint(works: Any, tmp_path: Path) -> None:
    model, tokenizer = write_model(tmp_path, SIZES)
    done = works(f"convert {model} --tokenizer {tokenizer} --out stories")
    assert done.out == "a checkpoint in stories\n"
    assert isinstance(package.load("stories").generate("a", max_new_tokens=2, temperature=0), str)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("weights.bin", "--tokenizer tokenizer.bin"),
        ("weights.gguf", "is no whole GGUF file"),
        ("weights.pt", "neither a .gguf file nor the .bin file"),
        ("pytorch_model.bin", "give its folder"),
    ],
)
def test_another_file_is_refused_and_nothing_is_written(
    name: str, said: str, ensuite: Any, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(b"no weights")
    done = ensuite(f"convert {name} --out out")
    assert done.code in (1, 2)
    assert said in done.err
    assert not (tmp_path / "out").exists()
