"""F1 and exact match, beside the values of SQuAD's official script."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from ensuite.metrics import answers
from ensuite.metrics.answers import best_threshold, exact, f1, find_language, normalise


# Computed with evaluate-v1.1.py and evaluate-v2.0.py of the SQuAD project.
@pytest.mark.parametrize(
    ("found", "truths", "equal", "shared"),
    [
        ("The Eiffel Tower!", ["eiffel tower"], 1.0, 1.0),
        ("in Paris, France", ["Paris", "France, Paris"], 0.0, 0.8),
        ("a an the", ["the"], 1.0, 1.0),
        ("cat", ["dog"], 0.0, 0.0),
        ("", ["dog"], 0.0, 0.0),
        ("", [], 1.0, 1.0),
        ("dog", [], 0.0, 0.0),
        ("the 7,5 m", ["75 m"], 1.0, 1.0),
    ],
)
def test_values_of_the_official_script(
    found: str, truths: list[str], equal: float, shared: float
) -> None:
    assert exact(found, truths) == equal
    assert f1(found, truths) == pytest.approx(shared)


def test_french_articles_do_not_count() -> None:
    assert normalise("l’histoire d'une ville", "french") == "histoire ville"
    assert exact("la tour Eiffel", ["« Tour Eiffel »"], "french") == 1.0
    assert exact("la tour Eiffel", ["Tour Eiffel"], "english") == 0.0
    assert find_language(["Il est né à Paris et la ville des lumières."]) == "french"
    assert find_language([]) == "english"


def test_questions_without_an_answer_are_scored_apart() -> None:
    scores = answers.scores(["cat", "", "dog", "x"], [["cat"], [], [], None], "english")
    values = {name: score.value for name, score in scores.items()}
    assert values["f1"] == values["exact_match"] == pytest.approx(2 / 3)
    assert values["has_answer_f1"] == 1.0
    assert values["no_answer_accuracy"] == 0.5
    assert set(answers.scores(["cat"], [["cat"]], "english")) == {"f1", "exact_match"}


@given(some.lists(some.tuples(some.integers(-9, 9), some.booleans()), max_size=20))
def test_no_threshold_is_better(rows: list[tuple[int, bool]]) -> None:
    odds = [float(each) for each, _ in rows]
    given_, silent = [float(not none) for _, none in rows], [float(none) for _, none in rows]

    def total(threshold: float) -> float:
        chosen = np.where(np.array(odds) >= threshold, given_, silent)
        return float(chosen.sum())

    found = total(best_threshold(odds, given_, silent))
    assert found == max([total(each) for each in [*odds, 99.0]], default=0.0)
