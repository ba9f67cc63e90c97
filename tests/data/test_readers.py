"""Readers: nothing in a text changes, and what cannot be read is told in a sentence."""

import csv
import gzip
import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ensuite.core.errors import DataError
from ensuite.data.readers import read

TRAPS = ["null", "NA", "nan", "", " 1.0", "a ", "\ufeff", "\u200b", "\u2028", '"', '""', 'a "b"']
ANYTHING = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
A_LINE = st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\n\t")
texts = st.text(ANYTHING) | st.sampled_from(TRAPS)
plain_texts = st.text(A_LINE) | st.sampled_from(TRAPS)
one_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@one_folder
@given(
    rows=st.lists(st.tuples(texts, texts), min_size=1),
    kind=st.sampled_from([("a.csv", ","), ("a.tsv", "\t")]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
def test_what_csv_writes_is_read_back(
    tmp_path: Path, rows: list[tuple[str, str]], kind: tuple[str, str], quoting: Any
) -> None:
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter=kind[1], quoting=quoting)
    writer.writerows([("text", "label"), *rows])
    table = read(write(tmp_path / kind[0], file.getvalue()))
    assert list(zip(*table.columns.values(), strict=True)) == rows


@one_folder
@given(texts=st.lists(texts, min_size=1))
@example(texts=["0", "0", "\r"])
def test_a_single_column_that_csv_writes_is_read_back(tmp_path: Path, texts: list[str]) -> None:
    file = io.StringIO(newline="")
    csv.writer(file).writerows([["text"], *([text] for text in texts)])
    assert read(write(tmp_path / "a.csv", file.getvalue())).columns["text"] == texts


@one_folder
@given(rows=st.lists(st.tuples(plain_texts, plain_texts)), end=st.sampled_from(["\n", "\r\n"]))
def test_a_file_without_quoting_is_read_back(
    tmp_path: Path, rows: list[tuple[str, str]], end: str
) -> None:
    rows = [('"Great" is no word for it', "1"), *rows]  # breaks the rules of quoting
    lines = ["\t".join(row) for row in [("text", "label"), *rows]]
    table = read(write(tmp_path / "a.tsv", end.join(lines) + end))
    assert list(zip(*table.columns.values(), strict=True)) == rows
    assert "does not quote" in table.notes[0]


@one_folder
@given(rows=st.lists(st.tuples(plain_texts, plain_texts), min_size=1))
def test_marks_inside_texts_are_kept(tmp_path: Path, rows: list[tuple[str, str]]) -> None:
    rows = [(f"_{text}", f"_{label}") for text, label in rows]
    lines = ["\t".join(row) for row in [("text", "label"), *rows]]
    table = read(write(tmp_path / "a.tsv", "\n".join(lines)))
    assert list(zip(*table.columns.values(), strict=True)) == rows
    assert table.notes == ()


@one_folder
@given(
    rows=st.lists(
        st.fixed_dictionaries({"text": texts, "n": st.none() | st.integers() | st.booleans()}),
        min_size=1,
    ),
    lines=st.booleans(),
)
def test_json_is_read_back(tmp_path: Path, rows: list[dict[str, Any]], lines: bool) -> None:
    if lines:
        path = write(tmp_path / "a.jsonl", "\n".join(map(json.dumps, rows)))
    else:
        path = write(tmp_path / "a.json", json.dumps(rows, ensure_ascii=False, indent=1))
    table = read(path)
    assert table.columns == {key: [row[key] for row in rows] for key in ("text", "n")}


@one_folder
@given(content=st.binary(), name=st.sampled_from(["a.csv", "a.json", "a.jsonl", "a.txt", "a"]))
def test_garbage_is_read_or_refused(tmp_path: Path, content: bytes, name: str) -> None:
    try:
        table = read(write(tmp_path / name, content))
    except DataError:
        return
    assert {len(values) for values in table.columns.values()} == {table.rows}


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.99])
@pytest.mark.parametrize("name", ["a.npz", "a.parquet", "a.csv.gz"])
def test_a_cut_file_is_refused(tmp_path: Path, name: str, kept: float) -> None:
    file = io.BytesIO()
    if name == "a.npz":
        np.savez_compressed(file, X=np.arange(600.0).reshape(200, 3), y=np.arange(200))
    elif name == "a.parquet":
        polars.DataFrame({"text": [str(i) for i in range(200)]}).write_parquet(file)
    else:
        file.write(gzip.compress("\n".join(map(str, range(2000))).encode()))
    whole = file.getvalue()
    assert read(write(tmp_path / name, whole)).rows > 0
    with pytest.raises(DataError, match=name):
        read(write(tmp_path / name, whole[: int(kept * len(whole))]))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('text,label\n"a film",1\n"a book",0\n', ["a film", "a book"]),  # a column in marks
        ('text,label\n"a film",1\na book,0\na play,0\n', ['"a film"', "a book", "a play"]),
        ('"text","label"\n"a film",1\na book,0\na play,0\n', ["a film", "a book", "a play"]),
        ('text,label\n"a, b",1\nc,0\nd,0\n', ["a, b", "c", "d"]),
        ('text,label\n"a ""b""",1\nc,0\nd,0\n', ['a "b"', "c", "d"]),
        ('text,label\n"",1\nc,0\nd,0\n', ["", "c", "d"]),
        ('text,label\n"a\nb",1\nc,0\nd,0\n', ["a\nb", "c", "d"]),
    ],
)
def test_quoting_must_show_itself(tmp_path: Path, content: str, expected: list[str]) -> None:
    assert read(write(tmp_path / "a.csv", content)).columns["text"] == expected


