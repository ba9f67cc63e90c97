"""What a report shows side by side, where a model writes texts and its predictions are numbers."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

import ensuite
from ensuite.comparison.outputs import longest_of_parts
from ensuite.tasks.generate import LONGEST_HALF, halve


def test_a_report_shows_how_a_language_model_goes_on(tmp_path: Path) -> None:
    story = tmp_path / "story.txt"
    lines = [f"The {n % 7} children ran along the bank of river {n}." for n in range(120)]
    story.write_text("\n".join(lines), encoding="utf-8")
    predictor = ensuite.train("generate", story, model="n-gram", out=tmp_path / "run")
    examples = predictor.read(story, asking=True)[:3]
    written = predictor.task.write_examples(predictor.fitted, examples)
    assert [each.source + each.truth for each in written] == lines[:3]
    assert all(each.answer and len(each.answer) <= LONGEST_HALF for each in written)
    page = (tmp_path / "run/report.html").read_text(encoding="utf-8")
    assert "with the score of each answer" in page
    assert page.count('class="source"') == 6


def test_a_text_longer_than_the_model_reads_is_gone_on_with(tmp_path: Path) -> None:
    """A long line ended a whole comparison when its report was written."""
    story = tmp_path / "story.txt"
    lines = [f"The {n % 7} children ran along the bank of river {n}." for n in range(40)]
    story.write_text("\n".join(lines), encoding="utf-8")
    predictor = ensuite.train(
        "generate", story, model="gpt:width=16,heads=2,layers=1,context=16", budget="1steps",
        settings={"unit": "characters"}, out=tmp_path / "run",
    )  # fmt: skip
    assert predictor.fitted.context == 16
    (written,) = predictor.task.write_examples(
        predictor.fitted, predictor.read(story, asking=True)[:1]
    )
    assert len(written.source) > 16
    assert 16 < len(written.answer) <= LONGEST_HALF
    assert (tmp_path / "run/report.html").is_file()


@given(st.text(max_size=400))
def test_two_halves_are_the_text(text: str) -> None:
    source, truth = halve(text)
    assert source + truth == text.rstrip("\n") or source + truth == text


@given(st.lists(st.integers(0, 9), max_size=40), st.integers(1, 8))
def test_one_place_of_each_part(lengths: list[int], parts: int) -> None:
    places = longest_of_parts(lengths, parts)
    assert len(places) == min(parts, len(lengths))
    assert sorted(set(places)) == places
