"""Whatever is printed commands no terminal."""

from hypothesis import given
from hypothesis import strategies as some

from ensuite.core.errors import DataError
from ensuite.core.printable import one_line, printable


@given(some.text(some.characters()))
def test_any_text_is_safe_and_can_be_encoded(text: str) -> None:
    shown = printable(text)
    shown.encode()
    assert not any((ord(c) < 32 and c not in "\t\n") or 127 <= ord(c) < 160 for c in shown)


@given(some.text(some.characters(categories=["L", "N", "P", "S", "Zs"])))
def test_what_a_person_reads_stays_as_it_is(text: str) -> None:
    assert printable(text) == text


@given(some.text(some.characters()))
def test_a_message_is_one_line_whatever_it_quotes(text: str) -> None:
    said = str(DataError(f"There is no column {text}."))
    assert said == one_line(said)
    assert "\n" not in said
