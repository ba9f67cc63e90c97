"""Progress in a notebook: one output that is updated, and no IPython where there is none."""

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from ensuite.comparison.notebook import NotebookProgress, progress_here
from ensuite.core.display import Display
from ensuite.training.callback import Callback


class Output:
    """The output of a cell: what is shown in it, and how often that changed."""

    def __init__(self) -> None:
        self.shown: Any = None
        self.changes = 0

    def __call__(self, what: Any, *, display_id: bool) -> "Output":
        assert display_id
        self.update(what)
        return self

    def update(self, what: Any) -> None:
        self.shown = what
        self.changes += 1


def training(steps: int = 0) -> Any:
    spent = SimpleNamespace(steps=steps, seconds=41.0, epochs=1.0)
    state = SimpleNamespace(spent=spent, history=[{"scores": {"accuracy": 0.8}}], best=0.8)
    return SimpleNamespace(seed=0, state=state, metric="accuracy", display=Display(points=100))


def update(share: float) -> Any:
    loss = SimpleNamespace(value=0.31)
    return SimpleNamespace(share=share, scores={}, update=7, loss=loss)


def test_progress_is_shown_in_place() -> None:
    output, now = Output(), [0.0]
    progress = NotebookProgress(output, clock=lambda: now[0])
    progress.say("label        <a> & <b>")
    progress.trial(2, 6)
    progress.begin("lstm", training())
    assert "lstm seed 0, 2 of 6" in output.shown._repr_html_()
    assert "&lt;a&gt; &amp; &lt;b&gt;" in output.shown._repr_html_()
    for share in (0.1, 0.2, 0.3, 0.5):
        now[0] += 1.0
        progress.update(training(), update(share))
    changes = output.changes
    shown = output.shown._repr_html_()
    assert 'value="0.500"' in shown
    assert "loss 0.310, valid accuracy 0.800, best 0.800" in shown
    for _ in range(5):  # the clock stands still
        progress.update(training(), update(0.6))
    assert output.changes == changes
    progress.end("lstm", training())
    assert "<progress" not in output.shown._repr_html_()
    assert (
        repr(output.shown)
        .splitlines()[-1]
        .endswith("seed 0: 41 s, 1 epoch, valid accuracy 0.800, best 0.800")
    )


def test_a_run_that_goes_on_says_so() -> None:
    output = Output()
    NotebookProgress(output).begin("lstm", training(steps=1200))
    assert "lstm seed 0 resumes from step 1,200" in repr(output.shown)


def test_only_a_notebook_shows_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    assert type(progress_here()) is Callback
    output = Output()
    shell: Any = SimpleNamespace()  # IPython on a terminal
    module = SimpleNamespace(get_ipython=lambda: shell, display=None)
    monkeypatch.setitem(sys.modules, "IPython", module)  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(display=output))  # type: ignore[arg-type]
    assert type(progress_here()) is Callback
    shell.kernel = object()
    assert isinstance(progress_here(), NotebookProgress)
    assert output.changes == 1


def test_ipython_is_not_imported() -> None:
    code = (
        "import sys; from ensuite.comparison.notebook import progress_here; progress_here(); "
        "print([m for m in ('IPython', 'ipywidgets') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
