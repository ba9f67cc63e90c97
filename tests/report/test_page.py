import base64
import gzip
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ensuite.report.page import comparison_html, ledger, run_html
from ensuite.report.values import (
    Answer,
    Case,
    ClassScores,
    ComparisonPage,
    Confusion,
    Mistake,
    OnlyRight,
    Output,
    Reliability,
)
from report.invented import (
    FIGURE,
    LSTM,
    MOST_FREQUENT,
    TFIDF,
    crowd,
    leaderboard,
    page,
    run,
    translations,
    unranked,
)

VOID = {"meta", "br", "link", "img", "input", "hr"}
HOSTILE = "</script><script>alert(1)</script><img src=http://x onerror=alert(1)>\"'&{{ 1 }}"


class Reader(HTMLParser):
    """Parse a page, require that every tag is closed in order, and keep its content."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.scripts: list[tuple[str | None, str]] = []
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(attrs) == len(dict(attrs))
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.scripts.append((self.tags[-1][1].get("type"), data))
        elif self.open and self.open[-1] != "style":
            self.text += data

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def hostile(text: str) -> ComparisonPage:
    """Put ``text`` wherever a user's data or words can come from."""
    board = leaderboard(replace(LSTM, name=text, folder=text), TFIDF, winner=text, data=text)
    return ComparisonPage(
        leaderboard=board,
        use=text,
        verdict=(text, text),
        check=((text, text),),
        curves=tuple(replace(curve, name=text) for curve in page().curves[:2]),
        confusions=(Confusion(name=text, labels=(text, text), counts=((1, 2), (3, 4))),),
        not_confused=text,
        classes=(
            ClassScores(
                name=text, labels=(text,), rows=(1,), precision=(None,), recall=(0.0,), f1=(0.0,)
            ),
        ),
        reliability=(Reliability(name=text, bins=((0.5, 0.5, 2),)),),
        outputs=(Output(text=text, truth=text, answers=(Answer(name=text, text=text),)),),
        only_right=(
            OnlyRight(
                name=text, count=1, cases=(Case(text=text, truth=text, others={text: text}),)
            ),
        ),
        mistakes=(Mistake(name=text, text=text * 9, truth=text, prediction=text),),
        capsule=replace(page().capsule, command=text, machine={text: text}, versions={text: text}),
        folder=text,
        unit="text",
    )


@pytest.mark.parametrize("html", [comparison_html(page()), run_html(run())])
def test_nothing_is_fetched(html):
    found = Reader(html)
    policy = next(meta["content"] for meta in found.of("meta") if "http-equiv" in meta)
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert not found.of("link")
    assert not found.of("img")
    assert not [tag for tag, attributes in found.tags if "src" in attributes]
    own = re.sub(r'<script type="text/plain" id="plotly">.*?</script>', "", html, flags=re.DOTALL)
    for loader in ("@import", "url(", "fetch(", "XMLHttpRequest", "import(", "http://", "https://"):
        assert loader not in own


def test_every_row_score_and_folder_is_there():
    whole = page()
    found = Reader(comparison_html(whole))
    for row in whole.leaderboard.rows:
        assert row.name in found.text
        assert f"{row.score:.3f}" in found.text
        assert row.folder in found.text
    assert not found.of("a")  # a browser shows no folder
    for sentence in whole.verdict[:3]:
        assert sentence in found.text


def test_the_winner_alone_is_marked():
    marked = [row for row in Reader(comparison_html(page())).of("tr") if row.get("class")]
    assert marked == [{"class": "winner"}]


def test_the_program_that_draws_is_in_the_page_once_and_whole():
    (packed,) = [
        text for kind, text in Reader(comparison_html(page())).scripts if kind == "text/plain"
    ]
    assert b"plotly.js v" in gzip.decompress(base64.b64decode(packed))[:200]


def test_a_page_without_figures_does_without_it():
    board = leaderboard(replace(TFIDF, latency_ms=None), MOST_FREQUENT)
    nothing = dict.fromkeys(
        ("curves", "confusions", "classes", "reliability", "only_right", "mistakes", "figures"), ()
    )
    bare = replace(page(), leaderboard=board, **nothing)
    html = comparison_html(bare)
    assert len(html) < 45_000
    assert not Reader(html).of("figure")


@pytest.mark.parametrize("html", [comparison_html(page()), run_html(run())])
def test_every_figure_is_json_and_has_its_words(html):
    found = Reader(html)
    drawn = [json.loads(text) for kind, text in found.scripts if kind == "application/json"]
    plots = [each for each in found.of("div") if each.get("class") == "plot"]
    assert len(drawn) == len(plots) > 1
    assert all(plot["aria-label"] for plot in plots)


def test_hostile_text_stays_text():
    found = Reader(comparison_html(hostile(HOSTILE)))
    assert not found.of("img")
    assert len([kind for kind, _ in found.scripts if kind is None]) == 1
    assert HOSTILE in found.text


@settings(max_examples=30)
@given(text=st.text(st.characters(), min_size=1, max_size=80).filter(str.strip))
def test_any_text_makes_a_page_that_can_be_written(text):
    html = comparison_html(hostile(text))
    html.encode("utf-8")
    Reader(html)


