from importlib.metadata import EntryPoint

import pytest

from ensuite.core import registry
from ensuite.core.errors import UsageError
from ensuite.core.registry import Registry, Row, misfit

OURS = {
    "lstm": Row(target="collections:OrderedDict", caption="Remembers", year=1997),
    "gru": Row(target="collections:nothing", caption="Remembers too", year=2014),
}
ROWS = {
    f"own {cell}": Row(target=f"{__name__}:Own", caption="Own", preset={"cell": cell})
    for cell in ("lstm", "gru")
}
THEIRS = {"liquid": Row(target="no_such_package:Liquid", caption="Flows", year=2021)}


@pytest.fixture
def offers(monkeypatch):
    """Return a function that makes a registry of these mappings, by attribute of this module."""

    def make(*names):
        points = [
            EntryPoint(str(i), f"{__name__}:{n}", "ensuite.tests") for i, n in enumerate(names)
        ]
        monkeypatch.setattr(registry, "entry_points", lambda group: points)
        return Registry("backbone", "ensuite.tests")

    return make


def test_plug_ins_come_by_the_same_door(offers):
    rows = offers("OURS", "THEIRS")
    assert list(rows) == ["lstm", "gru", "liquid"]
    assert len(rows) == 3
    assert rows["liquid"] is rows.find("liquid") is THEIRS["liquid"]
    assert rows.matching(lambda row: row.year > 2000).keys() == {"gru", "liquid"}


def test_an_unknown_name_meets_its_nearest(offers):
    with pytest.raises(UsageError, match=r'no backbone "lstmm"; did you mean lstm\? See the list'):
        offers("OURS").find("lstmm", "See the list.")


def test_two_packages_with_one_name_are_refused(offers):
    with pytest.raises(UsageError, match="Two packages offer the backbone gru, lstm: uninstall"):
        offers("OURS", "OURS").find("lstm")


def test_a_broken_plug_in_is_named(offers):
    with pytest.raises(UsageError, match="ABSENT, which offers more backbones, cannot be imported"):
        offers("OURS", "ABSENT").find("lstm")


def test_a_row_is_imported_when_chosen():
    from collections import OrderedDict

    assert OURS["lstm"].load() is OrderedDict
    for row in (OURS["gru"], THEIRS["liquid"]):
        with pytest.raises(UsageError, match=f"{row.target} cannot be imported"):
            row.load()


class Own:
    """A class that no row names."""

    cell = "lstm"


def test_an_object_is_named_by_the_row_whose_preset_it_has(offers):
    rows = offers("ROWS")
    assert rows.name_of(Own()) == "own lstm"
    other = Own()
    other.cell = "gru"
    assert rows.name_of(other) == "own gru"
    assert rows.resolve("own gru") is Own
    other.cell = "rnn"  # no row
    assert rows.name_of(other) == f"{__name__}:Own"


def test_a_class_of_ones_own_is_found_once_it_is_registered(offers):
    rows, name = offers("OURS"), f"{__name__}:Own"
    with pytest.raises(
        UsageError, match=r"not installed here; register the class .*tests\.register"
    ):
        rows.resolve(name)
    assert rows.register(Own) == name
    assert rows.resolve(name) is Own
    assert list(rows) == ["lstm", "gru"]


def test_options_that_no_preset_has_are_found_by_the_class_of_a_row(offers):
    rows, other = offers("ROWS"), Own()
    other.cell = "rnn"
    name = rows.name_of(other)
    assert offers("ROWS").resolve(name) is Own  # a registry of another process


@pytest.mark.parametrize("name", ["subprocess:Popen", "os:system", "bag", "", "lstm:x"])
def test_nothing_is_imported_that_no_row_names(offers, name):
    with pytest.raises(UsageError, match=f'the backbone "{name}" is not installed here'):
        offers("OURS").resolve(name)


def test_a_model_must_fit():
    needs, every = {"causal", "steps"}, {"causal", "steps", "sequence", "decodes"}
    assert misfit(needs, {"tokens"}, every, {"tokens", "row"}, writes=False) is None
    said = misfit(needs, {"tokens"}, set(), {"tokens"}, writes=False)
    assert said == "it does not offer what the task needs: causal, steps"
    assert misfit(set(), {"tokens"}, every, {"row"}, writes=False) == "it does not read tokens"
    only_writes = {"decodes", "steps"}
    said = misfit(set(), {"tokens"}, only_writes, {"tokens"}, writes=False)
    assert said == "it only writes sequences, and the task asks for none"
    assert misfit(only_writes, {"tokens"}, only_writes, {"tokens"}, writes=True) is None
