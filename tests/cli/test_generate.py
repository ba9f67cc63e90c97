"""Going on with texts on the command line, and in Python."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import ensuite as package
from ensuite.core.errors import UsageError

from .conftest import Command, write_reviews

VERSE = "the cat sat on the mat\nand so on, and so on\n"


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a comparison on one long text: an rnn after a few updates, beside the n-gram."""
    folder = tmp_path_factory.mktemp("generate")
    song = folder / "song.txt"
    song.write_text(VERSE * 40, encoding="utf-8")
    how = {"seeds": 1, "budget": "3steps", "settings": {"unit": "characters", "width": 8}}
    package.compare("generate", song, models=["rnn"], out=folder / "runs", **how)
    return folder / "runs"


@pytest.fixture
def run(compared: Path, tmp_path: Path) -> Path:
    shutil.copytree(compared / "trials/rnn/0", tmp_path / "rnn")
    shutil.copytree(compared / "trials/n-gram/0", tmp_path / "n-gram")
    return tmp_path


def test_it_writes_the_prompt_and_goes_on(works: Command, run: Path) -> None:
    done = works('generate n-gram "the c" --temperature 0 --max-new-tokens 20')
    assert done.out == "the cat sat on the mat\nan\n"


def test_it_stops_before_a_stop_text(works: Command, run: Path) -> None:
    done = works('generate n-gram "the c" --temperature 0 --stop mat --stop zebra')
    assert done.out == "the cat sat on the \n"


def test_texts_are_counted_by_their_seeds(works: Command, run: Path) -> None:
    line = "generate rnn the --seed 3 --max-new-tokens 12"
    found = json.loads(works(f"{line} --count 2 --json").out)
    assert [(each["prompt"], each["seed"]) for each in found] == [("the", 3), ("the", 4)]
    first, second = (f"the{each['text']}" for each in found)
    assert works(f"{line} --count 2").out == f"{first}\n\n--- 4\n{second}\n"
    assert works(line).out == f"{first}\n"


def test_a_prompt_can_be_read_from_a_file(works: Command, run: Path) -> None:
    (run / "begin.txt").write_text("and so", encoding="utf-8")
    assert works("generate rnn @begin.txt --max-new-tokens 1").out.startswith("and so")


def test_a_path_is_no_prompt(refused: Callable[..., None], run: Path) -> None:
    (run / "song.txt").write_text("the cat", encoding="utf-8")
    refused("generate n-gram song.txt", 2, "song.txt is a file", "@song.txt")
    refused("generate n-gram \udcff", 1, "half of a surrogate pair")


def test_a_beam_writes_a_probable_text(works: Command, run: Path) -> None:
    line = 'generate n-gram "the cat" --beam 3 --max-new-tokens 8'
    assert works(line).out == works(f"{line} --seed 5").out == "the cat sat on \n"


def test_predict_says_how_likely_a_text_is(works: Command, run: Path) -> None:
    done = works('predict n-gram "the cat sat on the mat" "mat the on sat cat the" --json')
    known, new = (row["bits_per_byte"] for row in json.loads(done.out))
    assert known < 1 < new
    assert "bits per byte" in works('predict rnn "the cat"').out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--beam 0", "beam is 0; give 1 or more"),
        ("--temperature -1", "temperature is -1.0; give 0"),
        ("--top-p 0", "top_p is 0.0; give more than 0"),
        ("--stop ''", "A stop text is empty"),
        ("--count 0", "--count 0: give 1 or more"),
        ("--max-new-tokens 0", "max_new_tokens is 0; give 1 or more"),
        ("--max-new-tokens 9223372036854775808", "give 2,147,483,647 at most"),
        ("--temperature nan", "temperature is nan; give 0"),
        ("--top-k -1", "top_k is -1; give 1 or more"),
        ("--beam 2 --slide", "give beam or slide, not both"),
        ("--log-probabilities", "--log-probabilities goes with --json"),
    ],
)
def test_what_cannot_be_written_is_refused(
    refused: Callable[..., None], run: Path, words: str, sentence: str
) -> None:
    refused(f"generate rnn {words}", 2, sentence)


