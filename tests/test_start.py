"""Candidates that start from other weights: a published checkpoint, or a run of another task."""

import hashlib
import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import pytest
import torch
from torch import Tensor, nn

import ensuite
from ensuite import catalog
from ensuite.candidates import Trained
from ensuite.checkpoint import checkpoint_options, is_checkpoint
from ensuite.core.backbone import Backbone, BackboneOptions, Pretrained, Trait
from ensuite.core.batch import Batch, Inputs, States, Tokens
from ensuite.core.errors import RunError, UsageError
from ensuite.core.files import read_json, read_tensors, write_bytes, write_json, write_tensors
from ensuite.core.registry import Row
from ensuite.data.processors import Text
from ensuite.misfit import fitting
from ensuite.predictor import Predictor
from ensuite.problem import Problem, open_problem
from ensuite.specs import Settings, choose, open_spec, spec_options
from ensuite.start import Start, checkpoint_fingerprint, file_hash
from ensuite.training.budget import Budget

ROWS = [{"text": f"a {w} film {n}", "label": w} for n in range(20) for w in ("good", "bad")]
CPU = torch.device("cpu")
STEPS = Budget.parse("2steps")
FAST: dict[str, Any] = {"budget": "2steps", "settings": {"learning_rate": "1e-12"}}


