"""Token ids in flat arrays: made once, shared, in memory or in the cache, never wrong."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from ensuite.core.stacked import column, take
from ensuite.data import cache, encoded
from ensuite.data.encoded import cut, encode, flat, rows_of_windows
from ensuite.data.processors.text import Text
from ensuite.tasks.regress import Regress


@dataclass
class Letters:
    """Encodes a text as the numbers of its letters, and counts how many texts it is asked for."""

    key: str = "letters"
    asked: list[str] = field(default_factory=list)
    columns: ClassVar[tuple[int, ...]] = ()

    def __call__(self, texts: Sequence[str]) -> list[Any]:
        self.asked += texts
        return [np.array([ord(letter) for letter in text], dtype=np.int32) for text in texts]


@pytest.fixture(autouse=True)
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(cache.SWITCH, raising=False)
    cache._kept.clear()
    encoded.forget()
    yield
    encoded.forget()
    cache._kept.clear()


def told(found: Sequence[Any]) -> list[str]:
    return ["".join(map(chr, ids)) for ids in found]


def test_a_text_is_encoded_once_whatever_it_stands_among() -> None:
    letters = Letters()
    assert told(encode(letters, ["a", "bc", "a"])) == ["a", "bc", "a"]
    assert told(encode(letters, ["bc", "d"])) == ["bc", "d"]
    assert told(encode(Letters(asked=letters.asked), ["d", "", "a"])) == ["d", "", "a"]
    assert letters.asked == ["a", "bc", "d", ""]
    assert told(encode(Letters("others"), ["a"])) == ["a"]


def test_many_calls_with_new_texts_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoded, "MOST_BYTES", 20 * encoded.SMALL)
    letters = Letters()
    for number in range(100):
        assert told(encode(letters, [str(number), "same"])) == [str(number), "same"]
    store = encoded._stores["letters"]
    assert len(store.blocks) <= 20
    assert len(store.rows) == 1 + len(store.blocks)  # "same" and a number, then one number each
    assert store.size == sum(block.size for block in store.blocks.values()) <= encoded.MOST_BYTES
    assert letters.asked.count("same") == 1  # used by every call


def test_ids_that_were_used_longest_ago_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoded, "MOST_BYTES", 3 * encoded.SMALL + 4 * 200)
    letters, train, valid = Letters(), "a" * 150, "b" * 40
    for texts in ([train], [valid], [train], ["c" * 40], [train, valid], ["d"], ["e"], [valid]):
        assert told(encode(letters, texts)) == texts
    assert [text[0] for text in letters.asked] == ["a", "b", "c", "b", "d", "e"]
    assert told(encode(letters, ["f" * 1500])) == ["f" * 1500]  # more than the bound, and yet kept
    assert list(encoded._stores["letters"].rows) == ["f" * 1500]


def test_a_text_that_comes_again_is_copied_once() -> None:
    letters = Letters()
    encode(letters, ["context"])
    found = encode(letters, ["context", "one", "context", "two"])
    assert told(found) == ["context", "one", "context", "two"]
    assert len(found.ids) == len("contextonetwo")


@given(some.lists(some.text(max_size=5), max_size=8), some.lists(some.text(max_size=5), max_size=8))
def test_ids_do_not_depend_on_what_was_asked_before(one: list[str], other: list[str]) -> None:
    letters = Letters("any")
    encode(letters, one)
    assert told(encode(letters, [*other, *one])) == [*other, *one]


def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "ON_DISK", 10)
    monkeypatch.setattr(encoded, "IN_MEMORY", 20)
    monkeypatch.setattr(encoded, "BATCH_TEXTS", 3)


TEXTS = [f"text {number}" for number in range(20)] + [""]


def test_many_texts_are_kept_on_disk_and_read_from_there(monkeypatch: pytest.MonkeyPatch) -> None:
    small_limits(monkeypatch)
    assert told(encode(Letters(), TEXTS)) == TEXTS
    (file,) = (Path("runs") / ".cache").iterdir()
    encoded.forget()
    again = Letters()
    found = encode(again, TEXTS)
    assert told(found) == TEXTS
    assert again.asked == []
    assert not found.ids.flags.writeable  # it lies in the file
    encoded.forget()
    encode(Letters(key="other"), TEXTS)
    assert len([*file.parent.iterdir()]) == 2


@pytest.mark.parametrize("damage", ["cut", "empty", "other"])
def test_a_damaged_entry_is_made_anew(damage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    small_limits(monkeypatch)
    encode(Letters(), TEXTS)
    encoded.forget()
    (file,) = (Path("runs") / ".cache").iterdir()
    content = file.read_bytes()
    file.write_bytes({"cut": content[:-3], "empty": b"", "other": b"x" * len(content)}[damage])
    assert told(encode(Letters(), TEXTS)) == TEXTS
    assert file.read_bytes() == content


def test_without_the_cache_nothing_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    small_limits(monkeypatch)
    with cache.disabled():
        assert not cache.is_enabled()
        found = encode(Letters(), TEXTS)
        Text(unit="words", min_frequency=1).prepare(TEXTS)
    assert told(found) == TEXTS
    assert not found.ids.flags.writeable  # too much for memory: a file without a name
    assert cache.is_enabled()
    assert not Path("runs").exists()


def test_a_folder_that_cannot_be_written_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    small_limits(monkeypatch)
    Path("runs").write_text("a file", encoding="utf-8")
    assert told(encode(Letters(), TEXTS)) == TEXTS
    assert Text(unit="words", min_frequency=1).prepare(TEXTS).encode(TEXTS[:1]).lengths[0] == 2


def test_a_tokenizer_is_learned_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "ON_DISK", 10)
    made = []

    def make() -> str:
        made.append(1)
        return "learned é"

    for _ in range(2):
        assert cache.remembered_text("key", make, 11) == "learned é"
        cache._kept.clear()
    assert len(made) == 1
    (file,) = (Path("runs") / ".cache").iterdir()
    file.write_bytes(file.read_bytes()[:-1])
    assert cache.remembered_text("key", make, 11) == "learned é"
    assert len(made) == 2


def test_the_oldest_entries_go_when_the_folder_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MOST_BYTES", 25)
    for number in range(4):
        path = Path("cache") / str(number)
        with cache.writing(path) as file:
            file.write(b"x" * 10)
        cache.os.utime(path, (number, number))
    assert sorted(each.name for each in Path("cache").iterdir()) == ["2", "3"]


@given(some.lists(some.text(max_size=4), max_size=5), some.lists(some.text(max_size=4), max_size=5))
def test_other_texts_have_another_hash(one: list[str], other: list[str]) -> None:
    same = cache.digest((), one) == cache.digest((), other)
    assert same == (one == other)
    assert cache.digest((), [tuple(one)]) != cache.digest((), one) or not one


class Row(NamedTuple):
    example: int
    window: Any
    target: int


@given(some.lists(some.integers(0, 9), min_size=1, max_size=8), some.integers(1, 5))
def test_rows_are_those_of_the_windows(lengths: list[int], window: int) -> None:
    texts = flat([np.arange(length, dtype=np.int32) for length in lengths])
    windows = cut(texts, window, window - 1)
    rows = rows_of_windows(Row, windows, [10 * n for n in range(len(lengths))])
    plain = rows_of_windows(
        Row, [list(each) for each in windows], [10 * n for n in range(len(lengths))]
    )
    assert len(rows) == len(plain) == sum(max(1, length - window + 1) for length in lengths)
    for one, other in zip(rows, plain, strict=True):
        assert (one.example, one.target) == (other.example, other.target)
        assert np.array_equal(one.window, other.window)
    assert column(rows, "example") == list(column(plain, "example"))
    assert Regress().lengths(rows).tolist() == [len(row.window) for row in plain]
    assert [row.example for row in take(rows, [0])] == [0]


def test_windows_are_views_of_the_flat_array() -> None:
    text = Text(unit="words", min_frequency=1, window=2, overlap=0).prepare(["a b c"])
    (windows,) = text.windows(["a b c"])
    assert [len(each) for each in windows] == [2, 1]
    assert all(np.shares_memory(each, text.encode(["a b c"]).ids) for each in windows)
