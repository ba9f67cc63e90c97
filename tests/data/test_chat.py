"""Conversations: the order of roles, templates, and where an answer ends."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from ensuite.core.errors import DataError, EnsuiteError, RunError, UsageError
from ensuite.data.chat import PLAIN, ChatTemplate, check, read_template, shorten

HELLO = [{"role": "user", "content": "Hello"}]
SYSTEM = {"role": "system", "content": "Be short."}
TALK = [*HELLO, {"role": "assistant", "content": "Hi"}, {"role": "user", "content": "How are you?"}]

CHATML = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + "
    "message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def turns(*roles: str) -> list[dict[str, str]]:
    return [{"role": role, "content": role} for role in roles]


class TestRoles:
    @pytest.mark.parametrize("messages", [HELLO, TALK, [SYSTEM, *TALK]])
    def test_turns_in_order_are_taken(self, messages: Any) -> None:
        check(messages, asking=True)

    @pytest.mark.parametrize(
        ("messages", "sentence"),
        [
            ([], "A conversation is a list"),
            ("Hello", "A conversation is a list"),
            (HELLO[0], "A conversation is a list"),
            (["Hello"], "Message 1 is not of the form"),
            ([{"role": "user"}], "Message 1 is not of the form"),
            ([{"role": "user", "content": 3}], "Message 1 is not of the form"),
            (turns("assistant"), "Message 1 has the role assistant, where system or user is"),
            (turns("user", "user"), "Message 2 has the role user, where assistant is"),
            (turns("user", "system"), "Message 2 has the role system, where assistant is"),
            (turns("system", "system"), "Message 2 has the role system, where user is"),
            (turns("user", "assistant", "tool"), "Message 3 has the role tool, where user is"),
            (turns("user", "assistant"), "The last message has the role assistant"),
            (turns("system"), "The last message has the role system"),
        ],
    )
    def test_what_is_no_question_is_refused(self, messages: Any, sentence: str) -> None:
        with pytest.raises(DataError, match=sentence):
            check(messages, asking=True)

    def test_a_conversation_to_learn_from_may_end_with_an_answer(self) -> None:
        check(turns("user", "assistant"), asking=False)

    @given(some.lists(some.sampled_from(["system", "user", "assistant"]), min_size=1))
    def test_roles_are_taken_if_and_only_if_they_take_turns(self, roles: list[str]) -> None:
        rest = roles[1:] if roles[0] == "system" else roles
        expected = all(role == ("user", "assistant")[n % 2] for n, role in enumerate(rest))
        try:
            check(turns(*roles), asking=False)
        except DataError:
            assert not expected
        else:
            assert expected


class TestTemplates:
    def test_the_plain_one(self) -> None:
        template = ChatTemplate(PLAIN, "<s>", "</s>")
        assert template.render(HELLO, asking=True) == "<s>user: Hello\n\nassistant:"
        assert template.render(TALK[:2], asking=False) == "<s>user: Hello\n\nassistant: Hi\n\n"
        assert template.stops(HELLO) == ("\n\nuser: ", "\n\nsystem: ", "\n\nassistant: ")

    def test_one_with_an_end_token_needs_no_stop_text(self) -> None:
        template = ChatTemplate(CHATML, "", "<|im_end|>")
        assert template.render(HELLO, asking=True) == (
            "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n"
        )
        assert template.stops(TALK) == ()

    def test_one_that_leaves_early_answers_out_has_no_stop_text(self) -> None:
        last = "{{ messages[-1].content }}"
        assert ChatTemplate(last).stops(HELLO) == ()

    def test_json_and_loops_are_as_in_transformers(self) -> None:
        text = (
            "{% for m in messages %}{% if loop.index > 1 %}{% break %}{% endif %}"
            "{{ m | tojson }}{% endfor %}"
        )
        said = [{"role": "user", "content": "<é>"}, {"role": "assistant", "content": "2"}]
        assert ChatTemplate(text).render(said, asking=False) == json.dumps(
            said[0], ensure_ascii=False
        )

    @pytest.mark.parametrize(
        ("text", "sentence"),
        [
            ("a\n{% for %}", r"FILE is no Jinja template: line 2, Expected an exp"),
            ("{{ messages[0] }", "FILE is no Jinja template: line 1"),
            ("{{ nothing.there }}", "FILE cannot write this conversation: 'nothing' is undefined"),
            ("{{ raise_exception('no system here.') }}", "conversation: no system here\\.$"),
            ("{{ 1 / 0 }}", "FILE cannot write this conversation: division by zero"),
            ("{{ messages.clear() }}", "FILE cannot write this conversation"),
            ("{{ ''.__class__.__mro__[1].__subclasses__() }}", "FILE cannot write"),
        ],
    )
    def test_what_is_none_is_told_in_a_sentence(self, text: str, sentence: str) -> None:
        with pytest.raises(UsageError, match=sentence):
            ChatTemplate(text, place="FILE").render(HELLO, asking=True)

    @given(some.text(alphabet="{}%# abmessages.[]0|()'\n", max_size=30))
    def test_any_text_is_a_template_or_refused_in_a_sentence(self, text: str) -> None:
        try:
            ChatTemplate(text).render(HELLO, asking=True)
        except EnsuiteError as error:
            assert error.exit_code == 2


class TestFiles:
    def test_a_file_of_its_own_comes_first(self, tmp_path: Path) -> None:
        assert read_template(tmp_path) == ""
        config = tmp_path / "tokenizer_config.json"
        config.write_text(json.dumps({"chat_template": "in the configuration"}))
        assert read_template(tmp_path) == "in the configuration"
        (tmp_path / "chat_template.jinja").write_text("a file")
        assert read_template(tmp_path) == "a file"

    def test_of_several_the_default_is_taken(self, tmp_path: Path) -> None:
        both = [{"name": "rag", "template": "r"}, {"name": "default", "template": "d"}]
        config = tmp_path / "tokenizer_config.json"
        config.write_text(json.dumps({"chat_template": both}))
        assert read_template(tmp_path) == "d"

    def test_of_none_with_a_text_there_is_no_template(self, tmp_path: Path) -> None:
        config = tmp_path / "tokenizer_config.json"
        config.write_text(json.dumps({"chat_template": [3]}))
        assert read_template(tmp_path) == ""

    def test_what_is_damaged_is_told(self, tmp_path: Path) -> None:
        (tmp_path / "chat_template.jinja").write_bytes(b"\xff")
        with pytest.raises(RunError, match=r"chat_template\.jinja cannot be read"):
            read_template(tmp_path)
        (tmp_path / "chat_template.jinja").unlink()
        (tmp_path / "tokenizer_config.json").write_text('{"chat_template": 3}')
        with pytest.raises(RunError, match="its chat_template is not a text"):
            read_template(tmp_path)


def test_the_oldest_turns_go_first_and_the_system_message_stays() -> None:
    talk = [SYSTEM, *TALK]
    assert list(shorten(talk, lambda kept: True)) == talk
    assert list(shorten(talk, lambda kept: len(kept) < 4)) == [SYSTEM, TALK[-1]]
    assert list(shorten(TALK, lambda kept: False)) == TALK[-1:]