def test_lines_that_marks_join_are_told(tmp_path: Path) -> None:
    table = read(write(tmp_path / "a.csv", 'text,label\n"one,\ntwo",1\n'))
    assert table.columns == {"text": ["one,\ntwo"], "label": ["1"]}
    assert "join" in table.notes[0]


def test_a_cell_may_be_as_long_as_a_book(tmp_path: Path) -> None:
    book = "word, " * 50_000
    assert read(write(tmp_path / "a.csv", f'text,label\n"{book}",1\n')).columns["text"] == [book]


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_another_delimiter_is_found_and_told(tmp_path: Path, delimiter: str) -> None:
    lines = [delimiter.join(row) for row in [("text", "label"), ("a, b", "1"), ("c", "0")]]
    table = read(write(tmp_path / "a.csv", "\n".join(lines)))
    assert table.columns == {"text": ["a, b", "c"], "label": ["1", "0"]}
    assert "separated by" in table.notes[0]


def test_a_text_with_a_semicolon_is_no_second_column(tmp_path: Path) -> None:
    table = read(write(tmp_path / "a.csv", "text\na; b\nc; d\n"))
    assert table.columns == {"text": ["a; b", "c; d"]}


def test_a_file_of_numbers_needs_no_header(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", "1\t-0.5\n2\t1e3\n")
    table = read(path)
    assert table.columns == {"0": ["1", "2"], "1": ["-0.5", "1e3"]}
    assert not table.has_header
    assert "no header" in table.notes[0]
    assert read(path, header=True).columns == {"1": ["2"], "-0.5": ["1e3"]}
    words = write(tmp_path / "b.tsv", "a\tb\n")
    assert read(words, header=False).columns == {"0": ["a"], "1": ["b"]}


def test_only_the_first_byte_order_mark_is_taken_off(tmp_path: Path) -> None:
    table = read(write(tmp_path / "a.csv", "\ufefftext,label\n\ufeffa,\ufeff\n"))
    assert table.columns == {"text": ["\ufeffa"], "label": ["\ufeff"]}
    assert "byte order mark" in table.notes[0]


def test_old_line_ends_and_empty_lines(tmp_path: Path) -> None:
    assert read(write(tmp_path / "a.csv", "a,b\r1,2\r3,4\r")).columns["b"] == ["2", "4"]
    table = read(write(tmp_path / "b.csv", "a,b\n1,2\n\n3,4\n\n"))
    assert table.columns["a"] == ["1", "3"]
    assert table.notes == ("2 empty lines were left out",)
    assert read(write(tmp_path / "c.txt", "one\n\ntwo")).columns == {"text": ["one", "", "two"]}


def test_the_same_content_has_the_same_fingerprint(tmp_path: Path) -> None:
    content = b"text,label\na,1\n"
    plain = read(write(tmp_path / "a.csv", content))
    zipped = read(write(tmp_path / "a.csv.gz", gzip.compress(content)))
    other = read(write(tmp_path / "b.csv", content + b"b,1\n"))
    assert plain.fingerprint == zipped.fingerprint != other.fingerprint


def test_standard_input_shows_its_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    def typed(content: bytes, name: str | None = None) -> dict[str, Any]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        return dict(read("-", name=name).columns)

    assert typed(b"text,label\na,1\n") == {"text": ["a"], "label": ["1"]}
    assert typed(b"text\tlabel\na\t1\n") == {"text": ["a"], "label": ["1"]}
    assert typed(b'{"text": "a"}\n{"text": "b"}\n') == {"text": ["a", "b"]}
    assert typed(gzip.compress(b'[{"text": "a"}]')) == {"text": ["a"]}
    assert typed(b"a, b\nc\n", name="lines.txt") == {"text": ["a, b", "c"]}


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.csv", "", "a.csv is empty"),
        ("a.csv", "\ufeff\n", "a.csv is empty"),
        ("a.csv", "text,label\n", "a header and no rows"),
        ("a.csv", "a,b\n1,2\n1,2,3\n", "row 2 of a.csv has 3 cells where the header has 2"),
        ("a.csv", "a,b,a\n1,2,3\n", 'a.csv has 2 columns named "a"'),
        ("a.csv", 'a,b\n"x" y,z,1\n', "row 1 of a.csv has 3 cells .* quotation marks"),
        ("a.csv", b"a,b\n1,\x00\n", r"not a text file \(byte 6 is zero\)"),
        ("a.csv", "a,b\n1,2\n".encode("utf-16"), "is UTF-16"),
        ("a.csv", b"text\nd\xe9j\xe0\n", "byte 6, on line 2, is 0xE9"),
        ("a.csv.gz", b"text\na\n", "is not a gzip file"),
        ("a.json", '[{"text": "a"},\n {"text": }]', "line 2, Expecting value"),
        ("a.json", '[{"text": "a"}, 3]', "row 2 of a.json is not an object"),
        ("a.json", '{"version": 1}', "another shape"),
        ("a.json", "[" * 100_000, "nested too deeply"),
        ("a.json", "[]", "no rows"),
        ("a.json", '{"a": [1, 2], "b": [1]}', "a has 2 rows, b 1"),
        ("a.jsonl", '{"text": "a"}\n{"text"\n', "Line 2 of a.jsonl is not JSON"),
        ("a.jsonl", '{"text": "a"}\n[1]\n', "Line 2 of a.jsonl is not an object"),
        ("a.parquet", "text,label\n", "not a whole Parquet file"),
        ("a.npz", "text,label\n", "not a whole .npz file"),
        ("a.xlsx", "text,label\n", 'not read here .*"\\.xlsx"'),
    ],
)
def test_bad_files_are_told_in_a_sentence(
    tmp_path: Path, name: str, content: str | bytes, sentence: str
) -> None:
    with pytest.raises(DataError, match=sentence):
        read(write(tmp_path / name, content))


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"images": np.zeros((2, 2))}, "has no array X; it has: images"),
        ({"X": np.zeros((3, 2)), "y": np.zeros(2)}, "X has 3 rows, y 2"),
        ({"X": np.array([{"a": 1}], dtype=object)}, "pickled"),
        ({"X": np.zeros(())}, "single number"),
        ({"X": np.zeros((0, 2))}, "no rows"),
    ],
)
def test_bad_arrays_are_told_in_a_sentence(
    tmp_path: Path, arrays: dict[str, Any], sentence: str
) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=sentence):
        read(tmp_path / "a.npz")


