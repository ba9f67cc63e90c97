"""Texts that keep to a pattern or to a JSON schema, whatever the model would rather write."""

import json
import re
import sys
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some

from ensuite.core.errors import UsageError
from ensuite.decoding.constrain import (
    Guide,
    Spelling,
    keep_allowed,
    regex_grammar,
    schema_grammar,
)
from ensuite.decoding.sampling import Sampling

pytest.importorskip("llguidance")

LETTERS = 'abcdefghijklmnopqrstuvwxyz ABC0123456789{}[]":,.-_'
TOKENS = (b"", *(letter.encode() for letter in LETTERS), b"ab", b"cat", b'": ', b"true")
END = 0
SPELLING = Spelling(TOKENS, END, lambda text: [TOKENS.index(each.encode()) for each in text])
FORM = {
    "type": "object",
    "properties": {"name": {"enum": ["ann", "bob"]}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


def write(grammar: str, seed: int, longest: int = 60) -> str | None:
    """Draw allowed tokens until one ends the text; return None if it has not ended by then."""
    guide, text = Guide(grammar, SPELLING), b""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(longest):
        allowed = guide.allowed().nonzero()[:, 0]
        token = int(allowed[torch.randint(len(allowed), (), generator=generator)])
        if token == END:
            assert guide.whole
            return text.decode()
        guide.take(token)
        text += TOKENS[token]
    return None


@pytest.mark.parametrize("pattern", ["cat", "(ab|c)d{2,3}", "[0-9]+(\\.[0-9]+)?", "a?b?c?", "ab*"])
def test_what_is_written_matches_the_pattern(pattern: str) -> None:
    texts = [write(regex_grammar(pattern), seed) for seed in range(20)]
    whole = [text for text in texts if text is not None]
    assert whole
    assert all(re.fullmatch(pattern, text) for text in whole)


def test_what_is_written_follows_the_schema() -> None:
    for seed in range(20):
        text = write(schema_grammar(FORM), seed)
        if text is not None:
            found = json.loads(text)
            assert found.keys() == {"name", "age"}
            assert (found["name"] in ("ann", "bob"), type(found["age"])) == (True, int)
    assert schema_grammar(json.dumps(FORM)) == schema_grammar(FORM)


def test_the_end_comes_when_nothing_else_can() -> None:
    guide = Guide(regex_grammar("cat"), SPELLING)
    for letter in "cat":
        assert not guide.whole
        assert not guide.allowed()[END]
        guide.take(TOKENS.index(letter.encode()))
    assert guide.allowed().nonzero().flatten().tolist() == [END]


def test_each_row_has_its_own_guide() -> None:
    guides = [Guide(regex_grammar(pattern), SPELLING) for pattern in ("a", "b")]
    best = keep_allowed(torch.zeros(2, len(TOKENS)), guides).argmax(-1)
    assert [TOKENS[token] for token in best.tolist()] == [b"a", b"b"]


def test_letters_that_no_token_has_are_told() -> None:
    with pytest.raises(UsageError, match="No token of the model continues the text"):
        Guide(regex_grammar("é"), SPELLING).allowed()


@pytest.mark.parametrize(
    ("pattern", "sentence"),
    [
        ("(a", r"The pattern \(a cannot be followed: unclosed group\.$"),
        ("[z-", "cannot be followed: unclosed character class"),
        ("a(?=b)", "cannot be followed: look-around, including look-ahead"),
    ],
)
def test_what_is_no_pattern_is_told_in_a_sentence(pattern: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        Sampling(regex=pattern)


@pytest.mark.parametrize(
    ("schema", "sentence"),
    [
        ("{", "The JSON schema is not JSON: Expecting"),
        ("[]", "A JSON schema is an object"),
        ({"type": "thing"}, r"The JSON schema cannot be followed: Invalid type: thing\.$"),
        ({"not": {"type": "string"}}, "cannot be followed: Unimplemented keys"),
    ],
)
def test_what_is_no_schema_is_told_in_a_sentence(schema: Any, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        Sampling(json_schema=schema)


def test_what_goes_together_and_what_does_not() -> None:
    with pytest.raises(UsageError, match="not both"):
        Sampling(regex="a", json_schema={})
    with pytest.raises(UsageError, match="A beam search keeps to no pattern"):
        Sampling(regex="a", beam=2)
    assert Sampling().grammar is None


@given(some.text(alphabet="ab()[]{}*+?|\\\\^$.,0-9é", max_size=12))
@settings(deadline=None)
def test_any_text_is_a_pattern_or_refused_in_a_sentence(pattern: str) -> None:
    try:
        Guide(regex_grammar(pattern), SPELLING).allowed()
    except UsageError as error:
        assert "\n" not in str(error)


def test_a_missing_package_is_told_with_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "llguidance", None)
    with pytest.raises(UsageError, match=r"pip install 'ensuite\[constrain\]'"):
        Sampling(regex="a")
