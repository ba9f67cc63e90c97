"""Duplicates: counted as a person would."""

from collections import Counter
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from ensuite.data.duplicates import duplicates
from ensuite.data.readers import read


@given(train=st.lists(st.integers(0, 9)), test=st.lists(st.integers(0, 9)))
def test_counts(train: list[int], test: list[int]) -> None:
    found = duplicates({"train": train, "test": test})
    again = sum(count - 1 for part in (train, test) for count in Counter(part).values())
    shared = sum(key in test for key in set(train))
    assert found.within == again
    assert found.across == ({("train", "test"): shared} if shared else {})


def test_real_duplicates(data_folder: Path) -> None:
    def texts(name: str) -> list[str]:
        return list(read(data_folder / name).columns["text"])

    series = "allocine_tv_fr"
    found = duplicates({"train": texts(f"{series}/train.tsv"), "test": texts(f"{series}/test.tsv")})
    assert found.across == {("train", "test"): 50}
    train, test = texts("imdb/imdb_train.tsv.gz"), texts("imdb/imdb_test.tsv.gz")
    assert duplicates({"train": train, "test": test}).across == {("train", "test"): 123}
    assert duplicates({"train": train}).within == 98
