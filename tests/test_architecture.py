"""Who may import whom, and that a package import costs nothing heavy."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "ensuite"

BASE = {"core"}
WORK = {"nn", "data", "decoding", "metrics"}
BELOW = BASE | WORK | {"models", "tasks", "baselines", "training", "catalog"}
ANSWER = BELOW | {"network", "checkpoint", "frozen", "prompting", "problem", "predictor", "start"}
ANSWER |= {"loaders", "misfit", "candidates", "specs", "laws"}

MAY_IMPORT: dict[str, set[str]] = {
    "core": BASE,
    **{name: BASE | {name} for name in WORK},
    "models": BASE | {"nn", "models"},
    "tasks": BASE | WORK | {"tasks"},
    "baselines": BASE | WORK | {"tasks", "baselines"},
    "training": BASE | {"data", "training"},
    "catalog": BASE,
    "problem": BASE | {"data", "catalog"},
    "network": BELOW,
    "checkpoint": BELOW | {"network"},
    "prompting": BELOW,
    "loaders": BELOW | {"network", "prompting"},
    "predictor": BELOW | {"loaders", "problem", "checkpoint"},
    "frozen": BELOW | {"network", "checkpoint"},
    "start": BELOW | {"network", "checkpoint", "predictor"},
    "misfit": BASE | {"catalog", "problem"},
    "candidates": ANSWER - {"candidates", "specs", "laws"},
    "specs": ANSWER - {"specs", "laws"},
    "laws": BELOW | {"predictor"},
    "report": BASE | {"report"},
    "comparison": ANSWER | {"report", "comparison"},
    "api": ANSWER | {"report", "comparison"},
    "estimators": ANSWER | {"comparison", "api"},
}
"""Part of the package: the parts it may import. The command line may import anything."""


def imported(path: Path) -> set[str]:
    """Return the parts of ensuite that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module] if node.module != "ensuite" else [
                f"ensuite.{alias.name}" for alias in node.names
            ]  # fmt: skip
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        found |= {name.split(".")[1] for name in names if name.startswith("ensuite.")}
    return found


def parts() -> list[tuple[str, Path]]:
    files = [path for path in sorted(SOURCE.rglob("*.py")) if path.parent != SOURCE]
    files += [path for path in SOURCE.glob("*.py") if path.stem not in ("__init__", "__main__")]
    return [(path.relative_to(SOURCE).parts[0].removesuffix(".py"), path) for path in files]


@pytest.mark.parametrize(
    ("part", "path"), parts(), ids=lambda each: str(each).split("ensuite/")[-1]
)
def test_a_part_imports_only_what_stands_below_it(part: str, path: Path) -> None:
    if part != "cli":
        assert imported(path) <= MAY_IMPORT[part]


def test_every_file_opens_with_its_caption() -> None:
    without = [
        path for path in SOURCE.rglob("*.py")
        if (text := path.read_text(encoding="utf-8")) and not ast.get_docstring(ast.parse(text))
    ]  # fmt: skip
    assert not without


HEAVY = ("torch", "numpy", "polars", "sklearn", "plotly", "pandas", "scipy")


@pytest.mark.parametrize(
    "statement",
    ["import ensuite", "import ensuite.catalog; list(ensuite.catalog.backbones)",
     "import ensuite.cli.app"],
)  # fmt: skip
def test_what_starts_first_imports_nothing_heavy(statement: str) -> None:
    code = f"import sys; {statement}; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "command", ["", "compare", "train", "predict", "convert", "data", "models", "tasks"]
)
def test_help_imports_nothing_heavy(command: str) -> None:
    code = (
        "import sys\nfrom ensuite.cli.app import app\n"
        f"try:\n    app({[*command.split(), '--help']!r})\nexcept SystemExit as end:\n"
        f"    print(end.code, [m for m in {HEAVY} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("0 []")
