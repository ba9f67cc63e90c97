"""A prompted language model: templates, shots, scores, and the run that it leaves."""

import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

import ensuite
from ensuite.candidates import Prompted
from ensuite.cli.app import main
from ensuite.core.errors import EnsuiteError, UsageError
from ensuite.predictor import Predictor
from ensuite.problem import Problem, open_problem
from ensuite.prompting import PromptedModel, Template, fields_of
from ensuite.specs import open_spec
from ensuite.tasks.classify import Example
from ensuite.training.budget import Budget
from ensuite.training.callback import Callback

WORDS = {"fine": "positive", "great": "positive", "bad": "negative", "poor": "negative"}
ROWS = [
    {"text": f"{n} so {word}", "label": label} for n in range(10) for word, label in WORDS.items()
]
TOLD = [f"{n} it was so {word} {label}" for n in range(9) for word, label in WORDS.items()]


@pytest.fixture(scope="module")
def language(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run of an n-gram, which knows what comes after each word."""
    folder = tmp_path_factory.mktemp("runs") / "language"
    settings = {"unit": "words"}
    data = {"text": TOLD}
    ensuite.train("generate", data, model="n-gram", settings=settings, out=folder, test=data)
    return folder


@pytest.fixture(autouse=True)
def template(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "template.txt").write_text("it was {text}\n", encoding="utf-8")


@pytest.fixture(scope="module")
def problem() -> Problem:
    return open_problem("classify", ROWS)


def opened(language: Path, problem: Problem, more: str = "") -> Prompted:
    candidate = open_spec(f"{language}:template=template.txt{more}", problem)
    assert isinstance(candidate, Prompted)
    return candidate


def fitted(candidate: Any, problem: Problem, seed: int = 0) -> Predictor:
    how: dict[str, Any] = {"folder": Path("trial"), "callback": Callback()}
    found: Predictor = candidate.fit(
        problem, budget=Budget.parse("1steps"), seed=seed, **how
    ).predictor
    return found


def test_it_answers_with_what_the_language_model_finds_likely(
    language: Path, problem: Problem
) -> None:
    predictor = fitted(opened(language, problem), problem)
    answers = predictor.predict([f"so {word}" for word in WORDS])
    assert [each.label for each in answers] == list(WORDS.values())
    assert all(0.5 < each.probability <= 1 for each in answers)
    assert predictor.parameters == ensuite.load(language).parameters


def test_its_run_needs_neither_the_language_model_nor_the_template(
    language: Path,
    problem: Problem,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    copy = shutil.copytree(language, tmp_path / "copy")
    predictor = fitted(opened(Path(copy), problem, ",shots=2"), problem)
    predictor.save("saved")
    shutil.rmtree(copy)
    Path("template.txt").unlink()
    again = ensuite.load("saved")
    texts = [row["text"] for row in ROWS]
    assert again.predict(texts) == predictor.predict(texts)
    assert again.model.beginning == predictor.model.beginning
    with pytest.raises(UsageError, match="has no states"):
        again.embed("so fine")
    monkeypatch.setattr(sys, "argv", ["ensuite", "check", "saved"])
    with pytest.raises(SystemExit):
        main()
    assert "Nothing was checked" in capsys.readouterr().err
    with pytest.raises(UsageError, match="was trained to classify, not to continue texts"):
        again.generate("so")


def test_it_answers_with_what_the_language_model_writes(
    language: Path, problem: Problem, tmp_path: Path
) -> None:
    said: list[str] = []
    candidate = opened(language, problem, ",answer=generate")
    callback = Callback()
    callback.say = said.append  # type: ignore[method-assign]
    predictor = candidate.fit(
        problem, budget=Budget.parse("1steps"), seed=0, folder=tmp_path, callback=callback
    ).predictor
    texts = [f"so {word}" for word in WORDS]
    assert [each.label for each in predictor.predict(texts)] == list(WORDS.values())
    assert said[0].startswith("answers      100.0% of 4 validation answers name a choice")
    predictor.save("saved")
    again = ensuite.load("saved")
    assert again.model.answer == "generate"
    assert again.predict(texts) == predictor.predict(texts)


def test_many_prompts_are_answered_some_at_a_time(
    language: Path, problem: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = fitted(opened(language, problem, ",answer=generate"), problem).model
    examples = [Example(f"{'very ' * (n % 5)}so {word}") for n, word in enumerate([*WORDS] * 3)]
    together = model.answers(problem.task, examples)
    monkeypatch.setattr("ensuite.prompting.MOST_ROWS", 5)
    assert model.answers(problem.task, examples) == together
    assert len(set(together)) == 2


def test_an_answer_that_names_no_choice_is_not_well_formed(
    language: Path, problem: Problem
) -> None:
    model = fitted(opened(language, problem, ",answer=generate"), problem).model
    Path("template.txt").write_text("{text} so", encoding="utf-8")
    unclear = fitted(opened(language, problem, ",answer=generate"), problem).model
    examples = [Example("so fine", "positive")]
    names = problem.task.choices
    assert model.answers(problem.task, examples) == [names.index("positive")]
    assert unclear.answers(problem.task, examples) == [None]
    (answer,) = unclear.predict(problem.task, examples)
    assert set(answer.probabilities) == {0.5}


def test_shots_are_drawn_by_the_seed(language: Path, problem: Problem) -> None:
    candidate = opened(language, problem, ",shots=3")
    assert candidate.seeded
    assert not opened(language, problem).seeded
    first, same, other = (fitted(candidate, problem, seed).model.beginning for seed in (0, 0, 1))
    assert first == same != other
    shots = first.removesuffix("\n\n").split("\n\n")
    train = {(e.input, e.label) for e in problem.parts["train"]}
    assert len(shots) == 3
    for shot in shots:
        words = shot.removeprefix("it was ").split(" ")
        assert (" ".join(words[:3]), words[3]) in train


def test_it_competes(language: Path) -> None:
    models = [f"{language}:template=template.txt", "lstm:width=2"]
    board = ensuite.compare("classify", ROWS, models=models, seeds=1, budget="1steps", out="out")
    rows = {row.name: row for row in board.rows}
    prompted = rows["language:template=template.txt"]
    assert (prompted.kind, prompted.score, prompted.train_seconds) == ("prompted", 1.0, None)
    assert (
        ensuite.load(Path("out", prompted.folder, "0")).predict(["so bad"])[0].label == "negative"
    )


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        (":template=nowhere.txt", r"nowhere\.txt: it cannot be read \(No such file or directory\)"),
        (":template=template.txt,shots=many", "shots=many: give a number from 0 to 32"),
        (":template=template.txt,shots=33", "shots=33: give a number from 0 to 32"),
        (":template=template.txt,answer=yes", "answer=yes: choose one of likelihood, generate"),
        (
            ":template=template.txt,width=3",
            "has no option width; it has template, shots and answer",
        ),
    ],
)
def test_what_is_typed_wrong_is_told(
    spec: str, sentence: str, language: Path, problem: Problem
) -> None:
    with pytest.raises(UsageError, match=sentence):
        open_spec(f"{language}{spec}", problem)


def test_only_a_language_model_can_be_prompted(problem: Problem) -> None:
    ensuite.train("classify", ROWS, model="most frequent", out="simple", budget="1steps")
    with pytest.raises(UsageError, match="only a run of generate can be prompted"):
        open_spec("simple:template=template.txt", problem)


def test_a_task_without_choices_cannot_be_prompted_for(language: Path) -> None:
    numbers = [{"text": row["text"], "target": len(row["text"])} for row in ROWS]
    with pytest.raises(UsageError, match="regress has no fixed choices"):
        open_spec(f"{language}:template=template.txt", open_problem("regress", numbers))
    several = [{"text": row["text"], "label": [row["label"]]} for row in ROWS]
    with pytest.raises(UsageError, match="prompted for one label of each example"):
        open_spec(f"{language}:template=template.txt", open_problem("classify", several))


def test_a_prompt_that_is_too_long_is_refused(
    language: Path, problem: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PromptedModel, "context", 4)
    with pytest.raises(UsageError, match=r"has 6 tokens, and the language model reads 4 at most"):
        fitted(opened(language, problem), problem)


class TestTemplate:
    def test_space_at_the_end_belongs_to_the_answer(self) -> None:
        assert Template("{a}:").gap == " "
        assert Template("{a}\n").gap == "\n"
        assert Template("{a} - ").fill({"a": "x"}) == "x -"

    def test_braces(self) -> None:
        assert Template("{{{a}}} {b}").fill({"a": "{c}", "b": "2", "c": "3"}) == "{{c}} 2"

    @pytest.mark.parametrize(
        ("text", "sentence"),
        [
            ("always the same", "names no field"),
            ("{text", "is not a template"),
            ("text}", "is not a template"),
            ("{text!r}", "only the name of a field"),
            ("{text:>9}", "only the name of a field"),
        ],
    )
    def test_what_is_no_template_is_refused(self, text: str, sentence: str) -> None:
        with pytest.raises(UsageError, match=sentence):
            Template(text)

    @pytest.mark.parametrize("name", ["label", "text.upper", "text[0]", "", "0"])
    def test_a_field_that_an_example_lacks_is_told(self, name: str, problem: Problem) -> None:
        with pytest.raises(
            UsageError, match="which an example does not have; there is: input, text"
        ):
            Template(f"{{{name}}}").fill(fields_of(problem.task, Example("so fine", "positive")))

    @given(some.text())
    def test_any_text_is_a_template_or_refused_in_a_sentence(self, text: str) -> None:
        try:
            template = Template(text)
            template.fill(dict.fromkeys(template.fields, "x"))
        except EnsuiteError as error:
            assert error.exit_code == 2

    def test_pairs_have_both_their_texts(self, problem: Problem) -> None:
        fields = fields_of(problem.task, Example(("one", "two"), "positive"))
        assert fields == {"input": "one | two", "text": "one", "text_pair": "two"}


def test_a_choice_costs_what_no_token_tells(language: Path, problem: Problem) -> None:
    """Two labels that the language model does not know are as likely as their bytes are few."""
    rows = [
        {"text": row["text"], "label": "é" if row["label"] == "positive" else "éé"} for row in ROWS
    ]
    unknown = open_problem("classify", rows)
    predictor = fitted(opened(language, unknown), unknown)
    few, many = np.array(predictor.predict(["so fine"])[0].probabilities)
    assert few > many
