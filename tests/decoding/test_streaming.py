"""TextStreamer a text while it is being written."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as some

from ensuite.decoding.streaming import TextStreamer

END = 256


def decode(ids: Sequence[int]) -> str:
    return bytes(ids).decode("utf-8", errors="replace")


def tell(tokens: Sequence[int], stops: Sequence[str] = (), longest: int = 1000) -> list[str]:
    streamer, pieces = TextStreamer(decode, END, longest, stops), []
    for token in tokens:
        pieces.append(streamer.take(token))
        if streamer.finished:
            break
    return pieces


def test_the_bytes_of_an_unfinished_character_are_held_back() -> None:
    assert tell(list("né€".encode())) == ["n", "", "é", "", "", "€"]


def test_a_stop_text_is_never_told() -> None:
    assert tell(list(b"so.\n\nmore"), ["\n\n"]) == ["s", "o", ".", "", ""]
    assert tell(list(b"so.\nmore"), ["\n\n"])[3:5] == ["", "\nm"]


def test_what_is_held_is_told_where_the_text_ends() -> None:
    assert tell([*b"so.\n", END], ["\n\n"])[-1] == "\n"
    assert tell(list(b"so.\n"), ["\n\n"], longest=4)[-1] == "\n"
    assert tell(list("é".encode())[:1], longest=1) == ["\ufffd"]


@given(some.binary(max_size=30))
def test_the_pieces_are_the_text(content: bytes) -> None:
    """Whatever the bytes, and whether or not they are characters."""
    assert "".join(tell([*content, END])) == decode(list(content))


@given(some.text("ab.", max_size=20), some.lists(some.text("ab.", min_size=1), max_size=3))
def test_a_text_ends_where_the_first_stop_text_is_whole(text: str, stops: list[str]) -> None:
    told = "".join(tell([*text.encode(), END], stops))
    ends = [end for end in range(len(text) + 1) if text[:end].endswith(tuple(stops))]
    if not stops or not ends:
        assert told == text
    else:
        longest = max(len(stop) for stop in stops if text[: ends[0]].endswith(stop))
        assert told == text[: ends[0] - longest]