@pytest.mark.parametrize(
    ("code", "shown"), [("\ud800", "\\ud800"), ("\x1b[31m", "\\x1b[31m"), ("\u202e", "\\u202e")]
)
def test_control_codes_and_half_characters_are_shown(code, shown):
    page = comparison_html(hostile(f"a{code}b"))
    page.encode("utf-8")
    assert f"a{shown}b" in page
    assert code not in page


def test_an_input_that_is_a_picture_is_drawn():
    mistake = replace(page().mistakes[0], text='8 x 32 "greyscale"', picture=b"PNG")
    found = Reader(comparison_html(replace(page(), mistakes=(mistake,))))
    (drawn,) = found.of("img")
    assert drawn["src"] == "data:image/png;base64,UE5H"
    assert drawn["alt"] == mistake.text


def test_a_column_of_truths_stands_only_where_there_are_any():
    def headings(truth):
        mistakes = tuple(replace(mistake, truth=truth) for mistake in page().mistakes)
        html = comparison_html(replace(page(), mistakes=mistakes, only_right=()))
        return html.count('<th scope="col">truth</th>')

    assert (headings("positive"), headings("")) == (1, 0)


def test_a_long_text_opens_on_demand():
    found = Reader(comparison_html(page()))
    passages = [each for each in found.of("details") if each.get("class") == "passage"]
    assert len(passages) == 2
    assert page().mistakes[1].text in found.text


@pytest.mark.parametrize("size", [2, 11, 50])
def test_any_number_of_labels(size):
    labels = tuple(f"label {i}" for i in range(size))
    counts = tuple(tuple(int(i == j) for j in range(size)) for i in range(size))
    confusion = Confusion(name="lstm", labels=labels, counts=counts)
    found = Reader(comparison_html(replace(page(), confusions=(confusion,))))
    assert f"{size} of {size} correct." in found.text


def test_a_run_tells_its_score_and_what_to_type():
    text = Reader(run_html(run())).text
    assert "lstm: accuracy 0.809 on 692 texts." in text
    assert "--budget 3m" in text


def test_a_run_without_a_score_says_so():
    failed = replace(run(), row=replace(LSTM, score=None, metrics={}))
    assert "lstm has no score." in Reader(run_html(failed)).text


def test_the_same_values_make_the_same_page():
    assert comparison_html(page()) == comparison_html(page())


def test_the_ledger_tells_what_was_not_read():
    cut = replace(LSTM, truncated_rows=1, truncated_tokens=31_000)
    assert ledger([cut, TFIDF], "text") == [("cut for lstm", "1 text, 31,000 tokens not read")]
    assert ledger([LSTM, TFIDF], "text") == [("cut", "nothing: every text was read whole")]
    assert ledger([MOST_FREQUENT], "text") == []


def test_a_comparison_that_nothing_ranks_is_a_page_with_a_table():
    found = Reader(comparison_html(unranked()))
    assert "No metric ranks these rows" in found.text
    assert "is better" not in found.text
    assert not [each for each in found.of("tr") if each.get("class") == "winner"]
    assert Reader(run_html(replace(run(), metric=None, row=replace(LSTM, score=None)))).text


def test_the_figures_of_a_task_are_shown():
    assert FIGURE.title in Reader(comparison_html(page())).text
    assert FIGURE.title in Reader(run_html(replace(run(), figures=(FIGURE,)))).text


def test_the_metrics_stand_before_the_costs():
    headings = re.findall(r'<button type="button">(.*?)</button>', comparison_html(page()))
    assert headings[:6] == ["model", "accuracy", "group", "macro F1", "log loss", "parameters"]


def test_marks_stand_beside_the_names():
    text = Reader(comparison_html(crowd())).text
    for mark in ("the machine was busy: 0.3 of 4.4 epochs", "failed: out of memory"):
        assert mark in text


def test_the_answer_so_far_stands_out_below_the_budget_to_give():
    assert '<p class="lead answer">So far: take' in comparison_html(page())
    settled = leaderboard(replace(LSTM, still_rising=False), MOST_FREQUENT, winner="lstm")
    assert "lead answer" not in comparison_html(replace(page(), leaderboard=settled))


def test_outputs_stand_side_by_side_with_their_scores():
    found = Reader(comparison_html(translations()))
    assert len(found.of("article")) == 2
    for output in translations().outputs:
        for shown in (output.text, output.truth, *(answer.text for answer in output.answers)):
            assert shown in found.text
    assert "61.20" in found.text
    assert "with the score of each answer" in found.text
    bare = replace(translations().outputs[0], truth="", answers=(Answer(name="gpt", text="1.2"),))
    text = Reader(comparison_html(replace(translations(), outputs=(bare,)))).text
    assert "with the score of each answer" not in text


def test_scores_by_class_are_shown_and_those_of_the_winner_first():
    found = Reader(comparison_html(page()))
    classes = [each for each in found.of("details") if each.get("class") == "classes"]
    assert ["open" in each for each in classes] == [True, False]
    assert "0.803" in found.text


def test_it_is_said_why_there_is_no_confusion_matrix():
    reason = "60 classes are too many for a confusion matrix."
    html = comparison_html(replace(page(), confusions=(), not_confused=reason))
    assert reason in Reader(html).text


def test_every_comparison_has_a_matrix_for_every_row():
    found = Reader(comparison_html(page()))
    assert sum("correct." in (each.get("aria-label") or "") for each in found.of("div")) == 5
