"""Large text files: the same lines and the same errors as of small ones, without memory."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from ensuite.core.errors import DataError
from ensuite.data import readers, stretches
from ensuite.data.delimited import lines
from ensuite.data.stretches import LongText, scan

LINE = some.text(some.characters(exclude_categories=["Cs"], exclude_characters="\n\r\0"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("texts")


@pytest.fixture(autouse=True, scope="module")
def small() -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stretches, "LARGE", 1)
        patch.setattr(stretches, "STRETCH", 10)
        patch.setattr(stretches, "LONGEST_LINE", 20)
        patch.setattr(stretches, "BLOCK", 7)
        yield


@given(
    some.lists(LINE, min_size=1),
    some.sampled_from(["\n", "\r\n"]),
    some.booleans(),
    some.sampled_from(["", "\ufeff"]),
)
def test_it_holds_the_lines_of_the_file(
    folder: Path, texts: list[str], end: str, closed: bool, mark: str
) -> None:
    texts[0] = texts[0].lstrip("\ufeff")
    text = end.join(texts) + end * closed
    if not text:
        return
    path = folder / "text.txt"
    path.write_bytes((mark + text).encode())
    found = scan(path)
    expected = lines(text)
    assert list(found) == expected
    assert [found[number] for number in range(len(found))] == expected
    assert found[-1:] == expected[-1:]
    whole = "".join(stretch.read() for stretch in found.stretches)
    assert whole == text.replace("\r\n", "\n")
    assert sum(map(len, found.stretches)) == len(text.encode())


def test_a_stretch_ends_with_a_line_unless_that_is_very_long(folder: Path) -> None:
    path = folder / "text.txt"
    path.write_text("one\ntwo two two\n" + "é" * 40 + "\nend\n", encoding="utf-8")
    read = [stretch.read() for stretch in scan(path).stretches]
    assert read[0] == "one\ntwo two two\n"
    assert all(len(each.encode()) <= 22 for each in read)
    assert "\ufffd" not in "".join(read)
    assert "".join(read) == path.read_text(encoding="utf-8")


def test_the_reader_hands_it_out_as_prose(folder: Path) -> None:
    path = folder / "prose.txt"
    path.write_bytes("\ufeffone\r\ntwo\n".encode())
    large = readers.read(path)
    assert isinstance(large.columns["text"], LongText)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stretches, "LARGE", 10**9)
        small = readers.read(path)
    assert list(large.columns["text"]) == list(small.columns["text"]) == ["one", "two"]
    for name in ("name", "rows", "has_header", "prose", "notes", "fingerprint"):
        assert getattr(large, name) == getattr(small, name), name


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"one\ntwo\nthr\xe9e and more\n", "text.txt is not UTF-8: byte 11, on line 3"),
        (b"long enough: \xe2\x82", "is not UTF-8: byte 13, on line 1"),
        (b"one\ntwo and \0", r"text.txt is not a text file \(byte 12 is zero\)"),
    ],
)
def test_what_is_no_text_is_refused(folder: Path, content: bytes, expected: str) -> None:
    path = folder / "text.txt"
    path.write_bytes(content)
    with pytest.raises(DataError, match=expected):
        readers.read(path)


def test_a_file_that_changes_while_it_is_read_is_told(folder: Path) -> None:
    path = folder / "text.txt"
    path.write_text("one\ntwo\nthree and four\n", encoding="utf-8")
    last = scan(path).stretches[-1]
    path.write_text("one\n", encoding="utf-8")
    with pytest.raises(DataError, match="cut short while it was read"):
        last.read()
    path.unlink()
    with pytest.raises(DataError, match="cannot be read"):
        last.read()
