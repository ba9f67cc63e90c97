"""Weights of a published checkpoint: in one file or several, whole or damaged."""

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some

from ensuite.core.errors import EnsuiteError, RunError, UsageError
from ensuite.core.files import write_json, write_tensors
from ensuite.core.published import PublishedTask, output_names, read_weights, rename

ONE, TWO = {"a.weight": torch.ones(2)}, {"b.weight": torch.zeros(3)}


def cut(folder: Path, files: Any = None) -> None:
    """Write weights in two files."""
    write_tensors(folder / "1.safetensors", ONE)
    write_tensors(folder / "2.safetensors", TWO)
    if files is None:
        files = {"a.weight": "1.safetensors", "b.weight": "2.safetensors"}
    write_json(folder / "model.safetensors.index.json", {"weight_map": files})


def test_one_file_or_several(tmp_path: Path) -> None:
    write_tensors(tmp_path / "one" / "model.safetensors", {**ONE, **TWO})
    cut(tmp_path / "two")
    found = [read_weights(tmp_path / name) for name in ("one", "two")]
    assert found[0].keys() == found[1].keys() == {"a.weight", "b.weight"}
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"a": "3.safetensors"}, "3.safetensors cannot be read"),
        ({"a": "../model.safetensors"}, "a file outside its folder"),
        ({"a": 1}, "no weight_map of file names"),
        ([], "no weight_map of file names"),
    ],
)
def test_a_damaged_index_is_told(files: Any, said: str, tmp_path: Path) -> None:
    cut(tmp_path, files)
    with pytest.raises(RunError, match=said):
        read_weights(tmp_path)


@given(content=some.binary(max_size=60))
def test_a_damaged_file_is_told(content: bytes, tmp_path_factory: Any) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(EnsuiteError, match=r"model.safetensors cannot be read"):
        read_weights(folder)


def test_a_pickle_is_refused_with_the_command_that_converts_it(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(UsageError, match=f"convert it once: ensuite convert {tmp_path} --out DIR"):
        read_weights(tmp_path)


@pytest.mark.parametrize(
    ("name", "said"),
    [("", "has no model.safetensors; "), ("tf_model.h5", "it has tf_model.h5, which is not")],
)
def test_a_folder_without_weights_is_told(name: str, said: str, tmp_path: Path) -> None:
    if name:
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(RunError, match=said):
        read_weights(tmp_path)


def test_modules_and_tensors_are_renamed() -> None:
    names = {"head.linear": "classifier", "scale": "scales"}
    tensors: dict[str, Any] = {"head.linear.bias": 1, "head.linear_2.bias": 2, "scale": 3}
    assert rename(tensors, names) == {"classifier.bias": 1, "head.linear_2.bias": 2, "scales": 3}


@given(names=some.lists(some.text(), min_size=1, max_size=12, unique=True))
def test_outputs_are_named_in_order(names: list[str]) -> None:
    assert output_names(PublishedTask("", tuple(names)).config()) == tuple(names)


@pytest.mark.parametrize("wrong", [{"a": "x"}, {"1": "x"}, {"0": "x", "2": "y"}, ["x"], 3])
def test_outputs_with_other_numbers_are_refused(wrong: Any) -> None:
    with pytest.raises(RunError, match="does not number the labels from 0 on"):
        output_names({"id2label": wrong})


def test_outputs_without_names_are_numbered() -> None:
    assert output_names({}) == ("LABEL_0", "LABEL_1")
    assert output_names({"num_labels": 3}) == ("LABEL_0", "LABEL_1", "LABEL_2")
    with pytest.raises(RunError, match="does not number the labels"):
        output_names({"num_labels": "3"})