@dataclass(frozen=True, kw_only=True)
class ToyOptions(BackboneOptions):
    """A family with published checkpoints, whose tensors and options have other names."""

    hidden: int = 4
    positions: int = 32
    checkpoint: Path | None = field(default=None, metadata={"saved": False})

    reads: ClassVar[frozenset[str]] = frozenset({"tokens"})
    opened: ClassVar[list[Path]] = []

    @property
    def traits(self) -> frozenset[Trait]:
        return frozenset()

    def build(self, inputs: Inputs) -> "Toy":
        return Toy(self, inputs)

    def tiny(self) -> Self:
        return self

    @classmethod
    def from_checkpoint(cls, folder: Path) -> Self:
        config = read_json(folder / "config.json")
        return cls(hidden=config["d"], positions=config["n"], checkpoint=folder)

    def pretrained(self) -> Pretrained | None:
        return self.checkpoint and Pretrained(tokenizer=self.checkpoint, length=self.positions)

    def weights(self) -> Mapping[str, Tensor] | None:
        if self.checkpoint is None:
            return None
        self.opened.append(self.checkpoint)
        return read_tensors(self.checkpoint / "model.safetensors")

    def adopt(self, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        return {n.replace("toy.words", "backbone.embed.weight"): t for n, t in tensors.items()}

    def publish(self, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        return {n.replace("backbone.embed.weight", "toy.words"): t for n, t in tensors.items()}

    def published_config(self) -> Mapping[str, Any]:
        return {"model_type": "toy", "d": self.hidden, "n": self.positions}


class Toy(Backbone):
    def __init__(self, options: ToyOptions, inputs: Inputs) -> None:
        super().__init__()
        kind = inputs["tokens"]
        assert isinstance(kind, Tokens)
        self.width, self.context = options.hidden, options.positions
        self.embed = nn.Embedding(kind.size, options.hidden)

    def forward(self, batch: Batch) -> States:
        assert batch.mask is not None
        return States((self.embed(batch.inputs["tokens"]) * batch.mask[..., None]).sum(1))


@pytest.fixture(autouse=True)
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    row = Row(
        target=f"{__name__}:ToyOptions", caption="toy", reads=("tokens",), default=False,
        model_types=("toy",),
    )  # fmt: skip
    monkeypatch.setitem(catalog.backbones.rows, "toy", row)
    ToyOptions.opened.clear()


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """Write a checkpoint as others would: a tokenizer of its own, and a head of another job."""
    folder = tmp_path / "published"
    text = Text(unit="words", min_frequency=1).prepare(["a good bad film"])
    size = text.inputs["tokens"].size  # type: ignore[union-attr]
    (folder).mkdir()
    (folder / "tokenizer.json").write_text(text.tokenizer, encoding="utf-8")
    write_json(folder / "config.json", {"model_type": "toy", "d": 3, "n": 16})
    words = torch.arange(3.0 * size).view(size, 3)
    write_tensors(folder / "model.safetensors", {"toy.words": words, "masked.bias": torch.ones(2)})
    return folder


@pytest.fixture(scope="module")
def problem() -> Problem:
    return open_problem("classify", ROWS)


def trained(spec: Any, problem: Problem, **more: Any) -> Trained:
    candidate = open_spec(spec, problem, **more)
    assert isinstance(candidate, Trained)
    return candidate


def test_a_checkpoint_keeps_its_options_tokenizer_and_weights(
    published: Path, problem: Problem
) -> None:
    candidate = trained(str(published), problem)
    assert candidate.options == ToyOptions(hidden=3, positions=16, checkpoint=published)
    assert ToyOptions.opened == []
    training = candidate.begin(problem, STEPS, seed=0)
    assert training.task.processor.tokenizer == (published / "tokenizer.json").read_text()
    assert problem.task.processor.tokenizer != training.task.processor.tokenizer
    expected = read_tensors(published / "model.safetensors")["toy.words"]
    assert torch.equal(training.model.backbone.embed.weight, expected)  # type: ignore[union-attr]
    assert ToyOptions.opened == [published]


def test_what_a_checkpoint_fixes_is_handed_to_prepare(
    published: Path, problem: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, prepare = [], Text.prepare

    def spy(self: Text, raws: Any, pretrained: Pretrained | None = None) -> Text:
        given.append(pretrained)
        return prepare(self, raws, pretrained)

    monkeypatch.setattr(Text, "prepare", spy)
    trained(str(published), problem).begin(problem, STEPS, seed=0)
    assert given == [Pretrained(tokenizer=published, length=16)]


def test_a_run_needs_no_checkpoint_any_more_and_opens_as_published(
    published: Path, tmp_path: Path
) -> None:
    run = ensuite.train("classify", ROWS, model=str(published), out="run", **FAST)
    assert len(ToyOptions.opened) == 1
    expected = run.predict(["a good film", "bad"])
    shutil.rmtree(published)
    assert ensuite.load("run").predict(["a good film", "bad"]) == expected
    assert len(ToyOptions.opened) == 1
    assert {"toy.words", "head.linear.weight", "head.linear.bias"} == set(
        read_tensors(tmp_path / "run/model.safetensors")
    )
    config = read_json(tmp_path / "run/config.json")
    assert (config["model_type"], config["d"], config["n"]) == ("toy", 3, 16)
    assert not is_checkpoint(tmp_path / "run")


def test_a_head_of_the_same_shape_takes_part(published: Path, problem: Problem) -> None:
    tensors = read_tensors(published / "model.safetensors")
    head = {"head.linear.weight": torch.ones(2, 3), "head.linear.bias": torch.ones(2)}
    write_tensors(published / "model.safetensors", {**tensors, **head})
    training = trained(str(published), problem).begin(problem, STEPS, seed=0)
    assert training.model.head.state_dict()["linear.weight"].tolist() == [[1.0] * 3] * 2


def test_weights_are_not_read_again_where_training_resumes(
    published: Path, problem: Problem, tmp_path: Path
) -> None:
    candidate = trained(str(published), problem)
    candidate.begin(problem, STEPS, seed=0).save(tmp_path / "kept")
    resumed = candidate.begin(problem, STEPS, seed=1, checkpoints=tmp_path / "kept")
    assert len(ToyOptions.opened) == 1
    expected = read_tensors(published / "model.safetensors")["toy.words"]
    assert torch.equal(resumed.model.backbone.embed.weight, expected)  # type: ignore[union-attr]


def test_a_checkpoint_stands_beside_a_backbone_with_a_tokenizer_of_its_own(
    published: Path,
) -> None:
    board = ensuite.compare(
        "classify", ROWS, models=[str(published), "lstm:width=4"], seeds=1, out="out", **FAST
    )
    assert {"published", "lstm"} < {row.name for row in board.rows}
    runs = [ensuite.load(Path("out", row.folder, "0")) for row in board.rows
            if row.kind == "trained"]  # fmt: skip
    assert len({run.task.processor.tokenizer for run in runs}) == 2


def test_options_of_a_checkpoint_can_be_set(published: Path, problem: Problem) -> None:
    spec = f"{published}:positions=8"
    assert spec_options(spec, "classify") == replace(checkpoint_options(published), positions=8)
    assert trained(spec, problem).options.positions == 8  # type: ignore[attr-defined]
    with pytest.raises(UsageError, match='no option "position"; did you mean positions'):
        spec_options(f"{published}:position=8", "classify")


@pytest.mark.parametrize("content", ['{"model_type": "t5"}', '{"d": 3}', "[]", "{"])
def test_a_folder_that_nothing_opens_is_refused(
    content: str, published: Path, problem: Problem
) -> None:
    (published / "config.json").write_text(content, encoding="utf-8")
    with pytest.raises((UsageError, RunError), match="published"):
        open_spec(str(published), problem)


def test_weights_that_do_not_fit_are_refused(published: Path, problem: Problem) -> None:
    write_tensors(published / "model.safetensors", {"toy.words": torch.ones(2, 2)})
    with pytest.raises(RunError, match="weights of the checkpoint do not fit ToyOptions"):
        trained(str(published), problem).begin(problem, STEPS, seed=0)


def test_a_file_is_hashed_again_only_where_it_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, hashed, digest = tmp_path / "model.safetensors", [], hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", lambda *a: hashed.append(a) or digest(*a))
    found = set()
    for content in (b"one", b"four", b"five"):
        write_bytes(path, content)
        assert file_hash(path) == hashlib.sha256(content).hexdigest() == file_hash(path)
        found |= {checkpoint_fingerprint(tmp_path) for _ in range(2)}
    assert (len(hashed), len(found)) == (3, 3)
    path.unlink()
    with pytest.raises(RunError, match=r"model\.safetensors cannot be read \(No such file"):
        file_hash(path)


def test_other_weights_are_another_candidate(published: Path, problem: Problem) -> None:
    before = trained(str(published), problem).describe()
    tensors = read_tensors(published / "model.safetensors")
    write_tensors(published / "model.safetensors", {n: t + 1 for n, t in tensors.items()})
    assert trained(str(published), problem).describe() != before


def test_a_default_comparison_takes_the_rows_that_say_so(problem: Problem) -> None:
    assert "toy" in fitting(problem.task)
    assert "toy" not in fitting(problem.task, by_default=True)
    assert "toy" not in [c.name for c in choose([], problem, Settings(), CPU)]
    assert "lstm" in fitting(problem.task, by_default=True)
    with pytest.raises(UsageError, match=r"What fits: .*toy"):
        open_spec("mlp", problem)


@pytest.fixture(scope="module")
def language(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "language"
    model = "gru:width=5,embedding=6"
    ensuite.train("generate", ROWS, model=model, budget="1steps", out=folder)
    return folder


def weights(folder: Path) -> dict[str, Tensor]:
    found: dict[str, Tensor] = Predictor.load(folder).model.backbone.state_dict()
    return found


def test_a_run_of_another_task_is_fine_tuned(language: Path) -> None:
    run = ensuite.train("classify", ROWS, model=str(language), out="run", **FAST)
    assert run.options == Start.open(language).options
    written = ensuite.load(language).task.writing.tokenizer
    assert run.task.processor.tokenizer == written
    for name, weight in weights(language).items():
        torch.testing.assert_close(run.model.backbone.state_dict()[name], weight)


def test_one_candidate_starts_from_a_run_beside_one_that_does_not(
    language: Path, problem: Problem
) -> None:
    specs = [f"gru:init_from={language}", "gru:width=5,embedding=6", "lstm"]
    started, new, _ = chosen = choose(specs, problem, Settings(), CPU)
    assert started.name == "gru init_from=language"
    assert all(isinstance(each, Trained) for each in chosen)
    assert started.describe()["model"] == new.describe()["model"]
    assert started.describe()["init_from"] != new.describe()["init_from"] is None
    first, second = (
        trained(spec, problem).begin(problem, STEPS, 0).model.backbone.state_dict()
        for spec in specs[:2]
    )
    for name, weight in weights(language).items():
        assert torch.equal(first[name], weight)
    assert not torch.equal(first["recurrent.cells.0.from_hidden.weight"],
                           second["recurrent.cells.0.from_hidden.weight"])  # fmt: skip


def test_a_start_of_its_own_wins_over_that_of_all(
    language: Path, published: Path, problem: Problem
) -> None:
    everyone = Start.open(language)
    own = trained(f"gru:init_from={language}", problem, start=None)
    assert own.start == everyone
    assert trained("gru", problem, start=everyone).start == everyone
    assert trained(str(published), problem, start=everyone).start is None


def test_the_model_must_be_that_of_the_run(language: Path, problem: Problem) -> None:
    """The sentence names the model that works."""
    said = (
        f"is a run of gru, whose weights lstm does not have; write --model gru:init_from={language}"
    )
    with pytest.raises(UsageError, match=re.escape(said)):
        open_spec(f"lstm:init_from={language}", problem)
    said = (
        f"^--init-from {language} is a run of gru, whose weights transformer does not have; write"
    )
    with pytest.raises(UsageError, match=said):
        open_spec("transformer", problem, start=Start.open(language))
    with pytest.raises(RunError, match="There is no run at nowhere"):
        open_spec("lstm:init_from=nowhere", problem)


def test_a_preset_is_the_backbone_that_it_is_of(problem: Problem) -> None:
    preset = "bert-tiny:width=8,longest=64"
    ensuite.train("classify", ROWS, model=preset, out="tiny", budget="1steps")
    assert Start.open("tiny").backbone == "bert"
    for name in ("bert", "bert-tiny"):
        assert trained(f"{name}:init_from=tiny", problem).options == Start.open("tiny").options
    with pytest.raises(UsageError, match="is a run of bert, whose weights gru does not have"):
        open_spec("gru:init_from=tiny", problem)


def test_a_run_of_the_same_task_competes_as_it_is(problem: Problem) -> None:
    ensuite.train("classify", ROWS, model="gru:width=4", out="same", budget="1steps")
    assert open_spec("same", problem).kind == "saved"
    assert spec_options("same", "classify") is None
    with pytest.raises(UsageError, match="competes as it is, without options"):
        open_spec("same:width=8", problem)
    started = trained("gru:init_from=same,dropout=0.1", problem)
    assert started.name == "gru dropout=0.1 init_from=same"
    assert started.options == replace(Start.open("same").options, dropout=0.1)  # type: ignore[type-var]


def test_a_baseline_has_no_backbone_to_start_from() -> None:
    ensuite.train("classify", ROWS, model="most frequent", out="simple", budget="1steps")
    with pytest.raises(UsageError, match="simple is a baseline: it has no backbone"):
        Start.open("simple")


@pytest.mark.parametrize("name", ["config.json", "task.json"])
def test_a_damaged_run_is_told(name: str, language: Path, problem: Problem) -> None:
    shutil.copytree(language, "copy")
    Path("copy", name).write_text(json.dumps({"model": 1}), encoding="utf-8")
    with pytest.raises(RunError, match=name):
        open_spec("copy", problem)
