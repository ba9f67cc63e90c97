"""Which task a file is for, by its columns."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ensuite import catalog
from ensuite.core.table import Table
from ensuite.data import readers
from ensuite.data.guess import guess_task

FILES = {
    "words.conll": ("tag", "Paul B-PER\nsleeps O\n\nAnna B-PER\nruns O\n"),
    "book.txt": ("generate", "Once upon a time\nthere was a fox.\n"),
    "lines.csv": ("generate", "text\na first line here\nand a second one\n"),
    "reviews.csv": ("classify", "text,label\na good film,pos\na bad one,neg\n"),
    "stars.csv": ("classify", "text,rating\na good film,5\na bad one,1\n"),
    "prices.csv": ("regress", "size,target\n12,10.5\n13,11.25\n"),
    "temperatures.csv": ("forecast", "date,value\n2025-01-01,3.5\n2025-01-02,4.5\n"),
    "pairs.tsv": ("translate", "source\ttarget\na cat\tun chat\na dog\tun chien\n"),
    "two.csv": ("translate", "en,fr\na cat,un chat\na dog,un chien\nthe sun,le soleil\n"),
    "moods.csv": ("classify", "said,mood\na cat,good\na dog,good\nthe sun,good\n"),
    "tagged.jsonl": ("tag", '{"tokens": ["a", "b"], "tags": ["X", "Y"]}\n'),
    "iris.csv": ("classify", "length,width,class\n1.5,2.5,a\n2.5,3.5,b\n"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_tells_its_task(name: str) -> None:
    task, content = FILES[name]
    table = readers.read_content(content.encode(), name)
    assert guess_task(table).task == task


cells = st.one_of(st.text(max_size=8), st.sampled_from(["1", "2.5", "", "nan", "2025-01-01"]))
names = st.one_of(
    st.text(min_size=1, max_size=6),
    st.sampled_from(["label", "target", "text", "date", "tokens", "tags", "image", "source"]),
)


@given(st.dictionaries(names, st.lists(cells, min_size=3, max_size=3), min_size=1, max_size=5))
def test_any_table_has_a_guess(columns: dict[str, list[str]]) -> None:
    found = guess_task(Table("data.csv", columns, 3))
    assert found.task in catalog.tasks
    assert found.reason
