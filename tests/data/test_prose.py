"""Running text: documents, lines and sentences."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as some

from ensuite.data import prose, readers

LINES = some.lists(some.text(some.characters(exclude_characters="\n\r="), max_size=12), max_size=40)
WIKITEXT = ["", " = Lobster = ", "", " It lives . ", "", " = = Range = = ", " Far . ", " = Crab = "]


@given(LINES)
def test_documents_hold_every_line_that_is_not_blank_in_order(lines: list[str]) -> None:
    found = [line for document in prose.documents(lines) for line in document]
    assert found == [line for line in lines if line.strip()]


def test_headings_of_the_first_level_part_documents_where_there_are_some() -> None:
    assert [each[0] for each in prose.documents(WIKITEXT)] == [" = Lobster = ", " = Crab = "]
    assert [len(each) for each in prose.documents(["a", "", "b", "c", " "])] == [1, 2]
    assert prose.find_borders(WIKITEXT) == "heading"
    assert prose.find_borders(["a = b = c", "= = x = ="]) == "blank"


@given(some.lists(some.text("ab .", min_size=1, max_size=30), min_size=1, max_size=50))
def test_the_parts_of_a_document_are_the_document(lines: list[str]) -> None:
    parts = prose.parts_of(lines, 40)
    assert "".join(parts) == "".join(f"{line}\n" for line in lines)
    assert all(len(part) >= 40 for part in parts[:-1])


@given(some.text(max_size=60))
def test_sentences_begin_at_characters_of_the_line(line: str) -> None:
    starts = prose.sentence_starts(line)
    assert starts[0] == 0
    assert starts == sorted(set(starts))
    assert all(start < len(line) for start in starts[1:])


def test_sentences_end_before_a_capital() -> None:
    line = "Il pleut. « Pourquoi ? » 3 jours ! Voilà, e.g. ceci."
    sentences = [line[a:] for a in prose.sentence_starts(line)]
    assert [each.split()[0] for each in sentences] == ["Il", "«", "3", "Voilà,"]


def test_bytes_are_those_of_lines_without_blanks_around_them() -> None:
    assert prose.count_bytes("  é \n\n b\n") == 3


def test_wikitext_has_sixty_articles_to_validate_with(data_folder: Path) -> None:
    lines = readers.read(data_folder / "wikitext2_raw" / "wiki.valid.raw.gz").columns["text"]
    assert len(prose.documents(lines)) == 60
