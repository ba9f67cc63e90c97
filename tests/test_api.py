"""The same words from Python: train, compare, load; data in memory; a backbone of one's own."""

import inspect
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import nn

import ensuite
from ensuite import catalog
from ensuite.core.backbone import Backbone, BackboneOptions, Trait
from ensuite.core.batch import Batch, Inputs, States, Tokens
from ensuite.core.errors import EnsuiteError, PaddingLeakError, RunError, UsageError
from ensuite.core.registry import Registry

ROWS = [
    {"text": f"a {word} film, number {n}", "label": label}
    for n in range(30)
    for word, label in (("good", "positive"), ("bad", "negative"))
]

FAST: dict[str, Any] = {"budget": "4steps", "settings": {"width": 4}}


class Frame:
    """The interface that pandas, polars and datasets have in common."""

    def __init__(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self.columns = list(rows[0])
        self._rows = rows

    def __getitem__(self, name: str) -> list[Any]:
        return [row[name] for row in self._rows]

    def __len__(self) -> int:
        return len(self._rows)


@dataclass(frozen=True, kw_only=True)
class BagOptions(BackboneOptions):
    """A sum of embeddings; with ``leaks``, it includes the padding."""

    width: int = 4
    leaks: bool = False

    reads: ClassVar[frozenset[str]] = frozenset({"tokens"})

    @property
    def traits(self) -> frozenset[Trait]:
        return frozenset()

    def build(self, inputs: Inputs) -> "Bag":
        return Bag(self, inputs)

    def tiny(self) -> "BagOptions":
        return replace(self, width=4)


class Bag(Backbone):
    def __init__(self, options: BagOptions, inputs: Inputs) -> None:
        super().__init__()
        kind = inputs["tokens"]
        assert isinstance(kind, Tokens)
        self.leaks, self.width = options.leaks, options.width
        self.embed = nn.Embedding(kind.size, options.width)

    def forward(self, batch: Batch) -> States:
        embedded = self.embed(batch.inputs["tokens"])
        assert batch.mask is not None
        return States((embedded if self.leaks else embedded * batch.mask[..., None]).sum(1))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(ROWS, id="rows"),
        pytest.param({key: [row[key] for row in ROWS] for key in ROWS[0]}, id="columns"),
        pytest.param(Frame(ROWS), id="frame"),
    ],
)
def test_the_form_of_the_data_changes_nothing(data: Any) -> None:
    predictor = ensuite.train("classify", data, model="lstm", out="here", **FAST)
    expected = ensuite.train("classify", ROWS, model="lstm", out="there", **FAST)
    texts = ["a good film", "a bad film", ""]
    assert predictor.predict(texts) == expected.predict(texts)


def test_train_hands_back_what_it_saved() -> None:
    predictor = ensuite.train("classify", ROWS, model="gru", seed=3, **FAST)
    assert predictor.folder == Path("runs/classify-the-data-1")
    assert ensuite.load("runs/classify-the-data-1").predict(["a good film"]) == predictor.predict(
        ["a good film"]
    )


def test_the_seed_decides_everything() -> None:
    def weights(seed: int, out: str) -> dict[str, torch.Tensor]:
        torch.rand(seed + len(out))  # what was drawn before is no matter
        model = ensuite.train("classify", ROWS, model="gru", seed=seed, out=out, **FAST).model
        assert isinstance(model, nn.Module)
        return model.state_dict()

    one, same, other = weights(1, "one"), weights(1, "again"), weights(2, "other")
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)


def test_a_backbone_of_ones_own_competes() -> None:
    board = ensuite.compare(
        "classify", ROWS, models=["lstm", BagOptions()], seeds=1, out="out", **FAST
    )
    names = {row.name for row in board.rows}
    assert {"lstm", "BagOptions"} < names
    assert "BagOptions" in str(board)
    assert "BagOptions" in board._repr_html_()
    saved = ensuite.load("out/trials/bagoptions/0")
    assert saved.options == BagOptions(width=4)
    assert saved.predict(["a good film"])[0].label in ("positive", "negative")


def test_a_class_of_ones_own_is_known_where_it_is_registered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ensuite.train("classify", ROWS, model=BagOptions(), out="run", **FAST)
    name = f"{__name__}:BagOptions"
    assert json.loads(Path("run/config.json").read_text())["ensuite"]["backbone"] == name
    assert ensuite.load("run").options == BagOptions(width=4)
    monkeypatch.setattr(catalog, "backbones", Registry("model", "ensuite.backbones"))
    sentence = rf'"{name}" is not installed here; register the class .*backbones\.register'
    with pytest.raises(RunError, match=sentence):  # as in another process
        ensuite.load("run")
    catalog.backbones.register(BagOptions)
    assert ensuite.load("run").options == BagOptions(width=4)


def test_a_baseline_can_be_trained_by_its_name() -> None:
    predictor = ensuite.train("classify", ROWS, model="TF-IDF + logistic", out="run")
    assert predictor.predict(["a good film"])[0].label == "positive"
    board = ensuite.compare(
        "classify", ROWS, models=["most frequent", "gru"], seeds=1, out="out", **FAST
    )
    names = [row.name for row in board.rows]
    assert sorted(names) == ["TF-IDF + logistic", "gru", "most frequent"]


