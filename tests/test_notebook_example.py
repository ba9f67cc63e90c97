"""The cells of the example notebook run, with a shorter budget, and show what they promise."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

NOTEBOOK = Path(__file__).parents[1] / "examples/notebook.ipynb"


def cells() -> list[str]:
    """Return the code of each cell, with budgets that take no time."""
    document = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    code = ["".join(each["source"]) for each in document["cells"] if each["cell_type"] == "code"]
    return [each.replace("8epochs", "2steps").replace("20epochs", "2steps") for each in code]


def run(cell: str, names: dict[str, Any]) -> Any:
    """Run a cell and return the value of its last line, where that is an expression."""
    *lines, last = cell.rstrip().split("\n")
    exec("\n".join(lines), names)
    try:
        return eval(last, names)
    except SyntaxError:
        exec(last, names)
        return None


def test_the_cells_run_and_show_table_and_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pages: list[Path] = []
    display = SimpleNamespace(IFrame=lambda path, **_: pages.append(path))
    monkeypatch.setitem(sys.modules, "IPython.display", display)  # type: ignore[arg-type]
    names: dict[str, Any] = {}
    shown = [run(cell, names) for cell in cells()]
    assert "<table" in shown[0]._repr_html_()
    assert [path for path in pages if not path.is_file()] == []
    assert len(pages) == 1
    assert len(shown[-1]) == 3


def test_the_notebook_was_executed() -> None:
    document = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert all(each["outputs"] for each in document["cells"] if each["cell_type"] == "code")
    assert "Traceback" not in NOTEBOOK.read_text(encoding="utf-8")
