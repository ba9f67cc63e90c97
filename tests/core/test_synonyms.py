"""The words of other packages: each stands for a word that is ours."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ensuite import catalog
from ensuite.cli.early import check_settings
from ensuite.core.describe import described
from ensuite.core.errors import UsageError, nearest
from ensuite.core.recipe import Recipe
from ensuite.core.synonyms import LENGTHS, SYNONYMS, length_hint, synonym
from ensuite.data.processors import BY_KIND


def ours() -> set[str]:
    """Return every word that can be an option, a metric or a role."""
    models = [row.load()(**row.preset) for row in catalog.backbones.values()]
    tasks = [row.load()() for row in catalog.tasks.values()]
    parts = [*models, *tasks, *(each() for each in BY_KIND.values()), Recipe()]
    words = {option.name for part in parts for option in described(part)}
    words |= {metric for row in catalog.tasks.values() for metric in row.metrics}
    return words.union(*(task.roles for task in tasks))


def test_every_synonym_leads_to_a_word_of_ours() -> None:
    known = ours()
    assert [word for word, each in SYNONYMS.items() if not known.intersection(each)] == []
    assert [word for each in SYNONYMS.values() for word in each if word not in known] == []


def test_a_length_of_training_that_is_an_option_can_be_set() -> None:
    assert "steps" in ours() & set(LENGTHS)  # of a series that an mlp reads
    check_settings({"steps": "5", "model.steps": "5"}, "forecast")
    with pytest.raises(UsageError, match=r"--set epochs=5: .* --budget 5epochs"):
        check_settings({"epochs": "5"}, "forecast")
    assert length_hint("dropout", 3) == ""


@pytest.mark.parametrize("task", catalog.tasks)
def test_an_option_of_a_task_can_be_set_whatever_it_means_elsewhere(task: str) -> None:
    for option in described(catalog.tasks[task].load()()):
        check_settings({option.name: "0.2", f"task.{option.name}": "0.2"}, task)


def test_a_word_that_is_an_option_of_another_task_is_still_a_synonym() -> None:
    assert "hidden" in {option.name for option in described(catalog.tasks["fill"].load()())}
    with pytest.raises(UsageError, match="did you mean width"):
        check_settings({"hidden": "64"}, "classify")


@given(st.text(max_size=40), st.lists(st.text(max_size=10), max_size=5))
def test_a_hint_names_only_what_is_known(word: str, known: list[str]) -> None:
    hint = nearest(word, known)
    assert hint == "" or hint.removeprefix("; did you mean ").removesuffix("?") in known
    found = synonym(word, known)
    assert found is None or found in known
