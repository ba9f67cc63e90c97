"""Chat: messages with roles, and the Jinja template that turns them into the text of a prompt."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from ensuite.core.errors import DataError, RunError, UsageError, reason
from ensuite.data.processors.checkpoint import CONFIG, read_config

TEMPLATE = "chat_template.jinja"
"""The file of a folder that holds the template, as in transformers."""

PLAIN = (
    "{{ bos_token }}"
    "{% for message in messages %}{{ message.role }}: {{ message.content }}\n\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)
"""The template in which conversations are learned where there is no other."""

ROLES = ("system", "user", "assistant")

Message = Mapping[str, str]
"""A role and a content."""


class Asked(NamedTuple):
    """A conversation as a language model reads it.

    Attributes:
        prompt: The tokens that the model continues with its answer.
        stops: Texts that end the answer, because the next message would begin with them.
    """

    prompt: list[int]
    stops: tuple[str, ...]


def read_template(folder: Path) -> str:
    """Return the chat template of a checkpoint or of a run; empty if it has none.

    It is a file of its own, or part of ``tokenizer_config.json``. Of several named ones the
    default is taken.

    Raises:
        RunError: If a file cannot be read.
    """
    path = folder / TEMPLATE
    try:
        if path.is_file():
            return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(f"{path} cannot be read ({reason(error)}).") from error
    found = read_config(folder).get("chat_template") or ""
    if isinstance(found, list):
        objects = [each for each in found if isinstance(each, Mapping)]
        named = {each.get("name"): each.get("template") for each in objects}
        found = named.get("default") or next(iter(named.values()), "")
    if not isinstance(found, str):
        raise RunError(f"{folder / CONFIG}: its chat_template is not a text.")
    return found


def check(messages: Sequence[Any], *, asking: bool) -> None:
    """Refuse messages that are none, or whose roles are not in order.

    A system message may come first; then user and assistant take turns, and the user begins.

    Args:
        messages: Each is a mapping with the keys role and content.
        asking: Whether the assistant is to answer, so that the user must be the last.

    Raises:
        DataError: Says which message, and what was expected.
    """
    if isinstance(messages, str | Mapping) or not isinstance(messages, Sequence) or not messages:
        raise DataError('A conversation is a list: [{"role": "user", "content": "Hello"}].')
    expected: tuple[str, ...] = ("system", "user")
    for number, message in enumerate(messages, 1):
        texts = (
            [message.get(k) for k in ("role", "content")] if isinstance(message, Mapping) else []
        )
        if not texts or not all(isinstance(text, str) for text in texts):
            raise DataError(
                f'Message {number} is not of the form {{"role": "user", "content": "Hello"}}.'
            )
        if texts[0] not in expected:
            raise DataError(
                f"Message {number} has the role {texts[0]}, where {' or '.join(expected)} is "
                "expected: a system message may come first, then user and assistant take turns."
            )
        expected = ("assistant",) if texts[0] == "user" else ("user",)
    if asking and messages[-1]["role"] != "user":
        raise DataError(
            f"The last message has the role {messages[-1]['role']}; end with what the user says."
        )


@dataclass(frozen=True)
class ChatTemplate:
    """A Jinja template of conversations, as ``apply_chat_template`` of transformers takes it.

    Args:
        text: Reads ``messages``, ``add_generation_prompt``, ``bos_token`` and ``eos_token``.
        start: The token that begins a text, as a text; empty if there is none.
        end: The token that ends one.
        place: Where the template came from, for messages.
    """

    text: str
    start: str = ""
    end: str = ""
    place: str = "the chat template"

    def render(self, messages: Sequence[Message], *, asking: bool) -> str:
        """Return the text of a conversation.

        Args:
            messages: With their roles in order; see :func:`check`.
            asking: Whether the text ends where the assistant's answer begins.

        Raises:
            UsageError: If the template does not parse, or refuses these messages.
        """
        from jinja2 import TemplateError

        try:
            text = self._compiled.render(
                messages=[dict(message) for message in messages],
                add_generation_prompt=asking, bos_token=self.start, eos_token=self.end,
            )  # fmt: skip
        except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError) as error:
            raise UsageError(f"{self.place} cannot write this conversation: {error}.") from error
        return str(text)

    @cached_property
    def _compiled(self) -> Any:
        """The template, in a sandbox: it comes from a file that may be anyone's."""
        from jinja2 import TemplateSyntaxError
        from jinja2.ext import loopcontrols
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        sandbox = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols]
        )
        sandbox.filters["tojson"] = _to_json
        sandbox.globals |= {"raise_exception": _refuse, "strftime_now": _strftime_now}
        try:
            return sandbox.from_string(self.text)
        except TemplateSyntaxError as error:
            why = str(error.message).removesuffix(".")
            raise UsageError(
                f"{self.place} is no Jinja template: line {error.lineno}, {why}."
            ) from error

    def stops(self, messages: Sequence[Message]) -> tuple[str, ...]:
        """Return what the template writes between the assistant's answer and the next message.

        A model that was trained on whole conversations would write it, too, or, if it learned
        little, that of another role. If the template writes an end token, it ends the answer.
        """
        answer, question = "\ue000", "\ue001"  # of the private use area: in no template
        later = [
            {"role": "assistant", "content": answer}, {"role": "user", "content": question},
        ]  # fmt: skip
        text = self.render([*messages, *later], asking=False)
        between = text[text.find(answer) + 1 : text.find(question)]
        if answer not in text or (self.end and self.end in between):
            return ()
        others = (between.replace("user", role) for role in ROLES)
        return tuple(dict.fromkeys([between, *others])) if between.strip() else ()


def shorten(
    messages: Sequence[Message], fits: Callable[[Sequence[Message]], bool]
) -> Sequence[Message]:
    """Return a conversation without its oldest questions and answers, until it fits.

    The system message and the last question stay.
    """
    first = [message for message in messages[:1] if message["role"] == "system"]
    rest = list(messages[len(first) :])
    while len(rest) > 2 and not fits([*first, *rest]):
        rest = rest[2:]
    return [*first, *rest]


def _to_json(value: Any, indent: int | None = None) -> str:
    """Write JSON as templates expect it; Jinja's own filter escapes < and > for HTML."""
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _refuse(reason: str) -> None:
    """Let a template refuse a conversation."""
    from jinja2 import TemplateError

    raise TemplateError(str(reason).rstrip("."))


def _strftime_now(form: str) -> str:
    """Return today's date, which some templates tell the model."""
    from datetime import datetime

    return datetime.now().strftime(form)