def test_a_model_that_leaks_padding_is_refused() -> None:
    with pytest.raises(PaddingLeakError, match=r"answers of Bag .*ignores batch\.mask"):
        ensuite.train("classify", ROWS, model=BagOptions(leaks=True), **FAST)
    verdict = next(ensuite_check("runs/classify-the-data-1"))
    assert not verdict.holds


def ensuite_check(folder: str) -> Iterator[Any]:
    from ensuite import laws

    return laws.check(ensuite.load(folder))


def test_resume_goes_on_only_with_the_same() -> None:
    ensuite.train("classify", ROWS, model="lstm", out="run", **FAST)
    before = Path("run/model.safetensors").stat().st_mtime_ns
    ensuite.train("classify", ROWS, model="lstm", out="run", resume=True, **FAST)
    assert Path("run/model.safetensors").stat().st_mtime_ns == before
    with pytest.raises(RunError, match="trained on other rows"):
        ensuite.train("classify", ROWS[:-2], model="lstm", out="run", resume=True, **FAST)
    with pytest.raises(RunError, match="trained with another candidate"):
        ensuite.train("classify", ROWS, model="gru", out="run", resume=True, **FAST)


COMPARE = (
    "task data models metric budget total seeds folds split columns settings test valid init_from "
    "out device threads jobs callback"
)


def test_every_option_is_named_in_the_signature() -> None:
    found = inspect.signature(ensuite.compare).parameters
    assert " ".join(found) == COMPARE
    of_train = set(inspect.signature(ensuite.train).parameters)
    of_compare = set(found)
    assert of_train - of_compare == {"model", "seed", "resume"}
    assert of_compare - of_train == {"models", "total", "seeds", "folds", "jobs"}
    with pytest.raises(TypeError, match="unexpected keyword argument 'budgte'"):
        ensuite.compare("classify", ROWS, budgte="4steps")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="unexpected keyword argument 'how'"):
        ensuite.train("classify", ROWS, model="lstm", how="time")  # type: ignore[call-arg]


def test_columns_and_split_are_named_as_on_the_command_line() -> None:
    rows = [{"review": row["text"], "mood": row["label"], "who": n % 7}
            for n, row in enumerate(ROWS)]  # fmt: skip
    columns = {"text": "review", "label": "mood"}
    board = ensuite.compare(
        "classify", rows, models=["most frequent"], columns=columns, split="group:who", threads=1
    )
    assert {row.name for row in board.rows} == {"most frequent", "TF-IDF + logistic"}


def test_a_run_keeps_its_number_of_threads() -> None:
    def known() -> Any:
        return json.loads(Path("run/run.json").read_text())["threads"]

    before = torch.get_num_threads()
    ensuite.train("classify", ROWS, model="gru", out="run", threads=2, **FAST)
    assert known() == 2
    ensuite.train("classify", ROWS, model="gru", out="run", resume=True, **FAST)
    assert known() == 2
    assert torch.get_num_threads() == before


def test_folds_in_one_call() -> None:
    board = ensuite.compare("classify", ROWS, models=["gru"], folds=3, threads=1, out="out", **FAST)
    assert (board.folds, board.items) == (3, len(ROWS))
    assert board.winner == "TF-IDF + logistic"
    assert {row.name for row in board.rows} == {"gru", "most frequent", "TF-IDF + logistic"}
    assert ensuite.load("out").predict(["a good film"])[0].label == "positive"


def family(kind: type) -> Iterator[type]:
    yield kind
    for each in kind.__subclasses__():
        if each.__module__.startswith("ensuite.core"):
            yield from family(each)


def test_the_kinds_of_mistakes_in_a_call_are_told() -> None:
    def refused(*words: Any, **options: Any) -> str:
        with pytest.raises(UsageError) as told:
            ensuite.train(*words, **options)
        return str(told.value)

    assert "The task comes first, then the data: classify data.csv" in refused(
        "data.csv", "classify", model="lstm"
    )
    assert 'models=["lstm", "gru"]' in refused("classify", ROWS, model=["lstm", "gru"])
    assert "--budget 5epochs" in refused("classify", ROWS, model="lstm", settings={"epochs": 5})
    assert "did you mean learning_rate?" in refused(
        "classify", ROWS, model="lstm", settings={"lr": 0.1}
    )
    with pytest.raises(UsageError, match=r'models="lstm" is one text; give a list'):
        ensuite.compare("classify", ROWS, models="lstm")


def test_the_options_of_train_are_typed_as_it_takes_them() -> None:
    from ensuite.api import TrainOptions

    parameters = inspect.signature(ensuite.train).parameters
    assert list(TrainOptions.__annotations__) == list(parameters)[2:]


def test_what_is_public_is_said() -> None:
    kinds = {each.__name__ for each in family(EnsuiteError)}
    assert set(ensuite.__all__) - kinds == {
        "Callback", "EnsuiteClassifier", "EnsuiteRegressor", "Leaderboard", "Predictor",
        "__version__", "compare", "load", "train",
    }  # fmt: skip
    assert kinds <= set(ensuite.__all__)
    assert all(getattr(ensuite, name) is not None for name in ensuite.__all__)
    assert set(ensuite.__all__) <= set(dir(ensuite))
    with pytest.raises(AttributeError, match="no attribute 'tarin'"):
        ensuite.tarin  # noqa: B018
    with pytest.raises(UsageError, match="did you mean lstm"):
        ensuite.train("classify", ROWS, model="lstmm")
