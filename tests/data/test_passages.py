"""A text of few lines is divided by position; nothing of it is lost."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as some

from ensuite.data.passages import FEWEST, PASSAGES, cut
from ensuite.problem import open_problem


@given(some.lists(some.text(some.characters(exclude_characters="\n")), min_size=1, max_size=40))
def test_passages_joined_are_the_text(lines: list[str]) -> None:
    found = cut([10 * line for line in lines])
    assert "".join(found) == "".join(f"{10 * line}\n" for line in lines)
    if len(lines) >= FEWEST:
        assert len(found) == len(lines)


def test_one_line_makes_many_passages_that_end_between_words() -> None:
    found = cut(["the sea and the sand " * 200])
    assert PASSAGES / 2 < len(found) <= PASSAGES
    assert all(passage.endswith(" ") for passage in found[:-1])
    assert len(cut(["a" * 5000])) > PASSAGES / 2  # no blank to cut at


def test_one_long_line_can_be_learned_from(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("the sea and the sand " * 200, encoding="utf-8")
    parts = open_problem("generate", str(path)).parts
    texts = ["".join(example.text for example in parts[part]) for part in parts]
    assert "".join(texts) == path.read_text(encoding="utf-8") + "\n"