def test_json_tells_the_tokens_and_why_a_text_ended(works: Command, run: Path) -> None:
    line = "generate rnn the --max-new-tokens 5 --json --log-probabilities"
    (found,) = json.loads(works(line).out)
    assert "".join(each["token"] for each in found["tokens"]) == found["text"]
    assert (len(found["tokens"]), found["finish_reason"]) == (5, "length")
    assert all(each["log_probability"] < 0 for each in found["tokens"])


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run of a gpt that reads 16 characters at once."""
    folder = tmp_path_factory.mktemp("short")
    (folder / "song.txt").write_text(VERSE * 40, encoding="utf-8")
    how = {"unit": "characters", "width": 16, "layers": 1, "context": 16}
    package.train(
        "generate", folder / "song.txt", model="gpt", budget="60steps", settings=how,
        out=folder / "gpt",
    )  # fmt: skip
    return folder / "gpt"


def test_a_full_context_ends_a_text_or_slides(works: Command, short: Path) -> None:
    line = f'generate {short} "the cat" --temperature 0 --max-new-tokens 30'
    done = works(line)
    assert len(done.out.strip("\n")) <= 16
    assert "ended where it has 16 tokens" in done.err
    assert "--slide" in done.err
    slid = works(f"{line} --slide")
    assert slid.out.startswith(done.out.rstrip("\n"))
    assert len(slid.out) == len("the cat") + 30 + 1
    assert "longer than the 16 tokens that the model reads at once" in slid.err
    (found,) = json.loads(works(f"{line} --json").out)
    assert found["finish_reason"] == "context"


def test_a_prompt_longer_than_the_context_needs_permission(
    works: Command, refused: Callable[..., None], short: Path
) -> None:
    line = f'generate {short} "{VERSE.split(chr(10))[0]}" --temperature 0 --max-new-tokens 4'
    refused(line, 2, "The prompt has", "reads 16 at most", "--slide")
    assert works(f"{line} --slide").out.startswith("the cat sat on the mat")


def test_int8_weights_write_and_are_evaluated(
    works: Command, refused: Callable[..., None], short: Path
) -> None:
    pytest.importorskip("numba")
    line = f'generate {short} "the cat" --temperature 0 --max-new-tokens 4'
    assert works(f"{line} --set int8=true").out.startswith("the cat")
    song = short.parent / "song.txt"
    exact, rounded = (
        json.loads(works(f"evaluate {short} {song} --json{more}").out)["metrics"]["bits_per_byte"]
        for more in ("", " --set int8=true")
    )
    assert rounded == pytest.approx(exact, rel=0.05)
    assert rounded != exact
    refused(f"{line} --set int8=maybe", 2, "this command accepts only int8=true")
    refused(f"{line} --set width=3", 2, "this command accepts only int8=true")
    model = package.load(short).to_int8()
    with pytest.raises(UsageError, match="int8 weights is not saved"):
        model.save(short.parent / "rounded")


def test_what_has_no_int8_weights_is_refused(refused: Callable[..., None], run: Path) -> None:
    refused("generate rnn the --set int8=true", 2, "int8 weights: RecurrentBackbone has none")
    refused("generate n-gram the --set int8=true", 2, "A baseline model has no int8 weights")


@pytest.mark.parametrize("temperature", [0, 0.8])
def test_prompts_together_are_continued_as_alone(short: Path, temperature: float) -> None:
    """Of unequal length, past the context, with penalties."""
    model = package.load(short)
    how = {
        "temperature": temperature, "max_new_tokens": 20, "slide": True, "stop": "zebra",
        "repetition_penalty": 1.2, "frequency_penalty": 0.1, "top_p": 0.9,
    }  # fmt: skip
    prompts = ["the cat", "", "and so on, and so on, the mat", "t"]
    texts = [""] * len(prompts)
    for number, piece in model.write(prompts, **how):
        texts[number] += piece
    assert texts == [model.generate(prompt, **how) for prompt in prompts]


def test_several_texts_have_the_seeds_that_follow(short: Path) -> None:
    model = package.load(short)
    how = {"max_new_tokens": 6, "slide": True}
    several = model.complete("the cat", count=3, seed=4, **how)
    alone = [model.generate("the cat", seed=seed, **how) for seed in (4, 5, 6)]
    assert [each.text for each in several] == alone
    assert all(len(each.tokens) == 6 and each.finish_reason == "length" for each in several)
    (beam,) = model.complete("the", beam=2, max_new_tokens=3)
    assert beam.text == model.generate("the", beam=2, max_new_tokens=3)
    assert (beam.log_probabilities, beam.finish_reason) == (None, "length")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"temprature": 1}, "no option temprature; did you mean temperature?"),
        ({"count": 0}, "count is 0; give 1 or more"),
        ({"count": 2.0}, "count is 2.0; give 1 or more"),
        ({"count": 2, "beam": 2}, "a beam search finds one text"),
        ({"seed": -1}, "The seed -1 is out of range"),
        ({"seed": 2**32 - 1, "count": 2}, "out of range"),
    ],
)
def test_options_that_do_not_exist_are_refused(
    compared: Path, options: dict[str, object], sentence: str
) -> None:
    model = package.load(compared / "trials/rnn/0")
    with pytest.raises(UsageError, match=re.escape(sentence)):
        model.complete("the", **options)


def test_a_prompt_with_characters_that_training_lacks_is_read(works: Command, run: Path) -> None:
    assert works("generate rnn 'déjà vu' --max-new-tokens 5").out.startswith("déjà vu")


def test_a_run_of_another_task_is_refused(
    refused: Callable[..., None], works: Command, tmp_path: Path
) -> None:
    write_reviews(tmp_path)
    fast = "--budget 1steps --set width=4 --set embedding=4"
    works(f"train classify reviews.csv --model rnn {fast} --out labels")
    refused("generate labels the", 2, "rnn was trained to classify, not to continue texts")


def test_python_gives_the_same_text_whole_or_in_pieces(compared: Path) -> None:
    model = package.load(compared / "trials/rnn/0")
    how = {"max_new_tokens": 10, "seed": 2}
    text = model.generate("the", **how)
    assert "".join(model.stream("the", **how)) == text
    written = [piece for number, piece in model.write(["and", "the"], **how) if number == 1]
    assert "".join(written) == text
    with pytest.raises(UsageError, match="temperature is -1"):
        model.stream("the", temperature=-1)  # at once, not when the first piece is asked for


def test_a_classifier_starts_from_a_language_model_and_reads_by_its_tokens(
    works: Command, reviews: Path, tmp_path: Path
) -> None:
    """Dai & Le (2015): the words of the classifier are those of the language model."""
    fast = "--budget 2steps --set width=8 --set embedding=8"
    works(f"train generate reviews.csv --model lstm {fast} --set unit=pieces --out language")
    works(f"train classify reviews.csv --model lstm {fast} --init-from language --out labels")
    language, labels = package.load(tmp_path / "language"), package.load(tmp_path / "labels")
    assert labels.task.processor.tokenizer == language.task.writing.tokenizer
    assert labels.task.processor.unit == "pieces"
    same = "a good film"
    assert labels.task.processor.encode([same])[0].tolist() == (
        language.task.writing.encode([same])[0].tolist()
    )
    assert works(f'predict labels "{same}"').out.split()[0] in ("positive", "negative")


def test_it_starts_with_the_weights_of_the_language_model(
    works: Command, reviews: Path, tmp_path: Path
) -> None:
    how = "--model lstm --set width=8 --set embedding=8 --set recipe.learning_rate=1e-12"
    works(f"train generate reviews.csv {how} --budget 1steps --out language")
    works(f"train classify reviews.csv {how} --budget 1steps --init-from language --out labels")
    language, labels = package.load(tmp_path / "language"), package.load(tmp_path / "labels")
    mine = dict(labels.model.backbone.named_parameters())
    for name, weight in language.model.backbone.named_parameters():
        torch.testing.assert_close(mine[name], weight)


def test_a_task_that_cannot_take_the_vocabulary_over_is_refused(
    works: Command, refused: Callable[..., None], tmp_path: Path
) -> None:
    (tmp_path / "song.txt").write_text(VERSE * 40, encoding="utf-8")
    rows = [f"the\tD\ncat\tN\n{number}\tM\n\n" for number in range(30)]
    (tmp_path / "tags.conll").write_text("".join(rows), encoding="utf-8")
    how = "--model lstm --set width=8 --set embedding=8 --budget 1steps"
    works(f"train generate song.txt {how} --set unit=words --out language")
    refused(
        f"train tag tags.conll {how} --init-from language --set letters=false --out tags",
        1, "its vocabulary cannot be taken over by this task",
    )  # fmt: skip


def test_another_shape_is_refused(
    works: Command, refused: Callable[..., None], reviews: Path
) -> None:
    fast = "--budget 1steps --set embedding=8"
    works(f"train generate reviews.csv --model lstm:width=8 {fast} --out language")
    refused(
        f"train classify reviews.csv --model lstm:width=6 {fast} --init-from language", 1,
        "its backbone is not of the same shape; give the same model options",
    )  # fmt: skip