def test_missing_files_and_folders(tmp_path: Path) -> None:
    write(tmp_path / "reviews.csv", "text\na\n")
    with pytest.raises(DataError, match=r"did you mean reviews\.csv\?"):
        read(tmp_path / "reviws.csv")
    with pytest.raises(DataError, match="There is no file"):
        read(tmp_path / "nowhere" / "reviews.csv")
    with pytest.raises(DataError, match=r"is a folder; name a file in it \(reviews\.csv\)"):
        read(tmp_path)


def test_arrays_keep_their_shape_and_texts_become_texts(tmp_path: Path) -> None:
    images = np.arange(24.0).reshape(2, 3, 4)
    np.savez(tmp_path / "a.npz", X=images, y=np.array(["cat", "dog"]))
    table = read(tmp_path / "a.npz")
    np.testing.assert_array_equal(table.columns["X"], images)
    assert table.columns["y"] == ["cat", "dog"]


def test_json_lines_in_a_json_file_and_absent_keys(tmp_path: Path) -> None:
    table = read(write(tmp_path / "a.json", '{"text": "a"}\n\n{"label": 1}\n'))
    assert table.columns == {"text": ["a", None], "label": [None, 1]}
    assert table.notes == ("it is one JSON object a line",)


def test_parquet_is_read_back(tmp_path: Path) -> None:
    frame = polars.DataFrame({"text": ["null", None], "tokens": [["a"], ["b", "c"]], "n": [1, 2]})
    frame.write_parquet(tmp_path / "a.parquet")
    table = read(tmp_path / "a.parquet")
    assert table.columns == {"text": ["null", None], "tokens": [["a"], ["b", "c"]], "n": [1, 2]}


