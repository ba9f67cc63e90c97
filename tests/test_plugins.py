"""The package that CONTRIBUTING.md shows: written from the page, installed, used."""

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r'```\w+ title="([^"]+)"\n(.*?)```', PAGE, flags=re.DOTALL))

WORDS = ("a", "very", "long", "walk", "by", "the", "sea")

Run = Callable[..., CompletedProcess[str]]


def environment(*paths: Path) -> dict[str, str]:
    """Return the environment of a process that finds packages in these folders, too."""
    before = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return {**os.environ, "PYTHONPATH": os.pathsep.join([*map(str, paths), *filter(None, before)])}


def install(folder: Path, name: str) -> None:
    """Put the page's package into ``folder`` as pip would, its modules under ``name``."""
    for path, text in FILES.items():
        path = folder / path.replace("ensuite_extra", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("ensuite_extra", name), encoding="utf-8")
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    info = folder / f"{name}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Name: {name}\nVersion: {project['version']}\n")
    points = "".join(
        f"[{group}]\n" + "".join(f"{key} = {target}\n" for key, target in points.items())
        for group, points in project["entry-points"].items()
    )
    (info / "entry_points.txt").write_text(points)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    install(folder, "ensuite_extra")
    return folder


@pytest.fixture
def ensuite(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a way to call ensuite, in a folder of its own, with the package installed."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str, code: int = 0, path: tuple[Path, ...] = (site,)) -> CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", "ensuite", *words],
            env=environment(*path),
            capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        return done

    return run


@pytest.fixture
def reviews(tmp_path: Path) -> str:
    rows = [f"a {word} film number {n},{word}" for n in range(20) for word in ("good", "bad")]
    return write(tmp_path / "reviews.csv", "text,label", rows)


@pytest.fixture
def walks(tmp_path: Path) -> str:
    """Return texts of seven words, in an order of its own for each, and of 0 to 3 stars."""
    turned = [WORDS[n % 7 :] + WORDS[: n % 7] + ("star",) * (n % 4) for n in range(28)]
    rows = [f"{' '.join(words)},{words.count('star')}" for words in turned]
    return write(tmp_path / "walks.csv", "text,count", rows)


def write(path: Path, header: str, rows: list[str]) -> str:
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path.name


def test_the_page_shows_the_whole_package() -> None:
    names = ("bag.py", "count.py", "catalog.py")
    assert set(FILES) == {*(f"ensuite_extra/{name}" for name in names), "pyproject.toml"}


def test_models_lists_what_the_package_offers(ensuite: Run) -> None:
    found = {row["name"]: row for row in json.loads(ensuite("models", "--json").stdout)}
    assert found["bag"]["year"] == 2017
    assert "lstm" in found
    assert "count" in ensuite("models").stdout
    assert "bag" in ensuite("models", "--task", "count").stdout


def test_its_backbone_obeys_the_laws(site: Path) -> None:
    words = ("-q", "-p", "no:cacheprovider", "-k", "bag", "tests/laws/test_backbones.py")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words], cwd=ROOT,
        env=environment(site), capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_its_backbone_competes_at_our_task(ensuite: Run, reviews: str) -> None:
    words = ("--model", "bag:width=16", "--model", "rnn", "--seeds", "1", "--budget", "20steps")
    said = ensuite("compare", "classify", reviews, *words, "--out", "run", "--json").stdout
    rows = {row["name"]: row for row in json.loads(said)["rows"]}
    assert rows["bag"]["kind"] == rows["rnn"]["kind"] == "trained"
    assert rows["most frequent"]["kind"] == "baseline"
    (run,) = (path for path in Path("run/trials").glob("bag*/0"))
    assert "good" in ensuite("predict", str(run), "a good film").stdout
    said = ensuite("predict", str(run), "a good film", code=1, path=()).stderr
    assert 'the model "bag" is not installed here' in said


def test_its_options_are_known_by_name(ensuite: Run, reviews: str) -> None:
    said = ensuite("train", "classify", reviews, "--model", "bag:widht=16", code=2).stderr
    assert "the model bag has no option" in said
    assert "did you mean width?" in said


def test_our_backbone_does_its_task(ensuite: Run, walks: str) -> None:
    ensuite("train", "count", walks, "--model", "rnn", "--budget", "10steps", "--out", "run")
    metrics = json.loads(ensuite("evaluate", "run", walks, "--json").stdout)["metrics"]
    assert 0 < metrics["mae"] < 10
    (answer,) = json.loads(ensuite("predict", "run", "by the sea star star", "--json").stdout)
    assert answer["input"] == "by the sea star star"
    assert float(answer["answer"]) > 0
    laws = json.loads(ensuite("check", "run", walks, "--json").stdout)
    assert {"padding changes nothing", "saved answers = loaded"} <= {each["law"] for each in laws}
    assert all(each["holds"] for each in laws)


def test_its_baseline_stands_beside_every_model(ensuite: Run, walks: str) -> None:
    words = ("--models", "bag", "--seeds", "1", "--budget", "200steps", "--out", "run", "--json")
    board = json.loads(ensuite("compare", "count", walks, *words).stdout)
    kinds = {row["name"]: row["kind"] for row in board["rows"]}
    assert kinds == {"bag": "trained", "median": "baseline"}
    assert (board["metric"], board["higher_is_better"]) == ("mae", False)
    assert board["winner"] == "bag"
    ensuite("evaluate", "run/trials/median/0", walks)


def test_its_errors_are_sentences(ensuite: Run, tmp_path: Path) -> None:
    walks = write(tmp_path / "walks.csv", "text,count", ["by the sea,1", "a walk,-2"])
    words = ("--model", "rnn", "--budget", "2steps")
    said = ensuite("train", "count", walks, *words, code=1).stderr
    assert "counts -2; give 0 or more." in said
    assert "Traceback" not in said


def test_one_name_of_two_packages_is_refused(ensuite: Run, site: Path, tmp_path: Path) -> None:
    install(tmp_path / "other", "ensuite_other")
    said = ensuite("models", code=2, path=(site, tmp_path / "other")).stderr
    assert "Two packages offer the model bag: uninstall one of" in said
    assert "ensuite_extra" in said
    assert "ensuite_other" in said
