import json
from abc import ABC
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ensuite.core.errors import EnsuiteError, UsageError
from ensuite.core.options import differences, from_json, parse, set_options, to_json


class Mood(StrEnum):
    CALM = "calm"
    WILD = "wild"


class Shape(ABC):  # noqa: B024  an annotation that leaves the class open
    pass


@dataclass(frozen=True, kw_only=True)
class Circle(Shape):
    radius: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Box(Shape):
    sides: tuple[int, int] = (1, 2)
    label: str | None = None


@dataclass(frozen=True, kw_only=True)
class Drawing:
    width: int = 8
    scale: float = 1.0
    bold: bool = False
    style: Literal["thin", "thick"] = "thin"
    level: Literal[1, 2] = 1
    limit: int | None = None
    title: str = ""
    mood: Mood = Mood.CALM
    folder: Path = Path("here")
    corners: tuple[float, ...] = ()
    shape: Shape = field(default_factory=Circle)
    shapes: Mapping[str, Shape] = field(default_factory=dict)
    names: tuple[str, ...] = field(default=(), metadata={"learned": True})
    document: str = field(default="", metadata={"file": "document.txt"})

    def __post_init__(self):
        if self.width < 0:
            raise ValueError("width must not be negative")


NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
SHAPES = st.builds(Circle, radius=NUMBERS) | st.builds(
    Box, sides=st.tuples(st.integers(), st.integers()), label=st.none() | st.text()
)
DRAWINGS = st.builds(
    Drawing,
    width=st.integers(0),
    scale=NUMBERS,
    bold=st.booleans(),
    style=st.sampled_from(["thin", "thick"]),
    level=st.sampled_from([1, 2]),
    limit=st.none() | st.integers(),
    title=st.text(),
    mood=st.sampled_from(Mood),
    folder=st.sampled_from([Path("a/b"), Path("c")]),
    corners=st.lists(NUMBERS).map(tuple),
    shape=SHAPES,
    shapes=st.dictionaries(st.text(), SHAPES, max_size=3),
    names=st.lists(st.text()).map(tuple),
    document=st.text(),
)
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | NUMBERS | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(DRAWINGS, st.booleans())
def test_json_gives_back_what_it_was_made_of(drawing, apart):
    files = {} if apart else None
    written = json.loads(json.dumps(to_json(drawing, files), allow_nan=False))
    assert from_json(Drawing, written, files) == drawing
    assert not apart or files == ({"document.txt": drawing.document} if drawing.document else {})


@dataclass(frozen=True, kw_only=True)
class Memo:
    title: str = ""
    scratch: object = field(default=None, metadata={"saved": False})


def test_what_is_not_saved_is_its_default_again():
    written = to_json(Memo(title="a", scratch=object()))
    assert "scratch" not in written
    assert from_json(Memo, written) == Memo(title="a")


@given(st.sampled_from(["", *Drawing.__annotations__]), DOCUMENTS)
def test_foreign_json_is_an_error_of_ours_or_a_drawing(name, value):
    with suppress(EnsuiteError):
        assert isinstance(from_json(Drawing, {name: value} if name else value), Drawing)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({"width": True}, "width: True is not a whole number"),
        ({"width": "3"}, 'width: "3" is not a whole number'),
        ({"limit": "x"}, "limit: "),
        ({"style": "wavy"}, 'style: "wavy" is not one of thin, thick'),
        ({"shape": {"is": "Star"}}, 'shape: there is no Shape called "Star" here'),
        ({"shape": {"is": "Box", "sides": [1]}}, "shape: sides: expected 2 values, not 1"),
        ({"corners": "12"}, 'corners: "12" is not'),
        ({"mood": "sad"}, "mood: this makes no Mood"),
        ({"widht": 3}, "Drawing has no option widht"),
        ({"width": -1}, "this makes no Drawing: width must not be negative"),
        ([], r"\[\] is not the options of Drawing"),
    ],
)
def test_a_damaged_file_says_where(written, message):
    with pytest.raises(EnsuiteError, match=message):
        from_json(Drawing, written)


def test_what_has_no_order_or_no_form_cannot_be_written():
    with pytest.raises(TypeError, match="frozenset cannot be written as JSON"):
        to_json(frozenset("ab"))


def test_options_are_set_by_their_text():
    typed = {"width": "3", "scale": "3e-4", "bold": "yes", "style": "thick", "level": "2",
             "limit": "none", "title": "12", "corners": "1, 2.5", "folder": "a/b"}  # fmt: skip
    assert set_options(Drawing(limit=4), typed, "drawing") == Drawing(
        width=3, scale=3e-4, bold=True, style="thick", level=2, title="12",
        corners=(1.0, 2.5), folder=Path("a/b"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("widht", "3", r'drawing has no option "widht"; did you mean width\? It has: bold, '),
        ("names", "a", 'no option "names"'),
        ("width", "three", "drawing: width=three: expected a whole number"),
        ("width", "3.5", "expected a whole number"),
        ("width", "-1", "drawing: width must not be negative"),
        ("scale", "nan", "expected a finite number"),
        ("scale", "1e999", "expected a finite number"),
        ("bold", "maybe", "expected true or false"),
        ("style", "thinn", "choose one of thin, thick"),
        ("limit", "x", "expected a whole number or none"),
        ("shape", "Box", "a Shape cannot be set from the command line"),
    ],
)
def test_a_wrong_setting_says_what_was_expected(name, text, message):
    with pytest.raises(UsageError, match=message):
        set_options(Drawing(), {name: text}, "drawing")


@dataclass(frozen=True, kw_only=True)
class Page:
    drawing: Drawing = field(default_factory=Drawing, metadata={"options": True})
    number: int = 1

    def title(self):
        """Share its name with an option within."""


def test_options_within_options_are_set_by_their_own_names():
    page = set_options(Page(), {"number": "2", "width": "3", "title": "x"}, "page")
    assert page == Page(number=2, drawing=Drawing(width=3, title="x"))
    with pytest.raises(UsageError, match='page has no option "drawing"'):
        set_options(Page(), {"drawing": "x"}, "page")


def test_a_tuple_of_two_takes_two():
    assert parse(tuple[int, str], "3,x") == (3, "x")
    with pytest.raises(ValueError, match=r"expected 2 values, not 3$"):
        parse(tuple[int, int], "1,2,3")


@given(st.text())
def test_any_text_is_a_value_or_a_usage_error(text):
    for name in ("width", "scale", "bold", "style", "limit", "corners"):
        with suppress(UsageError):
            assert isinstance(set_options(Drawing(), {name: text}, "drawing"), Drawing)


def test_differences_are_what_a_label_needs():
    assert differences(Drawing(width=3, bold=True), Drawing(bold=True)) == {"width": 3}


def test_a_text_is_a_text_whatever_another_package_derives_from_it() -> None:
    @dataclass(frozen=True)
    class Url(str):  # as huggingface_hub has one
        host: str

    assert from_json(str, "a") == "a"
    assert Url.__mro__[1] is str