class Dataset:
    """Speaks as ``datasets.Dataset`` does."""

    column_names = ["text", "label"]

    def __getitem__(self, name: str) -> list[Any]:
        return ["a", "b"] if name == "text" else [1, float("nan")]


@pytest.mark.parametrize(
    "source",
    [
        [{"text": "a", "label": 1}, {"text": "b"}],
        {"text": ["a", "b"], "label": [1, None]},
        {"text": np.array(["a", "b"]), "label": np.array([1, None], dtype=object)},
        polars.DataFrame({"text": ["a", "b"], "label": [1, None]}),
        Dataset(),
    ],
)
def test_objects_in_memory(source: Any) -> None:
    table = read(source, name="mine")
    assert (table.name, table.rows) == ("mine", 2)
    assert table.columns == {"text": ["a", "b"], "label": [1, None]}
    assert read(table) is table
    assert table.fingerprint == read({"text": ["a", "b"], "label": [1, None]}).fingerprint
    assert table.fingerprint != read({"text": ["a", "b"], "label": [None, 1]}).fingerprint


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ([], "has no rows"),
        ({}, "has no rows"),
        (3, "is of type int"),
        (["a", "b"], "is of type list"),
        ({"text": "abc"}, "The column text of the data is one value"),
        ({"a": [1, 2], "b": [1]}, "differ in length"),
        ({1: [1], "1": [2]}, "two columns of one name"),
    ],
)
def test_bad_objects_are_told_in_a_sentence(source: Any, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        read(source)


def test_real_texts_that_begin_with_a_mark(data_folder: Path) -> None:
    imdb = read(data_folder / "imdb" / "imdb_train.tsv.gz")
    assert imdb.rows == 25_000
    assert sum(text.startswith('"') for text in imdb.columns["text"]) == 550
    assert read(data_folder / "cmudict" / "cmudict.tsv.gz").rows == 133_737
    tatoeba = read(data_folder / "tatoeba_en_fr" / "fra-eng.tsv.gz")
    assert tatoeba.rows == 167_130


def test_real_quoting_is_undone(data_folder: Path) -> None:
    texts = read(data_folder / "allocine_tv_fr" / "train.tsv").columns["text"]
    assert len(texts) == 2_739
    assert not any('""' in text for text in texts)
    assert any(text.startswith('" louis la brocante "') for text in texts)
