"""CoNLL files: no token is changed, lost or taken for something else."""

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ensuite.core.errors import DataError
from ensuite.data.conll import parse
from ensuite.data.readers import read

TRAPS = ["#", "# text = a", "-DOCSTART-x", "1", "0", "2-3", "3.1", "_", "\xa0", "\u2028", '"', "O"]
cells = st.sampled_from(TRAPS) | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\t"), min_size=1
)
without_spaces = st.sampled_from(["#", "1", "2-3", "\xa0", "\u2028", '"']) | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\t "), min_size=1
)


def sentences(cell):
    token = st.tuples(cell, st.sampled_from(["O", "B-PER", "I-PER"]))
    return st.lists(st.lists(token, min_size=1), min_size=1)


def write(found, separator, end, *, first=None):
    """Write sentences, with numbers from ``first`` on or without."""
    return end.join(
        end.join(
            separator.join(pair if first is None else (str(number), *pair))
            for number, pair in enumerate(sentence, first or 0)
        )
        + end
        for sentence in found
    )


def assert_read(parsed, found):
    assert parsed.columns == {
        "tokens": [[token for token, _ in sentence] for sentence in found],
        "tags": [[tag for _, tag in sentence] for sentence in found],
    }


@given(sentences(cells), st.sampled_from([0, 1]), st.sampled_from(["\n", "\r\n"]))
def test_numbered_tokens_are_read_back(found, first, end):
    assert_read(parse(write(found, "\t", end, first=first), "a.conll"), found)


@given(sentences(without_spaces.filter("-DOCSTART-".__ne__)), st.sampled_from("\t "))
def test_tokens_are_read_back(found, separator):
    if found[0][0][0][0] != "#":  # a first line says what separates cells, but not a comment
        assert_read(parse(write(found, separator, "\n"), "a.conll"), found)


@given(st.text())
def test_anything_is_read_or_refused(text):
    try:
        parsed = parse(text, "a.conll")
    except DataError:
        return
    rows = [[len(cells) for cells in column] for column in parsed.columns.values()]
    assert all(row == rows[0] for row in rows) and len(parsed.starts) == len(rows[0])


CONLL_2003 = """-DOCSTART- -X- -X- O

EU NNP B-NP B-ORG
# NN I-NP O
. . O O

-DOCSTART- -X- -X- O

Peter NNP B-NP B-PER
"""

CONLLU = """# newdoc id = 1
# text = Il va au lit.
1\tIl\til\tPRON\t_\tNumber=Sing\t2\tnsubj\t_\t_
2\tva\taller\tVERB\t_\t_\t0\troot\t_\t_
3-4\tau\t_\t_\t_\t_\t_\t_\t_\t_
3\tà\tà\tADP\t_\t_\t5\tcase\t_\t_
4\tle\tle\tDET\t_\t_\t5\tdet\t_\t_
5\tlit\tlit\tNOUN\t_\t_\t2\tobl\t_\t_
5.1\tva\taller\tVERB\t_\t_\t_\t_\t_\t_

# text = 20 000 #
1\t20 000\t20 000\tNUM\t_\t_\t0\troot\t_\t_
2\t#\t#\tSYM\t_\t_\t1\tdep\t_\t_

"""


def test_conll_2003():
    parsed = parse(CONLL_2003, "a.conll")
    assert parsed.columns == {
        "tokens": [["EU", "#", "."], ["Peter"]],
        "1": [["NNP", "NN", "."], ["NNP"]],
        "2": [["B-NP", "I-NP", "O"], ["B-NP"]],
        "tags": [["B-ORG", "O", "O"], ["B-PER"]],
    }
    assert parsed.starts == [3, 9]


def test_conllu():
    parsed = parse(CONLLU, "a.conllu")
    assert parsed.columns["tokens"] == [["Il", "va", "à", "le", "lit"], ["20 000", "#"]]
    assert parsed.columns["tags"] == [["PRON", "VERB", "ADP", "DET", "NOUN"], ["NUM", "SYM"]]
    assert parsed.columns["lemma"][0][1] == "aller"
    assert parsed.columns["head"][0] == ["2", "0", "5", "5", "2"]
    assert "xpos" not in parsed.columns and "misc" not in parsed.columns  # nothing stands there
    assert parsed.starts == [3, 12]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a O\nb  O \n\n\n\n \t\nc O", [["a", "b"], ["c"]]),  # runs of spaces, of empty lines
        ("1 CD O\n\n2 CD O\n. . O\n", [["1"], ["2", "."]]),  # a token that is a number
        ("# O\na O\n", [["#", "a"]]),
        ("1 O\n2 O\n", [["1", "2"]]),
        ("1\ta\tO\n2\tb\tO\n4\td\tO\n", [["a", "b", "d"]]),  # a line was taken out
        ("# id 1\n1\ta\tO\n2\tb\tO\n", [["a", "b"]]),  # a comment, as there are numbers
        ("a\tO\n b\tO\n", [["a", " b"]]),  # a cell ends at a tab
    ],
)
def test_tokens_of_a_known_text(text, expected):
    assert parse(text, "a.conll").columns["tokens"] == expected


def test_tokens_alone_can_be_asked_about():
    assert parse("a\nb\n\nc\n", "a.conll").columns == {"tokens": [["a", "b"], ["c"]]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a O\nb\n", r"Line 2 of a\.conll has 1 column where the first token has 2; give each"),
        ("a O\n\nb O O\n", r"Line 3 of a\.conll has 3 columns where the first token has 2"),
        ("a\tO\nb\t\n", r"Line 2 of a\.conll has an empty cell in column 1 \(its tags, "),
        ("a\tO\n\tO\n", r"Line 2 of a\.conll has an empty cell in column 0 \(its tokens, "),
        ("-DOCSTART- O\n\n", r"a\.conll has no sentences; give one token a line"),
        ("# id 1\na O\n", r"Line 2 of a\.conll has 2 columns where the first token has 3"),
    ],
)
def test_what_is_no_such_file_is_refused(text, message):
    with pytest.raises(DataError, match=message):
        parse(text, "a.conll")


@pytest.mark.parametrize("ending", [".conll", ".conllu", ".iob", ".iob2", ".bio", ".CONLL"])
def test_endings_that_are_read(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a{ending}.gz"
    path.write_bytes(gzip.compress(CONLL_2003.encode()))
    table = read(path)
    assert table.rows == 2 and list(table.columns) == ["tokens", "1", "2", "tags"]


def test_a_sentence_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "a.conll"
    path.write_text(CONLL_2003)
    table = read(path)
    assert table.where(1) == "sentence 2 (line 9) of a.conll"
    assert table.select([1, 0]).where(0) == "sentence 2 (line 9) of a.conll"
    assert table.select([1]).select([0]).where(0) == "sentence 2 (line 9) of a.conll"


@pytest.mark.parametrize(
    ("path", "rows", "tokens", "tags"),
    [
        ("wikineural_en/test.conllu.gz", 11597, 267155, 9),
        ("ud_french_sequoia/fr_sequoia-ud-test.conllu.gz", 456, 10044, 15),
        ("ud_english_ewt/en_ewt-ud-test.conllu.gz", 2077, 25094, 17),
    ],
)
def test_real_files(data_folder: Path, path: str, rows: int, tokens: int, tags: int) -> None:
    table = read(data_folder / path)
    assert table.rows == rows
    assert sum(map(len, table.columns["tokens"])) == tokens
    assert len({tag for sentence in table.columns["tags"] for tag in sentence}) == tags
