"""The words of a user become candidates, or are refused."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some

from ensuite import catalog
from ensuite.core.errors import EnsuiteError, UsageError
from ensuite.misfit import fitting
from ensuite.models.mlp import MLPOptions
from ensuite.models.recurrent import RecurrentOptions
from ensuite.problem import Problem, open_problem
from ensuite.specs import (
    Settings,
    baselines,
    choose,
    model_options,
    parse_spec,
    require_metric,
    sort_settings,
    spec_options,
    with_short_paths,
)

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def texts() -> Problem:
    rows = [{"text": f"a {w} film {n}", "label": w} for n in range(20) for w in ("good", "bad")]
    return open_problem("classify", rows)


@pytest.fixture(scope="module")
def flowers() -> Problem:
    return open_problem("classify", "iris")


def test_a_name_and_its_options() -> None:
    assert model_options("lstm") == ("lstm", RecurrentOptions(cell="lstm"))
    name, options = model_options("gru:layers=2,bidirectional=true")
    assert name == "gru layers=2 bidirectional"
    assert options == RecurrentOptions(cell="gru", layers=2, bidirectional=True)


def test_a_table_shows_the_end_of_a_path_that_no_other_row_has(flowers: Problem) -> None:
    (simple, *_) = baselines(flowers)
    typed = ["/models/MiniLM:frozen=true", "/models/gru", "lstm init_from=/models/MiniLM"]
    named = [replace(simple, name=name) for name in typed]
    paths = {"/models/MiniLM": "MiniLM", "/models/gru": "gru"}
    shown = [each.name for each in with_short_paths(named, paths)]
    assert shown == ["MiniLM:frozen=true", "/models/gru", "lstm init_from=MiniLM"]


@given(some.text())
def test_any_other_text_is_refused_in_a_sentence(text: str) -> None:
    try:
        model_options(text)
    except EnsuiteError as error:
        assert error.exit_code == 2


SPECS = some.builds(
    "{}{}{}".format,
    some.sampled_from(["lstm", "gru", "folder", "most frequent", ".", ""]),
    some.sampled_from(["", ":", "::", ":init_from=", ":template="]),
    some.one_of(some.text(max_size=9), some.sampled_from(["width=3", "folder", ",", "=", "a:b"])),
)


@given(spec=SPECS)
def test_any_words_of_a_model_are_options_or_refused_in_a_sentence(
    spec: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.getbasetemp())
        Path("folder").mkdir(exist_ok=True)
        try:
            spec_options(spec, "classify")
        except EnsuiteError as error:
            assert error.exit_code in (1, 2)


@given(some.lists(some.text()))
def test_settings_are_sorted_or_refused(settings: list[str]) -> None:
    try:
        sort_settings(settings, {"window"}, [MLPOptions()])
    except UsageError as error:
        assert str(error).startswith("--set ")


def test_settings_go_to_their_owner() -> None:
    typed = ["width=8", "window=20", "clip=0.5", "task.window=30", "recipe.precision=bfloat16"]
    assert sort_settings(typed, {"window"}, [MLPOptions()]) == Settings(
        model={"width": "8"},
        task={"window": "30"},
        recipe={"clip": "0.5", "precision": "bfloat16"},
    )
    with pytest.raises(UsageError, match=r"two things: write model\.width or task\.width"):
        sort_settings(["width=8"], {"width"}, [MLPOptions()])


def test_a_value_may_hold_an_equals_sign() -> None:
    assert sort_settings(["separator=="], {"separator"}, []).task == {"separator": "="}


def test_without_names_all_that_fit_oldest_first(texts: Problem, flowers: Problem) -> None:
    fit = fitting(texts.task)
    assert fit == sorted(fit, key=lambda name: (catalog.backbones[name].year, name))
    assert {"conv", "rnn", "lstm", "gru"} <= set(fit)
    assert "mlp" not in fit
    assert fitting(flowers.task, by_default=True) == ["mlp"]
    assert [c.name for c in choose([], flowers, Settings(), CPU)] == ["mlp"]


def test_autoencoders_take_part_unnamed_only_where_codes_are_needed(flowers: Problem) -> None:
    assert {"autoencoder", "vae", "vae-gan"} <= set(fitting(flowers.task))
    codes = open_problem("reduce", "iris").task
    assert fitting(codes, by_default=True) == ["autoencoder", "vae"]
    assert fitting(codes) == ["autoencoder", "vae", "vae-gan"]


def test_baselines_read_the_inputs(texts: Problem, flowers: Problem) -> None:
    assert [b.name for b in baselines(texts)] == ["most frequent", "TF-IDF + logistic"]
    assert [b.name for b in baselines(flowers)] == ["most frequent", "logistic regression"]


def test_a_name_of_the_catalog_wins_over_a_folder(
    texts: Problem, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("work")
    (folder / "lstm").mkdir()
    (folder / "mine").mkdir()
    monkeypatch.chdir(folder)
    assert parse_spec("lstm:layers=2") == ("lstm", None, {"layers": "2"})
    assert parse_spec("mine") == ("mine", Path("mine"), {})
    assert parse_spec("mine:template=a.txt,shots=2") == (
        "mine", Path("mine"), {"template": "a.txt", "shots": "2"},
    )  # fmt: skip
    assert [c.kind for c in choose(["lstm"], texts, Settings(), CPU)] == ["trained"]


def test_a_metric_is_known_before_anything_is_trained() -> None:
    require_metric(open_problem("classify", "iris", metric="macro_f1"))
    with pytest.raises(UsageError, match="did you mean accuracy"):
        require_metric(open_problem("classify", "iris", metric="acuracy"))


def test_a_checkpoint_is_named_by_its_folder() -> None:
    for name in ("sentence-transformers/all-MiniLM-L6-v2", "bert-base-uncased"):
        with pytest.raises(UsageError, match="named by the folder that it was downloaded to"):
            catalog.require_model(name)
