"""Word vectors: what is written is read, and what cannot be is told with its line."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ensuite.core.errors import DataError
from ensuite.data import vectors
from ensuite.data.vectors import read_vectors

GLOVE = "the 0.1 -2e-1 3\n, 1 2 3\n. . . 4 5 6\nat home 7 8 9\nthe 0 0 0\n"

words = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\t \x0b\x0c"), min_size=1
)


def write(folder: Path, content: str | bytes, name: str = "vectors.txt") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    entries=st.dictionaries(
        words | st.sampled_from(["1", "nan", "\xa0", "#", '"', "\u2028"]),
        st.lists(
            st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=3, max_size=3
        ),
        min_size=1,
    ),
    header=st.booleans(),
    block=st.integers(1, 4),
)
def test_what_is_written_is_read(tmp_path: Path, entries, header, block) -> None:
    lines = [" ".join([word, *map(repr, numbers)]) for word, numbers in entries.items()]
    if header:
        lines.insert(0, f"{len(entries)} 3")
    path = write(tmp_path, "\n".join(lines) + "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vectors, "BLOCK", block)
        found = read_vectors(path)
    assert found.words == list(entries)
    np.testing.assert_array_equal(found.matrix, np.array([*entries.values()], np.float32))
    assert found.matrix.dtype == np.float32


def test_words_with_spaces_and_words_that_stand_twice(tmp_path: Path) -> None:
    found = read_vectors(write(tmp_path, GLOVE))
    assert found.words == ["the", ",", ". . .", "at home"]
    expected = [[0.1, -0.2, 3], [1, 2, 3], [4, 5, 6], [7, 8, 9]]
    np.testing.assert_array_equal(found.matrix, np.array(expected, np.float32))


def test_only_what_is_wanted_is_kept(tmp_path: Path) -> None:
    path = write(tmp_path, GLOVE)
    assert read_vectors(path, {"at home", "unheard"}).words == ["at home"]
    assert read_vectors(path, {"at home"}, first=2).words == ["the", ",", "at home"]
    nothing = read_vectors(path, [])
    assert nothing.words == [] and nothing.matrix.shape == (0, 3)


def test_the_format_of_word2vec(tmp_path: Path) -> None:
    path = write(tmp_path, "2 3\n</s> 0 0 1 \nthe 1 2 3 \n")  # it ends each line with a space
    found = read_vectors(path, {"the"}, first=1)
    assert found.words == ["</s>", "the"] and found.matrix.tolist() == [[0, 0, 1], [1, 2, 3]]


@pytest.mark.parametrize("text", ["the\t1\t2\nof\t3\t4", "the  1  2\r\n\r\nof  3  4\r\n"])
def test_tabs_runs_of_spaces_and_empty_lines(tmp_path: Path, text: str) -> None:
    found = read_vectors(write(tmp_path, text))
    assert found.words == ["the", "of"] and found.matrix.tolist() == [[1, 2], [3, 4]]


def test_vectors_of_one_number(tmp_path: Path) -> None:
    assert read_vectors(write(tmp_path, "the 1\n\nof 2\n")).matrix.tolist() == [[1], [2]]


def test_a_gzip_file(tmp_path: Path) -> None:
    content = gzip.compress(GLOVE.encode())
    assert read_vectors(write(tmp_path, content, "v.txt.gz")).words[0] == "the"
    with pytest.raises(DataError, match="is cut short or damaged"):
        read_vectors(write(tmp_path, content[:-10], "v.txt.gz"))
    with pytest.raises(DataError, match="is cut short or damaged"):
        read_vectors(write(tmp_path, GLOVE, "v.txt.gz"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a 1 2 3\nb 1 2\n", r"Line 2 of vectors\.txt has 2 numbers where the lines before have 3"),
        ("a 1 2\nb 1 2 3\n", r"Line 2 of vectors\.txt has 3 numbers where the lines before have 2"),
        ("9 2\na 1 2\nb 1\n", r"Line 3 of vectors\.txt has 1 numbers where the lines before"),
        ("a 1 2\nb 1 x\n", r'Line 2 of .* something else than finite numbers after its word, "b"'),
        ("a 1 2\nb 1 nan\n", r'Line 2 of .* something else than finite numbers .*, "b"'),
        ("a 1 2\nb 1e99 1\n", r'Line 2 of .* something else than finite numbers .*, "b"'),
        ("a 1 2\nb 1_0 1\n", r'Line 2 of .* something else than finite numbers .*, "b"'),
        ("a b\n", r"Line 1 of vectors\.txt is not a word and its numbers"),
        (b"a 1 2\n\xe9 1 2\n", r"Line 2 of vectors\.txt is not UTF-8.*iconv -c -f utf-8"),
        ("", r"vectors\.txt has no vectors"),
        ("3 100\n", r"vectors\.txt has no vectors"),
    ],
)
def test_what_is_no_such_file_is_refused(tmp_path: Path, content, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_vectors(write(tmp_path, content))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"There is no file .*vectorz\.txt; did you mean vectors"):
        write(tmp_path, GLOVE)
        read_vectors(tmp_path / "vectorz.txt")
    with pytest.raises(DataError, match="is a folder"):
        read_vectors(tmp_path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary())
def test_anything_is_read_or_refused(tmp_path: Path, content: bytes) -> None:
    try:
        found = read_vectors(write(tmp_path, content))
    except DataError:
        return
    assert len(found.words) == len(found.matrix)
