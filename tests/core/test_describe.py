"""Options as a person reads them: every option of every part is described."""

from dataclasses import dataclass, field

import pytest

from ensuite import catalog
from ensuite.cli.early import option_names
from ensuite.core import options
from ensuite.core.describe import Described, described
from ensuite.core.recipe import Recipe


@dataclass(frozen=True)
class Inner:
    """Inner options.

    Args:
        size: How large
            it is.
    """

    size: int = 3


@dataclass(frozen=True)
class Outer:
    """Outer options.

    Args:
        names: What it is called.
        inner: Never told.
        learned: Never told.

    Source:
        Nobody (2020), https://example.org: a page
    """

    names: tuple[str, ...] = ()
    inner: Inner = field(default_factory=Inner, metadata={"options": True, "prefix": "inner_"})
    learned: int = field(default=0, metadata={"learned": True})


def test_options_within_options_are_described() -> None:
    assert described(Outer()) == [
        Described("names", '""', "texts with commas between", "What it is called."),
        Described("inner_size", "3", "a whole number", "How large it is."),
    ]


@pytest.mark.parametrize("name", list(catalog.backbones))
def test_every_option_of_a_model_has_a_meaning_and_a_value(name: str) -> None:
    row = catalog.backbones[name]
    found = row.load()(**row.preset)
    each = described(found)
    assert [one.name for one in each] == list(options.option_names(found))
    assert [one.name for one in each if not (one.meaning and one.default and one.values)] == []
    known = option_names(row.target)  # those that are learned too
    assert known is None or known >= set(options.option_names(found))


def test_the_recipe_is_described() -> None:
    each = {one.name: one for one in described(Recipe())}
    assert set(each) == set(options.option_names(Recipe()))
    assert all(one.meaning for one in each.values())
    assert each["optimizer"].values == "one of adam, sgd, muon"
    assert each["clip_value"].default == "none"


@pytest.mark.parametrize("name", list(catalog.tasks))
def test_every_option_of_a_task_has_a_meaning(name: str) -> None:
    each = described(catalog.tasks[name].load()())
    assert [one.name for one in each if not one.meaning] == []


def test_options_of_a_source_that_is_not_there_are_not_known() -> None:
    assert option_names("ensuite.nowhere:Options") is None
    assert option_names("ensuite.catalog:Options") is None
    assert option_names("math:Options") is None
